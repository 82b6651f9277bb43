/** Records by libcrypto, byte by byte as RFC 4121 describes them; tests/integration compares them with MIT's library. */

import { assert, assertEquals, assertNotEquals, assertThrows } from "@std/assert";
import { test } from "@test";
import { AuthenticationError, ProtocolError, StateError } from "../../../../errors.ts";
import { pinned } from "../../../../ffi/memory/memory.ts";
import type { RecordCrypto } from "../../../../ffi/security/gss/accelerated_crypto.ts";
import { ENCTYPES } from "../../../../ffi/security/gss/accelerated_keys.ts";
import {
  ChecksumKey,
  MessageKeys,
  openRecordCrypto,
} from "../../../../ffi/security/gss/accelerated_messages.ts";
import {
  type AcceleratedRules,
  acceleratedSealing,
} from "../../../../ffi/security/gss/accelerated_sealing.ts";
import { GSS_S } from "../../../../ffi/raw/gssapi.ts";
import type { Sealing } from "../../../../ffi/security/gss/sealing.ts";
import { NativeSystem } from "../../../../ffi/system.ts";
import { CONTEXT, describe, FakeGss, KEY, pinnedCopy } from "../../../support/fake_gss.ts";

const probe = new NativeSystem({ grants: ["sspi"] });
const skip = openRecordCrypto(probe) === null ? "OpenSSL 3 is needed: install libssl3" : null;
probe.close();

const PLAIN = Uint8Array.from({ length: 21 }, (_, at) => 100 + at);
const RULES: AcceleratedRules = { encrypts: true, sequence: true, negotiated: false };

/** The numbers of RFC 4121, section 2. */
const USAGES = { initiator: { seal: 24, sign: 25 }, acceptor: { seal: 22, sign: 23 } } as const;

interface EndOptions {
  readonly enctype?: number;
  readonly initiator?: boolean;
  readonly subkey?: boolean;
  readonly rules?: Partial<AcceleratedRules>;
  readonly crypto?: (real: RecordCrypto) => RecordCrypto;
}

/** The numbers in the tests are added to this one. */
const FIRST = 0x0102030405060000n;

/** One end of a context: what it sends is numbered from 0xfe, what arrives from 0x1fe. */
interface End {
  readonly crypto: RecordCrypto;
  readonly library: FakeGss;
  readonly sealing: Sealing;
  readonly macBytes: number;
  /** The checksum by the key of one usage. */
  checksum(usage: number, ...parts: Uint8Array[]): Uint8Array;
  /** The bytes of a header, by which the peer numbers its first record where `number` is left out. */
  header(fields: HeaderFields): Uint8Array;
}

interface HeaderFields {
  readonly id?: number;
  readonly flags: number;
  readonly extra?: number;
  readonly rotation?: number;
  readonly number?: number;
}

function header({ id = 5, flags, extra = 0, rotation = 0, number = 0x1fe }: HeaderFields): Uint8Array {
  const bytes = new Uint8Array(16);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, (id << 24) | (4 << 16) | (flags << 8) | 0xff);
  view.setUint16(4, extra);
  view.setUint16(6, rotation);
  view.setBigUint64(8, FIRST + BigInt(number));
  return bytes;
}

/** Runs `body` with one end of a context. */
function withEnd(options: EndOptions, body: (end: End) => void): void {
  const { enctype = 18, initiator = true, subkey = false } = options;
  using system = new NativeSystem({ grants: ["sspi"] });
  const crypto = openRecordCrypto(system)!;
  const type = ENCTYPES.get(enctype)!;
  const library = new FakeGss();
  describe(library, {
    initiate: initiator ? 1 : 0,
    send_seq: FIRST + 0xfen,
    recv_seq: FIRST + 0x1fen,
    have_acceptor_subkey: subkey ? 1 : 0,
    cfx_key_type: enctype,
    cfx_key_length: type.keyBytes,
    acceptor_subkey_type: enctype,
    acceptor_subkey_length: type.keyBytes,
    acceptor_subkey_data: library.place(KEY.toReversed()),
  });
  Object.defineProperty(library.gss, "recordCrypto", { value: options.crypto?.(crypto) ?? crypto });
  const sealing = acceleratedSealing(library.gss, CONTEXT, { ...RULES, ...options.rules })!;
  const key = pinnedCopy((subkey ? KEY.toReversed() : KEY).slice(0, type.keyBytes));
  const checksum = (usage: number, ...parts: Uint8Array[]): Uint8Array => {
    const own = new ChecksumKey(crypto, type, key, usage);
    const out = pinned(type.macBytes);
    own.write(pinnedCopy(join(...parts)), pinned(0), out, 0);
    own.close();
    return out;
  };
  body({ crypto, library, sealing, macBytes: type.macBytes, checksum, header });
  sealing.close();
}

