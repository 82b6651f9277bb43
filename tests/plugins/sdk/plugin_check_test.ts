import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { test } from "@test";
import { ProviderRejectedError } from "../../../errors.ts";
import { formatReport } from "../../../cli/inspect.ts";
import { type ProviderReport, testProvider } from "../../../testing/mod.ts";
import { guestModule } from "../../../plugins/sdk/template/guest_wasm.ts";
import { tiny } from "../../support/tiny.ts";

function failures({ outcomes }: ProviderReport): string[] {
  return outcomes.filter(({ result }) => result === "FAILED").map(({ name, reason }) => `${name}: ${reason}`);
}

test("a provider written by hand from the document conforms", async () => {
  const report = await testProvider(await tiny("tiny.wat"));
  assertEquals(failures(report), []);
  assert(report.outcomes.length >= 12);
});

/** The same in version 1, which knew less. */
const inVersion1 = (text: string): string =>
  text.replace('{\\"abi\\":2,', '{\\"abi\\":1,')
    .replace('    "\\"also\\":[\\"wrapUnencrypted\\",\\"wrapSizeLimit\\",\\"peerIdentity\\"],"\n', "")
    .replace("(i32.const 311)", "(i32.const 253)")
    .replace('"abi_version") (result i32) (i32.const 2)', '"abi_version") (result i32) (i32.const 1)');

test("a provider of version 1 conforms, and the checks of what it cannot do are skipped", async () => {
  const report = await testProvider(await tiny("tiny.wat", inVersion1));
  assertEquals([report.abi, failures(report)], [1, []]);
  const skipped = report.outcomes.filter(({ reason }) => reason?.includes("under also"));
  assertEquals(skipped.length, 3);
});

test("the template of the SDK conforms", async () => {
  assertEquals(failures(await testProvider(Uint8Array.from(guestModule()))), []);
});

test("a socket codec written by hand conforms", async () => {
  assertEquals(failures(await testProvider(await tiny("tiny_codec.wat"))), []);
});

test("the report names the hash to pin, the imports, the exports, the memory and the fuel of each operation", async () => {
  const report = await testProvider(await tiny("tiny.wat"));
  const text = formatReport(report);
  for (
    const part of [
      report.sha256,
      "tiny 1.0.0",
      "imports   none",
      "exports   memory, abi_version",
      "6 pages",
      "acquire",
      "wrap 65536",
    ]
  ) assertStringIncludes(text, part);
});

