/** What a connection reports about its security associations, and how it judges them: on a simulated network. */

import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { test } from "@test";
import { SecurityRequirementError } from "../../../errors.ts";
import { Arena } from "../../../ffi/memory/arena.ts";
import { Filtering, FilteringEngine } from "../../../ffi/ipsec/filtering_engine.ts";
import { ipsecPolicy } from "../../../ffi/ipsec/policies.ts";
import { rememberBounded } from "../../../ffi/ipsec/policies.ts";
import { pinned } from "../../../ffi/memory/memory.ts";
import {
  FWPM_IPSEC,
  FWPM_PROVIDER_CONTEXT1,
  IPSEC_AUTH,
  IPSEC_AUTH_CONFIG,
  IPSEC_AUTH_TRANSFORM0,
  IPSEC_PROPOSAL0,
  IPSEC_SA_TRANSFORM0,
  IPSEC_TRANSFORM,
  IPSEC_TRANSPORT_POLICY1,
} from "../../../ffi/raw/wfp.ts";
import type { IpsecOptions } from "../../../plugins/ipsec/mod.ts";
import type { NativeSystem } from "../../../ffi/system.ts";
import { withPair } from "../../support/ipsec_pair.ts";

const WITHOUT_MUTUAL = { mutualAuthentication: false } as const;
const NOTHING = { integrity: false, confidentiality: false, mutualAuthentication: false } as const;
const ADMINISTRATORS = { client: { administrator: true }, server: { administrator: true } };
const HOUR = { lifetimeSeconds: 3600, lifetimeKilobytes: 57_671_680, lifetimePackets: 0x7fff_ffff };

interface Told {
  readonly lifetimeSeconds: number;
  readonly mainModeCipher: string;
  readonly quickMode: unknown;
}
const told = (details: { readonly [key: string]: unknown }) => details.association as Told;

test("details.association reports main mode and quick mode of the system's own policy", () =>
  withPair({ hosts: ADMINISTRATORS, requirements: WITHOUT_MUTUAL }, async ({ client, server }) => {
    assertEquals(client.security.details.association, {
      authentication: ["anonymous"],
      mainModeCipher: "aes-128",
      mainModeIntegrity: "sha-1",
      lifetimeSeconds: 7200,
      quickMode: {
        mode: "transport",
        ...HOUR,
        transforms: [{
          type: "esp-auth-and-cipher",
          cipher: "aes-128-cbc",
          cipherKeyBits: 128,
          integrity: "hmac-sha-1-96",
        }],
        matchedBy: "saLookupContext+qmSaId",
      },
    });
    assertEquals(server.security.details.association, client.security.details.association);
    assertEquals((await client.querySecurity()).details, client.security.details);
    JSON.stringify(client.security.details);
  }));

test("details.association reports integrity without encryption as ESP without a cipher", () =>
  withPair({
    hosts: ADMINISTRATORS,
    requirements: { confidentiality: false, ...WITHOUT_MUTUAL },
  }, ({ client }) => {
    const { quickMode } = told(client.security.details);
    assertEquals((quickMode as { transforms: unknown }).transforms, [
      { type: "esp-auth", integrity: "hmac-sha-1-96" },
    ]);
  }));

test("details.association reports an application's own quick-mode policy at both ends", () =>
  withPair({
    hosts: ADMINISTRATORS,
    requirements: WITHOUT_MUTUAL,
    prepare(system) {
      const held = ipsecPolicy({
        system,
        quickMode: { ciphers: ["aes-256-gcm"], lifetimeSeconds: 900 },
      });
      return { held, options: { quickModePolicy: held.quickModePolicy } };
    },
  }, ({ client, server }) => {
    const { quickMode } = told(client.security.details);
    assertEquals(quickMode, {
      mode: "transport",
      ...HOUR,
      lifetimeSeconds: 900,
      transforms: [{
        type: "esp-auth-and-cipher",
        cipher: "aes-256-gcm",
        cipherKeyBits: 256,
        integrity: "aes-256-gcm",
        integrityKeyBits: 256,
      }],
      matchedBy: "saLookupContext+qmSaId",
    });
    assertEquals(server.security.details.association, client.security.details.association);
  }));