function join(...parts: Uint8Array[]): Uint8Array {
  return Uint8Array.from(parts.flatMap((part) => [...part]));
}

const numbered = (id: number, flags: number, number: number): Uint8Array => header({ id, flags, number });
const reason = (fn: () => unknown): string => assertThrows(fn, ProtocolError).reason;
/** Every end there is: its encryption type, its part, and the key that it uses. */
const ENDS = [...ENCTYPES.keys()].flatMap((enctype) =>
  [true, false].flatMap((initiator) => [true, false].map((subkey) => ({ enctype, initiator, subkey })))
);

test(
  "AcceleratedSealing signs a record or a message as RFC 4121, section 4.2 describes, and numbers it",
  () => {
    for (const options of ENDS) {
      withEnd(options, ({ sealing, macBytes, checksum }) => {
        const usage = options.initiator ? USAGES.initiator : USAGES.acceptor;
        const flags = (options.initiator ? 0 : 1) | (options.subkey ? 4 : 0);
        assertEquals(sealing.maxOverhead, 16 + 16 + 16 + macBytes);
        for (let number = 0xfe; number < 0x103; number++) {
          if (number % 2 === 0) {
            const plain = PLAIN.slice();
            const out = pinned(PLAIN.length + 16 + macBytes + 1).fill(0xaa);
            const record = sealing.seal(plain, out.subarray(0, -1), false);
            const signed = checksum(usage.seal, PLAIN, numbered(5, flags, number));
            const expected = join(header({ flags, extra: macBytes, number }), PLAIN, signed);
            assertEquals([...record], [...expected]);
            assertEquals([record.buffer, out.at(-1), plain], [out.buffer, 0xaa, PLAIN]);
          } else {
            const filled = numbered(4, flags, number);
            filled.fill(0xff, 4, 8);
            const signature = sealing.sign(PLAIN);
            assertEquals([...signature], [...filled, ...checksum(usage.sign, PLAIN, filled)]);
          }
        }
      });
    }
  },
  { skip },
);

test(
  "AcceleratedSealing encrypts a new confounder, the data and a copy of the header, and numbers the record",
  () => {
    for (const options of ENDS) {
      withEnd(options, ({ crypto, sealing, macBytes }) => {
        const flags = (options.initiator ? 2 : 3) | (options.subkey ? 4 : 0);
        const type = ENCTYPES.get(options.enctype)!;
        const key = pinnedCopy((options.subkey ? KEY.toReversed() : KEY).slice(0, type.keyBytes));
        const usage = options.initiator ? USAGES.initiator.seal : USAGES.acceptor.seal;
        const opening = new MessageKeys(crypto, type, key, usage, false);
        const confounders = [0xfe, 0xff, 0x100].map((number) => {
          const record = sealing.seal(PLAIN, pinned(PLAIN.length + sealing.maxOverhead).fill(0xaa), true);
          assertEquals([...record.subarray(0, 16)], [...numbered(5, flags, number)]);
          const macAt = record.length - macBytes;
          assert(opening.open(record, macAt));
          const [data, copy] = [record.subarray(32, macAt - 16), record.subarray(macAt - 16, macAt)];
          assertEquals([...data, ...copy], [...PLAIN, ...numbered(5, flags, number)]);
          return String(record.subarray(16, 32));
        });
        opening.close();
        assertEquals(new Set(confounders).size, 3);
      });
    }
  },
  { skip },
);

/**
 * A record of the peer: signed, or encrypted with `extra` bytes of filler. `copy` is the encrypted header; `part` is 1
 * where the keys are those of the acceptor.
 */
