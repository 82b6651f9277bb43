/** Names as text for GSS-API's mechanisms: the real libraries read exactly the intended name. */

import { assert, assertEquals, assertThrows } from "@std/assert";
import { test } from "@test";
import fc from "fast-check";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readUser, type User } from "../../../../credentials.ts";
import type { LibrarySpec } from "../../../../ffi/abi.ts";
import { Gss } from "../../../../ffi/security/gss/gss.ts";
import {
  checkPrincipal,
  userOfEitherMechanism,
  userPrincipal,
} from "../../../../ffi/security/gss/principal.ts";
import { cString, MEMORY_FNS, memoryOf } from "../../../../ffi/memory/memory.ts";
import { GSSAPI, KRB5_PRINCIPAL_PARSE } from "../../../../ffi/raw/gssapi.ts";
import { NativeSystem } from "../../../../ffi/system.ts";
import { names } from "../../../support/names.ts";
import { noRealm } from "../../../support/kerberos.ts";
import { runtimeBackend } from "../../../support/native.ts";
import { withEnv } from "../../../support/env.ts";

const skip = noRealm;
const skipNtlm = skip ??
  (existsSync("/etc/gss/mech.d/mech.ntlmssp.conf") ? null : "apt-get install gss-ntlmssp");

const LIBRARY = {
  name: "libkrb5",
  instead: "",
  files: {},
  fns: {
    ...MEMORY_FNS,
    krb5_init_context: GSSAPI.fns.krb5_init_context,
    krb5_free_context: GSSAPI.fns.krb5_free_context,
    krb5_parse_name_flags: GSSAPI.fns.krb5_parse_name_flags,
    krb5_free_principal: GSSAPI.fns.krb5_free_principal,
    krb5_unparse_name: {
      params: [["context", "usize"], ["principal", "usize"], ["name", "buf"]],
      result: "i32",
    },
    krb5_free_unparsed_name: { params: [["context", "usize"], ["name", "usize"]], result: "void" },
  },
} as const satisfies LibrarySpec;

/** The principal that libkrb5 reads, as it writes it; `null`: refused. */
type Parse = (text: string, enterprise?: boolean) => string | null;

/** Runs `body` with the real parser, whose default realm is `HERE.TEST`. */
async function withParser(body: (parse: Parse, system: NativeSystem) => void): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "secure-sockets-names-"));
  const config = join(folder, "krb5.conf");
  writeFileSync(config, "[libdefaults]\n\tdefault_realm = HERE.TEST\n");
  await withEnv({ KRB5_CONFIG: config }, () => {
    using system = new NativeSystem({ grants: ["sspi"] });
    const { path } = system.library("sspi", GSSAPI);
    const { call, close } = runtimeBackend().open(path, LIBRARY);
    const memory = memoryOf(call);
    const slot = new BigUint64Array(1);
    const out = new Uint8Array(slot.buffer);
    assertEquals(call.krb5_init_context(out), 0);
    const context = slot[0];
    try {
      body((text, enterprise = false) => {
        const flags = enterprise ? KRB5_PRINCIPAL_PARSE.ENTERPRISE : 0;
        if (call.krb5_parse_name_flags(context, cString(text), flags, out) !== 0) return null;
        const principal = slot[0];
        assertEquals(call.krb5_unparse_name(context, principal, out), 0);
        const written = memory.cString(slot[0]);
        call.krb5_free_unparsed_name(context, slot[0]);
        call.krb5_free_principal(context, principal);
        return written;
      }, system);
    } finally {
      call.krb5_free_context(context);
      close();
    }
    return Promise.resolve();
  }).finally(() => rmSync(folder, { recursive: true }));
}

/** The components and the realm of a principal as libkrb5 writes it. */
function take(written: string): { components: string[]; realm: string } {
  const parts = [""];
  const separators: string[] = [];
  for (let at = 0; at < written.length; at++) {
    if (written[at] === "\\") parts[parts.length - 1] += written[++at];
    else if (written[at] === "/" || written[at] === "@") {
      separators.push(written[at]);
      parts.push("");
    } else parts[parts.length - 1] += written[at];
  }
  assertEquals(separators.indexOf("@"), separators.length - 1);
  return { components: parts.slice(0, -1), realm: parts.at(-1)! };
}

function userOr(username: string, domain?: string): User | null {
  try {
    return readUser({ username, domain }, "credentials");
  } catch {
    return null;
  }
}

const users = fc.tuple(names, fc.option(names, { nil: undefined }));