test("details.association names the right that an account without it needs, and the connection continues", () =>
  withPair({ requirements: WITHOUT_MUTUAL }, async ({ client, server }) => {
    assertStringIncludes(String(client.security.details.association), "needs membership in Administrators");
    await client.write(Uint8Array.of(1));
    assertEquals(await server.read(new Uint8Array(1)), 1);
  }));

for (const fn of ["IPsecSaContextCreateEnumHandle0", "IPsecSaContextEnum1"]) {
  test(`details.association still has main mode if ${fn} is refused, and the connection continues`, () =>
    withPair({ hosts: ADMINISTRATORS, requirements: WITHOUT_MUTUAL }, async ({ client, network }) => {
      network.failNext("client", fn, "ERROR_ACCESS_DENIED");
      const refused = told((await client.querySecurity()).details);
      assertEquals(
        [refused.mainModeCipher, refused.quickMode],
        ["aes-128", "needs membership in Administrators or Network Configuration Operators"],
      );
      network.failNext("client", fn, "ERROR_NOT_ENOUGH_MEMORY");
      const failed = told((await client.querySecurity()).details).quickMode;
      assertStringIncludes(String(failed), `unavailable: `);
      assertStringIncludes(String(failed), `${fn} failed with ERROR_NOT_ENOUGH_MEMORY`);
      assertEquals(typeof told((await client.querySecurity()).details).quickMode, "object");
    }));
}

/** A quick-mode policy that `ipsecPolicy()` does not make: packets after the first are sent in clear text. */
function firstPacketOnly(system: NativeSystem): { held: Disposable; options: IpsecOptions } {
  const engine = new FilteringEngine(new Filtering(system, "ipsec.policy"), true);
  const arena = new Arena(engine.memory);
  const transform = arena.array(IPSEC_SA_TRANSFORM0, [{
    ipsecTransformType: IPSEC_TRANSFORM.ESP_AUTH_FW,
    espAuthAndCipherTransform: arena.address(IPSEC_AUTH_TRANSFORM0, {
      authTransformId: { authType: IPSEC_AUTH.SHA_256, authConfig: IPSEC_AUTH_CONFIG.HMAC_SHA_256_128 },
    }),
  }]);
  const quickModePolicy = crypto.randomUUID();
  const context = arena.put(FWPM_PROVIDER_CONTEXT1, {
    providerContextKey: quickModePolicy,
    displayData: { name: arena.wide("first packet only"), description: 0n },
    type: FWPM_IPSEC.AUTHIP_QM_TRANSPORT_CONTEXT,
    authIpMmPolicy: arena.address(IPSEC_TRANSPORT_POLICY1, {
      numIpsecProposals: 1,
      ipsecProposals: arena.array(IPSEC_PROPOSAL0, [
        { lifetime: HOUR, numSaTransforms: 1, saTransforms: transform },
      ]),
    }),
  });
  assertEquals(engine.call.FwpmProviderContextAdd1(engine.handle, context, 0n, pinned(8)), 0);
  // It is unknown whether another program's policy lets servers impersonate.
  const forget = rememberBounded([quickModePolicy]);
  const held = {
    [Symbol.dispose]() {
      forget();
      engine.close();
    },
  };
  return { held, options: { quickModePolicy } };
}

test("an association that leaves packets in clear text is not reported as secured", async () => {
  const terms = { hosts: ADMINISTRATORS, prepare: firstPacketOnly };
  const error = await assertRejects(
    () => withPair({ ...terms, requirements: { ...NOTHING, integrity: true } }, () => {}),
    SecurityRequirementError,
    "integrity on every packet",
  );
  assertEquals([error.required, error.got], ["integrity", "esp-auth-fw"]);
  await withPair({ ...terms, requirements: NOTHING, ipsec: { allowInsecure: true } }, ({ client }) => {
    assertEquals([client.security.integrity, client.security.details.unprotectedBy], [false, "esp-auth-fw"]);
  });
});
