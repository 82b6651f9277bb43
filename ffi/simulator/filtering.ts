/**
 * The part of the Windows Filtering Platform that secure sockets lean on, over a simulated host: sessions,
 * transactions, AuthIP policies, and the associations of its connections.
 *
 * @module
 */

import type { Calls } from "../abi.ts";
import type { FWPUCLNT } from "../raw/fwpuclnt.ts";
import {
  FWPM_IPSEC,
  FWPM_PROVIDER_CONTEXT1,
  FWPM_SESSION0,
  FWPM_SESSION_FLAG_DYNAMIC,
  IKEEXT,
  IKEEXT_AUTHENTICATION_METHOD1,
  IKEEXT_CREDENTIAL_PAIR1,
  IKEEXT_EM_POLICY1,
  IKEEXT_POLICY1,
  IKEEXT_SA_DETAILS1,
  IPSEC_TRANSPORT_POLICY1,
} from "../raw/wfp.ts";
import { struct } from "../struct.ts";
import type { Host, KnownPolicy } from "./host.ts";
import type { KernelObject } from "./machine.ts";

const ERROR = {
  ACCESS_DENIED: 5,
  INVALID_HANDLE: 6,
  INVALID_PARAMETER: 87,
  NOT_FOUND: 1168,
  FWP_TXN_IN_PROGRESS: 0x8032_000e,
  FWP_ALREADY_EXISTS: 0x8032_0009,
} as const;
const GUID = struct("GUID", { value: "guid" });
const LIFETIME_SECONDS = 7200;

class Engine implements KernelObject {
  readonly dynamic: boolean;
  readonly host: Host;
  readonly added = new Set<string>();
  /** Keys added in the open transaction; `null`: none is open. */
  transaction: string[] | null = null;

  constructor(host: Host, dynamic: boolean) {
    this.host = host;
    this.dynamic = dynamic;
  }

  closed(): void {
    if (this.dynamic) { for (const key of this.added) this.host.policies.delete(key); }
  }
}

type Functions = Pick<
  Calls<typeof FWPUCLNT>,
  | "FwpmEngineOpen0"
  | "FwpmEngineClose0"
  | "FwpmTransactionBegin0"
  | "FwpmTransactionCommit0"
  | "FwpmTransactionAbort0"
  | "FwpmProviderContextAdd1"
  | "FwpmProviderContextDeleteByKey0"
  | "IkeextSaGetById1"
  | "FwpmFreeMemory0"
>;

const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.length);

