// A peer of System.Net.Security.NegotiateStream for the integration tests: one line of JSON for each thing it sees.
//
//   server [--port 0] [--connections 1] [--protection EncryptAndSign] [--impersonation Identification]
//          [--timeout MS]
//   client --port N --target SPN [--protection ...] [--impersonation ...] [--sizes 1,1048576]
//          [--user NAME --password PASSWORD --domain REALM] [--bindings HEX] [--timeout MS]
//   http --url URL [--size 50000]
//
// Bindings are given to the client only: on Unix the server of .NET Core 3.1 does not look at any.
// The third is System.Net.Http.HttpClient: it gets the URL twice and posts once, as the user of the process.
// The server sends every byte back. The client sends each size in turn and compares what comes back.

using System;
using System.Collections.Generic;
using System.ComponentModel;
using System.Globalization;
using System.Net;
using System.Net.Http;
using System.Net.Security;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using System.Security.Authentication.ExtendedProtection;
using System.Security.Principal;
using System.Text.Json;

static class Peer
{
    static readonly Dictionary<string, string> Options = new Dictionary<string, string>();

    static int Main(string[] args)
    {
        for (int i = 1; i + 1 < args.Length; i += 2) Options[args[i].Substring(2)] = args[i + 1];
        try
        {
            if (args.Length > 0 && args[0] == "server") return Serve();
            if (args.Length > 0 && args[0] == "client") return Call();
            if (args.Length > 0 && args[0] == "http") return Ask();
            Say("failed", ("errors", new[] { "say server, client or http" }));
            return 2;
        }
        catch (Exception e)
        {
            SayFailed("run", e);
            return 1;
        }
    }

    static int Serve()
    {
        var listener = new TcpListener(IPAddress.Loopback, int.Parse(Get("port", "0")));
        listener.Start();
        Say("listening", ("port", ((IPEndPoint)listener.LocalEndpoint).Port));
        int code = 0;
        for (int left = int.Parse(Get("connections", "1")); left > 0; left--)
        {
            using (TcpClient client = listener.AcceptTcpClient())
            {
                if (!ServeOne(client)) code = 1;
            }
        }
        return code;
    }

    static bool ServeOne(TcpClient client)
    {
        using (var stream = Open(client))
        {
            if (!Authenticate(stream, () => stream.AuthenticateAsServer(
                CredentialCache.DefaultNetworkCredentials, null, Protection, Impersonation))) return false;
            try
            {
                var buffer = new byte[65536];
                long total = 0;
                for (int n; (n = stream.Read(buffer, 0, buffer.Length)) > 0; total += n) stream.Write(buffer, 0, n);
                Say("end", ("bytes", total));
                return true;
            }
            catch (Exception e)
            {
                SayFailed("data", e);
                return false;
            }
        }
    }

    static int Call()
    {
        using (var client = new TcpClient())
        {
            client.Connect(IPAddress.Loopback, int.Parse(Options["port"]));
            using (var stream = Open(client))
            {
                if (!Authenticate(stream, () => stream.AuthenticateAsClient(
                    Credential(), Bindings(), Options["target"], Protection, Impersonation))) return 1;
                try
                {
                    foreach (string size in Get("sizes", "1").Split(',')) Echo(stream, int.Parse(size));
                    return 0;
                }
                catch (Exception e)
                {
                    SayFailed("data", e);
                    return 1;
                }
            }
        }
    }

    static int Ask()
    {
        using (var client = new HttpClient(new HttpClientHandler { UseDefaultCredentials = true, UseProxy = false }))
        {
            string url = Options["url"];
            for (int i = 0; i < 2; i++) SayAnswer(client.GetAsync(url).Result);
            SayAnswer(client.PostAsync(url, new StringContent(new string('x', int.Parse(Get("size", "50000"))))).Result);
        }
        return 0;
    }

    static void SayAnswer(HttpResponseMessage answer)
    {
        Say("answered", ("status", (int)answer.StatusCode), ("body", answer.Content.ReadAsStringAsync().Result));
    }