/** Ways to break the provider, and the check that must notice. */
const BROKEN: [what: string, check: string, change: (text: string) => string][] = [
  [
    "forgets whose turn it is",
    "guest: answers calls in the wrong state",
    (text) => text.replace("(if (global.get $state) (then (return (call $outOfTurn))))", ""),
  ],
  [
    "traps on a token it does not know",
    "guest: survives three hundred tokens of nonsense",
    (text) =>
      text.replace("(return (call $error (i32.const 1) (i32.const 13) (i32.const 0x518)))", "(unreachable)"),
  ],
  [
    "changes what it carries",
    "records of any size",
    (text) =>
      text.replace(
        "(memory.copy (i32.add (global.get $OUT) (i32.const 8))",
        "(memory.copy (i32.add (global.get $OUT) (i32.const 9))",
      ),
  ],
  [
    "makes records longer than it announced",
    "records of any size",
    (text) => text.replace('"\\01\\00\\00\\00")', '"\\00\\00\\00\\00")'),
  ],
  [
    "says that a signed record was encrypted",
    "without encrypting",
    (text) =>
      text.replace(
        "(i32.store offset=4 (global.get $OUT) (i32.const 0))\n    (memory.copy (i32.add (global.get $OUT) (i32.const 8))",
        "(i32.store offset=4 (global.get $OUT) (i32.const 1))\n    (memory.copy (i32.add (global.get $OUT) (i32.const 8))",
      ),
  ],
  [
    "says that more fits a record than does",
    "how much data fits",
    (text) => text.replace("(i32.sub (local.get $record) (i32.const 1))", "(local.get $record)"),
  ],
  [
    "says that nothing fits a record",
    "how much data fits",
    (text) => text.replace("(i32.sub (local.get $record) (i32.const 1))", "(i32.const 0)"),
  ],
  [
    "reports who a peer is that proved nothing",
    "who a peer is",
    (text) =>
      text.replace(
        "(i32.store8 offset=4 (global.get $OUT) (i32.const 0))\n        (return (call $ok (i32.const 1)))",
        "(i32.store offset=4 (global.get $OUT) (i32.const 0x00010201)) (i32.store offset=8 (global.get $OUT) (i32.const 0x61000000)) " +
          "(i64.store offset=12 (global.get $OUT) (i64.const 0)) (i32.store8 offset=20 (global.get $OUT) (i32.const 0)) " +
          "(return (call $ok (i32.const 16)))",
      ),
  ],
  [
    "claims what it does not offer",
    "claims no more",
    (text) => text.replace('(data (i32.const 0x600) "\\00', '(data (i32.const 0x600) "\\01'),
  ],
  [
    "verifies nothing it signed",
    "signs and verifies",
    (text) =>
      text.replace(
        "(i32.const 4))\n      (i32.eq (i32.load offset=4",
        "(i32.const 5))\n      (i32.eq (i32.load offset=4",
      ),
  ],
  [
    "works on after release",
    "after release",
    (text) => text.replace("(global.set $state (i32.const 3))\n    (memory.fill", "(memory.fill"),
  ],
  [
    "describes itself anew each time",
    "same bytes",
    (text) =>
      text.replace(
        "(func $describe (result i64)",
        "(func $describe (result i64) (i32.store8 (i32.const 0x126) (i32.add (i32.load8_u (i32.const 0x126)) (i32.const 1)))",
      ),
  ],
  [
    "takes memory for each record",
    "ten-thousandth",
    (text) =>
      text.replace(
        "(func $unwrap (param $body i32) (param $length i32) (result i64)",
        "(func $unwrap (param $body i32) (param $length i32) (result i64) (global.set $sent (i32.add (global.get $sent) (i32.const 1))) (if (i32.eqz (i32.and (global.get $sent) (i32.const 0xff))) (then (drop (memory.grow (i32.const 1)))))",
      ),
  ],
  [
    "never comes to an end",
    "guest: agrees with itself",
    (text) => text.replace("(global.set $state (i32.const 2))", "(return (call $sayHello (i32.const 0)))"),
  ],
];

for (const [what, check, change] of BROKEN) {
  test(`a provider that ${what} is detected`, async () => {
    const found = failures(await testProvider(await tiny("tiny.wat", change)));
    assert(found.some((failure) => failure.includes(check)), found.join("\n") || "nothing failed");
  });
}

test("a provider that offers integrity and has none is detected", async () => {
  const bytes = await tiny(
    "tiny.wat",
    (text) =>
      text.replace(
        '\\"integrity\\":false,\\"confidentiality\\":false,',
        '\\"integrity\\":true, \\"confidentiality\\":false,',
      ),
  );
  const found = failures(await testProvider(bytes)).join("\n");
  for (const check of ["altered anywhere", "cut off, replayed"]) assertStringIncludes(found, check);
});

test("a provider that keeps the password is detected", async () => {
  const bytes = await tiny(
    "tiny.wat",
    (text) =>
      text.replace('\\"client\\":[\\"none\\"]', '\\"client\\":[\\"password\\"]')
        .replace("(i32.const 311)", "(i32.const 315)")
        .replace(
          "(func $acquire (param $body i32) (result i64)",
          "(func $acquire (param $body i32) (result i64) (memory.copy (i32.const 0x8000) (local.get $body) (i32.const 0x200))",
        ),
  );
  assertStringIncludes(failures(await testProvider(bytes)).join("\n"), "still holds the password");
});