function fromPeer(end: End, fields: HeaderFields, copy = fields, part = fields.flags & 1): Uint8Array {
  const { flags, extra = 0 } = fields;
  const { seal } = part === 0 ? USAGES.initiator : USAGES.acceptor;
  if ((flags & 2) === 0) {
    const signed = end.checksum(seal, PLAIN, end.header({ ...fields, extra: 0, rotation: 0 }));
    return pinnedCopy(join(end.header({ extra: end.macBytes, ...fields }), PLAIN, signed));
  }
  const type = ENCTYPES.get(18)!;
  const keys = new MessageKeys(end.crypto, type, pinnedCopy(KEY.slice(0, 32)), seal, true);
  const whole = join(pinned(32), PLAIN, new Uint8Array(extra), end.header({ ...copy, rotation: 0 }));
  const record = pinnedCopy(join(whole, pinned(end.macBytes)));
  keys.seal(record, whole.length);
  keys.close();
  record.set(end.header(fields));
  return record;
}

test("AcceleratedSealing opens signed and encrypted records with filler, and detects their order", () => {
  for (const sequence of [true, false]) {
    for (const [initiator, peer] of [[true, 1], [false, 0]] as const) {
      withEnd({ initiator, rules: { sequence } }, (end) => {
        const { sealing } = end;
        const open = (record: Uint8Array) => {
          const { major, encrypted, plain } = sealing.open(record);
          assertEquals([plain.buffer, [...plain]], [record.buffer, [...PLAIN]]);
          return [major, encrypted];
        };
        assertEquals(open(fromPeer(end, { flags: peer })), [0, false]);
        for (const [index, extra] of [0, 1, 15, 255, 256, 300, 4096].entries()) {
          const record = fromPeer(end, { flags: peer | 2, extra, number: 0x1ff + index });
          assertEquals(open(record), [0, true]);
        }
        const gap = sequence ? GSS_S.GAP_TOKEN : 0;
        assertEquals(open(fromPeer(end, { flags: peer | 2, number: 0x300 })), [gap, true]);
        const twice = sequence ? GSS_S.DUPLICATE_TOKEN : 0;
        assertEquals(open(fromPeer(end, { flags: peer, number: 0x300 })), [twice, false]);
      });
    }
  }
}, { skip });

/** The record with what follows its header rotated to the right. */
function rotated(record: Uint8Array, rotation: number): Uint8Array<ArrayBuffer> {
  const body = record.subarray(16);
  const from = body.length - rotation % body.length;
  const copy = pinnedCopy(join(record.subarray(0, 16), body.subarray(from), body.subarray(0, from)));
  new DataView(copy.buffer).setUint16(6, rotation);
  return copy;
}

test(
  "AcceleratedSealing opens records that are rotated by any number, and by more bytes than they have",
  () => {
    for (const flags of [1, 3]) {
      withEnd({}, (end) => {
        const { length } = fromPeer(end, { flags });
        for (let rotation = 0; rotation < length + 2; rotation++) {
          for (const number of [rotation, rotation + 5 * (length - 16), rotation + 0xff00]) {
            const { plain } = end.sealing.open(rotated(fromPeer(end, { flags }), number));
            assertEquals([...plain], [...PLAIN], `${number}`);
          }
        }
      });
    }
  },
  { skip },
);