    static void Echo(NegotiateStream stream, int size)
    {
        var sent = new byte[size];
        new Random(size).NextBytes(sent);
        var back = new byte[size];
        // In pieces: both ends write before they read, and a pipe holds only so much.
        for (int at = 0; at < size;)
        {
            int piece = Math.Min(32768, size - at);
            stream.Write(sent, at, piece);
            for (int got = 0; got < piece;)
            {
                int n = stream.Read(back, at + got, piece - got);
                if (n == 0) throw new InvalidOperationException("the peer ended the stream early");
                got += n;
            }
            at += piece;
        }
        Say("echoed", ("size", size), ("same", sent.AsSpan().SequenceEqual(back)));
    }

    static NegotiateStream Open(TcpClient client)
    {
        int timeout = int.Parse(Get("timeout", "20000"));
        client.ReceiveTimeout = timeout;
        client.SendTimeout = timeout;
        return new NegotiateStream(client.GetStream());
    }

    static bool Authenticate(NegotiateStream stream, Action step)
    {
        try
        {
            step();
        }
        catch (Exception e)
        {
            SayFailed("handshake", e);
            return false;
        }
        Say("authenticated",
            ("isAuthenticated", stream.IsAuthenticated),
            ("isMutuallyAuthenticated", stream.IsMutuallyAuthenticated),
            ("isEncrypted", stream.IsEncrypted),
            ("isSigned", stream.IsSigned),
            ("isServer", stream.IsServer),
            ("impersonation", stream.ImpersonationLevel.ToString()),
            ("remoteName", stream.RemoteIdentity.Name),
            ("authenticationType", stream.RemoteIdentity.AuthenticationType));
        return true;
    }

    static ProtectionLevel Protection =>
        (ProtectionLevel)Enum.Parse(typeof(ProtectionLevel), Get("protection", "EncryptAndSign"));

    static TokenImpersonationLevel Impersonation =>
        (TokenImpersonationLevel)Enum.Parse(typeof(TokenImpersonationLevel), Get("impersonation", "Identification"));

    static NetworkCredential Credential() => Options.ContainsKey("user")
        ? new NetworkCredential(Options["user"], Options["password"], Get("domain", ""))
        : CredentialCache.DefaultNetworkCredentials;

    static ChannelBinding Bindings() => Options.ContainsKey("bindings") ? new Binding(Options["bindings"]) : null;

    static string Get(string name, string otherwise) => Options.TryGetValue(name, out string value) ? value : otherwise;

    static void SayFailed(string during, Exception e)
    {
        var errors = new List<object>();
        for (Exception at = e; at != null; at = at.InnerException)
        {
            var one = new Dictionary<string, object> { ["type"] = at.GetType().Name, ["message"] = at.Message };
            if (at is Win32Exception native) one["nativeErrorCode"] = native.NativeErrorCode;
            errors.Add(one);
        }
        Say("failed", ("during", during), ("errors", errors));
    }

    static void Say(string happened, params (string Name, object Value)[] what)
    {
        var line = new Dictionary<string, object> { ["event"] = happened };
        foreach (var (name, value) in what) line[name] = value;
        Console.WriteLine(JsonSerializer.Serialize(line));
    }
}

// On Unix .NET Core 3.1 takes whatever follows its own header of seven 32-bit fields as the application data.
sealed class Binding : ChannelBinding
{
    const int Header = 28;
    readonly int size;

    public Binding(string hex) : base(true)
    {
        size = Header + hex.Length / 2;
        SetHandle(Marshal.AllocHGlobal(size));
        for (int at = 0; at < Header; at += 4) Marshal.WriteInt32(handle, at, 0);
        for (int i = 0; i < hex.Length / 2; i++)
        {
            Marshal.WriteByte(handle, Header + i, byte.Parse(hex.AsSpan(2 * i, 2), NumberStyles.HexNumber));
        }
    }

    public override int Size => size;

    protected override bool ReleaseHandle()
    {
        Marshal.FreeHGlobal(handle);
        return true;
    }
}
