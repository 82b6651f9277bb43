/** Splits names of peers. */

import { assertEquals } from "@std/assert";
import { test } from "@test";
import fc from "fast-check";
import { downLevelPeer, isAnonymous, kerberosPeer } from "../../../ffi/security/peer_name.ts";

/** A part of a principal as krb5_unparse_name writes it. */
const escaped = fc.array(
  fc.oneof(fc.constantFrom("\\@", "\\/", "\\\\", "\\n", "a", "漢", "👩", "/"), fc.string({ maxLength: 1 })),
  { minLength: 1, maxLength: 8 },
).map((parts) => parts.map((part) => part === "@" || part === "\\" ? `\\${part}` : part).join(""))
  .filter((part) => part !== "");

test("kerberosPeer() splits a name at the @ before the realm, and loses nothing", () => {
  fc.assert(fc.property(escaped, escaped, (user, realm) => {
    assertEquals(kerberosPeer(`${user}@${realm}`), { name: `${user}@${realm}`, user, realm });
  }));
});

test("kerberosPeer() and downLevelPeer() do not split an ambiguous name", () => {
  for (const name of ["alice", "a@b@c", "@REALM", "alice@", "alice\\@REALM", "alice@REALM\\", "", "@"]) {
    assertEquals(kerberosPeer(name), { name, user: name, realm: "" });
  }
  for (const name of ["alice", "A\\B\\alice", "\\alice", "EXAMPLE\\", "alice@EXAMPLE", "", "\\"]) {
    assertEquals(downLevelPeer(name), { name, user: name, realm: "" });
  }
});

test("downLevelPeer() splits a name at the backslash", () => {
  const part = fc.string({ minLength: 1, maxLength: 8 }).filter((text) => !text.includes("\\"));
  fc.assert(fc.property(part, part, (realm, user) => {
    assertEquals(downLevelPeer(`${realm}\\${user}`), { name: `${realm}\\${user}`, user, realm });
  }));
});

test("isAnonymous() is true for the anonymous principal of any realm, and for no other", () => {
  for (const realm of ["WELLKNOWN:ANONYMOUS", "EXAMPLE.TEST"]) {
    assertEquals(isAnonymous(`WELLKNOWN/ANONYMOUS@${realm}`), true);
  }
  for (const name of ["anonymous@EXAMPLE.TEST", "WELLKNOWN/OTHER@A", "x/WELLKNOWN/ANONYMOUS@A"]) {
    assertEquals(isAnonymous(name), false);
  }
});
