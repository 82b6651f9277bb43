import { assertEquals } from "@std/assert";
import { test } from "@test";
import fc from "fast-check";
import { tokenKind } from "../../contexts/first_token.ts";

const SPNEGO = "06062b0601050502";
const KERBEROS = "06092a864886f712010202";
const MS_KERBEROS = "06092a864882f712010202";

function bytes(hex: string): Uint8Array {
  return Uint8Array.from(hex.match(/../g) ?? [], (pair) => parseInt(pair, 16));
}

test("tokenKind() reads the mechanism from the framing, whatever the form of its length", () => {
  for (const length of ["20", "8120", "820120", "83000120", "8400000120"]) {
    assertEquals(tokenKind(bytes(`60${length}${SPNEGO}a0`)), "spnego");
    assertEquals(tokenKind(bytes(`60${length}${KERBEROS}0100`)), "kerberos");
    assertEquals(tokenKind(bytes(`60${length}${MS_KERBEROS}0100`)), "kerberos");
  }
  assertEquals(tokenKind(new TextEncoder().encode("NTLMSSP\0\x01")), "ntlm");
});

test("tokenKind() returns other for any other bytes", () => {
  const others = [
    "",
    "60",
    "6020",
    `61${SPNEGO}`,
    `6020${SPNEGO.replace("02", "03")}`,
    "a1820102",
    "4e544c4d53535001",
  ];
  for (const hex of others) assertEquals(tokenKind(bytes(hex)), "other", hex);
  fc.assert(fc.property(fc.uint8Array({ maxLength: 40 }), (token) => {
    const known = token[0] === 0x60 || token[0] === 0x4e;
    if (!known) assertEquals(tokenKind(token), "other");
    else tokenKind(token);
  }));
});