const SETTINGS_END = "(call $ok (local.get $length)))\n\n  ;; SOCKET_PEER_TARGET_NAME";
/** Ways to break the codec, and the check that must notice. */
const BROKEN_CODECS: [what: string, check: string, change: (text: string) => string][] = [
  [
    "allows clear text",
    "has a value in SecurityFlags that was not granted",
    (text) =>
      text.replace(SETTINGS_END, `(i32.store offset=4 (global.get $OUT) (i32.const 3)) ${SETTINGS_END}`),
  ],
  [
    "sets a flag nobody granted",
    "has a value in IpsecFlags that was not granted",
    (text) =>
      text.replace(SETTINGS_END, `(i32.store offset=8 (global.get $OUT) (i32.const 2)) ${SETTINGS_END}`),
  ],
  [
    "writes names of bytes in place of UTF-16",
    "names the peer that it is given",
    (text) =>
      text.replace("(i32.const 0x10000))\n          (then", "(i32.const 0x1000000))\n          (then"),
  ],
  [
    "asks for tokens by itself",
    "has a value in PeerTokenAccessMask that was not granted",
    (text) =>
      text.replace(
        "(i32.load (local.get $body)))\n    (i32.store offset=144",
        "(i32.const 8))\n    (i32.store offset=144",
      ),
  ],
  [
    "watches unasked",
    "has a value in Flags that was not granted",
    (text) =>
      text.replace(
        "(i32.store offset=144 (global.get $OUT) (i32.const 3))",
        "(i32.store offset=144 (global.get $OUT) (i32.const 3)) (i32.store offset=140 (global.get $OUT) (i32.const 1))",
      ),
  ],
  [
    "answers another time with other bytes",
    "two answers to query template differ",
    (text) =>
      text.replace(
        "(i32.store offset=144 (global.get $OUT) (i32.const 3))",
        "(i32.store offset=144 (global.get $OUT) (i32.load (i32.const 0x800)))" +
          "(i32.store (i32.const 0x800) (i32.add (i32.load (i32.const 0x800)) (i32.const 1)))",
      ),
  ],
  [
    "writes no settings at all",
    "it writes no settings at all",
    (text) =>
      text.replace(
        "(i32.store (global.get $OUT) (i32.const 1)) ;; SOCKET_SECURITY_PROTOCOL_IPSEC",
        "(i32.store (i32.const 0x1000) (i32.const 1)) (i64.store (i32.const 0x1004) (i64.const 5))" +
          "(return (i64.const 0x10000000000b))",
      ),
  ],
  [
    "takes memory at each call",
    "memory grew from 3 to",
    (text) =>
      text.replace(
        "(i32.store offset=144 (global.get $OUT) (i32.const 3))",
        "(i32.store offset=144 (global.get $OUT) (i32.const 3))" +
          "(i32.store (i32.const 0x800) (i32.add (i32.load (i32.const 0x800)) (i32.const 1)))" +
          "(if (i32.eqz (i32.and (i32.load (i32.const 0x800)) (i32.const 0xfff)))" +
          "(then (drop (memory.grow (i32.const 1)))))",
      ),
  ],
];

for (const [what, problem, change] of BROKEN_CODECS) {
  test(`a socket codec that ${what} is detected`, async () => {
    const found = failures(await testProvider(await tiny("tiny_codec.wat", change))).join("\n");
    assertStringIncludes(found, problem);
  });
}

test("a socket codec that does not use its grants is detected", async () => {
  const key = crypto.randomUUID();
  for (
    const [socket, field] of [
      [{ rawPeerName: true }, "IpsecFlags"],
      [{ mainModePolicies: [key] }, "AuthipMMPolicyKey"],
      [{ quickModePolicies: [key] }, "AuthipQMPolicyKey"],
    ] as const
  ) {
    const found = failures(await testProvider(await tiny("tiny_codec.wat"), { socket }));
    assertStringIncludes(found.join("\n"), `has a value in ${field} that was not granted`);
  }
});

test("a module the sandbox does not load is refused with the sandbox's reason", async () => {
  const bytes = await tiny(
    "tiny.wat",
    (text) =>
      text.replace('(func (export "abi_version")', '(start $noop) (func $noop) (func (export "abi_version")'),
  );
  assertEquals((await assertRejects(() => testProvider(bytes), ProviderRejectedError)).rule, "start");
});