test("AcceleratedSealing says why it refuses a record or a signature", () =>
  withEnd({}, (end) => {
    const { sealing, macBytes } = end;
    const record = (changes: Partial<HeaderFields> = {}): Uint8Array =>
      fromPeer(end, { flags: 1, ...changes });
    const changed = (bytes: Uint8Array, at: number, value: number): Uint8Array => {
      bytes[at] = value;
      return bytes;
    };
    for (const flags of [1, 3]) {
      for (const [at, value] of [[0, 4], [0, 6], [1, 3], [1, 5], [3, 0xfe]]) {
        assertEquals(reason(() => sealing.open(changed(record({ flags }), at, value))), "malformed");
      }
      assertEquals(reason(() => sealing.open(changed(record({ flags }), 40, 0))), "altered");
      assertEquals(reason(() => sealing.open(record({ flags: flags ^ 1 }))), "altered");
    }
    for (const length of [0, 15, 16, 16 + macBytes - 1]) {
      assertEquals(reason(() => sealing.open(record().subarray(0, length))), "malformed", `${length}`);
    }
    assertEquals(reason(() => sealing.open(record().subarray(0, 16 + macBytes))), "altered");
    for (const length of [16, 16 + 16 + 16 + macBytes - 1]) {
      assertEquals(reason(() => sealing.open(record({ flags: 3 }).subarray(0, length))), "malformed");
    }
    assertEquals(reason(() => sealing.open(record({ flags: 3 }).subarray(0, 48 + macBytes))), "altered");
    const filler = record({ flags: 3 });
    assertEquals(reason(() => sealing.open(changed(filler, 5, PLAIN.length + 1))), "malformed");
    for (const extra of [0, macBytes - 1, macBytes + 1]) {
      assertEquals(reason(() => sealing.open(record({ extra }))), "malformed");
    }
    // As long as the data or longer, as the header and its copy say.
    for (const extra of [PLAIN.length, PLAIN.length + 1]) {
      const other = changed(fromPeer(end, { flags: 3 }, { flags: 3, extra }), 5, extra);
      if (extra > PLAIN.length) assertEquals(reason(() => sealing.open(other)), "malformed");
      else withEnd({}, (fresh) => assertEquals(fresh.sealing.open(other).plain.length, 0));
    }
    // By the right key, and not marked as the acceptor's.
    for (const flags of [0, 2]) {
      assertEquals(reason(() => sealing.open(fromPeer(end, { flags }, { flags }, 1))), "altered");
    }
    // A header that differs from its encrypted copy.
    for (const copy of [{ number: 0x1ff }, { extra: 1 }, { flags: 1 }, { id: 4 }]) {
      const other = fromPeer(end, { flags: 3 }, { flags: 3, ...copy });
      assertEquals(reason(() => sealing.open(other)), "malformed", JSON.stringify(copy));
    }

    const filled = (changes: Partial<HeaderFields> = {}): Uint8Array =>
      end.header({ id: 4, flags: 1, extra: 0xffff, rotation: 0xffff, ...changes });
    const signature = (head = filled(), usage: number = USAGES.acceptor.sign): Uint8Array =>
      pinnedCopy(join(head, end.checksum(usage, PLAIN, head)));
    const refused: [Uint8Array, string][] = [
      [signature(filled({ id: 5 })), "malformed"],
      [signature(filled({ extra: 0xfffe })), "malformed"],
      [signature(filled({ extra: 0xfeff })), "malformed"],
      [signature(filled({ rotation: 0xfeff })), "malformed"],
      [signature(filled({ rotation: 0xfffe })), "malformed"],
      [signature(changed(filled(), 3, 0)), "malformed"],
      [signature().subarray(0, -1), "malformed"],
      [pinnedCopy(join(signature(), Uint8Array.of(0))), "malformed"],
      [changed(signature(), 20, 0), "altered"],
      [signature(filled({ flags: 0 }), USAGES.initiator.sign), "altered"],
    ];
    for (const [bytes, expected] of refused) {
      assertEquals(reason(() => sealing.verify(PLAIN, bytes)), expected, `${bytes}`);
    }
    // Nothing of what was refused counts as arrived.
    assertEquals(sealing.verify(PLAIN, signature()), 0);
    assertEquals(sealing.verify(PLAIN, signature()), GSS_S.DUPLICATE_TOKEN);
    assertEquals(sealing.open(record({ number: 0x1ff })).major, 0);
  }), { skip });

test(
  "AcceleratedSealing refuses a record that does not fit, or has more bytes than libcrypto can count",
  () =>
    withEnd({}, ({ sealing, macBytes }) => {
      for (const encrypt of [true, false]) {
        const overhead = 16 + (encrypt ? 32 : 0) + macBytes;
        const small = pinned(PLAIN.length + overhead - 1);
        assertThrows(() => sealing.seal(PLAIN, small, encrypt), RangeError, `needs ${small.length + 1}`);
        assertEquals(small, new Uint8Array(small.length));
        // Not read or written: such a record is refused before.
        const large = { length: 2 ** 31 } as Uint8Array;
        const plain = { length: 2 ** 31 - overhead } as Uint8Array;
        assertThrows(() => sealing.seal(plain, large, encrypt), RangeError, "one record cannot have so many");
        // One byte less is not refused for its length: it is then found to be no array.
        const longest = { length: plain.length - 1 } as Uint8Array;
        assertThrows(() => sealing.seal(longest, large, encrypt), TypeError);
      }
      const record = header({ flags: 3 });
      Object.defineProperty(record, "length", { value: 2 ** 31, configurable: true });
      assertEquals(reason(() => sealing.open(record)), "malformed");
      Object.defineProperty(record, "length", { value: 2 ** 31 - 1 });
      assertThrows(() => sealing.open(record), AuthenticationError, "EVP_CipherUpdate");
    }),
  { skip },
);

