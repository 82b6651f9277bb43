/** The target that a client requested: what the key table and the authorization data have to say, call by call. */

import { assertEquals, assertThrows } from "@std/assert";
import { test } from "@test";
import { AuthenticationError, type NativeError } from "../../../../errors.ts";
import { keyBelongsTo } from "../../../../ffi/security/gss/key_table.ts";
import { requestedTarget } from "../../../../ffi/security/gss/requested_target.ts";
import { CONTEXT, FakeGss, MINOR, pinnedCopy } from "../../../support/fake_gss.ts";
import { authorizationData, utf16 } from "../../../support/kerberos_tokens.ts";

const status = (routine: number): number => routine * 0x10000;

test("requestedTarget() returns the name in the ticket only where the authorization data can be read", () => {
  const library = new FakeGss();
  library.name = "HTTP/a@R";
  const find = (name: string) => {
    const ticket = { name, enctype: 18 };
    const found = requestedTarget(library.gss, CONTEXT, { pinned: false }, ticket);
    assertEquals(library.open.size, 0);
    return found;
  };
  assertEquals(find("http/a@r"), "http/a@r");
  // A key table that is empty, and a context without a name.
  assertEquals(find("HTTP/b@R"), null);
  library.name = "";
  assertEquals(find("HTTP/a@R"), null);
  library.name = "HTTP/a@R";
  library.authorizationData = pinnedCopy([1, 2, 3]);
  assertEquals(find("HTTP/a@R"), null);
  for (
    const [written, agrees] of [["HTTP/a@R", true], ["http/A@R", true], ["HTTP/b@R", false], [
      "a",
      false,
    ]] as const
  ) {
    library.authorizationData = pinnedCopy(authorizationData([144, utf16(written)]));
    assertEquals(find("HTTP/a@R"), agrees ? "HTTP/a@R" : null);
  }
  // A name that is no SPN is compared as it is.
  library.name = "a";
  assertEquals(find("a"), "a");
  library.major = status(13);
  const error = assertThrows(() => find("a"), AuthenticationError, "the client's authorization data");
  assertEquals((error.cause as NativeError).status, MINOR);
  assertEquals(library.open.size, 0);
});

const KEY = pinnedCopy([1, 2, 3]);
const OTHER = pinnedCopy([1, 2, 4]);

test("keyBelongsTo() compares the keys of the names with that of the entry that was used", () => {
  const entry = (name: string, key = KEY, enctype = 18) => ({ name, enctype, key });
  const used = entry("HTTP/a@R");
  const cases: [keys: FakeGss["keys"], pinned: boolean, belongs: boolean][] = [
    [[], false, false],
    [[entry("HTTP/c@R")], true, false],
    [[used], false, true],
    [[used, entry("HTTP/b@R")], false, true],
    [[used, entry("http/B@r")], false, true],
    [[used, entry("HTTP/b@R", OTHER)], false, false],
    [[used, entry("http/B@r", OTHER)], true, false],
    [[used, entry("HTTP/b@R", pinnedCopy([1, 2]))], false, false],
    [[used, entry("HTTP/b@R", OTHER), entry("HTTP/b@R")], false, true],
    [[used, entry("HTTP/a@R", OTHER), entry("HTTP/b@R")], false, false],
    [[used, entry("HTTP/b@R", KEY, 17)], false, true],
    [[entry("HTTP/a@R", KEY, 17), entry("HTTP/b@R")], false, false],
    [[used, entry("HTTP/c@R")], false, true],
    [[used, entry("HTTP/c@R", OTHER)], false, false],
    [[used, entry("HTTP/c@R", OTHER)], true, true],
  ];
  for (const [keys, pinned, belongs] of cases) {
    for (const source of [{ pinned }, { pinned, keytab: "FILE:/keys" }]) {
      const library = new FakeGss();
      library.keys = keys;
      const found = keyBelongsTo(library.gss, source, { name: "HTTP/b@R", enctype: 18 }, "HTTP/a@R");
      assertEquals(found, belongs, JSON.stringify(keys));
      assertEquals(library.open.size, 0);
      // No copy of a key is left.
      assertEquals(library.copies.filter(({ length, [0]: first }) => length <= 3 && first !== 0), []);
    }
  }
});

test("keyBelongsTo() is false where the key table cannot be read to its end, and releases what it opened", () => {
  for (
    const failing of [
      "krb5_init_context",
      "krb5_kt_default",
      "krb5_kt_start_seq_get",
      "krb5_kt_next_entry",
      "krb5_unparse_name",
    ]
  ) {
    const library = new FakeGss();
    library.keys = [{ name: "HTTP/a@R", enctype: 18, key: KEY }, { name: "HTTP/b@R", enctype: 18, key: KEY }];
    library.failing = failing;
    const ask = (opened: string): boolean =>
      keyBelongsTo(library.gss, { pinned: true }, { name: "HTTP/b@R", enctype: 18 }, opened);
    assertEquals(ask("HTTP/a@R"), false, failing);
    assertEquals(ask("http/B@R"), true);
    assertEquals(library.open.size, 0, failing);
  }
});
