/**
 * NTLMv2 written a second time, over node:crypto, for the tests: a client and a server whose messages can be bent in
 * every way that the real ones never would.
 */

import { createHash, createHmac } from "node:crypto";
import { utf16 } from "./vectors.ts";

export const FLAG = {
  unicode: 0x1,
  oem: 0x2,
  requestTarget: 0x4,
  sign: 0x10,
  seal: 0x20,
  ntlm: 0x200,
  anonymous: 0x800,
  alwaysSign: 0x8000,
  extended: 0x80000,
  targetInfo: 0x800000,
  version: 0x2000000,
  key128: 0x20000000,
  keyExchange: 0x40000000,
} as const;
/** What Chromium sends, and curl: no keys, no signatures; curl no Unicode either. */
export const [CHROMIUM, CURL] = [0x00088207, 0x00088206] as const;
/** All that this library asks for. */
export const FULL: number = Object.entries(FLAG).filter(([name]) => name !== "anonymous" && name !== "oem")
  .reduce((sum, [, bit]) => sum | bit, 0);

export const AV = { computer: 1, domain: 2, flags: 6, timestamp: 7, target: 9, bindings: 10 } as const;
/** AV pairs by id. */
export type Pairs = [id: number, value: Uint8Array][];

export const join = (...parts: Uint8Array[]): Uint8Array<ArrayBuffer> =>
  Uint8Array.from(parts.flatMap((part) => [...part]));
export const hmac = (key: Uint8Array, ...parts: Uint8Array[]): Uint8Array<ArrayBuffer> =>
  Uint8Array.from(createHmac("md5", key).update(join(...parts)).digest());
export const u32 = (value: number): Uint8Array<ArrayBuffer> =>
  new Uint8Array(Uint32Array.of(value >>> 0).buffer);

/** The hash that stands for channel bindings. */
export function bindingsHash(bindings: Uint8Array): Uint8Array {
  const data = join(new Uint8Array(16), u32(bindings.length), bindings);
  return Uint8Array.from(createHash("md5").update(data).digest());
}

/** RC4 from its beginning. */
export function rc4(key: Uint8Array, data: Uint8Array): Uint8Array {
  const table = Uint8Array.from({ length: 256 }, (_, i) => i);
  const swap = (a: number, b: number) => [table[a], table[b]] = [table[b], table[a]];
  for (let i = 0, j = 0; i < 256; i++) swap(i, j = (j + table[i] + key[i % key.length]) & 255);
  let i = 0, j = 0;
  return data.map((byte) => {
    i = (i + 1) & 255;
    swap(i, j = (j + table[i]) & 255);
    return byte ^ table[(table[i] + table[j]) & 255];
  });
}

/** A message of `type`; `head` are its fixed parts, a piece among them becomes a field. */
function message(
  type: number,
  head: readonly (Uint8Array | { piece: Uint8Array })[],
  order: number[] = [],
): Uint8Array {
  const size = 12 + head.reduce((sum, part) => sum + (part instanceof Uint8Array ? part.length : 8), 0);
  const pieces = head.flatMap((part) => part instanceof Uint8Array ? [] : [part.piece]);
  const sequence = order.length > 0 ? order : pieces.map((_, i) => i);
  const offsets: number[] = [];
  let next = size;
  for (const index of sequence) {
    offsets[index] = next;
    next += pieces[index].length;
  }
  let field = 0;
  const parts = head.map((part) => {
    if (part instanceof Uint8Array) return part;
    const { length } = part.piece;
    return join(new Uint8Array(Uint16Array.of(length, length).buffer), u32(offsets[field++]));
  });
  return join(
    new TextEncoder().encode("NTLMSSP\0"),
    u32(type),
    ...parts,
    ...sequence.map((index) => pieces[index]),
  );
}

/** The first message. */
export function negotiate(flags: number = FULL): Uint8Array {
  return message(1, [
    u32(flags),
    { piece: new Uint8Array(0) },
    { piece: new Uint8Array(0) },
    new Uint8Array(8),
  ]);
}

/** A list of AV pairs with its end. */
export function pairs(list: Pairs): Uint8Array {
  const all: Pairs = [...list, [0, new Uint8Array(0)]];
  return join(
    ...all.map(([id, value]) => join(new Uint8Array(Uint16Array.of(id, value.length).buffer), value)),
  );
}

/** The AV pairs of a server that says all it should. */
export const SERVER_PAIRS: Pairs = [
  [AV.domain, utf16("EXAMPLE")],
  [AV.computer, utf16("HOST")],
  [AV.timestamp, Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 1)],
];

