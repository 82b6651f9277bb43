/** What the ways to protect records pass to the library, refuse from it, overwrite and release. */

import { assert, assertEquals, assertThrows } from "@std/assert";
import { test } from "@test";
import {
  AuthenticationError,
  type NativeError,
  ProtocolError,
  SecurityRequirementError,
  StateError,
} from "../../../../errors.ts";
import { pinned } from "../../../../ffi/memory/memory.ts";
import { GSS_S } from "../../../../ffi/raw/gssapi.ts";
import { BufferSealing } from "../../../../ffi/security/gss/buffer_sealing.ts";
import { IovSealing } from "../../../../ffi/security/gss/iov_sealing.ts";
import { contextKeys, hasWideSequence, receiveSequence } from "../../../../ffi/security/gss/lucid.ts";
import { GssRecords, type RecordRules } from "../../../../ffi/security/gss/records.ts";
import type { Sealing } from "../../../../ffi/security/gss/sealing.ts";
import { openRecordCrypto } from "../../../../ffi/security/gss/accelerated_messages.ts";
import { NativeSystem } from "../../../../ffi/system.ts";
import { CONTEXT, describe, FakeGss, KEY, MINOR, pinnedCopy } from "../../../support/fake_gss.ts";

const PLAIN = Uint8Array.from([7, 8, 9, 10, 11]);
const status = (routine: number): number => routine * 0x10000;

function copying(library = new FakeGss()): [BufferSealing, FakeGss] {
  return [new BufferSealing(library.gss, CONTEXT, true), library];
}

function inPlace(library = new FakeGss()): [IovSealing, FakeGss] {
  return [new IovSealing(library.gss, CONTEXT, true), library];
}

/** Both ways, each with a library of its own. */
const WAYS: { readonly [name: string]: () => [Sealing, FakeGss] } = {
  BufferSealing: () => copying(),
  IovSealing: () => inPlace(),
};

function notEncrypted(fn: () => unknown): void {
  assertEquals(assertThrows(fn, ProtocolError, "nothing was sent").reason, "not-encrypted");
}

test("BufferSealing wraps a copy, overwrites it, and returns what the library returned", () => {
  const [sealing, library] = copying();
  assertEquals(sealing.maxOverhead, 5);
  for (const encrypt of [true, false]) {
    library.calls.length = 0;
    const plain = PLAIN.slice();
    const out = pinned(9);
    const record = sealing.seal(plain, out, encrypt);
    assertEquals([...record], [1, 2, 3, encrypt ? 1 : 0, ...PLAIN.map((byte) => byte ^ 0x5a)]);
    assertEquals(record.buffer, out.buffer);
    assertEquals(plain, PLAIN);
    assertEquals(library.calls, [["gss_wrap", encrypt ? 1 : 0, 0]]);
    assertEquals(library.given.pop(), new Uint8Array(PLAIN.length));
    assertEquals(library.open.size, 0);
    assertEquals(sealing.seal(PLAIN, pinned(20), encrypt).length, 9);
  }
  assertThrows(() => sealing.seal(PLAIN.subarray(0, 0), pinned(9), true), RangeError, "plain is empty");
});

test("BufferSealing sends no record that is longer than announced or not encrypted", () => {
  const [sealing, library] = copying();
  notEncrypted(() => sealing.seal(PLAIN, pinned(8), true));
  sealing.seal(PLAIN, pinned(9), true);
  library.confidential = null;
  notEncrypted(() => sealing.seal(PLAIN, pinned(9), true));
  library.confidential = false;
  const out = pinned(9);
  notEncrypted(() => sealing.seal(PLAIN, out, true));
  assertEquals(out, new Uint8Array(9));
  assertEquals(library.open.size, 0);
});

