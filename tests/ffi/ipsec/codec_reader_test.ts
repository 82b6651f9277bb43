/** Reads what a codec wrote: no change by a hostile codec makes anything weaker. */

import { assert, assertEquals, assertThrows } from "@std/assert";
import { test } from "@test";
import fc from "fast-check";
import { ProviderTrapError } from "../../../errors.ts";
import {
  readSettings,
  readTarget,
  readTemplate,
  type SettingsGrant,
} from "../../../ffi/ipsec/codec_reader.ts";
import {
  SOCKET_PEER_TARGET_NAME,
  SOCKET_SECURITY_PROTOCOL,
  SOCKET_SECURITY_QUERY_TEMPLATE_IPSEC2,
  SOCKET_SECURITY_SETTINGS_IPSEC,
  SOCKET_SETTINGS,
} from "../../../ffi/raw/fwpuclnt.ts";
import { targetName } from "../../support/ipsec_bytes.ts";
import { referenceSettings, referenceTemplate } from "../../support/reference_codec.ts";

const { ALLOW_INSECURE, GUARANTEE_ENCRYPTION } = SOCKET_SETTINGS;
const MAIN = "01234567-89ab-cdef-0123-456789abcdef";
const QUICK = "FEDCBA98-7654-3210-FEDC-BA9876543210";
const ZEROS = "00000000-0000-0000-0000-000000000000";
const NOTHING: SettingsGrant = {
  encryption: false,
  allowInsecure: false,
  skipFilters: false,
  optionalPeerName: false,
  firstPacketInClear: false,
  rawPeerName: false,
  mainModePolicies: [],
  quickModePolicies: [],
  username: "",
  domain: "",
  passwordBytes: 0,
};
const EVERYTHING: SettingsGrant = {
  ...NOTHING,
  allowInsecure: true,
  skipFilters: true,
  optionalPeerName: true,
  firstPacketInClear: true,
  rawPeerName: true,
  mainModePolicies: [MAIN],
  quickModePolicies: [QUICK],
  username: "alice",
  domain: "SIM",
  passwordBytes: 12,
};

/** What a correct codec writes. */
function honest(grant: SettingsGrant): Uint8Array {
  const requirements = {
    confidentiality: grant.encryption,
    integrity: !grant.allowInsecure,
    mutualAuthentication: false,
    impersonation: "identify",
    delegation: false,
  } as const;
  const bytes = referenceSettings(requirements, grant, {
    ...grant,
    mainModePolicy: grant.mainModePolicies[0],
    quickModePolicy: grant.quickModePolicies[0],
  });
  if (grant.rawPeerName) bytes[8] |= 8;
  return bytes.slice();
}

/** The result of reading; `null`: refused. Any other error fails the test. */
function outcome<T>(read: () => T): T | null {
  try {
    return read();
  } catch (error) {
    assert(error instanceof ProviderTrapError, String(error));
    return null;
  }
}

const view = (bytes: Uint8Array) => new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
const flagsOf = (bytes: Uint8Array) => view(bytes).getUint32(4, true);

/** Only an additional guarantee or a missing permission may differ from what a correct codec writes. */
function assertNoWeaker(grant: SettingsGrant, taken: Uint8Array): void {
  const expected = honest(grant);
  const [is, was] = [flagsOf(taken), flagsOf(expected)];
  assertEquals(is & ~(GUARANTEE_ENCRYPTION | ALLOW_INSECURE), 0);
  assert(!(was & GUARANTEE_ENCRYPTION) || is & GUARANTEE_ENCRYPTION);
  assert(!(is & ALLOW_INSECURE) || grant.allowInsecure);
  const rest = taken.slice();
  rest.fill(0, 4, 8);
  expected.fill(0, 4, 8);
  assertEquals(rest, expected);
}

