import { assert, assertEquals, assertMatch } from "@std/assert";
import { test } from "@test";
import { holdsNtlm, otherMechanismAdvice } from "../../../ffi/security/other_mechanism.ts";
import { apReq, framed, kerberosToken, negTokenInit, OID } from "../../support/kerberos_tokens.ts";

const bytes = (text: string) => Uint8Array.from(text, (letter) => letter.charCodeAt(0));

test("holdsNtlm() recognises NTLM with and without SPNEGO, and nothing else", () => {
  assert(holdsNtlm(bytes("NTLMSSP\0\x01\0\0\0")));
  assert(holdsNtlm(bytes("`\x40NNTLMSSPNTLMSSP\0")));
  for (const other of ["", "N", "NTLMSSP", "NTLMSSP\x01", "ntlmssp\0", "`\x40kerberos"]) {
    assertEquals(holdsNtlm(bytes(other)), false, JSON.stringify(other));
  }
});

test("otherMechanismAdvice() states for NTLM that it is excluded on purpose, and otherwise names both ends", () => {
  const ntlm = otherMechanismAdvice(bytes("NTLMSSP\0"), "spnego");
  assertMatch(ntlm, /NTLM, which is excluded here on purpose.*Kerberos/);
  const other = otherMechanismAdvice(bytes("`\x40"), "kerberos");
  assertMatch(
    other,
    /^The peer uses a mechanism that is not accepted here\. Use the same provider on both ends$/,
  );
  for (const advice of [other, ntlm]) assert(!/install|enable/i.test(advice));
});

test("otherMechanismAdvice() states the wrapping of both ends of Kerberos and Negotiate", () => {
  const request = apReq(["HTTP", "web"]);
  const raw = [request, kerberosToken(request), kerberosToken([1])];
  const wrapped = [negTokenInit([OID.kerberos], kerberosToken(request)), negTokenInit([OID.kerberos])];
  for (const token of raw) {
    assertMatch(
      otherMechanismAdvice(token, "spnego"),
      /peer uses Kerberos without SPNEGO.*this end uses SPNEGO/,
    );
    assertMatch(otherMechanismAdvice(token, "kerberos"), /is not accepted here/);
  }
  for (const token of wrapped) {
    assertMatch(
      otherMechanismAdvice(token, "kerberos"),
      /peer uses SPNEGO.*this end uses Kerberos without/,
    );
    assertMatch(otherMechanismAdvice(token, "spnego"), /is not accepted here/);
  }
  for (const token of [framed(OID.iakerb, [1]), framed([]), new Uint8Array(), Uint8Array.of(0x60)]) {
    assertMatch(otherMechanismAdvice(token, "spnego"), /is not accepted here/);
  }
});
