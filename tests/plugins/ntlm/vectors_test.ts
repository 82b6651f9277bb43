import { assertEquals } from "@std/assert";
import { test } from "@test";
import { createHash, createHmac } from "node:crypto";
import { inside } from "./inside.ts";
import * as vectors from "./vectors.ts";
import { bytes, utf16 } from "./vectors.ts";

const md5 = (...parts: Uint8Array[]) => {
  const hash = createHash("md5");
  for (const part of parts) hash.update(part);
  return Uint8Array.from(hash.digest());
};
const hmac = (key: Uint8Array, ...parts: Uint8Array[]) => {
  const code = createHmac("md5", key);
  for (const part of parts) code.update(part);
  return Uint8Array.from(code.digest());
};
const ascii = (text: string) => new TextEncoder().encode(text);

test("the password of [MS-NLMP] 4.2 gives the published NT hash", async () => {
  const guest = await inside();
  assertEquals(guest.key("hash", utf16(vectors.PASSWORD)), vectors.NT_HASH);
});

test("MD4 gives the digests of RFC 1320", async () => {
  const guest = await inside();
  const digests = {
    "": "31d6cfe0d16ae931b73c59d7e0c089c0",
    "a": "bde52cb31de33e46245e05fbdbd6fb24",
    "abc": "a448017aaf21d8525fc10ae87aa6729d",
    "message digest": "d9130a8164549fe818874806e1c7014b",
    "abcdefghijklmnopqrstuvwxyz": "d79e1c308aa5bbcdeea8ed63df412da9",
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789": "043f8582f241db351ce627e153e7f0e4",
    "12345678901234567890123456789012345678901234567890123456789012345678901234567890":
      "e33b4ddc9c38f2199c3e7b164fcc0536",
  };
  for (const [text, digest] of Object.entries(digests)) {
    assertEquals(guest.key("md4", ascii(text)), bytes(digest), JSON.stringify(text));
  }
});

test(
  "MD5 and HMAC-MD5 agree with node:crypto at every length around a block, in one piece and in two",
  async () => {
    const guest = await inside();
    for (let length = 0; length < 200; length++) {
      guest.reset();
      const data = Uint8Array.from({ length }, (_, i) => i * 7 + length);
      const at = guest.put(data), half = length >> 1, to = guest.place(16);
      guest.exports.md5Begin();
      guest.exports.md5Update(at, half);
      guest.exports.md5Update(at + half, length - half);
      guest.exports.md5End(to);
      assertEquals(guest.get(to, 16), md5(data), `MD5 of ${length} bytes`);
      const code = guest.key("hmac", guest.put(vectors.NT_HASH), at, length);
      assertEquals(code, hmac(vectors.NT_HASH, data), `HMAC-MD5 of ${length} bytes`);
    }
  },
);

test("RC4 gives the key streams of RFC 6229, and the same in pieces and in place", async () => {
  const guest = await inside();
  const key = bytes("0102030405060708090a0b0c0d0e0f10");
  const stream = bytes("9ac7cc9a609d1ef7b2932899cde41b975248c4959014126a6e8a84f11d1a9e1c");
  for (const pieces of [[32], [1, 31], [7, 8, 17], Array(32).fill(1)]) {
    const state = guest.place(1032), at = guest.put(new Uint8Array(32));
    guest.exports.rc4Init(state, guest.put(key), key.length);
    let from = at;
    for (const length of pieces) {
      guest.exports.rc4(state, from, from, length);
      from += length;
    }
    assertEquals(guest.get(at, 32), stream, `pieces of ${pieces}`);
  }
});

test("RC4 and MD5 in one pass give what each gives alone, for every length, and go on from there", async () => {
  const guest = await inside();
  const { exports } = guest;
  const key = bytes("0102030405060708090a0b0c0d0e0f10");
  for (let length = 0; length < 420; length++) {
    for (const before of [0, 4, 63]) {
      guest.reset();
      const head = Uint8Array.from({ length: before }, (_, index) => index);
      const plain = Uint8Array.from({ length }, (_, index) => index * 7 + length);
      const [alone, together] = [guest.place(1032), guest.place(1032)];
      for (const state of [alone, together]) exports.rc4Init(state, guest.put(key), key.length);
      const expected = guest.place(length + 9), sealed = guest.place(length), opened = guest.place(length);
      const to = guest.place(16), first = guest.put(head), from = guest.put(plain);
      exports.rc4(alone, from, expected, length);
      exports.md5Begin();
      exports.md5Update(first, before);
      exports.encryptAndDigest(together, from, sealed, length, before);
      exports.md5End(to);
      const what = `${length} bytes behind ${before}`;
      assertEquals(guest.get(to, 16), md5(head, plain), what);
      assertEquals(guest.get(sealed, length), guest.get(expected, length), what);
      assertEquals(guest.get(together, 1032), guest.get(alone, 1032), what);
      exports.rc4Init(together, guest.put(key), key.length);
      exports.md5Begin();
      exports.md5Update(first, before);
      exports.decryptAndDigest(together, sealed, opened, length, before);
      exports.md5End(to);
      assertEquals(guest.get(to, 16), md5(head, plain), what);
      assertEquals(guest.get(opened, length), plain, what);
      assertEquals(guest.get(together, 1032), guest.get(alone, 1032), what);
    }
  }
});