const name = fc.string({ maxLength: 6 });
const grants: fc.Arbitrary<SettingsGrant> = fc.record({
  encryption: fc.boolean(),
  allowInsecure: fc.boolean(),
  skipFilters: fc.boolean(),
  optionalPeerName: fc.boolean(),
  firstPacketInClear: fc.boolean(),
  rawPeerName: fc.boolean(),
  mainModePolicies: fc.constantFrom([], [MAIN]),
  quickModePolicies: fc.constantFrom([], [QUICK]),
  username: name,
  domain: name,
  passwordBytes: fc.nat(20).map((units) => 2 * units),
}).map((grant) => ({
  ...grant,
  allowInsecure: grant.allowInsecure && !grant.encryption,
  firstPacketInClear: grant.firstPacketInClear && grant.allowInsecure && !grant.encryption,
}));

test("readSettings() accepts what a correct codec writes, and copies it", () => {
  fc.assert(fc.property(grants, (grant) => {
    const written = honest(grant);
    const { bytes, keys } = readSettings(written, grant);
    assertEquals(bytes, honest(grant));
    const asked = [grant.mainModePolicies[0] ?? ZEROS, grant.quickModePolicies[0] ?? ZEROS];
    assertEquals(keys, asked.map((key) => key.toLowerCase()));
    written.fill(0xff);
    assertEquals(bytes, honest(grant), "what was read is what the system gets");
  }));
});

/** The last byte of the flags in the settings, of which every value is tried. */
const LAST_FLAG = 11;
const EVERY_VALUE = Array.from({ length: 256 }, (_, value) => value);

/** Changes each byte, bit by bit and as a whole, and returns the accepted changes: "offset: value". */
function taken(written: Uint8Array, read: (bytes: Uint8Array) => unknown): string[] {
  const found: string[] = [];
  for (let at = 0; at < written.length; at++) {
    const few = [0, 1, 2, 3, 4, 5, 6, 7].map((bit) => written[at] ^ 1 << bit).concat(written[at] ^ 0xff);
    for (const value of at <= LAST_FLAG ? EVERY_VALUE : few) {
      if (value === written[at]) continue;
      const bytes = written.slice();
      bytes[at] = value;
      if (outcome(() => read(bytes)) !== null) found.push(`${at}: ${value}`);
    }
  }
  return found;
}

const [GUARANTEE, ALLOW] = ["4: 1", "4: 2"];
/**
 * The accepted changes of one byte of correct settings, each of which makes them stronger; offset 4 is SecurityFlags.
 */
const STRONGER: readonly (readonly [string, SettingsGrant, readonly string[]])[] = [
  ["nothing is granted, and encryption may be guaranteed unasked", NOTHING, [GUARANTEE]],
  ["encryption is required", { ...NOTHING, encryption: true }, []],
  ["somebody's credentials go along", { ...NOTHING, encryption: true, username: "u", passwordBytes: 8 }, []],
  ["a password alone goes along", { ...NOTHING, encryption: true, passwordBytes: 2 }, []],
  // From "allow clear text" (2): to nothing (0), to a guarantee (1), to both (3).
  ["everything is granted", EVERYTHING, ["4: 0", GUARANTEE, "4: 3"]],
  ["everything is granted but clear text", {
    ...EVERYTHING,
    allowInsecure: false,
    firstPacketInClear: false,
    encryption: true,
  }, []],
];

for (const [what, grant, stronger] of STRONGER) {
  test(`readSettings() refuses a change of any byte, except to stronger settings: ${what}`, () => {
    assertEquals(taken(honest(grant), (bytes) => readSettings(bytes, grant)), stronger);
    assertEquals(stronger.includes(ALLOW), false);
  });
}

const ADDRESS = Uint8Array.of(2, 0, 0x1f, 0x90, 10, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0);

