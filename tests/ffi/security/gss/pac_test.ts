/** readPac(): real PACs, encoded PACs, and invalid ones. */

import { assert, assertEquals, assertThrows } from "@std/assert";
import { test } from "@test";
import fc from "fast-check";
import { AuthenticationError, ProtocolError } from "../../../../errors.ts";
import { NAME_ATTRIBUTES } from "../../../../ffi/raw/gssapi.ts";
import type { Gss } from "../../../../ffi/security/gss/gss.ts";
import { type PacAccount, readPac } from "../../../../ffi/security/gss/pac.ts";
import { gssPeer } from "../../../../ffi/security/gss/peer.ts";
import { encodeLogonInfo, encodeUpn, type PacTold, PLAIN } from "../../../support/pac_encoder.ts";
import { ALICE, MADE, type PacBuffers, WEB1 } from "../../../support/pac_fixtures.ts";

const SID = /^S-1-\d+(-\d+){0,15}$/;
const read = ({ logonInfo, upnDnsInfo }: PacBuffers): PacAccount => readPac(logonInfo, upnDnsInfo);
const told = (changes: Partial<PacTold>): PacAccount =>
  readPac(encodeLogonInfo({ ...PLAIN, ...changes }), null);

/** Checks that an invalid PAC is refused with the typed error. */
function refuses(read: () => unknown, words = "the peer's PAC"): void {
  const error = assertThrows(read, ProtocolError, words);
  assertEquals(error.reason, "malformed");
}

/** The account, or `null` where the PAC was refused; any other error is thrown. */
function readOrRefused(logonInfo: Uint8Array, upnDnsInfo: Uint8Array | null): PacAccount | null {
  try {
    return readPac(logonInfo, upnDnsInfo);
  } catch (error) {
    if (error instanceof ProtocolError && error.reason === "malformed") return null;
    throw error;
  }
}

/** Checks what must be true of every account that is read. */
function isAnAccount(
  { sid, groups, kind, displayName = "x", netbiosDomain = "x", upn = "x" }: PacAccount,
): void {
  assert(SID.test(sid) && groups.every((group) => SID.test(group)), `${sid} ${groups}`);
  assert(groups.length <= 4097 && new Set(groups).size === groups.length);
  assert(["user", "computer", "unknown"].includes(kind));
  for (const text of [displayName, netbiosDomain, upn]) {
    assert(text !== "" && text.isWellFormed() && !/\p{Cc}/u.test(text));
  }
}

test("readPac() reads the PAC of a user in 61 groups, as Samba's KDC wrote it", () => {
  const { groups, ...account } = read(ALICE);
  const domain = "S-1-5-21-3777263393-1316515881-2877711880";
  assertEquals(account, {
    sid: `${domain}-1102`,
    kind: "user",
    displayName: "Alice Example",
    netbiosDomain: "EXAMPLE",
    upn: "alice@example.test",
  });
  const relative = groups.filter((sid) => sid.startsWith(`${domain}-`)).map((sid) =>
    Number(sid.split("-").at(-1))
  );
  // Domain Users, and the sixty that were made one after the other.
  assertEquals(relative.sort((a, b) => a - b), [
    513,
    ...Array.from({ length: 60 }, (_, index) => 1106 + index),
  ]);
  assertEquals(groups.length, 62);
  assert(groups.includes("S-1-18-1"));
});

test("readPac() reports a computer's account as a computer", () => {
  const { sid, kind, upn, displayName } = read(WEB1);
  assertEquals([sid.split("-").at(-1), kind, upn, displayName], [
    "1105",
    "computer",
    "WEB1$@example.test",
    undefined,
  ]);
});

test("readPac() includes extra SIDs, a SID history and resource groups, but no deny-only group", () => {
  assertEquals(read(MADE), {
    sid: "S-1-5-21-1-2-3-1104",
    groups: [
      "S-1-5-21-1-2-3-513",
      "S-1-5-21-1-2-3-1105",
      "S-1-18-1",
      "S-1-5-21-9-8-7-4444",
      "S-1-5-21-4-5-6-1200",
    ],
    kind: "user",
    displayName: "Alice Example",
    netbiosDomain: "EXAMPLE",
    upn: "alice@example.test",
  });
});

