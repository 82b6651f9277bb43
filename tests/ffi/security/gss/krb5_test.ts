/** Which sources libkrb5 uses, as the real library reports them; no realm is needed. */

import { assertEquals } from "@std/assert";
import { test } from "@test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Gss } from "../../../../ffi/security/gss/gss.ts";
import {
  configurationFiles,
  defaultCache,
  defaultKeytab,
  describeUsed,
} from "../../../../ffi/security/gss/krb5.ts";
import { NativeSystem } from "../../../../ffi/system.ts";
import { withEnv } from "../../../support/env.ts";
import { Faults } from "../../../support/faults.ts";
import { noRealm } from "../../../support/kerberos.ts";

const skip = noRealm;

/** Runs `body` with a configuration of its own, and checks that everything is released. */
async function configured(
  body: (given: { gss: Gss; folder: string; faults: Faults; config: string; missing: string }) => void,
): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "secure-sockets-krb5-"));
  const [config, missing] = ["krb5.conf", "none.conf"].map((name) => join(folder, name));
  writeFileSync(config, "[libdefaults]\n\tdefault_realm = HERE.TEST\n");
  const env = {
    KRB5_CONFIG: `${config}:${missing}`,
    KRB5CCNAME: `FILE:${folder}/cache`,
    KRB5_KTNAME: `FILE:${folder}/server`,
    KRB5_CLIENT_KTNAME: `FILE:${folder}/client`,
  };
  const faults = new Faults();
  try {
    await withEnv(env, () => {
      const system = new NativeSystem({ grants: ["sspi"] }, { backend: faults.backend() });
      try {
        body({ gss: new Gss(system), folder, faults, config, missing });
      } finally {
        system.close();
      }
      return Promise.resolve();
    });
    assertEquals(faults.left, []);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

test(
  "describeUsed() names each source that was used, and no other",
  () =>
    configured(({ gss, folder, config }) => {
      const files = `krb5.conf ${config}`;
      const cases = [
        [{}, `realm HERE.TEST, ${files}`],
        [{ realm: "A.TEST" }, `realm A.TEST, ${files}`],
        [{ cache: "default" }, `realm HERE.TEST, cache FILE:${folder}/cache, ${files}`],
        [{ cache: "FILE:/x" }, `realm HERE.TEST, cache FILE:/x, ${files}`],
        [{ keytab: "default" }, `realm HERE.TEST, key table FILE:${folder}/server, ${files}`],
        [{ keytab: "FILE:/y" }, `realm HERE.TEST, key table FILE:/y, ${files}`],
        [{ clientKeytab: true }, `realm HERE.TEST, client key table FILE:${folder}/client, ${files}`],
      ] as const;
      for (const [used, text] of cases) assertEquals(describeUsed(gss, used), `Used: ${text}`);
      assertEquals([defaultCache(gss), defaultKeytab(gss)], [
        `FILE:${folder}/cache`,
        `FILE:${folder}/server`,
      ]);
    }),
  { skip },
);

test(
  "describeUsed() says which files were looked for where none can be read",
  () =>
    configured(({ gss, config, missing }) => {
      assertEquals(configurationFiles(gss), { looked: [config, missing], found: [config] });
      rmSync(config);
      assertEquals(configurationFiles(gss), { looked: [config, missing], found: [] });
      const none = `krb5.conf none (this process can read no ${config} and no ${missing})`;
      assertEquals(describeUsed(gss, { realm: "A.TEST", keytab: "FILE:/y" }).endsWith(none), true);
    }),
  { skip },
);

test(
  "describeUsed() reports what is known where one call of libkrb5 fails",
  () =>
    configured(({ gss, faults }) => {
      const all = { cache: "default", keytab: "default", clientKeytab: true };
      const failing = (fn: string): string => {
        faults.reset();
        describeUsed(gss, all);
        faults.reset(faults.called.indexOf(fn));
        const text = describeUsed(gss, all);
        assertEquals([faults.failed, faults.left], [fn, []]);
        return text;
      };
      const cut = (text: string, from: string): string => text.slice(text.indexOf(from)).split(",")[0];
      assertEquals(cut(failing("krb5_get_default_realm"), "realm"), "realm none");
      assertEquals(cut(failing("krb5_cc_default_name"), "cache"), "cache ");
      assertEquals(cut(failing("krb5_kt_default_name"), "key table"), "key table ");
      for (const fn of ["krb5_kt_client_default", "krb5_kt_get_name"]) {
        assertEquals(cut(failing(fn), "client key"), "client key table ");
      }
      assertEquals(failing("krb5_get_default_config_files").includes("krb5.conf none"), true);
      assertEquals(failing("krb5_init_context").startsWith("Used: krb5.conf /"), true);
    }),
  { skip },
);
