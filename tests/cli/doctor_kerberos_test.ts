/** What `doctor` makes of libkrb5's facts and of Kerberos servers' answers. */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { test } from "@test";
import fc from "fast-check";
import { createServer, type Server as TcpServer } from "node:net";
import { askKdc, readAnswer, timeRequest } from "../../cli/doctor/kdc.ts";
import { askServers, parseServer } from "../../cli/doctor/kerberos.ts";
import { credentialFindings } from "../../cli/doctor/credentials.ts";
import { enctypeName } from "../../cli/doctor/report.ts";
import type { KerberosFacts } from "../../ffi/security/gss/inspect.ts";
import type { Io } from "../../cli/io.ts";
import process from "node:process";
import { openSystem } from "../../mod.ts";

/** Streams that show nothing. */
const IO = {
  signal: new AbortController().signal,
  waiting: <T>(_text: string, work: Promise<T>) => work,
  permits: () => true,
} as unknown as Io;

const text = (value: string): number[] => [...new TextEncoder().encode(value)];

/** A KRB-ERROR with this time. */
function krbError(time: Date, code = 6): number[] {
  const written = time.toISOString().replace(/[-:T]|\.\d+/g, "");
  const field = (
    number: number,
    ...contents: number[]
  ): number[] => [0xa0 + number, contents.length, ...contents];
  const body = [
    ...field(0, 2, 1, 5),
    ...field(1, 2, 1, 30),
    ...field(4, 0x18, 15, ...text(written)),
    ...field(5, 2, 1, 0),
    ...field(6, 2, 1, code),
  ];
  return [0x7e, body.length + 2, 0x30, body.length, ...body];
}

