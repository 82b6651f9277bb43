/** IPsec outside Windows, without a simulator: a refusal that says what to use instead. */

import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { test } from "@test";
import { UnsupportedPlatformError } from "../../../errors.ts";
import { ipsecPolicy } from "../../../ffi/ipsec/policies.ts";
import { liveHandles } from "../../../ffi/handles.ts";
import { openLibrary } from "../../../ffi/mod.ts";
import type { Grant } from "../../../ffi/permissions.ts";
import { currentPlatform } from "../../../ffi/permissions.ts";
import { FWPUCLNT } from "../../../ffi/raw/fwpuclnt.ts";
import { openSystem, type System } from "../../../ffi/system.ts";
import { ipsec } from "../../../plugins/ipsec/mod.ts";
import { createRegistry } from "../../../plugins/registry.ts";
import { connect } from "../../../sockets/connect.ts";
import { listen } from "../../../sockets/listen.ts";
import { openDatagrams } from "../../../sockets/ipsec/open_datagrams.ts";

const skip = currentPlatform("").os === "windows" ? "this is Windows" : null;
const registry = createRegistry([ipsec()]);

const OPENINGS: { readonly [what: string]: (system: System) => Promise<unknown> } = {
  connect: (system) => connect({ hostname: "server", port: 7, registry, system }),
  listen: (system) => listen({ port: 7, registry, system }),
  openDatagrams: (system) => openDatagrams({ registry, system }),
};
const GRANTS: readonly (readonly Grant[])[] = [[], ["ipsec"], ["ipsec", "ipsec.policy", "impersonation"]];

for (const [what, open] of Object.entries(OPENINGS)) {
  for (const grants of GRANTS) {
    test(
      `${what}() with ipsec() outside Windows, grants [${grants}]: reports what to use instead, and ` +
        "opens nothing",
      async () => {
        using system = openSystem({ grants });
        const error = await assertRejects(() => open(system), UnsupportedPlatformError);
        assertStringIncludes(error.message, "IPsec at the socket is part of Windows, and this is ");
        assertStringIncludes(error.message, error.instead);
        for (const instead of ["negotiate()", "simulate()"]) assertStringIncludes(error.instead, instead);
        assertEquals([error.name, error.code, error.dll], [
          "UnsupportedPlatformError",
          "UNSUPPORTED_PLATFORM",
          "fwpuclnt.dll",
        ]);
        system.close();
        assertEquals(liveHandles(), {});
      },
      { skip },
    );
  }
}

for (const grants of GRANTS) {
  test(
    `ipsecPolicy() outside Windows, grants [${grants}]: reports what to use instead, and opens nothing`,
    async () => {
      using system = openSystem({ grants });
      const options = { system, mainMode: { authentication: ["kerberos"] } } as const;
      // deno-lint-ignore require-await -- to be asked for its error like the others
      const error = await assertRejects(async () => ipsecPolicy(options), UnsupportedPlatformError);
      for (const instead of ["Windows", "simulate()"]) assertStringIncludes(error.instead, instead);
      system.close();
      assertEquals(liveHandles(), {});
    },
    { skip },
  );
}

test("the table of raw functions outside Windows: reports what it is part of", async () => {
  using system = openSystem({ grants: ["ipsec"] });
  const error = await assertRejects(
    // deno-lint-ignore require-await -- to be asked for its error like the others
    async () => openLibrary(system, "ipsec", FWPUCLNT),
    UnsupportedPlatformError,
  );
  assertStringIncludes(error.instead, "Windows");
}, { skip });