test("BufferSealing opens in place, and leaves no other copy of the plain text", () => {
  const [sealing, library] = copying();
  for (const encrypt of [true, false]) {
    const record = sealing.seal(PLAIN, pinned(9), encrypt);
    library.copies.length = 0;
    const { major, encrypted, plain } = sealing.open(record);
    assertEquals([major, encrypted, [...plain]], [0, encrypt, [...PLAIN]]);
    assertEquals(plain.buffer, record.buffer);
    assertEquals(library.copies, [new Uint8Array(PLAIN.length)]);
    assertEquals(library.open.size, 0);
  }
  sealing.open(sealing.seal(PLAIN, pinned(9), true));
  const record = sealing.seal(PLAIN, pinned(9), true);
  library.confidential = null;
  assertEquals(sealing.open(record).encrypted, false);
});

test("BufferSealing refuses plain text that is longer than its record", () => {
  const [sealing, library] = copying();
  for (const longer of [4, 5]) {
    const record = sealing.seal(PLAIN, pinned(9), true);
    const before = record.slice();
    library.copies.length = 0;
    library.longer = longer;
    if (longer === 4) assertEquals(sealing.open(record).plain.length, 9);
    else {
      assertEquals(assertThrows(() => sealing.open(record), ProtocolError).reason, "malformed");
      assertEquals(record, before);
    }
    assertEquals(library.copies, [new Uint8Array(5 + longer)]);
    library.longer = 0;
  }
  assertEquals(library.open.size, 0);
});

for (const [name, make] of Object.entries(WAYS)) {
  test(`${name}: each failure of the library is an error with its status, and releases what it returned`, () => {
    const [sealing, library] = make();
    const record = sealing.seal(PLAIN, pinned(30), true).slice();
    library.major = status(13);
    for (
      const [doing, fn] of [
        ["protect a record", () => sealing.seal(PLAIN, pinned(30), true)],
        ["protect a record", () => sealing.sizeLimit(100, true)],
        ["protect a message", () => sealing.sign(PLAIN)],
      ] as const
    ) {
      const error = assertThrows(fn, AuthenticationError, `Cannot ${doing}: gss_`);
      assertEquals((error.cause as NativeError).status, MINOR);
    }
    const opening = [
      () => sealing.open(pinnedCopy(record)),
      () => sealing.verify(PLAIN, PLAIN.map((byte) => byte ^ 0x5a)),
    ];
    for (const open of opening) {
      const error = assertThrows(open, ProtocolError, "A record was refused: gss_");
      assertEquals(error.reason, "altered");
      assertEquals((error.cause as NativeError).status, MINOR);
    }
    assertEquals(library.open.size, 0);
    library.major = 0;
    sealing.seal(PLAIN, pinned(30), true);
    library.major = status(13);
    library.returnsAnyway = false;
    assertThrows(() => sealing.seal(PLAIN, pinned(30), true), AuthenticationError);
    library.major = GSS_S.GAP_TOKEN;
    assertEquals(sealing.open(pinnedCopy(record)).major, GSS_S.GAP_TOKEN);
    assertEquals(sealing.verify(PLAIN, sealing.sign(PLAIN)), GSS_S.GAP_TOKEN);
  });

  test(`${name}: sign(), verify() and sizeLimit() pass what they are given`, () => {
    const [sealing, library] = make();
    library.calls.length = 0;
    const signature = sealing.sign(PLAIN);
    assertEquals([...signature], [...PLAIN].map((byte) => byte ^ 0x5a));
    assertEquals(sealing.verify(PLAIN, signature), 0);
    assertThrows(() => sealing.verify(PLAIN.subarray(1), signature), ProtocolError);
    assertEquals([sealing.sizeLimit(100, true), sealing.sizeLimit(100, false)], [95, 96]);
    assertEquals(library.calls, [
      ["gss_get_mic", 0],
      ["gss_wrap_size_limit", 1, 0, 100],
      ["gss_wrap_size_limit", 0, 0, 100],
    ]);
    assertEquals(library.open.size, 0);
    sealing.close();
  });
}

test("a record is refused as malformed, as altered, or because its context has expired", () => {
  const [sealing, library] = copying();
  // A minor status would name another reason.
  library.minor = 0;
  const record = sealing.seal(PLAIN, pinned(9), true);
  const reasons = [9, 6, 12].map((routine) => {
    library.major = status(routine);
    const error = assertThrows(() => sealing.open(record.slice()));
    assert(error instanceof ProtocolError || error instanceof AuthenticationError);
    return [error.constructor, error.reason];
  });
  assertEquals(reasons, [
    [ProtocolError, "malformed"],
    [ProtocolError, "altered"],
    [AuthenticationError, "context-expired"],
  ]);
});