test(
  "userPrincipal() writes any user so that libkrb5 reads that user in that realm, or refuses it by name",
  () =>
    withParser((parse) => {
      let taken = 0;
      fc.assert(
        fc.property(users, ([username, domain]) => {
          const user = userOr(username, domain);
          if (user === null) return;
          let principal;
          try {
            principal = userPrincipal(user);
          } catch (error) {
            assert(error instanceof TypeError && error.message.startsWith("credentials.username "));
            assert(user.username.includes("/"));
            return;
          }
          taken++;
          const written = parse(principal.text, principal.enterprise);
          assert(written !== null, principal.text);
          const { components, realm } = take(written);
          const [local, suffix] = user.username.split("@");
          const upn = suffix !== undefined && user.domain !== undefined;
          assertEquals(components, upn ? [user.username] : local.split("/"), written);
          assertEquals(realm, user.domain ?? suffix ?? "HERE.TEST", written);
          assertEquals(principal.enterprise, upn);
        }),
        { numRuns: 2000 },
      );
      assert(taken > 100, String(taken));
    }),
  { skip },
);

test("userPrincipal() refuses empty components, and userOfEitherMechanism() a UPN without a domain", () => {
  for (const username of ["/a", "a/", "a//b", "/"]) {
    for (const domain of [undefined, "A.TEST"]) {
      assertThrows(() => userPrincipal({ username, domain }), TypeError, "credentials.username has an empty");
    }
  }
  assertEquals(userPrincipal({ username: "a/b", domain: "A.TEST" }), {
    text: "a/b@A.TEST",
    enterprise: false,
  });
  assertEquals(userOfEitherMechanism({ username: "alice" }), "alice");
  assertEquals(userOfEitherMechanism({ username: "alice", domain: "A" }), "alice@A");
  assertEquals(userOfEitherMechanism({ username: "alice@corp", domain: "A" }), "alice\\@corp@A");
  assertThrows(() => userOfEitherMechanism({ username: "alice@corp" }), TypeError, "is a UPN");
});

test(
  "checkPrincipal() accepts any principal that libkrb5 reads as it is written, and refuses others by name",
  () =>
    withParser((parse) => {
      let taken = 0;
      const check = (text: string): void => {
        try {
          checkPrincipal(text, "credentials.principal");
        } catch (error) {
          assert(error instanceof TypeError && error.message.startsWith("credentials.principal "));
          return;
        }
        taken++;
        const written = parse(text);
        assert(written !== null, text);
        const hasRealm = text.replaceAll(/\\./g, "").includes("@");
        assertEquals(take(written), take(hasRealm ? text : `${text}@HERE.TEST`), text);
      };
      fc.assert(fc.property(names, check), { numRuns: 3000 });
      assert(taken > 100, String(taken));
    }),
  { skip },
);

test("checkPrincipal() accepts principals in the form that klist -k prints, and no others", () => {
  for (
    const text of [
      "alice",
      "HTTP/web.example.test",
      "HTTP/web@A.TEST",
      "john\\@corp@A.TEST",
      "a\\/b",
      "a\\\\b",
    ]
  ) {
    checkPrincipal(text, "credentials.principal");
  }
  for (
    const text of ["al\\ice", "MIT\\bob", "a@b@C", "a@", "@A.TEST", "/a", "a//b", "a/", "a\\", "a\nb", ""]
  ) {
    assertThrows(
      () => checkPrincipal(text, "credentials.principal"),
      TypeError,
      "credentials.principal is not a principal",
    );
  }
});

test(
  "userOfEitherMechanism() writes a name that Kerberos and NTLM read as the same user",
  () =>
    withParser((parse, system) => {
      const gss = new Gss(system);
      const ntlmssp = gss.build.oid([0x2b, 0x06, 0x01, 0x04, 0x01, 0x82, 0x37, 0x02, 0x02, 0x0a]);
      const toNtlm = (text: string): string => {
        const typed = gss.importName(text, "userName");
        try {
          const own = gss.canonicalName(typed, ntlmssp, "test");
          try {
            return gss.displayName(own);
          } finally {
            gss.releaseName(own);
          }
        } finally {
          gss.releaseName(typed);
        }
      };
      let taken = 0;
      fc.assert(
        fc.property(users, ([username, domain]) => {
          const user = userOr(username, domain);
          if (user === null) return;
          let text;
          try {
            text = userOfEitherMechanism(user);
          } catch (error) {
            assert(error instanceof TypeError && error.message.startsWith("credentials.username is a UPN"));
            assert(user.domain === undefined);
            return;
          }
          taken++;
          // NTLM writes the domain before a backslash.
          assertEquals(
            toNtlm(text),
            `${user.domain === undefined ? "" : `${user.domain}\\`}${user.username}`,
          );
          const written = parse(text);
          // A name that is invalid in Kerberos is used by NTLM only.
          if (written === null) return;
          const { components, realm } = take(written);
          assertEquals(components.join("/"), user.username);
          assertEquals(realm, user.domain ?? "HERE.TEST");
        }),
        { numRuns: 1000 },
      );
      assert(taken > 100, String(taken));
    }),
  { skip: skipNtlm },
);
