import { assert, assertEquals, assertThrows } from "@std/assert";
import { test } from "@test";
import fc from "fast-check";
import { ProtocolError } from "../../errors.ts";
import {
  DATA_HEADER_SIZE,
  decodeErrorCode,
  decodeHandshakeHeader,
  encodeErrorCode,
  encodeHandshake,
  HANDSHAKE_HEADER_SIZE,
  type HandshakeKind,
  MAX_RECEIVED_SIZE,
  readDataHeader,
  refuseTls,
  writeDataHeader,
} from "../../sockets/framing.ts";

const bytes = (...values: number[]) => Uint8Array.from(values);

test("encodeHandshake() makes the bytes that .NET sends", () => {
  assertEquals(encodeHandshake("in-progress", bytes(1, 2, 3)), bytes(0x16, 1, 0, 0, 3, 1, 2, 3));
  assertEquals(encodeHandshake("done", bytes()), bytes(0x14, 1, 0, 0, 0));
  assertEquals(
    encodeHandshake("error", encodeErrorCode(1790)),
    bytes(0x15, 1, 0, 0, 8, 0, 0, 0, 0, 0, 0, 6, 0xfe),
  );
  assertEquals(encodeHandshake("done", new Uint8Array(0x1234)).subarray(0, 5), bytes(0x14, 1, 0, 0x12, 0x34));
});

test("every handshake record is decoded as it was encoded", () => {
  const kinds = fc.constantFrom<HandshakeKind>("done", "error", "in-progress");
  fc.assert(fc.property(kinds, fc.uint8Array({ maxLength: 70_000, size: "max" }), (kind, token) => {
    if (token.length > 0xffff) {
      assertEquals(assertThrows(() => encodeHandshake(kind, token), ProtocolError).reason, "oversized");
      return;
    }
    const record = encodeHandshake(kind, token);
    assertEquals(decodeHandshakeHeader(record), { kind, size: token.length });
    assertEquals(record.subarray(HANDSHAKE_HEADER_SIZE), token);
  }));
});

test("a token of 65535 bytes fits in a handshake record and one of 65536 does not", () => {
  assertEquals(decodeHandshakeHeader(encodeHandshake("done", new Uint8Array(0xffff))).size, 0xffff);
  const error = assertThrows(() => encodeHandshake("done", new Uint8Array(0x10000)), ProtocolError, "65536");
  assertEquals(error.reason, "oversized");
});

test("decodeHandshakeHeader() of any five bytes returns a known kind, for any version, or throws a ProtocolError", () => {
  fc.assert(fc.property(fc.uint8Array({ minLength: 5, maxLength: 5 }), (header) => {
    if ([0x14, 0x15, 0x16].includes(header[0])) {
      assertEquals(decodeHandshakeHeader(header).size, header[3] * 256 + header[4]);
    } else {
      assertEquals(assertThrows(() => decodeHandshakeHeader(header), ProtocolError).reason, "malformed");
    }
  }));
});

test("decodeHandshakeHeader() recognises HTTP by the first five bytes of every method, and of a response", () => {
  const methods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"];
  for (
    const line of [...methods.map((method) => `${method} / HTTP/1.1`), "PRI * HTTP/2.0", "HTTP/1.1 200 OK"]
  ) {
    const start = new TextEncoder().encode(line).subarray(0, 5);
    assertThrows(() => decodeHandshakeHeader(start), ProtocolError, "The peer uses HTTP");
  }
  const other = assertThrows(() => decodeHandshakeHeader(new TextEncoder().encode("GETS ")), ProtocolError);
  assert(!other.message.includes("HTTP"));
});

test("refuseTls() accepts every [MS-NNS] record, for any version, and refuses TLS hellos and alerts", () => {
  const kinds = fc.constantFrom<HandshakeKind>("done", "error", "in-progress");
  // The first bytes of Kerberos, SPNEGO, NTLM and errors.
  const first = fc.constantFrom(0x60, 0x6e, 0xa0, 0xa1, 0x4e, 0);
  fc.assert(
    fc.property(kinds, fc.nat(255), first, fc.integer({ min: 7, max: 400 }), (kind, major, byte, size) => {
      const token = new Uint8Array(size + 1);
      token[0] = byte;
      const record = encodeHandshake(kind, token);
      record[1] = major;
      refuseTls(record.subarray(0, 5), token);
    }),
  );
  const named = (header: Uint8Array, token: Uint8Array) =>
    assertThrows(() => refuseTls(header, token), ProtocolError, "The peer uses TLS");
  for (const minor of [1, 3]) {
    for (const hello of [1, 2]) named(bytes(0x16, 3, minor, 0, 6), bytes(hello, 0, 0, 2, 3, 3));
    named(bytes(0x15, 3, minor, 0, 2), bytes(2, 40));
  }
  // The same tokens in [MS-NNS] records.
  refuseTls(bytes(0x16, 1, 0, 0, 6), bytes(1, 0, 0, 2, 3, 3));
  refuseTls(bytes(0x15, 1, 0, 0, 2), bytes(2, 40));
});

test("decodeErrorCode() reads the big-endian and the little-endian form, extended or not", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 0xfffffffe }),
      fc.boolean(),
      fc.boolean(),
      (code, little, signed) => {
        const payload = new Uint8Array(8);
        const value = signed ? BigInt(code | 0) : BigInt(code);
        new DataView(payload.buffer).setBigInt64(0, value, little);
        assertEquals(decodeErrorCode(payload), code);
      },
    ),
  );
});

test("decodeErrorCode() reads what encodeErrorCode() wrote, and returns null for a shorter payload", () => {
  fc.assert(fc.property(fc.integer({ min: 0, max: 0xffffffff }), (code) => {
    assertEquals(decodeErrorCode(encodeErrorCode(code)), code);
    assertEquals(decodeErrorCode(encodeErrorCode(code).subarray(0, 7)), null);
  }));
  assertEquals(decodeErrorCode(bytes(1, 2, 3, 4, 5, 6, 7, 8)), null);
  assertEquals(decodeErrorCode(bytes()), null);
});

test("a data header has four bytes, little-endian, and is read at any offset", () => {
  const header = new Uint8Array(DATA_HEADER_SIZE);
  writeDataHeader(header, 0, 0xfc30);
  assertEquals(header, bytes(0x30, 0xfc, 0, 0));
  fc.assert(fc.property(fc.integer({ min: 1, max: MAX_RECEIVED_SIZE }), fc.nat(16), (size, offset) => {
    const buffer = new Uint8Array(32).fill(0xaa);
    writeDataHeader(buffer, offset, size);
    assertEquals(readDataHeader(buffer, offset), size);
    assert(buffer.every((byte, index) => byte === 0xaa || index >= offset && index < offset + 4));
  }));
});

test(
  "readDataHeader() of any four bytes returns a size from 1 to 65536, or a ProtocolError for empty or " +
    "oversized",
  () => {
    const near = fc.constantFrom(0, 1, 0xffff, 0x10000, 0x10001, 0x7fffffff, 0x80000000, 0xffffffff);
    fc.assert(fc.property(fc.oneof(near, fc.nat(0xffffffff)), (size) => {
      const header = new Uint8Array(4);
      new DataView(header.buffer).setUint32(0, size, true);
      if (size >= 1 && size <= 0x10000) {
        assertEquals(readDataHeader(header, 0), size);
      } else {
        const { reason } = assertThrows(() => readDataHeader(header, 0), ProtocolError);
        assertEquals(reason, size === 0 ? "empty" : "oversized");
      }
    }));
  },
);