test("BufferSealing cannot wrap or unwrap data separately from its header, and says so", () => {
  const [sealing] = copying();
  assertThrows(() => sealing.sealDetached(PLAIN, true), StateError, "cannot wrap data separately");
  assertThrows(() => sealing.openDetached(PLAIN, PLAIN), StateError, "cannot unwrap data separately");
});

test("IovSealing asks for sizes once where they are the same for every message, and each time where not", () => {
  const [sealing, library] = inPlace();
  assertEquals(sealing.maxOverhead, 12);
  const types = [2, 1, 9, 7];
  const asked = (encrypt: number, length: number) => [
    "gss_wrap_iov_length",
    encrypt,
    0,
    length,
    ...types,
  ];
  assertEquals(library.calls, [asked(1, 1), asked(1, 4096)] as typeof library.calls);
  library.calls.length = 0;
  for (const encrypt of [true, true, false, false]) {
    const out = pinned(17);
    const plain = PLAIN.slice();
    const record = sealing.seal(plain, out, encrypt);
    const body = encrypt ? PLAIN.map((byte) => byte ^ 0x5a) : PLAIN;
    assertEquals([...record], [encrypt ? 1 : 0, ...Array(7).fill(0x11), ...body, ...Array(4).fill(0x33)]);
    assertEquals(plain, PLAIN);
  }
  assertEquals(
    library.calls.filter(([fn]) => fn === "gss_wrap_iov_length"),
    [
      asked(0, 1),
      asked(0, 4096),
    ] as typeof library.calls,
  );
  assertEquals(library.calls.filter(([fn]) => fn === "gss_wrap_iov"), [
    ["gss_wrap_iov", 1, 0, 4],
    ["gss_wrap_iov", 1, 0, 4],
    ["gss_wrap_iov", 0, 0, 4],
    ["gss_wrap_iov", 0, 0, 4],
  ]);

  const padded = new FakeGss();
  padded.sizes.padding = (length) => 8 - length % 8;
  const [other] = inPlace(padded);
  assertEquals(other.maxOverhead, 8 + 4 + 64);
  for (const unpadded of [1, 4096]) {
    const library = new FakeGss();
    library.sizes.padding = (length) => length === unpadded ? 0 : 8;
    assertEquals(inPlace(library)[0].maxOverhead, 8 + 4 + 64);
  }
  padded.calls.length = 0;
  for (const length of [5, 3]) {
    const record = other.seal(PLAIN.subarray(0, length), pinned(30), true);
    assertEquals(record.length, 20);
    assertEquals([...record.subarray(8 + length, 16)], Array(8 - length).fill(0x22));
    assertEquals([...record.subarray(16)], Array(4).fill(0x33));
  }
  assertEquals(padded.calls.filter(([fn]) => fn === "gss_wrap_iov_length").length, 2);
});

test("IovSealing sends no record whose size is another one, that does not fit or is not encrypted", () => {
  const [sealing, library] = inPlace();
  const failing = new FakeGss();
  failing.major = status(13);
  assertThrows(() => inPlace(failing), AuthenticationError, "gss_wrap_iov_length");
  assertThrows(() => sealing.seal(PLAIN, pinned(16), true), RangeError, "out has 16 bytes");
  for (const part of ["header", "padding", "trailer"] as const) {
    library.moved[part] = 1;
    notEncrypted(() => sealing.seal(PLAIN, pinned(17), true));
    library.moved[part] = 0;
  }
  for (const flag of [null, false]) {
    library.confidential = true;
    sealing.seal(PLAIN, pinned(17), true);
    library.confidential = flag;
    notEncrypted(() => sealing.seal(PLAIN, pinned(17), true));
  }
  sealing.seal(PLAIN, pinned(17), false);
});

