/** Names of users: read in one way, or refused by the argument's name; nothing is dropped, escaped or guessed. */

import { assert, assertEquals, assertThrows } from "@std/assert";
import { test } from "@test";
import fc from "fast-check";
import { checkCredentials, readUser, type User } from "../credentials.ts";
import { names } from "./support/names.ts";

const read = (username: unknown, domain?: unknown): User => readUser({ username, domain }, "credentials");

const READ: [username: string, domain: string | undefined, user: User][] = [
  ["alice", undefined, { username: "alice" }],
  ["alice", "EXAMPLE", { username: "alice", domain: "EXAMPLE" }],
  ["EXAMPLE\\alice", undefined, { username: "alice", domain: "EXAMPLE" }],
  ["EXAMPLE\\alice", "EXAMPLE", { username: "alice", domain: "EXAMPLE" }],
  ["example\\alice", "EXAMPLE", { username: "alice", domain: "EXAMPLE" }],
  [".\\alice", undefined, { username: "alice", domain: "." }],
  ["alice@corp.example", undefined, { username: "alice@corp.example" }],
  ["alice@corp.example", "EXAMPLE", { username: "alice@corp.example", domain: "EXAMPLE" }],
  ["EXAMPLE\\alice@corp.example", undefined, { username: "alice@corp.example", domain: "EXAMPLE" }],
  ["alice/admin", "EXAMPLE", { username: "alice/admin", domain: "EXAMPLE" }],
  ["Jörg Groß", undefined, { username: "Jörg Groß" }],
];

test("readUser() reads a user's name as Windows does, in every form", () => {
  for (const [username, domain, user] of READ) assertEquals(read(username, domain), user);
});

const REFUSED: [username: unknown, domain: unknown, message: string][] = [
  ["", undefined, "credentials.username must be a non-empty string"],
  [7, undefined, "credentials.username must be a non-empty string"],
  ["alice", "", "credentials.domain must be a non-empty string"],
  ["alice", 7, "credentials.domain must be a non-empty string"],
  ["\\alice", undefined, "credentials.username has a backslash"],
  ["EXAMPLE\\", undefined, "credentials.username has a backslash"],
  ["EXAMPLE\\sub\\alice", undefined, "credentials.username has a backslash"],
  ["EXAMPLE\\alice", "OTHER", "credentials.username has one domain before its backslash"],
  ["@corp.example", undefined, "credentials.username has an @"],
  ["alice@", "EXAMPLE", "credentials.username has an @"],
  ["alice@a@b", undefined, "credentials.username has an @"],
  ["a@b\\alice", undefined, "credentials.username has a backslash or an @ in the domain"],
  ["alice", "a\\b", "credentials.domain has a backslash"],
  ["alice", "a@b", "credentials.domain has a backslash or an @"],
  ["al\u0000ice", undefined, "credentials.username contains a control character"],
  ["alice\n", undefined, "credentials.username contains a control character"],
  ["alice", "EXA\u007fMPLE", "credentials.domain contains a control character"],
  ["al\ud83d", undefined, "credentials.username contains a lone surrogate"],
];

test("readUser() throws a TypeError for an ambiguous name, with the argument's name and not its value", () => {
  for (const [username, domain, message] of REFUSED) {
    assertThrows(() => read(username, domain), TypeError, message);
  }
  const error = assertThrows(() => read("s3cret\\x\\y"), TypeError);
  assert(!error.message.includes("s3cret"));
});

test("readUser() returns every character of a name, or refuses it by the argument's name", () => {
  let taken = 0;
  fc.assert(
    fc.property(names, fc.option(names, { nil: undefined }), (username, domain) => {
      let user: User;
      try {
        user = read(username, domain);
      } catch (error) {
        assert(
          error instanceof TypeError && /^credentials\.(username|domain) /.test(error.message),
          String(error),
        );
        return;
      }
      taken++;
      assert(!user.username.includes("\\"));
      if (username.includes("\\")) {
        const [before, after] = username.split("\\");
        assertEquals(user.username, after);
        assertEquals(user.domain, domain ?? before);
        assertEquals(user.domain!.toLowerCase(), before.toLowerCase());
      } else assertEquals(user, domain === undefined ? { username } : { username, domain });
      assertEquals(read(user.username, user.domain), user);
    }),
    { numRuns: 2000 },
  );
  assert(taken > 100, String(taken));
});

test("checkCredentials() copies and freezes what it has checked, and takes it again as it is", () => {
  const given = { username: "EXAMPLE\\alice", password: Uint8Array.of(1, 2) };
  const checked = checkCredentials(given, "x");
  assertEquals({ ...checked }, { username: "alice", domain: "EXAMPLE", password: given.password } as never);
  assert(Object.isFrozen(checked));
  assert(checkCredentials(checked, "y") === checked);
  given.username = "EXAMPLE\\bob";
  assertEquals((checked as { username?: string }).username, "alice");
  // What looks the same and was not checked is checked.
  assertThrows(
    () => checkCredentials({ ...checked, username: "a\\b\\c" } as never, "z"),
    TypeError,
    "z.username",
  );
});

test("checkCredentials() reads no kind of credentials from a prototype", () => {
  const given = Object.assign(Object.create({ delegated: {}, cache: "FILE:/tmp/other" }), {
    username: "alice",
    password: "secret",
  });
  assertEquals({ ...checkCredentials(given, "x") }, { username: "alice", password: "secret" } as never);
});

const WRONG: [given: unknown, text: string][] = [
  [null, "x must have a username and a password"],
  [{}, "x must have a username and a password"],
  ["alice", "x must have a username and a password"],
  [{ username: "alice" }, "x.password must be given with the username"],
  [{ username: "alice", password: 5 }, "x.password must be a string or a Uint8Array"],
  [{ username: "alice", password: "z\ud83d" }, "x.password contains a lone surrogate"],
  [{ username: "alice", password: "x", keytab: "FILE:/k" }, "x.keytab is not known with username"],
  [{ keytab: "" }, "x.keytab must be a non-empty string"],
  [{ keytab: "FILE:/a\u0000b" }, "x.keytab must be a non-empty string without a NUL"],
  [{ keytab: "FILE:/k", principal: 5 }, "x.principal must be a non-empty string"],
  [{ keytab: "FILE:/k", username: undefined }, "x.keytab is not known with username"],
  [{ cache: 5 }, "x.cache must be a non-empty string"],
  [{ cache: "FILE:/\ude00" }, "x.cache contains a lone surrogate"],
  [{ cache: "FILE:/c", other: 1 }, "x.other is not known with cache; use cache"],
];

test("checkCredentials() refuses each wrong form by the argument's name, without its value", () => {
  for (const [given, text] of WRONG) {
    const error = assertThrows(() => checkCredentials(given as never, "x"), TypeError, text);
    assert(!/z\ud83d|alice/.test(error.message), error.message);
  }
});
