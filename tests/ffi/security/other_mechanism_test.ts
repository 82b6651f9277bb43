import { assert, assertEquals, assertMatch } from "@std/assert";
import { test } from "@test";
import { holdsNtlm, otherMechanismAdvice } from "../../../ffi/security/other_mechanism.ts";

const bytes = (text: string) => Uint8Array.from(text, (letter) => letter.charCodeAt(0));

test("NTLM is recognised bare and wrapped, and nothing else is taken for it", () => {
  assert(holdsNtlm(bytes("NTLMSSP\0\x01\0\0\0")));
  assert(holdsNtlm(bytes("`\x40NNTLMSSPNTLMSSP\0")));
  for (const other of ["", "N", "NTLMSSP", "NTLMSSP\x01", "ntlmssp\0", "`\x40kerberos"]) {
    assertEquals(holdsNtlm(bytes(other)), false, JSON.stringify(other));
  }
});

test("The advice for NTLM says that it was left out on purpose, and that for any other names both ends", () => {
  assertMatch(otherMechanismAdvice(bytes("NTLMSSP\0")), /NTLM, which was left out here on purpose.*Kerberos/);
  const other = otherMechanismAdvice(bytes("`\x40"));
  assertMatch(other, /same provider on both ends/);
  for (const advice of [other, otherMechanismAdvice(bytes("NTLMSSP\0"))]) {
    assert(!/install|enable/i.test(advice));
  }
});
