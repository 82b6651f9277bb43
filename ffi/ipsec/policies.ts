/**
 * Adds an application's own IPsec policies: AuthIP provider contexts in the Windows Filtering Platform. `ipsec()`
 * takes their keys. Closing removes them.
 *
 * @see https://learn.microsoft.com/windows/win32/fwp/ipsec-configuration
 * @module
 */

import { Arena } from "../memory/arena.ts";
import { Filtering, FilteringEngine } from "./filtering_engine.ts";
import {
  type ExtendedModePolicy,
  type IpsecAuthentication,
  type IpsecPolicyOptions,
  type MainModePolicy,
  type QuickModePolicy,
  readPolicyOptions,
} from "./policy_options.ts";
import { pinned } from "../memory/memory.ts";
import {
  FWPM_IPSEC,
  FWPM_PROVIDER_CONTEXT1,
  IKEEXT,
  IKEEXT_AUTHENTICATION_METHOD1,
  IKEEXT_EM_POLICY1,
  IKEEXT_POLICY1,
  IKEEXT_PROPOSAL0,
  IPSEC_AUTH,
  IPSEC_AUTH_AND_CIPHER_TRANSFORM0,
  IPSEC_AUTH_CONFIG,
  IPSEC_AUTH_TRANSFORM0,
  IPSEC_CIPHER_CONFIG,
  IPSEC_CIPHER_TYPE,
  IPSEC_PROPOSAL0,
  IPSEC_SA_TRANSFORM0,
  IPSEC_TRANSFORM,
  IPSEC_TRANSPORT_POLICY1,
} from "../raw/wfp.ts";
import { nativeSystem } from "../system.ts";

/** Policies that exist until they are closed. Keep them open while any socket uses their keys. */
export interface IpsecPolicy extends Disposable {
  /** The main-mode policy's key, for `ipsec({ mainModePolicy })`; left out where none was added. */
  readonly mainModePolicy?: string;
  /** The quick-mode policy's key, for `ipsec({ quickModePolicy })`; left out where none was added. */
  readonly quickModePolicy?: string;
  /** Removes them; calling it again does nothing. */
  close(): void;
}

const METHODS: { readonly [name in IpsecAuthentication]: number } = {
  kerberos: IKEEXT.KERBEROS,
  anonymous: IKEEXT.ANONYMOUS,
  ntlm: IKEEXT.NTLM_V2,
};
const MAX_FILTERS = 8;

/**
 * Adds policies in one transaction of a dynamic session: all of them or none.
 *
 * @example
 * ```ts
 * import { ipsec, ipsecPolicy, openSystem } from "@winsock/secure-sockets";
 *
 * using system = openSystem({ grants: ["ipsec", "ipsec.policy"] });
 * using policy = ipsecPolicy({ system, mainMode: { authentication: ["kerberos"] } });
 * const provider = ipsec({ mainModePolicy: policy.mainModePolicy });
 * ```
 * @throws TypeError or RangeError where an option at any level is invalid or unknown; nothing was opened.
 * @throws PermissionError where the grant is missing, or the account is not in the required group, which the error
 * names.
 */
export function ipsecPolicy(options: IpsecPolicyOptions): IpsecPolicy {
  const { system, mainMode, quickMode, extendedMode } = readPolicyOptions(options);
  const engine = new FilteringEngine(new Filtering(nativeSystem(system), "ipsec.policy"), true);
  try {
    const arena = new Arena(engine.memory);
    const added: { mainModePolicy?: string; quickModePolicy?: string } = {};
    engine.transact(() => {
      if (mainMode) {
        added.mainModePolicy = add(engine, arena, FWPM_IPSEC.AUTHIP_MM_CONTEXT, mainModeAt(arena, mainMode));
      }
      if (quickMode || extendedMode) {
        const at = quickModeAt(arena, quickMode ?? {}, extendedMode);
        added.quickModePolicy = add(engine, arena, FWPM_IPSEC.AUTHIP_QM_TRANSPORT_CONTEXT, at);
      }
    });
    const bounded = [added.mainModePolicy, extendedMode?.impersonation ? undefined : added.quickModePolicy];
    const forget = rememberBounded(bounded.filter((key) => key !== undefined));
    const close = (): void => {
      forget();
      engine.close();
    };
    return Object.freeze({ ...added, close, [Symbol.dispose]: close });
  } catch (error) {
    engine.close();
    throw error;
  }
}

function add(engine: FilteringEngine, arena: Arena, type: number, policy: bigint): string {
  const key = crypto.randomUUID();
  const context = arena.put(FWPM_PROVIDER_CONTEXT1, {
    providerContextKey: key,
    displayData: { name: arena.wide("secure-sockets"), description: 0n },
    type,
    authIpMmPolicy: policy,
  });
  const error = engine.call.FwpmProviderContextAdd1(engine.handle, context, 0n, pinned(8));
  engine.check(error, "FwpmProviderContextAdd1", "add an IPsec policy");
  return key;
}

function methodsAt(arena: Arena, methods: readonly IpsecAuthentication[]): bigint {
  return arena.array(
    IKEEXT_AUTHENTICATION_METHOD1,
    methods.map((name) => ({ authenticationMethodType: METHODS[name] })),
  );
}