test("readPac() leaves out groups that are not enabled or deny-only, in each kind of list", () => {
  const pairs = [[1200, 7], [1201, 0], [1202, 3], [1203, 0x14], [1204, 4]] as const;
  const sids = pairs.map(([relative, attributes]) => [`S-1-5-21-7-7-7-${relative}`, attributes] as const);
  assertEquals(
    told({ groups: pairs, extra: sids, resourceDomain: "S-1-5-21-4-5-6", resources: pairs }).groups,
    [
      "S-1-5-21-1-2-3-513",
      ...["1-2-3", "7-7-7", "4-5-6"].flatMap((domain) => {
        return [`S-1-5-21-${domain}-1200`, `S-1-5-21-${domain}-1204`];
      }),
    ],
  );
});

test("readPac() uses the first extra SID as the account where there is no relative id", () => {
  const extra = [["S-1-5-21-9-9-9-1000", 7], ["S-1-18-1", 7]] as const;
  const { sid, groups } = told({ userId: 0, domain: null, groups: [], extra });
  assertEquals([sid, groups], ["S-1-5-21-9-9-9-1000", ["S-1-18-1"]]);
  refuses(() => told({ userId: 0 }), "no SID of its account");
});

test("readPac() accepts an empty list with or without a pointer, and needs one for other lists", () => {
  const bytes = encodeLogonInfo({ ...PLAIN, groups: [[513, 7]] });
  const view = new DataView(bytes.buffer);
  view.setUint32(132, 0, true);
  refuses(() => readPac(bytes, null), "a list without its elements");
  const none = encodeLogonInfo({ ...PLAIN, groups: [], emptyListsPointedTo: true });
  assertEquals(readPac(none, null).groups, ["S-1-5-21-1-2-3-513"]);
});

test("readPac() includes the primary group once, whether it is listed or not", () => {
  for (const groups of [[], [[513, 7]], [[513, 7], [513, 7]]] as const) {
    assertEquals(told({ groups }).groups, ["S-1-5-21-1-2-3-513"]);
  }
});

const relativeIds = fc.array(
  fc.tuple(fc.nat(0xffff_ffff), fc.constantFrom(0, 4, 7, 0x10, 0x14, 0x2000_0007)),
  {
    maxLength: 20,
  },
);
const sids = fc.array(fc.nat(0xffff_ffff), { minLength: 1, maxLength: 14 }).map((parts) =>
  `S-1-5-${parts.join("-")}`
);
const texts = fc.option(fc.string({ unit: "grapheme", maxLength: 20 }));
const accounts: fc.Arbitrary<PacTold> = fc.record({
  names: fc.array(texts, { minLength: 6, maxLength: 6 }),
  domainName: texts,
  userId: fc.integer({ min: 1, max: 0xffff_ffff }),
  primaryId: fc.nat(0xffff_ffff),
  flags: fc.constant(0x220),
  control: fc.constantFrom(0, 0x10, 0x80, 0x100, 0x210),
  domain: sids,
  groups: relativeIds,
  extra: fc.array(fc.tuple(sids, fc.constantFrom(0, 7, 0x14)), { maxLength: 5 }),
  resourceDomain: sids,
  resources: relativeIds,
});

test("readPac() reads any encoded account", () => {
  fc.assert(fc.property(accounts, (account) => {
    const counting = (of: string, list: PacTold["groups"]) =>
      list.filter(([, attributes]) => (attributes & 0x14) === 4).map(([relative]) => `${of}-${relative}`);
    const { sid, groups, kind, displayName } = readPac(encodeLogonInfo(account), null);
    const domain = account.domain!;
    assertEquals(sid, `${domain}-${account.userId}`);
    assertEquals(groups, [
      ...new Set([
        `${domain}-${account.primaryId}`,
        ...counting(domain, account.groups),
        ...account.extra.filter(([, attributes]) => (attributes & 0x14) === 4).map(([sid]) => sid as string),
        ...counting(account.resourceDomain!, account.resources),
      ]),
    ]);
    assertEquals(
      kind,
      { 0: "unknown", 16: "user", 528: "user", 128: "computer", 256: "computer" }[account.control],
    );
    assert(displayName === undefined || displayName === account.names[1]);
  }));
});

test("readPac() refuses a PAC shortened at any byte, also with a corrected length", () => {
  for (const { logonInfo, upnDnsInfo } of [ALICE, WEB1, MADE]) {
    const whole = readPac(logonInfo, upnDnsInfo);
    for (let length = 0; length < logonInfo.length; length++) {
      const short = logonInfo.slice(0, length);
      refuses(() => readPac(short, null));
      if (length < 16) continue;
      new DataView(short.buffer).setUint32(8, length - 16, true);
      const account = readOrRefused(short, upnDnsInfo);
      // What is missing is padding, and no more than there can be of it.
      if (account !== null) {
        assert(logonInfo.length - length < 8 && JSON.stringify(account) === JSON.stringify(whole));
      }
    }
    for (let length = 0; length < upnDnsInfo.length; length++) {
      const account = readOrRefused(logonInfo, upnDnsInfo.slice(0, length));
      if (account !== null) assert(upnDnsInfo.length - length < 8 && account.upn === whole.upn);
    }
  }
});