/** A server that answers every connection with these bytes, after their length. */
async function serving(answer: () => number[] | null, body: (port: number) => Promise<void>): Promise<void> {
  const server: TcpServer = createServer((socket) => {
    socket.on("error", () => {});
    socket.once("data", () => {
      const bytes = answer();
      if (bytes === null) socket.destroy();
      else socket.end(Uint8Array.from([0, 0, bytes.length >> 8, bytes.length & 0xff, ...bytes]));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  try {
    await body((server.address() as { port: number }).port);
  } finally {
    await new Promise((resolve) => server.close(resolve));
  }
}

test("askServers compares the clocks, and warns and fails where they differ", async () => {
  for (
    const [offsetS, verdict, part] of [
      [0, "ok", "the same as"],
      [-100, "warn", "s ahead of 127.0.0.1"],
      [400, "fail", "s behind 127.0.0.1"],
    ] as const
  ) {
    await serving(() => krbError(new Date(Date.now() + 1000 * offsetS)), async (port) => {
      const findings = await askServers("X.TEST", [{ hostname: "127.0.0.1", port }], false, 300, IO);
      assertEquals(findings.map(({ check }) => check), ["KDC", "clock"]);
      assertEquals([findings[0].verdict, findings[1].verdict], ["ok", verdict]);
      assertStringIncludes(findings[1].text, part);
    });
  }
});

test("askServers fails where none answers as Kerberos, and warns where another does", async () => {
  await serving(() => text("HTTP/1.1 400 Bad Request"), async (port) => {
    const server = { hostname: "127.0.0.1", port };
    const alone = await askServers("X.TEST", [server], false, 300, IO);
    assertEquals(alone.map(({ verdict }) => verdict), ["fail"]);
    assertStringIncludes(alone[0].text, "not a Kerberos server");
    await serving(() => krbError(new Date()), async (good) => {
      const both = await askServers(
        "X.TEST",
        [server, { hostname: "127.0.0.1", port: good }],
        false,
        300,
        IO,
      );
      assertEquals(both.map(({ verdict }) => verdict), ["warn", "ok", "ok"]);
    });
  });
  await serving(() => null, async (port) => {
    const [finding] = await askServers("X.TEST", [{ hostname: "127.0.0.1", port }], false, 300, IO);
    assertStringIncludes(finding.text, "closed the connection without an answer");
  });
  const [none] = await askServers("X.TEST", [], false, 300, IO);
  assertEquals([none.verdict, none.text.includes("dns_lookup_kdc is off")], ["fail", true]);
});

test("askKdc rejects with the reason of its signal", async () => {
  const controller = new AbortController();
  await serving(() => {
    controller.abort(new Error("enough"));
    return [];
  }, async (port) => {
    const error = await askKdc("127.0.0.1", port, "X.TEST", controller.signal).catch((error) => error);
    assertEquals(error.message, "enough");
  });
});

test("readAnswer reads a KRB-ERROR's clock and code, and returns null for other bytes", () => {
  const time = new Date("2026-11-30T19:00:00Z");
  assertEquals(readAnswer(Uint8Array.from(krbError(time, 24))), { time, error: 24 });
  assertEquals(readAnswer(Uint8Array.from([0x6b, 0])), {});
  assertEquals(readAnswer(timeRequest("X.TEST", 1)), null);
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
    const answer = readAnswer(bytes);
    assert(answer === null || bytes[0] === 0x6b || bytes[0] === 0x7e);
  }));
  // Every prefix, and every change of a byte, is either read or refused.
  const whole = Uint8Array.from(krbError(time));
  for (let length = 0; length < whole.length; length++) {
    assertEquals(readAnswer(whole.subarray(0, length)), null);
  }
  fc.assert(fc.property(fc.nat(whole.length - 1), fc.nat(255), (at, byte) => {
    readAnswer(Uint8Array.from(whole, (old, index) => index === at ? byte : old));
  }));
});

test("parseServer reads the forms of kdc in krb5.conf", () => {
  for (
    const [value, hostname, port] of [
      ["kdc.example.test", "kdc.example.test", 88],
      ["kdc.example.test:750", "kdc.example.test", 750],
      ["tcp/kdc.example.test:89", "kdc.example.test", 89],
      ["[2001:db8::1]:750", "2001:db8::1", 750],
      ["2001:db8::1", "2001:db8::1", 88],
      ["192.0.2.1", "192.0.2.1", 88],
    ] as const
  ) {
    assertEquals(parseServer(value), { hostname, port });
  }
  assertStringIncludes(parseServer("https://proxy.example.test/KdcProxy").unasked!, "MS-KKDCP");
});

const NOW = new Date("2026-11-30T12:00:00Z");
const hours = (count: number): Date => new Date(+NOW + count * 3_600_000);

function facts(changes: Partial<KerberosFacts>): KerberosFacts {
  return {
    configuration: { found: ["/etc/krb5.conf"], looked: ["/etc/krb5.conf"] },
    realm: "X.TEST",
    cache: {
      name: "FILE:/tmp/cc",
      tickets: [],
      problem: "krb5_cc_get_principal failed with KRB5_FCC_NOFILE (-1): No cache",
    },
    keytab: { name: "FILE:/etc/krb5.keytab", keys: [] },
    clientKeytab: { name: "FILE:/client", keys: [] },
    ntlm: false,
    setting: () => [],
    readCache: () => facts({}).cache,
    ...changes,
  };
}

const ticket = (changes: object) => ({
  server: "krbtgt/X.TEST@X.TEST",
  enctype: 18,
  validFrom: hours(-1),
  expiresAt: hours(9),
  forwardable: true,
  ...changes,
});
const withTicket = (changes: object = {}) =>
  facts({ cache: { name: "FILE:/tmp/cc", owner: "alice@X.TEST", tickets: [ticket(changes)] } });

test("credentialFindings judges tickets by their times and their encryption", () => {
  for (
    const [changes, verdict, part] of [
      [{}, "ok", "aes256-cts-hmac-sha1-96, forwardable"],
      [{ forwardable: false }, "ok", "not forwardable"],
      [{ expiresAt: hours(0) }, "fail", "it expired at 2026-11-30T12:00:00.000Z"],
      [{ validFrom: hours(1) }, "fail", "it is valid from 2026-11-30T13:00:00.000Z on only"],
      [{ enctype: 23 }, "warn", "rc4-hmac"],
    ] as const
  ) {
    const [finding] = credentialFindings(withTicket(changes), "client", NOW);
    assertEquals(finding.verdict, verdict, finding.text);
    assertStringIncludes(finding.text, part);
  }
});

test("credentialFindings fails only for what the role lacks", () => {
  const verdicts = (found: KerberosFacts, role?: "client" | "server") =>
    credentialFindings(found, role, NOW).map(({ check, verdict }) => `${check} ${verdict}`);
  const key = { principal: "HTTP/web@X.TEST", kvno: 1, enctype: 18 };
  const keys = (name: string) => ({ name: `FILE:/${name}`, keys: [key] });
  assertEquals(verdicts(facts({})), ["tickets fail", "client keys ok", "key table fail"]);
  assertEquals(verdicts(withTicket()), ["tickets ok", "client keys ok", "key table warn"]);
  // A weak ticket is one.
  assertEquals(verdicts(withTicket({ enctype: 23 })), ["tickets warn", "client keys ok", "key table warn"]);
  assertEquals(verdicts(withTicket(), "server"), ["key table fail"]);
  assertEquals(verdicts(facts({ keytab: keys("k") })), ["tickets warn", "client keys ok", "key table ok"]);
  assertEquals(verdicts(facts({ keytab: keys("k") }), "client"), ["tickets fail", "client keys ok"]);
  assertEquals(verdicts(facts({ clientKeytab: keys("c") }), "client"), ["tickets warn", "client keys ok"]);
});

test("credentialFindings says how to make an unreadable key table readable, and names weak keys", () => {
  const problem = "krb5_kt_start_seq_get failed with status 0x0000000d (13): Permission denied";
  const [unreadable] = credentialFindings(
    facts({ keytab: { name: "FILE:/k", keys: [], problem } }),
    "server",
    NOW,
  );
  assertStringIncludes(unreadable.advice!, "let this account read /k");
  const keys = [{ principal: "HTTP/old@X.TEST", kvno: 3, enctype: 23 }];
  const [weak] = credentialFindings(facts({ keytab: { name: "FILE:/k", keys } }), "server", NOW);
  assertEquals([weak.verdict, weak.advice], ["warn", "make AES keys for HTTP/old@X.TEST"]);
  assertEquals(enctypeName(4711), "enctype 4711");
});

test("windowsFindings reports what it cannot check instead of failing", async () => {
  const { windowsFindings } = await import("../../cli/doctor/windows.ts");
  const env: Record<string, string> = { USERNAME: "alice", USERDOMAIN: "EXAMPLE" };
  using system = openSystem({ grants: ["sspi"] });
  const findings = await windowsFindings(system, { ...IO, env: (name) => env[name] });
  const verdicts = findings.map(({ check, verdict }) => `${check} ${verdict}`);
  assertEquals(verdicts, ["packages fail", "domain warn", "services unknown"]);
  assertStringIncludes(findings[1].text, "EXAMPLE\\alice is not logged on to a domain");
}, { skip: process.platform === "win32" ? "Windows has what is missing here" : null });
