import { assert, assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import { test } from "@test";
import { TransportError } from "../../../errors.ts";
import { socketFailure } from "../../../ffi/transport/failure.ts";
import { connectTcp, listenTcp, type TcpTransport } from "../../../ffi/transport/mod.ts";

const onDeno = "Deno" in globalThis;

async function pair(): Promise<{ client: TcpTransport; server: TcpTransport; close(): void }> {
  const listener = await listenTcp({ hostname: "127.0.0.1", port: 0 });
  const [client, server] = await Promise.all([
    connectTcp({ hostname: "127.0.0.1", port: listener.addr.port }),
    listener.accept(),
  ]);
  listener.close();
  return {
    client,
    server,
    close: () => {
      client.close();
      server.close();
    },
  };
}

async function readAll(transport: TcpTransport, chunk = 65536): Promise<Uint8Array> {
  const parts: number[] = [];
  const p = new Uint8Array(chunk);
  for (let n = await transport.read(p); n !== null; n = await transport.read(p)) {
    parts.push(...p.subarray(0, n));
  }
  return Uint8Array.from(parts);
}

test("connectTcp() and listenTcp() report the addresses of both ends", async () => {
  const { client, server, close } = await pair();
  assertEquals(client.remoteAddr, server.localAddr);
  assertEquals(client.localAddr, server.remoteAddr);
  assertEquals(client.localAddr.transport, "tcp");
  assert(server.localAddr.port > 0);
  close();
});

test("read() returns all bytes in order, in reads smaller than the writes", async () => {
  const { client, server, close } = await pair();
  const sent = Uint8Array.from({ length: 300_000 }, (_, index) => index * 7);
  const writing = (async () => {
    for (let at = 0; at < sent.length; at += 70_000) {
      const part = sent.subarray(at, at + 70_000);
      assertEquals(await client.write(part), part.length);
    }
    await client.closeWrite();
  })();
  assertEquals(await readAll(server, 999), sent);
  await writing;
  close();
});

test("closeWrite() leaves the other direction open for the answer", async () => {
  const { client, server, close } = await pair();
  await client.write(Uint8Array.of(1, 2));
  await client.closeWrite();
  assertEquals(await readAll(server), Uint8Array.of(1, 2));
  await server.write(Uint8Array.of(3));
  await server.closeWrite();
  assertEquals(await readAll(client), Uint8Array.of(3));
  assertEquals(await client.read(new Uint8Array(1)), null);
  close();
});

test("write() waits while the peer does not read", async () => {
  const { client, server, close } = await pair();
  const chunk = new Uint8Array(1 << 20);
  let written = 0;
  const writing = (async () => {
    for (; written < 64; written++) await client.write(chunk);
    await client.closeWrite();
  })();
  await new Promise((resolve) => setTimeout(resolve, 300));
  assert(written < 40, `${written} MiB went into buffers`);
  const p = new Uint8Array(1 << 18);
  let received = 0;
  for (let n = await server.read(p); n !== null; n = await server.read(p)) received += n;
  await writing;
  assertEquals(received, 64 << 20);
  close();
});

test("close() rejects a pending read, and every later call, with a TransportError with codeName closed", async () => {
  const { client, server } = await pair();
  const reading = assertRejects(() => client.read(new Uint8Array(4)), TransportError);
  client.close();
  client.close();
  assertEquals((await reading).codeName, "closed");
  assertEquals(
    (await assertRejects(() => client.read(new Uint8Array(4)), TransportError)).codeName,
    "closed",
  );
  assertEquals(
    (await assertRejects(() => client.write(new Uint8Array(4)), TransportError)).codeName,
    "closed",
  );
  assertEquals((await assertRejects(() => client.closeWrite(), TransportError)).codeName, "closed");
  assertEquals(await server.read(new Uint8Array(4)), null);
  server.close();
});

test("connectTcp() to a closed port rejects with a TransportError that names the address and what to check", async () => {
  const listener = await listenTcp({ hostname: "127.0.0.1", port: 0 });
  listener.close();
  const { port } = listener.addr;
  const error = await assertRejects(
    () => connectTcp({ hostname: "127.0.0.1", port }),
    TransportError,
    `Cannot connect to 127.0.0.1:${port}`,
  );
  assertEquals(error.codeName, "ECONNREFUSED");
  assert(error.message.includes("Is the server running"), error.message);
});

test("connectTcp() to an unknown name rejects with a TransportError with the same codeName on every runtime", async () => {
  const error = await assertRejects(
    // No name server can be asked for a name with a part of more than 63 letters.
    () => connectTcp({ hostname: `${"x".repeat(70)}.test`, port: 1 }),
    TransportError,
    "Check the spelling",
  );
  assertEquals(error.codeName, "ENOTFOUND");
});

test("socketFailure() uses the codeName of an unknown name for nothing else: not a name server that does not answer, nor a missing file", () => {
  const of = (message: string, code?: string) => {
    const cause = Object.assign(new Error(message), { code });
    return (socketFailure(cause, "connect", "example.test:1") as TransportError).codeName;
  };
  assertEquals(of("failed to lookup address information: Name or service not known"), "ENOTFOUND");
  assertEquals(of("Der angegebene Host ist unbekannt. (os error 11001)", "ENOENT"), "ENOTFOUND");
  assertEquals(of("getaddrinfo ENOTFOUND example.test", "ENOTFOUND"), "ENOTFOUND");
  assertEquals(of("failed to lookup address information: Temporary failure in name resolution"), "Error");
  assertEquals(of("This is usually a temporary error. (os error 11002)"), "Error");
  assertEquals(of("No such file or directory (os error 2)", "ENOENT"), "ENOENT");
});

test("connectTcp() rethrows the signal's reason unchanged", async () => {
  const listener = await listenTcp({ hostname: "127.0.0.1", port: 0 });
  const reason = { mine: true };
  const { port } = listener.addr;
  const aborted = AbortSignal.abort(reason);
  const early = await connectTcp({ hostname: "127.0.0.1", port, signal: aborted }).catch((error) => error);
  assertStrictEquals(early, reason);
  const controller = new AbortController();
  const connecting = connectTcp({ hostname: "127.0.0.1", port, signal: controller.signal });
  controller.abort(reason);
  assertStrictEquals(await connecting.catch((error) => error), reason);
  listener.close();
});

test("connectTcp() ignores a signal that aborts after the connection was made", async () => {
  const listener = await listenTcp({ hostname: "127.0.0.1", port: 0 });
  const controller = new AbortController();
  const client = await connectTcp({
    hostname: "127.0.0.1",
    port: listener.addr.port,
    signal: controller.signal,
  });
  const server = await listener.accept();
  controller.abort();
  await client.write(Uint8Array.of(9));
  assertEquals(await server.read(new Uint8Array(4)), 1);
  for (const one of [client, server, listener]) one.close();
});

test("listenTcp() on an address in use rejects with a TransportError", async () => {
  const listener = await listenTcp({ hostname: "127.0.0.1", port: 0 });
  const again = { hostname: "127.0.0.1", port: listener.addr.port };
  assertEquals((await assertRejects(() => listenTcp(again), TransportError)).codeName, "EADDRINUSE");
  listener.close();
});

test("accept() returns every connection made before it was called, and none is closed", async () => {
  const listener = await listenTcp({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  const dial = () => connectTcp({ hostname: "127.0.0.1", port });
  const clients = await Promise.all(Array.from({ length: 200 }, dial));
  const reads = clients.map((client) => client.read(new Uint8Array(1)));
  const closed = Promise.race(reads).then((read): never => {
    throw new Error(`a connection that was not accepted read ${read}`);
  });
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setTimeout(resolve, 5));
  const servers: TcpTransport[] = [];
  while (servers.length < clients.length) {
    servers.push(await Promise.race([listener.accept(), closed]));
  }
  assertEquals(listener.scarce, onDeno ? undefined : false);
  await Promise.all(servers.map((server) => server.write(Uint8Array.of(1))));
  assertEquals(new Set(await Promise.all(reads)), new Set([1]));
  for (const one of [...clients, ...servers, listener]) one.close();
});

test("close() of a listener rejects a pending accept and closes connections that were not accepted", async () => {
  const listener = await listenTcp({ hostname: "127.0.0.1", port: 0 });
  const accepting = assertRejects(() => listener.accept(), TransportError);
  listener.close();
  listener.close();
  assertEquals((await accepting).codeName, "closed");
  assertEquals((await assertRejects(() => listener.accept(), TransportError)).codeName, "closed");

  const second = await listenTcp({ hostname: "127.0.0.1", port: 0 });
  const client = await connectTcp({ hostname: "127.0.0.1", port: second.addr.port });
  await new Promise((resolve) => setTimeout(resolve, 20));
  second.close();
  const end = await client.read(new Uint8Array(1)).catch((error) => error);
  assert(end === null || end instanceof TransportError);
  client.close();
});

test("connectTcp() and listenTcp() without --allow-net reject with the flag to add", async () => {
  const url = new URL("../../../ffi/transport/mod.ts", import.meta.url).href;
  const script = `import { connectTcp, listenTcp } from ${JSON.stringify(url)};
    for (const open of [connectTcp, listenTcp]) {
      const error = await open({ hostname: "127.0.0.1", port: 9 }).catch((error) => error);
      console.log(error.name, error.grant, error.flag);
    }`;
  // Deno's own spawn: its node:child_process adds -A to a child that is Deno.
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-prompt", "--no-config", "-"],
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  const stdin = child.stdin.getWriter();
  await stdin.write(new TextEncoder().encode(script));
  await stdin.close();
  const output = new TextDecoder().decode((await child.output()).stdout);
  assertEquals(output, "PermissionError sockets --allow-net=127.0.0.1:9\n".repeat(2));
}, { skip: onDeno ? null : "the child process needs these sources, which Node has only as a bundle" });