/** The functions of a host. */
export function filteringCalls(host: Host): Functions {
  const { machine } = host;
  const { memory } = machine;
  /** Everyone may open the engine; what it holds is for administrators. */
  const privileged = (handle: bigint, fn: (engine: Engine) => number): number => {
    const engine = machine.find(handle, Engine);
    if (engine === null) return ERROR.INVALID_HANDLE;
    return host.options.administrator ? fn(engine) : ERROR.ACCESS_DENIED;
  };
  const methods = (address: bigint, count: number): number[] =>
    Array.from({ length: count }, (_, index) => {
      const at = address + BigInt(index * IKEEXT_AUTHENTICATION_METHOD1.size);
      return IKEEXT_AUTHENTICATION_METHOD1.read(memory.view(at, IKEEXT_AUTHENTICATION_METHOD1.size))
        .authenticationMethodType;
    });
  const readPolicy = (type: number, at: bigint): KnownPolicy | null => {
    if (type === FWPM_IPSEC.AUTHIP_MM_CONTEXT) {
      const policy = IKEEXT_POLICY1.read(memory.view(at, IKEEXT_POLICY1.size));
      const [first] = methods(policy.authenticationMethods, policy.numAuthenticationMethods);
      return { authentication: first === IKEEXT.KERBEROS ? "kerberos" : "anonymous", impersonation: false };
    }
    if (type !== FWPM_IPSEC.AUTHIP_QM_TRANSPORT_CONTEXT) return null;
    const { emPolicy } = IPSEC_TRANSPORT_POLICY1.read(memory.view(at, IPSEC_TRANSPORT_POLICY1.size));
    if (emPolicy === 0n) return { authentication: "anonymous", impersonation: false };
    const extended = IKEEXT_EM_POLICY1.read(memory.view(emPolicy, IKEEXT_EM_POLICY1.size));
    const acts = extended.initiatorImpersonationType === IKEEXT.IMPERSONATION_SOCKET_PRINCIPAL;
    return { authentication: "anonymous", impersonation: acts };
  };
  const writeAssociation = (association: { mutual: boolean; local: string; peer: string }): bigint => {
    const text = new TextEncoder().encode(association.peer);
    const names = IKEEXT_SA_DETAILS1.size + IKEEXT_CREDENTIAL_PAIR1.size;
    const { address, bytes } = memory.allocate(names + 8 + 2 * (text.length + 1));
    const method = association.mutual ? IKEEXT.KERBEROS : IKEEXT.ANONYMOUS;
    const named = association.mutual ? address + BigInt(names) : 0n;
    const view = new DataView(bytes.buffer);
    view.setBigUint64(names, address + BigInt(names + 8), true);
    text.forEach((unit, index) => view.setUint16(names + 8 + 2 * index, unit, true));
    const none = { authenticationMethodType: method, impersonationType: 0, name: 0n };
    IKEEXT_CREDENTIAL_PAIR1.write(view, {
      localCredentials: none,
      peerCredentials: { ...none, name: named },
    }, IKEEXT_SA_DETAILS1.size);
    IKEEXT_SA_DETAILS1.write(view, {
      ikeProposal: {
        cipherAlgorithm: { algoIdentifier: IKEEXT.CIPHER_AES_128, keyLen: 0, rounds: 0 },
        integrityAlgorithm: { algoIdentifier: 1 },
        maxLifetimeSeconds: LIFETIME_SECONDS,
        dhGroup: IKEEXT.DH_ECP_256,
        quickModeLimit: 0,
      },
      ikeCredentials: { numCredentials: 1, credentials: address + BigInt(IKEEXT_SA_DETAILS1.size) },
    });
    return address;
  };
  return {
    FwpmEngineOpen0(_server, _service, _identity, session, out) {
      const flags = session === null ? 0 : FWPM_SESSION0.read(viewOf(session)).flags;
      const handle = machine.open(new Engine(host, (flags & FWPM_SESSION_FLAG_DYNAMIC) !== 0));
      viewOf(out!).setBigUint64(0, handle, true);
      return 0;
    },
    FwpmEngineClose0: (handle) => machine.closeHandle(handle) ? 0 : ERROR.INVALID_HANDLE,
    FwpmTransactionBegin0: (handle) =>
      privileged(handle, (engine) => {
        if (engine.transaction !== null) return ERROR.FWP_TXN_IN_PROGRESS;
        engine.transaction = [];
        return 0;
      }),
    FwpmTransactionCommit0: (handle) =>
      privileged(handle, (engine) => {
        for (const key of engine.transaction ?? []) engine.added.add(key);
        engine.transaction = null;
        return 0;
      }),
    FwpmTransactionAbort0: (handle) =>
      privileged(handle, (engine) => {
        for (const key of engine.transaction ?? []) host.policies.delete(key);
        engine.transaction = null;
        return 0;
      }),
    FwpmProviderContextAdd1: (handle, context) =>
      privileged(handle, (engine) => {
        const { providerContextKey, type, authIpMmPolicy, displayData } = FWPM_PROVIDER_CONTEXT1.read(
          viewOf(context!),
        );
        if (host.policies.has(providerContextKey)) return ERROR.FWP_ALREADY_EXISTS;
        const policy = displayData.name === 0n ? null : readPolicy(type, authIpMmPolicy);
        if (policy === null) return ERROR.INVALID_PARAMETER;
        host.policies.set(providerContextKey, policy);
        if (engine.transaction === null) engine.added.add(providerContextKey);
        else engine.transaction.push(providerContextKey);
        return 0;
      }),
    FwpmProviderContextDeleteByKey0: (handle, key) =>
      privileged(handle, () => host.policies.delete(GUID.read(viewOf(key!)).value) ? 0 : ERROR.NOT_FOUND),
    IkeextSaGetById1: (handle, id, _context, out) =>
      privileged(handle, () => {
        const association = host.associations.get(id);
        if (association === undefined) return ERROR.NOT_FOUND;
        viewOf(out!).setBigUint64(0, writeAssociation(association), true);
        return 0;
      }),
    FwpmFreeMemory0(pointer) {
      const view = viewOf(pointer!);
      const address = view.getBigUint64(0, true);
      if (address !== 0n) memory.free(address);
      view.setBigUint64(0, 0n, true);
    },
  };
}
