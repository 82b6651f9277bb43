/**
 * Records of SSPI byte by byte, with a secur32.dll that lays its tokens out as Windows does: TOKEN, DATA, PADDING
 * when wrapping, one STREAM and an empty DATA when unwrapping. Wine cannot test this path, because its order differs.
 */

import { assertEquals, assertThrows } from "@std/assert";
import { test } from "@test";
import { ProtocolError, StateError } from "../../../../errors.ts";
import type { Memory } from "../../../../ffi/memory/memory.ts";
import { MemoryBlock } from "../../../../ffi/memory/block.ts";
import { SECBUFFER, SecPkgContext_Sizes, SECQOP_WRAP_NO_ENCRYPT } from "../../../../ffi/raw/secur32.ts";
import { SspiRecords } from "../../../../ffi/security/sspi/records.ts";
import type { Sspi } from "../../../../ffi/security/sspi/sspi.ts";
import { type BufferPart, bufferParts, FakeMemory } from "../../../support/fake_secur32.ts";

type Handler = (parts: BufferPart[], memory: FakeMemory, qop: { value: number }) => number;

interface Fake {
  trailer?: number;
  block?: number;
  encrypt?: Handler;
  decrypt?: Handler;
  sign?: Handler;
  verify?: Handler;
  signature?: number;
  noSizes?: boolean;
}

function records(fake: Fake, rules = { encrypts: true, mustBeEncrypted: true }): SspiRecords {
  const memory = new FakeMemory();
  const parts = (desc: Uint8Array): BufferPart[] => bufferParts(memory, desc);
  const sspi = {
    memory: memory as unknown as Memory,
    attribute: (_context: Uint8Array, _attribute: number, layout: unknown) =>
      layout === SecPkgContext_Sizes && !fake.noSizes
        ? {
          cbMaxToken: 12_000,
          cbMaxSignature: fake.signature ?? 50,
          cbBlockSize: fake.block ?? 1,
          cbSecurityTrailer: fake.trailer ?? 60,
        }
        : null,
    recordFailure: (fn: string, status: number) => new ProtocolError("altered", `${fn} ${status}`),
    call: {
      EncryptMessage: (_context: Uint8Array, qop: number, desc: Uint8Array) =>
        fake.encrypt!(parts(desc), memory, { value: qop }),
      MakeSignature: (_context: Uint8Array, qop: number, desc: Uint8Array, sequence: number) => {
        assertEquals([qop, sequence], [0, 0]);
        return fake.sign!(parts(desc), memory, { value: qop });
      },
      VerifySignature: (_context: Uint8Array, desc: Uint8Array, sequence: number, _qop: Uint8Array) => {
        assertEquals(sequence, 0);
        return fake.verify!(parts(desc), memory, { value: 0 });
      },
      DecryptMessage: (_context: Uint8Array, desc: Uint8Array, _sequence: number, out: Uint8Array) => {
        const qop = { value: 0 };
        const status = fake.decrypt!(parts(desc), memory, qop);
        new DataView(out.buffer, out.byteOffset).setUint32(0, qop.value, true);
        return status;
      },
    },
  };
  const block = new MemoryBlock(sspi.memory, SspiRecords.parts);
  return new SspiRecords(sspi as unknown as Sspi, new Uint8Array(16), rules, block);
}

const plain = Uint8Array.of(1, 2, 3, 4, 5);

/** Windows: the token first, the message encrypted in place, padding after it. */
function windowsEncrypt(tokenLength: number, paddingLength: number): Handler {
  return (parts, memory) => {
    const [token, data, padding] = parts;
    memory.at(token.address, tokenLength).fill(0xaa);
    memory.at(data.address, data.length).forEach((byte, index, all) => all[index] = byte ^ 0xff);
    memory.at(padding.address, paddingLength).fill(0xbb);
    token.set(tokenLength);
    padding.set(paddingLength);
    return 0;
  };
}