test("every key of [MS-NLMP] 4.2.4 is the published one, and the one that node:crypto computes", async () => {
  const guest = await inside();
  const names = [utf16(vectors.USER), utf16(vectors.DOMAIN)];
  const responseKey = guest.key("respond", guest.put(vectors.NT_HASH), ...names);
  assertEquals(responseKey, vectors.RESPONSE_KEY);
  assertEquals(responseKey, hmac(vectors.NT_HASH, utf16(vectors.USER.toUpperCase()), names[1]));

  const proof = guest.key("prove", guest.put(responseKey), guest.put(vectors.SERVER_CHALLENGE), vectors.BLOB);
  assertEquals(proof, vectors.PROOF);
  assertEquals(proof, hmac(vectors.RESPONSE_KEY, vectors.SERVER_CHALLENGE, vectors.BLOB));

  const baseKey = guest.key("baseKey", guest.put(responseKey), guest.put(proof));
  assertEquals(baseKey, vectors.BASE_KEY);
  assertEquals(baseKey, hmac(vectors.RESPONSE_KEY, vectors.PROOF));

  const encrypted = guest.key("exchangeKey", guest.put(baseKey), guest.put(vectors.SESSION_KEY));
  assertEquals(encrypted, vectors.ENCRYPTED_KEY);
  assertEquals(guest.key("exchangeKey", guest.put(baseKey), guest.put(encrypted)), vectors.SESSION_KEY);
});

test("the client's blob of [MS-NLMP] 4.2.4.1.3 is the published one", async () => {
  const guest = await inside();
  guest.exports.blob(0n, ...guest.flat([guest.put(vectors.CLIENT_CHALLENGE), vectors.TARGET_INFO]));
  assertEquals(guest.written(), vectors.BLOB);
});

test("the challenge of [MS-NLMP] 4.2.4.3 is the published one, except for the product's version", async () => {
  const guest = await inside();
  const nonce = guest.put(vectors.SERVER_CHALLENGE);
  const pieces = [utf16(vectors.SERVER), vectors.TARGET_INFO];
  guest.exports.challenge(vectors.CHALLENGE_FLAGS, ...guest.flat([nonce, ...pieces]));
  const expected = vectors.CHALLENGE.slice();
  expected.fill(0, 48, 55);
  assertEquals(guest.written(), expected);
});

test(
  "the authentication message has the published pieces, no LM answer, and a code over all three messages",
  async () => {
    const guest = await inside();
    const names = [vectors.DOMAIN, vectors.USER, vectors.WORKSTATION].map(utf16);
    const all = guest.put(Uint8Array.from(names.flatMap((name) => [...name])));
    const lengths = names.map((name) => name.length);
    const [proof, key] = [guest.put(vectors.PROOF), guest.put(vectors.ENCRYPTED_KEY)];
    guest.exports.authenticate(
      vectors.AUTHENTICATE_FLAGS,
      all,
      ...lengths,
      proof,
      ...guest.flat([vectors.BLOB]),
      key,
    );
    const message = guest.written(), view = new DataView(message.buffer);
    const field = (at: number) => {
      const start = view.getUint32(at + 4, true);
      return message.slice(start, start + view.getUint16(at, true));
    };
    assertEquals(field(12), new Uint8Array(24), "LM answer");
    assertEquals(field(20), Uint8Array.from([...vectors.PROOF, ...vectors.BLOB]), "NT answer");
    assertEquals([field(28), field(36), field(44)], names);
    assertEquals(field(52), vectors.ENCRYPTED_KEY);
    assertEquals(view.getUint32(60, true), vectors.AUTHENTICATE_FLAGS);

    const three = Uint8Array.from([...ascii("first"), ...vectors.CHALLENGE, ...message]);
    const lengthsOfThree = [5, vectors.CHALLENGE.length, message.length];
    const code = guest.key("code", guest.put(vectors.SESSION_KEY), guest.put(three), ...lengthsOfThree);
    assertEquals(code, hmac(vectors.SESSION_KEY, three));
  },
);

test("the sealed message of [MS-NLMP] 4.2.4.4 is the published one, and opens", async () => {
  const guest = await inside();
  const purpose = (use: string) => ascii(`session key to client-to-server ${use} key magic constant\0`);
  assertEquals(md5(vectors.SESSION_KEY, purpose("sealing")), vectors.SEAL_KEY);
  assertEquals(md5(vectors.SESSION_KEY, purpose("signing")), vectors.SIGN_KEY);
  assertEquals(hmac(vectors.SIGN_KEY, new Uint8Array(4), vectors.PLAIN).slice(0, 8), vectors.CHECKSUM);

  guest.exports.begin(guest.put(vectors.SESSION_KEY), 1);
  const length = vectors.PLAIN.length, record = guest.place(length + 16), plain = guest.place(length);
  guest.exports.wrap(guest.put(vectors.PLAIN), length, 1, record);
  assertEquals(guest.get(record, 16), vectors.SIGNATURE);
  assertEquals(guest.get(record + 16, length), vectors.SEALED);
  assertEquals(guest.exports.unwrap(record, length + 16, 1, plain), -1);
  assertEquals(guest.get(plain, length), vectors.PLAIN);
});

test("channel bindings hash to MD5 of a gss_channel_bindings_struct without addresses", async () => {
  const guest = await inside();
  const data = ascii("tls-server-end-point:0123456789abcdef");
  const head = new Uint8Array(20);
  head[16] = data.length;
  assertEquals(guest.key("bindings", data), md5(head, data));
});