for (const peer of [new Uint8Array(), ADDRESS]) {
  const whom = peer.length === 0 ? "a connected peer" : "a peer by its address";
  for (const computer of ["host/server.example.test", "x", "host/Jürgen-𝄞"]) {
    test(`readTarget() refuses a change of any byte: ${computer}, ${whom}`, () => {
      const written = targetName(peer, computer, SOCKET_SECURITY_PROTOCOL.IPSEC);
      assertEquals(readTarget(written, peer, computer), written);
      assertEquals(taken(written, (bytes) => readTarget(bytes, peer, computer)), []);
    });
  }
  for (const watched of [[], ["mainModeSa"], ["quickModeSa"], ["mainModeSa", "quickModeSa"]] as const) {
    test(`readTemplate() refuses a change of any byte: ${whom}, watching [${watched}]`, () => {
      const written = referenceTemplate(peer, 8, watched);
      assertEquals(readTemplate(written, peer, 8, watched), written);
      assertEquals(taken(written, (bytes) => readTemplate(bytes, peer, 8, watched)), []);
    });
  }
}

test("the tables of changes cover whole structures, with their padding", () => {
  assertEquals(honest(NOTHING).length, SOCKET_SECURITY_SETTINGS_IPSEC.size);
  assertEquals(honest(EVERYTHING).length, SOCKET_SECURITY_SETTINGS_IPSEC.offsets.AllStrings + 16);
  assertEquals(targetName(ADDRESS, "x", 1).length, SOCKET_PEER_TARGET_NAME.size);
  assertEquals(referenceTemplate(ADDRESS, 8).length, SOCKET_SECURITY_QUERY_TEMPLATE_IPSEC2.size);
});

test("readSettings(), readTarget() and readTemplate() refuse a structure of another length: shortened, extended, or of a shorter form", () => {
  const structures: [Uint8Array, (bytes: Uint8Array) => unknown][] = [
    [honest(NOTHING), (bytes) => readSettings(bytes, NOTHING)],
    [honest(EVERYTHING), (bytes) => readSettings(bytes, EVERYTHING)],
    [targetName(ADDRESS, "host/x", 1), (bytes) => readTarget(bytes, ADDRESS, "host/x")],
    [referenceTemplate(ADDRESS, 8), (bytes) => readTemplate(bytes, ADDRESS, 8, [])],
  ];
  for (const [written, read] of structures) {
    assert(outcome(() => read(written)) !== null);
    for (let length = 0; length < 300; length++) {
      if (length === written.length) continue;
      const bytes = new Uint8Array(length);
      bytes.set(written.subarray(0, length));
      assertEquals(outcome(() => read(bytes)), null, `${length} bytes in place of ${written.length}`);
    }
  }
});

test("readSettings() refuses any other bytes, unless they make nothing weaker", () => {
  const byte = fc.constantFrom(0, 1, 2, 4, 8, 0x41, 0x80, 0xff);
  const change = fc.oneof(
    fc.record({ at: fc.nat(120), bytes: fc.uint8Array({ maxLength: 16 }) }).map(
      ({ at, bytes }) => (written: Uint8Array) => {
        const copy = written.slice();
        copy.set(bytes.subarray(0, Math.max(0, copy.length - at)), Math.min(at, copy.length));
        return copy;
      },
    ),
    fc.array(byte, { minLength: 8, maxLength: 8 }).map((bytes) => () => Uint8Array.from(bytes)),
    fc.array(byte, { maxLength: 100 }).map((bytes) => (written: Uint8Array) => {
      const copy = new Uint8Array(written.length);
      copy.set(bytes.slice(0, copy.length));
      return copy;
    }),
    // The lengths of the strings, with bytes moved between them.
    fc.tuple(fc.nat(40), fc.nat(40), fc.nat(40)).map((lengths) => (written: Uint8Array) => {
      const copy = written.slice();
      lengths.forEach((length, index) => view(copy).setUint32(72 + 4 * index, length, true));
      return copy;
    }),
    // What one grant allows, with another grant.
    grants.map((other) => () => honest(other)),
  );
  fc.assert(
    fc.property(grants, change, (grant, change) => {
      const read = outcome(() => readSettings(change(honest(grant)), grant));
      if (read) assertNoWeaker(grant, read.bytes);
    }),
    { numRuns: 4000 },
  );
});