test("wrap() writes TOKEN, DATA, PADDING, also with a shorter token", () => {
  for (const tokenLength of [16, 60, 76, 128]) {
    for (const paddingLength of [0, 3, 8]) {
      const sealed = records({ block: 8, encrypt: windowsEncrypt(tokenLength, paddingLength) });
      const record = sealed.wrap(plain, new Uint8Array(plain.length + sealed.maxOverhead));
      assertEquals([...record], [
        ...Array(tokenLength).fill(0xaa),
        ...plain.map((byte) => byte ^ 0xff),
        ...Array(paddingLength).fill(0xbb),
      ]);
    }
  }
  assertEquals([...plain], [1, 2, 3, 4, 5], "the message is as it was");
});

test("wrap() passes the buffers in Windows' order, with space for what Windows may write", () => {
  let seen: [number, number][] = [];
  const sealed = records({
    trailer: 200,
    block: 16,
    encrypt: (parts) => {
      seen = parts.map(({ type, length }) => [type, length]);
      const [token, data, padding] = parts;
      assertEquals(data.address - token.address, 200n);
      assertEquals(padding.address - data.address, BigInt(plain.length));
      token.set(200);
      padding.set(0);
      return 0;
    },
  });
  sealed.wrap(plain, new Uint8Array(plain.length + sealed.maxOverhead));
  assertEquals(seen, [[SECBUFFER.TOKEN, 200], [SECBUFFER.DATA, plain.length], [SECBUFFER.PADDING, 16]]);
});

test("wrap() requests signing only with SECQOP_WRAP_NO_ENCRYPT", () => {
  let asked = -1;
  const encrypt: Handler = (parts, _memory, qop) => {
    asked = qop.value;
    parts[2].set(0);
    return 0;
  };
  for (const [encrypts, expected] of [[true, 0], [false, SECQOP_WRAP_NO_ENCRYPT]] as const) {
    const sealed = records({ encrypt }, { encrypts, mustBeEncrypted: false });
    sealed.wrap(plain, new Uint8Array(plain.length + sealed.maxOverhead));
    assertEquals(asked >>> 0, expected >>> 0);
  }
});

test("wrap() refuses a token or padding that is too long, or data of another length", () => {
  const lies: Handler[] = [
    (parts) => (parts[0].set(500), parts[2].set(0), 0),
    (parts) => (parts[2].set(2), 0),
    (parts) => (parts[1].set(plain.length + 1), parts[2].set(0), 0),
    () => 0x80090301,
  ];
  for (const encrypt of lies) {
    const sealed = records({ encrypt });
    assertThrows(() => sealed.wrap(plain, new Uint8Array(plain.length + sealed.maxOverhead)), ProtocolError);
  }
});

/** Windows: leaves the plain text inside the stream and sets the DATA buffer to its address. */
function windowsDecrypt(at: number, length: number, quality = 0): Handler {
  return ([stream, data], memory, qop) => {
    assertEquals([stream.type, data.type, data.length], [SECBUFFER.STREAM, SECBUFFER.DATA, 0]);
    memory.at(stream.address + BigInt(at), length).set(plain.subarray(0, length));
    data.set(length, stream.address + BigInt(at));
    qop.value = quality;
    return 0;
  };
}

test("unwrap() returns the plain text at the returned buffer's address", () => {
  for (const at of [0, 16, 60, 95]) {
    const opened = records({ decrypt: windowsDecrypt(at, plain.length) }).unwrap(new Uint8Array(100));
    assertEquals([...opened], [...plain]);
  }
  assertEquals(records({ decrypt: windowsDecrypt(60, 0) }).unwrap(new Uint8Array(60)).length, 0);
});

test("unwrap() refuses plain text outside the record", () => {
  for (const [offset, length] of [[-1n, 5], [96n, 5], [0n, 101], [1n << 40n, 5]] as const) {
    const decrypt: Handler = ([stream, data]) => (data.set(length, stream.address + offset), 0);
    assertThrows(() => records({ decrypt }).unwrap(new Uint8Array(100)), ProtocolError);
  }
});

test("unwrap() refuses a record with a status other than 0, although there is plain text", () => {
  for (const status of [0x8009030f, 0x00090321]) {
    const decrypt: Handler = (...all) => (windowsDecrypt(16, plain.length)(...all), status);
    const expected = `DecryptMessage ${status}`;
    assertThrows(() => records({ decrypt }).unwrap(new Uint8Array(100)), ProtocolError, expected);
    assertThrows(() => records({ decrypt }).unwrapAny(new Uint8Array(100)), ProtocolError, expected);
  }
});