test("AcceleratedSealing: a detached record is the record, with what follows its data in the header", () => {
  for (const encrypt of [true, false]) {
    withEnd({}, (end) => {
      const { sealing, macBytes, checksum } = end;
      const data = PLAIN.slice();
      const head = sealing.sealDetached(data, encrypt);
      assertEquals(head.length, (encrypt ? 48 : 16) + macBytes);
      const rotation = encrypt ? 16 + macBytes : macBytes;
      const fields = { flags: encrypt ? 2 : 0, rotation, extra: encrypt ? 0 : macBytes, number: 0xfe };
      assertEquals([...head.subarray(0, 16)], [...header(fields)]);
      if (!encrypt) {
        const signed = checksum(USAGES.initiator.seal, PLAIN, numbered(5, 0, 0xfe));
        assertEquals([[...head.subarray(16)], [...data]], [[...signed], [...PLAIN]]);
      } else assertNotEquals(data, PLAIN);

      // From the peer: as it would be in one piece, and rotated.
      const whole = fromPeer(end, { flags: encrypt ? 3 : 1 });
      const own = rotated(whole, rotation);
      const at = own.length - PLAIN.length;
      const [before, sent] = [own.slice(0, at), own.slice(at)];
      for (const other of [rotation - 1, rotation + 1, rotation + 256]) {
        const wrong = before.slice();
        new DataView(wrong.buffer).setUint16(6, other);
        assertEquals(reason(() => sealing.openDetached(wrong, sent.slice())), "malformed");
      }
      // The bytes are the same, divided elsewhere.
      for (const by of [-1, 1]) {
        assertEquals(
          reason(() => sealing.openDetached(own.slice(0, at + by), own.slice(at + by))),
          "malformed",
        );
      }
      assertEquals(reason(() => sealing.openDetached(before.slice(0, 15), sent.slice())), "malformed");
      const opened = sealing.openDetached(before, sent);
      assertEquals(opened, { major: 0, encrypted: encrypt, plain: sent });
      assertEquals(sent, PLAIN);
      assertEquals([...before], [...own.subarray(0, at)]);
      if (encrypt) {
        // Filler would be counted as data.
        const filled = rotated(fromPeer(end, { flags: 3, extra: 4, number: 0x1ff }), rotation);
        const parts = [filled.slice(0, at), filled.slice(at)];
        assertEquals(reason(() => sealing.openDetached(parts[0], parts[1])), "malformed");
      }
    });
  }
}, { skip });

test(
  "AcceleratedSealing leaves no copy of detached data, also where libcrypto fails, and frees its keys",
  () => {
    const seen: Uint8Array[] = [];
    let [fails, open] = [false, 0];
    const counted = <T extends { close(): void }>(object: T): T => {
      open++;
      const close = object.close.bind(object);
      return Object.assign(object, { close: () => (open--, close()) });
    };
    const spy = (real: RecordCrypto) =>
      ({
        hmac: real.hmac.bind(real),
        encryptBlock: real.encryptBlock.bind(real),
        mac: (...args: Parameters<RecordCrypto["mac"]>) => counted(real.mac(...args)),
        cipher: (...args: Parameters<RecordCrypto["cipher"]>) => {
          const cipher = counted(real.cipher(...args));
          const run = cipher.run.bind(cipher);
          return Object.assign(cipher, {
            run: (message: Uint8Array) => {
              seen.push(message);
              if (fails) throw new Error("injected");
              run(message);
            },
          });
        },
      }) as unknown as RecordCrypto;
    withEnd({ crypto: spy, subkey: true }, (end) => {
      fails = true;
      assertThrows(() => end.sealing.sealDetached(PLAIN.slice(), true), Error, "injected");
      fails = false;
      end.sealing.sign(PLAIN);
      end.sealing.seal(PLAIN, pinned(100), false);
      // By the key of the session, which the acceptor's subkey replaced.
      const record = rotated(fromPeer(end, { flags: 3 }), 16 + end.macBytes);
      const at = record.length - PLAIN.length;
      const data = record.slice(at);
      assert(end.sealing.openDetached(record.slice(0, at), data).encrypted);
      assertEquals(data, PLAIN);
      assertEquals(open, 6);
      end.sealing.close();
      assertEquals(open, 0);
    });
    assertEquals(seen.map((bytes) => bytes.every((byte) => byte === 0)), [true, true]);
  },
  { skip },
);