test("readSettings() refuses lengths that move a part of the password into a name, or of one name into another", () => {
  const grant = { ...NOTHING, username: "alice", domain: "SIM", passwordBytes: 12 };
  const lengths = (user: number, domain: number, password: number) => {
    const bytes = honest(grant);
    [user, domain, password].forEach((length, index) => view(bytes).setUint32(72 + 4 * index, length, true));
    return outcome(() => readSettings(bytes, grant));
  };
  assert(lengths(10, 6, 12) !== null);
  for (let moved = 2; moved <= 12; moved += 2) {
    assertEquals(lengths(10, 6 + moved, 12 - moved), null, "the password in the domain");
    assertEquals(lengths(10 + moved, 6, 12 - moved), null, "the password in the user's name");
  }
  assertEquals(lengths(4, 12, 12), null, "the user's name in the domain");
  assertEquals(lengths(10, 6, 0), null);
  assertEquals(lengths(10, 6, 0xffff_fff0), null);
});

test("readTarget() distinguishes a lone surrogate from the replacement character", () => {
  const grant = { ...NOTHING, username: "\ufffd" };
  const bytes = honest(grant);
  assert(outcome(() => readSettings(bytes, grant)) !== null);
  view(bytes).setUint16(84, 0xd800, true);
  assertEquals(outcome(() => readSettings(bytes, grant)), null);
});

test("readSettings() accepts only the policies granted for each mode, in upper or lower case", () => {
  const other = crypto.randomUUID();
  const grant: SettingsGrant = {
    ...NOTHING,
    mainModePolicies: [other, MAIN.toUpperCase()],
    quickModePolicies: [QUICK],
  };
  const read = (mainModePolicy: string | undefined, quickModePolicy: string | undefined, given = grant) => {
    const bytes = honest({
      ...given,
      mainModePolicies: mainModePolicy === undefined ? [] : [mainModePolicy],
      quickModePolicies: quickModePolicy === undefined ? [] : [quickModePolicy],
    });
    return outcome(() => readSettings(bytes, given))?.keys ?? null;
  };
  const quick = QUICK.toLowerCase();
  assertEquals(read(MAIN, QUICK), [MAIN, quick]);
  assertEquals(read(other, QUICK), [other, quick]);
  assertEquals(read(undefined, QUICK), null, "the system's own policy begins with anonymous computers");
  assertEquals(read(MAIN, undefined), null);
  assertEquals(read(QUICK, MAIN), null, "a policy of the other mode");
  assertEquals(read(crypto.randomUUID(), QUICK), null);
  assertEquals(read(MAIN, QUICK, NOTHING), null, "none was granted");
  const system = { ...grant, mainModePolicies: [MAIN, ZEROS] };
  assertEquals(
    read(undefined, QUICK, system),
    [ZEROS, quick],
    "the system's own, where it is granted by its key",
  );
  assertEquals(read(MAIN, QUICK, system), [MAIN, quick]);
});

test("readSettings() names the refused field, and not its contents", () => {
  const grant = { ...EVERYTHING, allowInsecure: false, firstPacketInClear: false, encryption: true };
  for (
    const [at, field] of [
      [0, "SecurityProtocol"],
      [4, "SecurityFlags"],
      [7, "SecurityFlags"],
      [8, "IpsecFlags"],
      [12, "AuthipMMPolicyKey"],
      [28, "AuthipQMPolicyKey"],
      [44, "Reserved"],
      [60, "Reserved2"],
      [64, "Reserved2"],
      [72, "UserNameStringLen"],
      [76, "DomainNameStringLen"],
      [80, "PasswordStringLen"],
      [84, "AllStrings"],
    ] as const
  ) {
    const bytes = honest(grant);
    bytes[at] ^= 0x10;
    const expected = at === 60 ? "bytes outside its fields" : `a value in ${field} that was not granted`;
    assertThrows(
      () => readSettings(bytes, grant),
      ProviderTrapError,
      `The provider's SOCKET_SECURITY_SETTINGS_IPSEC was refused: it has ${expected}. Correct the provider`,
    );
  }
});