/** The second message. */
export function challenge(flags: number = FULL, info: Uint8Array = pairs(SERVER_PAIRS)): Uint8Array {
  const nonce = Uint8Array.of(8, 7, 6, 5, 4, 3, 2, 1);
  return message(2, [
    { piece: utf16("HOST") },
    u32(flags),
    nonce,
    new Uint8Array(8),
    { piece: info },
    new Uint8Array(8),
  ]);
}

/** What a second message says. */
export function readChallenge(token: Uint8Array): { flags: number; nonce: Uint8Array; info: Pairs } {
  const view = new DataView(token.buffer, token.byteOffset, token.length), info: Pairs = [];
  for (let at = view.getUint32(44, true); view.getUint16(at, true) !== 0;) {
    const length = view.getUint16(at + 2, true);
    info.push([view.getUint16(at, true), token.slice(at + 4, at + 4 + length)]);
    at += 4 + length;
  }
  return { flags: view.getUint32(20, true), nonce: token.slice(24, 32), info };
}

/** How a third message is made, and bent. */
export interface Answer {
  hash: Uint8Array;
  username?: Uint8Array;
  domain?: Uint8Array;
  flags?: number;
  /** The AV pairs; left out: the server's, and flags that announce the code. */
  info?: Pairs;
  /** Takes the place of the whole NT answer. */
  ntAnswer?: Uint8Array;
  encryptedKey?: Uint8Array;
  /** False: the message has neither the code nor room for it. */
  code?: boolean;
  sessionKey?: Uint8Array;
}

/** The third message, to the first two. */
export function authenticate(first: Uint8Array, second: Uint8Array, answer: Answer): Uint8Array {
  const { nonce, info, flags } = readChallenge(second);
  const username = answer.username ?? utf16("alice"), domain = answer.domain ?? utf16("EXAMPLE");
  const key = hmac(answer.hash, upper(username), domain);
  const list = answer.info ?? [...info, [AV.flags, u32(2)]] as Pairs;
  const clientNonce = Uint8Array.of(1, 1, 2, 2, 3, 3, 4, 4);
  const blob = join(
    Uint8Array.of(1, 1),
    new Uint8Array(14),
    clientNonce,
    new Uint8Array(4),
    pairs(list),
    new Uint8Array(4),
  );
  const proof = hmac(key, nonce, blob), agreed = answer.flags ?? (flags & (FULL | FLAG.oem));
  const exchanges = (agreed & FLAG.keyExchange) !== 0;
  const sessionKey = answer.sessionKey ?? (exchanges ? new Uint8Array(16).fill(0x33) : hmac(key, proof));
  const written = (name: Uint8Array): Uint8Array =>
    (flags & FLAG.unicode) === 0 ? name.filter((_, at) => at % 2 === 0) : name;
  const head = [
    { piece: new Uint8Array(24) },
    { piece: answer.ntAnswer ?? join(proof, blob) },
    { piece: written(domain) },
    { piece: written(username) },
    { piece: new Uint8Array(0) },
    { piece: answer.encryptedKey ?? (exchanges ? rc4(hmac(key, proof), sessionKey) : new Uint8Array(0)) },
    u32(agreed),
    ...(answer.code === false ? [] : [new Uint8Array(8), new Uint8Array(16)]),
  ];
  const third = message(3, head);
  if (answer.code !== false) third.set(hmac(sessionKey, first, second, third), 72);
  return third;
}

/** ASCII upper case of UTF-16: all the tests need. */
function upper(units: Uint8Array): Uint8Array {
  return units.map((byte, i) =>
    i % 2 === 0 && byte >= 0x61 && byte <= 0x7a && units[i + 1] === 0 ? byte - 32 : byte
  );
}

/** One direction of a session. */
export class Records {
  readonly #signKey: Uint8Array;
  readonly #sealKey: Uint8Array;
  #used = 0;
  #number = 0;

  constructor(sessionKey: Uint8Array, direction: "client-to-server" | "server-to-client") {
    const derive = (use: string) =>
      Uint8Array.from(
        createHash("md5").update(sessionKey).update(`session key to ${direction} ${use} key magic constant\0`)
          .digest(),
      );
    this.#signKey = derive("signing");
    this.#sealKey = derive("sealing");
  }

  /** The record of the next message, or its signature alone. */
  wrap(plain: Uint8Array, sealed = true): Uint8Array {
    const data = sealed ? this.#cipher(plain) : plain, number = u32(this.#number++);
    const code = this.#cipher(hmac(this.#signKey, number, plain).slice(0, 8));
    return join(u32(1), code, number, data);
  }

  #cipher(data: Uint8Array): Uint8Array {
    const stream = rc4(this.#sealKey, join(new Uint8Array(this.#used), data)).slice(this.#used);
    this.#used += data.length;
    return stream;
  }
}