test("IovSealing opens in place, and refuses plain text outside the record", () => {
  const [sealing, library] = inPlace();
  for (const encrypt of [true, false]) {
    const record = sealing.seal(PLAIN, pinned(17), encrypt);
    library.calls.length = 0;
    const { major, encrypted, plain } = sealing.open(record);
    assertEquals([major, encrypted, [...plain]], [0, encrypt, [...PLAIN]]);
    assertEquals(plain.buffer, record.buffer);
    assertEquals(library.calls, [["gss_unwrap_iov", 2, 10_017, 1000]]);
  }
  assertEquals(sealing.open(sealing.seal(PLAIN.subarray(0, 1), pinned(13), true)).plain, PLAIN.slice(0, 1));
  const empty = sealing.seal(PLAIN.subarray(0, 0), pinned(12), true);
  assertEquals(sealing.open(empty).plain.length, 0);
  library.shift = -100;
  assertEquals(sealing.open(empty).plain.length, 0);
  library.shift = 0;
  const record = sealing.seal(PLAIN, pinned(17), true);
  for (
    const [shift, longer, fits] of [
      [4, 0, true],
      [5, 0, false],
      [0, 4, true],
      [0, 5, false],
      [-8, 12, true],
      [-9, 0, false],
    ] as const
  ) {
    [library.shift, library.longer] = [shift, longer];
    if (fits) assertEquals(sealing.open(record).plain.length, PLAIN.length + longer);
    else assertEquals(assertThrows(() => sealing.open(record), ProtocolError).reason, "malformed");
  }
  [library.shift, library.longer] = [0, 0];
  const sealed = sealing.seal(PLAIN, pinned(17), true);
  library.confidential = null;
  assertEquals(sealing.open(sealed).encrypted, false);
});

test("IovSealing wraps data in place beside its header, and leaves the header that it opens as it is", () => {
  const [sealing, library] = inPlace();
  for (const encrypt of [true, false]) {
    const data = pinnedCopy(PLAIN);
    library.calls.length = 0;
    const header = sealing.sealDetached(data, encrypt);
    assertEquals([...header], [encrypt ? 1 : 0, ...Array(11).fill(0x11)]);
    assertEquals([...data], [...PLAIN].map((byte) => encrypt ? byte ^ 0x5a : byte));
    const before = header.slice();
    const opened = sealing.openDetached(header, data);
    assertEquals(header, before);
    assertEquals(opened, { major: 0, encrypted: encrypt, plain: data });
    assertEquals([...data], [...PLAIN]);
    assertEquals(library.calls, [
      ["gss_wrap_iov_length", encrypt ? 1 : 0, 0, 5, 2, 1, 9],
      ["gss_wrap_iov", encrypt ? 1 : 0, 0, 3],
      ["gss_unwrap_iov", 3, 2012, 1005, 9000],
    ]);
  }
  for (const part of ["header", "padding"] as const) {
    library.moved[part] = 1;
    notEncrypted(() => sealing.sealDetached(pinnedCopy(PLAIN), true));
    library.moved[part] = 0;
  }
  const signed = sealing.sealDetached(pinnedCopy(PLAIN), true);
  library.confidential = null;
  assertEquals(sealing.openDetached(signed, pinnedCopy(PLAIN)).encrypted, false);
  library.major = status(13);
  assertThrows(() => sealing.openDetached(signed, pinnedCopy(PLAIN)), ProtocolError);
  library.major = 0;
  library.sizes.padding = () => 8;
  assertThrows(() => sealing.sealDetached(pinnedCopy(PLAIN), true), StateError, "adds padding");
  library.sizes.padding = () => 1;
  assertThrows(() => sealing.sealDetached(pinnedCopy(PLAIN), true), StateError, "adds padding");
  // The padding of a record before is not passed again.
  const padded = new FakeGss();
  padded.sizes.padding = () => 8;
  const [other] = inPlace(padded);
  other.seal(PLAIN, pinned(30), true);
  other.openDetached(signed, pinnedCopy(PLAIN));
  assertEquals(padded.calls.pop(), ["gss_unwrap_iov", 3, 2012, 1005, 9000]);
});