test("unwrap() refuses a record that is signed but not encrypted where encryption is required, and only there", () => {
  const decrypt = windowsDecrypt(16, plain.length, SECQOP_WRAP_NO_ENCRYPT);
  const error = assertThrows(() => records({ decrypt }).unwrap(new Uint8Array(100)), ProtocolError);
  assertEquals(error.reason, "not-encrypted");
  const lax = { encrypts: false, mustBeEncrypted: false };
  assertEquals([...records({ decrypt }, lax).unwrap(new Uint8Array(100))], [...plain]);
});

test("wrapUnencrypted() requests signing only, even where encryption was agreed on", () => {
  const qualities: number[] = [];
  const encrypt: Handler = (parts, memory, qop) => {
    qualities.push(qop.value);
    return windowsEncrypt(44, 0)(parts, memory, qop);
  };
  const made = records({ encrypt });
  made.wrapUnencrypted(plain, new Uint8Array(plain.length + made.maxOverhead));
  made.wrap(plain, new Uint8Array(plain.length + made.maxOverhead));
  assertEquals(qualities, [SECQOP_WRAP_NO_ENCRYPT, 0]);
});

test("wrapSizeLimit() leaves space for the largest overhead, and is never negative", () => {
  const made = records({});
  assertEquals(made.wrapSizeLimit(1000), 1000 - made.maxOverhead);
  assertEquals(made.wrapSizeLimit(made.maxOverhead - 1), 0);
});

test("wrapDetached() returns only the token, and wraps the data in place", () => {
  const data = plain.slice();
  const header = records({ encrypt: windowsEncrypt(44, 0) }).wrapDetached(data);
  assertEquals(header.length, 44);
  assertEquals(data, plain.map((byte) => byte ^ 0xff));
  const lies: Handler[] = [
    (parts) => (parts[0].set(44), parts[2].set(1), 0),
    (parts) => (parts[0].set(500), parts[2].set(0), 0),
    (parts) => (parts[1].set(plain.length - 1), parts[2].set(0), 0),
    () => 0x80090301,
  ];
  for (const encrypt of lies) {
    assertThrows(() => records({ encrypt }).wrapDetached(plain.slice()), ProtocolError);
  }
});

test("sign() gives the message and as much room for the signature as the package asks for, and keeps no copy", () => {
  for (const [signature, room] of [[50, 128], [128, 128], [129, 129], [4000, 4000]]) {
    let copy: Uint8Array = new Uint8Array();
    const signed = records({
      signature,
      sign([data, token], memory) {
        copy = memory.at(data.address, data.length);
        assertEquals([data.type, token.type], [SECBUFFER.DATA, SECBUFFER.TOKEN]);
        assertEquals([[...copy], token.length], [[...plain], room]);
        memory.at(token.address, 20).fill(0xcc);
        token.set(20);
        return 0;
      },
    }).sign(plain);
    assertEquals([...signed], Array(20).fill(0xcc));
    assertEquals(copy, new Uint8Array(plain.length));
  }
});

test("verify() gives the message and its signature, leaves both as they were, and keeps no copy", () => {
  const message = plain.slice(), signature = Uint8Array.of(9, 8, 7);
  for (const status of [0, 0x8009030f]) {
    const copies: Uint8Array[] = [];
    const opening = records({
      verify([data, token], memory) {
        assertEquals([data.type, token.type], [SECBUFFER.DATA, SECBUFFER.TOKEN]);
        copies.push(memory.at(data.address, data.length), memory.at(token.address, token.length));
        assertEquals(copies.map((copy) => [...copy]), [[...plain], [9, 8, 7]]);
        return status;
      },
    });
    if (status === 0) opening.verify(message, signature);
    else assertThrows(() => opening.verify(message, signature), ProtocolError, "VerifySignature");
    assertEquals(copies.map((copy) => [...copy]), [Array(plain.length).fill(0), [0, 0, 0]]);
    assertEquals([[...message], [...signature]], [[...plain], [9, 8, 7]]);
  }
});

test("a package that reports no sizes of records, or no session key, is a StateError that says so", () => {
  assertThrows(() => records({ noSizes: true }), StateError, "sizes of its records");
  assertThrows(() => records({}).sessionKey(), StateError, "does not return its session key");
});