test(
  "AcceleratedSealing: the library opens what arrives after SPNEGO until it finds a token in order",
  () => {
    const signatureOf = (end: End, number: number): Uint8Array => {
      const head = end.header({ id: 4, flags: 1, extra: 0xffff, rotation: 0xffff, number });
      return pinnedCopy(join(head, end.checksum(USAGES.acceptor.sign, PLAIN, head)));
    };
    const uses: readonly [fn: string, (end: End, number: number) => number][] = [
      ["gss_unwrap_iov", (end, number) => end.sealing.open(fromPeer(end, { flags: 1, number })).major],
      [
        "gss_unwrap_iov",
        (end, number) => end.sealing.openDetached(fromPeer(end, { flags: 1, number }), PLAIN.slice()).major,
      ],
      // The library of the test compares signatures in this way.
      ["", (end, number) => {
        const signature = signatureOf(end, number);
        return end.sealing.verify(signature.map((byte) => byte ^ 0x5a), signature);
      }],
    ];
    for (const [fn, use] of uses) {
      withEnd({ rules: { negotiated: true } }, (end) => {
        const { library } = end;
        library.major = GSS_S.GAP_TOKEN;
        assertEquals(use(end, 0x200), GSS_S.GAP_TOKEN);
        library.major = 0;
        library.calls.length = 0;
        assertEquals(use(end, 0x1ff), 0);
        assertEquals(library.calls.some(([called]) => called === fn), fn !== "");
        library.calls.length = 0;
        assertEquals(uses[0][1](end, 0x200), 0);
        assertEquals(end.sealing.verify(PLAIN, signatureOf(end, 0x201)), 0);
        assertEquals(library.calls, []);
      });
    }
    withEnd({ rules: { negotiated: true } }, ({ sealing }) => {
      for (const bytes of [new Uint8Array(15), header({ id: 6, flags: 1 }), header({ id: 3, flags: 1 })]) {
        assertEquals(reason(() => sealing.open(pinnedCopy(bytes))), "malformed");
        assertEquals(reason(() => sealing.verify(PLAIN, bytes)), "malformed");
      }
    });
  },
  { skip },
);

test(
  "acceleratedSealing() returns null for an encryption type of another kind or length, and overwrites the keys",
  () => {
    using system = new NativeSystem({ grants: ["sspi"] });
    const crypto = openRecordCrypto(system);
    const sealing = (changes: Parameters<typeof describe>[1], with_ = crypto): Sealing | null => {
      const library = new FakeGss();
      describe(library, changes);
      Object.defineProperty(library.gss, "recordCrypto", { value: with_ });
      const found = acceleratedSealing(library.gss, CONTEXT, RULES);
      const left = (): boolean =>
        library.copies.some((copy) => copy.length >= 16 && copy.every((byte, at) => byte === KEY[at]));
      assertEquals(left(), found !== null);
      if (found === null) return null;
      found.seal(PLAIN, pinned(100), true);
      found.close();
      assertEquals(left(), false);
      for (const use of [() => found.seal(PLAIN, pinned(100), true), () => found.sign(PLAIN)]) {
        assertThrows(use, StateError, "The keys of this context are closed");
      }
      return found;
    };
    assert(sealing({}) !== null);
    assert(sealing({ have_acceptor_subkey: 0 }) !== null);
    assertEquals(sealing({ cfx_key_type: 23 }), null);
    assertEquals(sealing({ acceptor_subkey_type: 16 }), null);
    assertEquals(sealing({ cfx_key_type: 17 }), null);
    assertEquals(sealing({ acceptor_subkey_type: 18 }), null);
    assertEquals(sealing({ protocol: 0 }), null);
    assertEquals(sealing({}, null), null);
  },
  { skip },
);