test("readPac() of a PAC with any byte changed returns an account or a ProtocolError", () => {
  for (const { logonInfo, upnDnsInfo } of [WEB1, MADE]) {
    for (const buffer of ["logonInfo", "upnDnsInfo"] as const) {
      const changed = { logonInfo: logonInfo.slice(), upnDnsInfo: upnDnsInfo.slice() };
      for (let at = 0; at < changed[buffer].length; at++) {
        const was = changed[buffer][at];
        for (const value of [0, 1, 0x7f, 0xff, was ^ 1, was ^ 0x80]) {
          changed[buffer][at] = value;
          const account = readOrRefused(changed.logonInfo, changed.upnDnsInfo);
          if (account !== null) isAnAccount(account);
        }
        changed[buffer][at] = was;
      }
    }
  }
});

test("readPac() of any mutated PAC returns a valid account or a ProtocolError", () => {
  const changes = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 12 });
  fc.assert(
    fc.property(fc.constantFrom(ALICE, WEB1, MADE), changes, fc.nat(), (pac, changes, cut) => {
      const bytes = pac.logonInfo.slice(0, cut % 3 === 0 ? cut % pac.logonInfo.length : undefined);
      for (const [at, value] of changes) bytes[at % bytes.length] = value;
      const account = readOrRefused(bytes, pac.upnDnsInfo);
      if (account !== null) isAnAccount(account);
    }),
    { numRuns: 3000 },
  );
});

test("readPac() refuses random bytes, also after the head of a PAC", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 600 }), fc.boolean(), (noise, headed) => {
      const head = [1, 0x10, 8, 0, 0, 0, 0, 0, noise.length & 0xff, noise.length >>> 8, 0, 0, 0, 0, 0, 0];
      const account = readOrRefused(Uint8Array.from(headed ? [...head, ...noise] : noise), noise);
      if (account !== null) isAnAccount(account);
    }),
    { numRuns: 2000 },
  );
});

test("readPac() reads at most 4,096 SIDs", () => {
  const groups = (count: number) => Array.from({ length: count }, (_, index) => [1000 + index, 7] as const);
  assertEquals(told({ groups: groups(4096) }).groups.length, 4097);
  refuses(() => told({ groups: groups(4097) }), "names 4097 SIDs; at most 4096 are read");
  refuses(() =>
    told({
      groups: groups(2000),
      extra: [["S-1-18-1", 7]],
      resourceDomain: "S-1-5-21-4-5-6",
      resources: groups(2096),
    }), "names 4097 SIDs");
});

test("readPac() allocates nothing for a count that is too large", () => {
  for (const at of [128, 216, 228]) {
    const bytes = encodeLogonInfo({
      ...PLAIN,
      extra: [["S-1-18-1", 7]],
      resourceDomain: "S-1-5-21-4-5-6",
      resources: [[1, 7]],
    });
    const view = new DataView(bytes.buffer);
    assertEquals(view.getUint32(at, true), 1, `${at}`);
    for (const count of [2, 4095, 0xffff, 0xffff_ffff]) {
      view.setUint32(at, count, true);
      refuses(() => readPac(bytes, null));
    }
  }
});

/**
 * The offsets of parts of the encoded {@linkcode PLAIN}: the head of its first name, and what the pointer points to.
 */
const AT = { length: 68, maximum: 70, room: 236, offset: 240, units: 244, letters: 248 } as const;

test("readPac() refuses contradictory lengths", () => {
  const contradictions: readonly (readonly (readonly [at: number, value: number])[])[] = [
    [[AT.room, 6]],
    [[AT.room, 4], [AT.maximum, 8]],
    [[AT.offset, 1]],
    [[AT.units, 4]],
    [[AT.length, 8]],
  ];
  for (const changes of contradictions) {
    const bytes = encodeLogonInfo(PLAIN);
    assertEquals([bytes[AT.length], bytes[AT.letters]], [10, "a".charCodeAt(0)]);
    for (const [at, value] of changes) bytes[at] = value;
    refuses(() => readPac(bytes, null), "a string whose lengths contradict each other");
  }
  const nameless = encodeLogonInfo({ ...PLAIN, names: [null, "", "", "", "", ""] });
  readPac(nameless, null);
  nameless[AT.length] = nameless[AT.maximum] = 10;
  refuses(() => readPac(nameless, null), "a string without its buffer");
});