test("contextKeys() returns what the context reports, and releases each description", () => {
  const library = new FakeGss();
  const keys = (changes?: Parameters<typeof describe>[1]) => {
    describe(library, changes);
    const found = contextKeys(library.gss, CONTEXT);
    assertEquals(library.open.size, 0);
    return found;
  };
  const session = { enctype: 18, key: KEY.slice(0, 32) };
  const acceptorSubkey = { enctype: 17, key: KEY.slice(0, 16) };
  const all = { initiator: true, session, acceptorSubkey, sendSequence: 21n, receiveSequence: 34n };
  assertEquals(keys(), all);
  assertEquals(keys({ initiate: 0 }), { ...all, initiator: false });
  assertEquals(keys({ have_acceptor_subkey: 0 }), { ...all, acceptorSubkey: null });
  assertEquals(keys({ cfx_key_length: 64 })?.session.key, KEY);
  assertEquals(keys({ cfx_key_length: 1 })?.session.key, KEY.slice(0, 1));
  for (
    const changes of [
      { protocol: 0 },
      { version: 2 },
      { cfx_key_length: 0 },
      { cfx_key_length: 65 },
      { acceptor_subkey_length: 0 },
      { acceptor_subkey_length: 65 },
    ]
  ) {
    library.copies.length = 0;
    assertEquals(keys(changes), null);
    // What was read of a session key before is overwritten.
    assertEquals(library.copies.filter(({ length, [31]: last }) => length === 32 && last === 32), []);
  }
});

test("receiveSequence() and hasWideSequence() are of RFC 4121 tokens only, and release each description", () => {
  const library = new FakeGss();
  const both = () => {
    const found = [receiveSequence(library.gss, CONTEXT), hasWideSequence(library.gss, CONTEXT)];
    assertEquals(library.open.size, 0);
    return found;
  };
  assertEquals(both(), [null, false]);
  describe(library);
  assertEquals(both(), [34n, true]);
  describe(library, { protocol: 0 });
  assertEquals(both(), [null, false]);
  library.emptySets = true;
  assertEquals(both(), [null, false]);
  library.major = status(13);
  assertEquals(both(), [null, false]);
});

const RULES: RecordRules = {
  encrypts: true,
  mustBeEncrypted: true,
  kerberos: true,
  sequence: true,
  negotiated: false,
  accelerate: false,
};

/** Records of a library that numbers three in each direction. */
function records(rules: Partial<RecordRules> = {}): [GssRecords, FakeGss] {
  const library = new FakeGss(3);
  return [new GssRecords(library.gss, CONTEXT, { ...RULES, ...rules }), library];
}

test("GssRecords counts every kind of record, each direction by itself", () => {
  const sending: ((records: GssRecords) => unknown)[] = [
    (one) => one.wrap(PLAIN, pinned(17)),
    (one) => one.wrapUnencrypted(PLAIN, pinned(17)),
    (one) => one.wrapDetached(pinnedCopy(PLAIN)),
    (one) => one.sign(PLAIN),
  ];
  const [sealing] = inPlace();
  const receiving: typeof sending = [
    (one) => one.unwrap(sealing.seal(PLAIN, pinned(17), true)),
    (one) => one.unwrapAny(sealing.seal(PLAIN, pinned(17), false)),
    (one) => one.unwrapDetached(sealing.sealDetached(pinnedCopy(PLAIN), true), pinnedCopy(PLAIN)),
    (one) => one.verify(PLAIN, sealing.sign(PLAIN)),
  ];
  for (const [direction, other] of [[sending, receiving], [receiving, sending]]) {
    for (const use of direction) {
      const [one] = records();
      for (let count = 0; count < 3; count++) use(one);
      for (const refused of direction) {
        const error = assertThrows(() => refused(one), ProtocolError);
        assertEquals(error.reason, "sequence-exhausted");
      }
      for (const fine of other.slice(1)) fine(one);
    }
  }
});