function mainModeAt(arena: Arena, { authentication, lifetimeSeconds = 7200 }: MainModePolicy): bigint {
  const proposal = (cipher: number, hash: number, dhGroup: number) => ({
    cipherAlgorithm: { algoIdentifier: cipher, keyLen: 0, rounds: 0 },
    integrityAlgorithm: { algoIdentifier: hash },
    maxLifetimeSeconds: lifetimeSeconds,
    dhGroup,
    quickModeLimit: 0,
  });
  const proposals = [
    proposal(IKEEXT.CIPHER_AES_256, IKEEXT.INTEGRITY_SHA_384, IKEEXT.DH_ECP_384),
    proposal(IKEEXT.CIPHER_AES_128, IKEEXT.INTEGRITY_SHA_256, IKEEXT.DH_ECP_256),
  ];
  return arena.address(IKEEXT_POLICY1, {
    numAuthenticationMethods: authentication.length,
    authenticationMethods: methodsAt(arena, authentication),
    initiatorImpersonationType: IKEEXT.IMPERSONATION_NONE,
    numIkeProposals: proposals.length,
    ikeProposals: arena.array(IKEEXT_PROPOSAL0, proposals),
    maxDynamicFilters: MAX_FILTERS,
  });
}

/** The pair of transforms of each cipher; AES-GCM provides the integrity itself. */
const GCM = {
  "aes-256-gcm": {
    auth: { authType: IPSEC_AUTH.AES_256, authConfig: IPSEC_AUTH_CONFIG.GCM_AES_256 },
    cipher: { cipherType: IPSEC_CIPHER_TYPE.AES_256, cipherConfig: IPSEC_CIPHER_CONFIG.GCM_AES_256 },
  },
  "aes-128-gcm": {
    auth: { authType: IPSEC_AUTH.AES_128, authConfig: IPSEC_AUTH_CONFIG.GCM_AES_128 },
    cipher: { cipherType: IPSEC_CIPHER_TYPE.AES_128, cipherConfig: IPSEC_CIPHER_CONFIG.GCM_AES_128 },
  },
} as const;

function quickModeAt(arena: Arena, policy: QuickModePolicy, extended?: ExtendedModePolicy): bigint {
  const { ciphers = ["aes-256-gcm", "aes-128-gcm"], lifetimeSeconds = 3600 } = policy;
  const { lifetimeKilobytes = 57_671_680 } = policy;
  const transforms = ciphers.map((name) => ({
    ipsecTransformType: IPSEC_TRANSFORM.ESP_AUTH_AND_CIPHER,
    espAuthAndCipherTransform: arena.address(IPSEC_AUTH_AND_CIPHER_TRANSFORM0, {
      authTransform: { authTransformId: GCM[name].auth, cryptoModuleId: 0n },
      cipherTransform: { cipherTransformId: GCM[name].cipher, cryptoModuleId: 0n },
    }),
  }));
  if (transforms.length === 0) {
    transforms.push({
      ipsecTransformType: IPSEC_TRANSFORM.ESP_AUTH,
      espAuthAndCipherTransform: arena.address(IPSEC_AUTH_TRANSFORM0, {
        authTransformId: { authType: IPSEC_AUTH.SHA_256, authConfig: IPSEC_AUTH_CONFIG.HMAC_SHA_256_128 },
      }),
    } as never);
  }
  const proposals = transforms.map((transform) => ({
    lifetime: { lifetimeSeconds, lifetimeKilobytes, lifetimePackets: 0x7fff_ffff },
    numSaTransforms: 1,
    saTransforms: arena.array(IPSEC_SA_TRANSFORM0, [transform]),
  }));
  return arena.address(IPSEC_TRANSPORT_POLICY1, {
    numIpsecProposals: proposals.length,
    ipsecProposals: arena.array(IPSEC_PROPOSAL0, proposals),
    saIdleTimeout: { idleTimeoutSeconds: 300, idleTimeoutSecondsFailOver: 60 },
    emPolicy: extended === undefined ? 0n : arena.address(IKEEXT_EM_POLICY1, {
      numAuthenticationMethods: extended.authentication.length,
      authenticationMethods: methodsAt(arena, extended.authentication),
      initiatorImpersonationType: extended.impersonation
        ? IKEEXT.IMPERSONATION_SOCKET_PRINCIPAL
        : IKEEXT.IMPERSONATION_NONE,
    }),
  });
}

/** Initially the key of zeros: the system's own policy, which does not allow a server to act as its client. */
const BOUNDED = new Set<string>(["00000000-0000-0000-0000-000000000000"]);

/** Adds the keys of policies that do not allow impersonation; returns a function that removes them. */
export function rememberBounded(keys: readonly string[]): () => void {
  for (const key of keys) BOUNDED.add(key);
  return () => {
    for (const key of keys) BOUNDED.delete(key);
  };
}

/** Returns whether a policy may allow a server to act as its client; true for unknown policies. */
export function mayAllowImpersonation(key: string): boolean {
  return !BOUNDED.has(key.toLowerCase());
}