test("readPac() refuses contradictory counts of a list or a SID, and a group without a SID", () => {
  const account = { ...PLAIN, groups: [[513, 7], [514, 7]], extra: [["S-1-5-21-7-7-7-7", 7]] } as const;
  const changed = (find: readonly number[], by: number, value: number) => {
    const bytes = encodeLogonInfo(account);
    const at = Array.from(bytes.keys()).filter((at) =>
      find.every((byte, index) => bytes[at + index] === byte)
    );
    assertEquals(at.length, 1);
    bytes[at[0] + by] = value;
    return () => readPac(bytes, null);
  };
  const groups = [2, 0, 0, 0, 1, 2, 0, 0, 7, 0, 0, 0];
  refuses(changed(groups, 0, 1), "a list whose counts contradict each other");
  refuses(changed(groups, 0, 3), "a list whose counts contradict each other");
  for (const parts of [3, 5, 0xff]) refuses(changed([4, 0, 0, 0, 1, 4, 0, 0, 0, 0, 0, 5], 0, parts));
  const bytes = encodeLogonInfo(account);
  const sid = [5, 0, 0, 0, 1, 5, 0, 0, 0, 0, 0, 5];
  const at = Array.from(bytes.keys()).find((at) => sid.every((byte, index) => bytes[at + index] === byte))!;
  // The pointer and the attributes of the one extra SID stand before it.
  bytes.fill(0, at - 8, at - 4);
  refuses(() => readPac(bytes, null), "a group without a SID");
});

test("readPac() refuses the whole PAC where one SID is invalid", () => {
  const parts = Array.from({ length: 15 }, (_, index) => index);
  const full = `S-1-5-${parts.join("-")}`;
  const bytes = (...values: number[]) => Uint8Array.from(values);
  const broken: readonly Uint8Array[] = [
    bytes(2, 1, 0, 0, 0, 0, 0, 5, 1, 0, 0, 0),
    bytes(1, 16, 0, 0, 0, 0, 0, 5, ...new Array(64).fill(1)),
  ];
  for (const sid of broken) refuses(() => told({ extra: [["S-1-18-1", 7], [sid, 7]] }), "an invalid SID");
  // With a relative id more it has one part too many.
  refuses(() => told({ domain: full }), "an invalid SID");
  refuses(() => told({ resourceDomain: full, resources: [[1, 7]] }), "an invalid SID");
  assertEquals(told({ extra: [[full, 7]] }).groups.at(-1), full);
});

test("readPac() refuses groups without their domain's SID, and groups that the flags exclude", () => {
  refuses(() => told({ domain: null }), "without its domain's SID");
  refuses(() => told({ resources: [[1, 7]] }), "without its domain's SID");
  refuses(() => told({ extra: [["S-1-18-1", 7]], flags: 0x200 }), "flags exclude");
  const resources = { resourceDomain: "S-1-5-21-4-5-6", resources: [[1, 7]] } as const;
  refuses(() => told({ ...resources, flags: 0x20 }), "flags exclude");
  // Other flags say nothing about groups.
  refuses(() => told({ extra: [["S-1-18-1", 7]], flags: 0xffff_ffdf }), "flags exclude");
  refuses(() => told({ ...resources, flags: 0xffff_fdff }), "flags exclude");
  assertEquals(told({ flags: 0 }).groups, ["S-1-5-21-1-2-3-513"]);
});

test("readPac() takes the kind of the account from its own bits alone", () => {
  const kinds = Array.from({ length: 21 }, (_, bit) => [1 << bit, told({ control: 1 << bit }).kind] as const);
  const expected: Record<number, string> = { 0x10: "user", 0x80: "computer", 0x100: "computer" };
  for (const [control, kind] of kinds) assertEquals(kind, expected[control] ?? "unknown", `${control}`);
});

test("readPac() looks for a second SID only where the flags of the UPN say that there is one", () => {
  const bytes = encodeUpn("alice@example.test");
  for (const flags of [1, 4, 0xffff_fffd]) {
    new DataView(bytes.buffer).setUint32(8, flags, true);
    assertEquals(readPac(encodeLogonInfo(PLAIN), bytes).upn, "alice@example.test");
  }
});