test("GssRecords refuses what is out of order, and what is not encrypted where it must be", () => {
  const reasons = [GSS_S.DUPLICATE_TOKEN, GSS_S.OLD_TOKEN, GSS_S.UNSEQ_TOKEN, GSS_S.GAP_TOKEN].map((bit) => {
    const [one, library] = records();
    const record = one.wrap(PLAIN, pinned(17));
    library.major = bit;
    return assertThrows(() => one.unwrap(record), ProtocolError).reason;
  });
  assertEquals(reasons, ["replayed", "replayed", "out-of-order", "gap"]);
  const [signing, verifying] = records();
  const signature = signing.sign(PLAIN);
  assertThrows(() => signing.verify(PLAIN.subarray(1), signature), ProtocolError);
  verifying.major = GSS_S.GAP_TOKEN;
  assertEquals(assertThrows(() => signing.verify(PLAIN, signature), ProtocolError).reason, "gap");
  const signed = (one: GssRecords) => one.wrapUnencrypted(PLAIN, pinned(17));
  const [strict] = records();
  assertEquals(assertThrows(() => strict.unwrap(signed(strict)), ProtocolError).reason, "not-encrypted");
  assertEquals(strict.unwrapAny(signed(strict)), { data: PLAIN, encrypted: false });
  const [lax] = records({ mustBeEncrypted: false, encrypts: false });
  assertEquals(lax.unwrap(lax.wrap(PLAIN, pinned(17))), PLAIN);
  const [weak] = records({ encrypts: false });
  assertThrows(() => weak.wrap(PLAIN, pinned(17)), SecurityRequirementError);
  assertThrows(() => weak.wrapDetached(pinnedCopy(PLAIN)), SecurityRequirementError);
});

test("GssRecords checks the order itself where the library does not, and where the context reports numbers", () => {
  const token = (number: bigint): Uint8Array => {
    const bytes = pinned(17);
    bytes.set([5, 4]);
    new DataView(bytes.buffer).setBigUint64(8, number);
    return bytes;
  };
  for (
    const [rules, ordered] of [[{}, false], [{ kerberos: false }, false], [{ sequence: true }, true]] as const
  ) {
    assertEquals(records({ sequence: false, ...rules })[0].ordered, ordered);
  }
  const library = new FakeGss();
  describe(library);
  const one = new GssRecords(library.gss, CONTEXT, { ...RULES, sequence: false });
  assertEquals([one.ordered, one.accelerated], [true, false]);
  const byLibrary = new GssRecords(library.gss, CONTEXT, { ...RULES });
  for (const number of [99n, 99n]) byLibrary.unwrapAny(token(number));
  one.unwrapAny(token(34n));
  assertEquals(assertThrows(() => one.unwrapAny(token(34n)), ProtocolError).reason, "replayed");
  assertEquals(assertThrows(() => one.unwrapAny(token(36n)), ProtocolError).reason, "gap");
  assertEquals(assertThrows(() => one.verify(token(35n), PLAIN), ProtocolError).reason, "malformed");
});

test("GssRecords.sessionKey() returns a copy, overwrites the library's, and releases the set", () => {
  const [one, library] = records();
  assertThrows(() => one.sessionKey(), StateError, "does not return its session key");
  library.sessionKey = pinnedCopy(KEY);
  assertEquals(one.sessionKey(), KEY);
  assertEquals(library.sessionKey, new Uint8Array(64));
  assertEquals(library.open.size, 0);
  library.major = status(13);
  const error = assertThrows(() => one.sessionKey(), AuthenticationError, "Cannot read the session key");
  assertEquals((error.cause as NativeError).status, MINOR);
});

test("GssRecords.close() closes the keys with which libcrypto protects records", () => {
  const system = new NativeSystem({ grants: ["sspi"] });
  try {
    const crypto = openRecordCrypto(system);
    if (crypto === null) return;
    const library = new FakeGss();
    describe(library);
    Object.defineProperty(library.gss, "recordCrypto", { value: crypto });
    const one = new GssRecords(library.gss, CONTEXT, { ...RULES, accelerate: true });
    assertEquals(one.accelerated, true);
    const told = new GssRecords(library.gss, CONTEXT, { ...RULES, accelerate: false });
    assertEquals(told.accelerated, false);
    one.wrap(PLAIN, pinned(100));
    one.close();
    assertThrows(() => one.wrap(PLAIN, pinned(100)), StateError, "closed");
  } finally {
    system.close();
  }
});
