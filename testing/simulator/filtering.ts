/**
 * The part of the Windows Filtering Platform that secure sockets use, for a simulated host: sessions, transactions,
 * AuthIP policies, and the associations of its connections.
 *
 * @module
 */

import type { Calls } from "../../ffi/abi.ts";
import type { FWPUCLNT } from "../../ffi/raw/fwpuclnt.ts";
import { FWPM_PROVIDER_CONTEXT1, FWPM_SESSION0, FWPM_SESSION_FLAG_DYNAMIC } from "../../ffi/raw/wfp.ts";
import { struct } from "../../ffi/memory/struct.ts";
import type { Association, Associations } from "./association.ts";
import { writeContexts, writeMainMode } from "./association_memory.ts";
import type { Host } from "./host.ts";
import type { KernelObject } from "./machine.ts";
import { readPolicy } from "./policies.ts";

const ERROR = {
  ACCESS_DENIED: 5,
  INVALID_HANDLE: 6,
  INVALID_PARAMETER: 87,
  NOT_FOUND: 1168,
  FWP_NOT_FOUND: 0x8032_0008,
  FWP_TXN_IN_PROGRESS: 0x8032_000e,
  FWP_ALREADY_EXISTS: 0x8032_0009,
} as const;
const GUID = struct("GUID", { value: "guid" });

class Engine implements KernelObject {
  readonly dynamic: boolean;
  readonly host: Host;
  readonly added = new Set<string>();
  /** Keys added in the open transaction; `null`: there is no transaction. */
  transaction: string[] | null = null;

  constructor(host: Host, dynamic: boolean) {
    this.host = host;
    this.dynamic = dynamic;
  }

  closed(): void {
    if (this.dynamic) { for (const key of this.added) this.host.policies.delete(key); }
  }
}

/** The state of an enumeration of associations. */
class Enumeration implements KernelObject {
  readonly left: Association[];

  constructor(left: Association[]) {
    this.left = left;
  }

  closed(): void {}
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
  | "IPsecSaContextCreateEnumHandle0"
  | "IPsecSaContextEnum1"
  | "IPsecSaContextDestroyEnumHandle0"
  | "FwpmFreeMemory0"
>;

const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.length);

/** The functions of a host. `associations` are those of the whole network. */
export function filteringCalls(host: Host, associations: Associations): Functions {
  const { machine } = host;
  const { memory } = machine;
  /** Every account may open the engine; its contents are for administrators. */
  const privileged = (handle: bigint, fn: (engine: Engine) => number): number => {
    const engine = machine.find(handle, Engine);
    if (engine === null) return ERROR.INVALID_HANDLE;
    return host.options.administrator ? fn(engine) : ERROR.ACCESS_DENIED;
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
        const policy = displayData.name === 0n ? null : readPolicy(memory, type, authIpMmPolicy);
        if (policy === null) return ERROR.INVALID_PARAMETER;
        host.policies.set(providerContextKey, policy);
        if (engine.transaction === null) engine.added.add(providerContextKey);
        else engine.transaction.push(providerContextKey);
        return 0;
      }),
    FwpmProviderContextDeleteByKey0: (handle, key) =>
      privileged(handle, () => host.policies.delete(GUID.read(viewOf(key!)).value) ? 0 : ERROR.NOT_FOUND),
    IkeextSaGetById1: (handle, id, context, out) =>
      privileged(handle, () => {
        const key = context === null ? null : GUID.read(viewOf(context)).value;
        const found = associations.of(host).find(({ mainModeSa, lookupContext }) =>
          mainModeSa === id && (key === null || key === lookupContext)
        );
        if (found === undefined) return ERROR.FWP_NOT_FOUND;
        viewOf(out!).setBigUint64(0, writeMainMode(memory, found, host), true);
        return 0;
      }),
    IPsecSaContextCreateEnumHandle0: (handle, template, out) =>
      privileged(handle, () => {
        // The library enumerates all of them.
        if (template !== null) return ERROR.INVALID_PARAMETER;
        viewOf(out!).setBigUint64(0, machine.open(new Enumeration(associations.of(host))), true);
        return 0;
      }),
    IPsecSaContextEnum1: (handle, enumeration, count, out, returned) =>
      privileged(handle, () => {
        const left = machine.find(enumeration, Enumeration)?.left;
        if (left === undefined) return ERROR.INVALID_HANDLE;
        const page = left.splice(0, count);
        viewOf(out!).setBigUint64(0, writeContexts(memory, page), true);
        viewOf(returned!).setUint32(0, page.length, true);
        return 0;
      }),
    IPsecSaContextDestroyEnumHandle0: (handle, enumeration) =>
      privileged(handle, () => {
        if (machine.find(enumeration, Enumeration) === null) return ERROR.INVALID_HANDLE;
        return machine.closeHandle(enumeration) ? 0 : ERROR.INVALID_HANDLE;
      }),
    FwpmFreeMemory0(pointer) {
      const view = viewOf(pointer!);
      const address = view.getBigUint64(0, true);
      if (address !== 0n) memory.free(address);
      view.setBigUint64(0, 0n, true);
    },
  };
}