test("readPac() leaves out a name with lone surrogates or control characters, and nothing else", () => {
  for (const name of ["", "a\nb", "a\u0000", "\ud800", "evil\u202etxt", "a\u2028b"]) {
    const { displayName, netbiosDomain, sid } = told({
      names: ["alice", name, "", "", "", ""],
      domainName: name,
    });
    assertEquals([displayName, netbiosDomain, sid], [undefined, undefined, "S-1-5-21-1-2-3-1104"]);
    assertEquals(readPac(encodeLogonInfo(PLAIN), encodeUpn(name)).upn, undefined);
  }
  const { displayName } = told({
    names: ["alice", "Ångström 漢字 👩‍🚀".replace("\u200d", ""), "", "", "", ""],
  });
  assertEquals(displayName, "Ångström 漢字 👩🚀");
});

test("readPac() reads the UPN with or without a SID, and refuses a SID of another account", () => {
  const logonInfo = encodeLogonInfo(PLAIN);
  const upn = "alice@example.test";
  for (const names of [encodeUpn(upn), encodeUpn(upn, "S-1-5-21-1-2-3-1104")]) {
    assertEquals(readPac(logonInfo, names).upn, upn);
  }
  refuses(() => readPac(logonInfo, encodeUpn(upn, "S-1-5-21-1-2-3-500")), "names two accounts");
  refuses(() => readPac(logonInfo, encodeUpn(upn, Uint8Array.of(1, 1, 0))), "an invalid SID");
  for (const [at, value] of [[0, 0xfe], [2, 0xf0], [4, 0xfe], [6, 0xf0]] as const) {
    const names = encodeUpn(upn);
    names[at] = value;
    refuses(() => readPac(logonInfo, names), "a name that ends after its data");
  }
  const trailing = Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 5, 9);
  refuses(() => readPac(logonInfo, encodeUpn(upn, trailing)), "an invalid SID");
});

test("readPac() refuses another byte order, another version, or no structure", () => {
  for (const [at, value] of [[0, 2], [1, 0], [2, 7], [16, 0]] as const) {
    const bytes = encodeLogonInfo(PLAIN);
    bytes.fill(value, at, at === 16 ? 20 : at + 1);
    refuses(() => readPac(bytes, null));
  }
});

/** A library that knows one name with these attributes. */
function peerOf(
  name: string,
  nameAttribute: (attribute: string) => Uint8Array | null,
  mechanism = "kerberos",
  role: "client" | "server" = "server",
) {
  const gss = {
    displayName: () => name,
    localName: () => "local",
    nameAttribute: (_handle: bigint, attribute: string) => nameAttribute(attribute),
  };
  return gssPeer(gss as unknown as Gss, 1n, mechanism, role);
}

test("gssPeer() reports the account in the PAC, or why it is refused, and throws other errors", () => {
  const named = { name: "a@R", user: "a", realm: "R", kind: "unknown", localName: "local" };
  assertEquals(peerOf("a@R", () => null), { ...named, kind: "unknown" });
  const logonInfo = encodeLogonInfo(PLAIN);
  const upn = encodeUpn("a@upn.test");
  const found = peerOf("a@R", (attribute) => attribute === NAME_ATTRIBUTES.logonInfo ? logonInfo : upn);
  assertEquals(found, { ...named, ...readPac(logonInfo, upn) });
  assert(found !== undefined && Object.isFrozen(found));
  for (
    const error of [new ProtocolError("malformed", "no PAC"), new AuthenticationError("other", "no PAC")]
  ) {
    const refused = peerOf("a@R", () => {
      throw error;
    });
    assertEquals(refused, { ...named, kind: "unknown", incomplete: "no PAC" });
  }
  assertThrows(
    () =>
      peerOf("a@R", () => {
        throw new RangeError("no memory");
      }),
    RangeError,
    "no memory",
  );
});

test("gssPeer() reports no anonymous peer, and reads a PAC of Kerberos clients only", () => {
  const unread = (): never => {
    throw new Error("read");
  };
  assertEquals(peerOf("WELLKNOWN/ANONYMOUS@WELLKNOWN:ANONYMOUS", unread), undefined);
  assertEquals(peerOf("", unread, "ntlm"), undefined);
  const service = { name: "HTTP/a@R", user: "HTTP/a", realm: "R", kind: "service" } as const;
  assertEquals(peerOf("HTTP/a@R", unread, "kerberos", "client"), service);
  assertEquals(peerOf("D\\a", unread, "ntlm"), { name: "D\\a", user: "a", realm: "D", kind: "unknown" });
  assertEquals(peerOf("D\\a", unread, "other"), { name: "D\\a", user: "D\\a", realm: "", kind: "unknown" });
});
