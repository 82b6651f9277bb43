/**
 * The state of Windows' services.
 *
 * @module
 */

import { pinned, wideString } from "../memory/memory.ts";
import {
  ADVAPI32,
  SC_MANAGER_CONNECT,
  SERVICE_QUERY_STATUS,
  SERVICE_RUNNING,
  SERVICE_STATUS,
} from "../raw/advapi32.ts";
import type { NativeSystem } from "../system.ts";

/**
 * Returns whether a service runs; `null` where there is none of this name, or this account may not query it.
 *
 * @param name the service's own name, not the one that is displayed: `BFE`.
 * @throws PermissionError where the system lacks the grant `impersonation`.
 */
export function isServiceRunning(system: NativeSystem, name: string): boolean | null {
  const { call } = system.library("impersonation", ADVAPI32);
  const manager = call.OpenSCManagerW(null, null, SC_MANAGER_CONNECT);
  if (manager === 0n) return null;
  try {
    const service = call.OpenServiceW(manager, wideString(name), SERVICE_QUERY_STATUS);
    if (service === 0n) return null;
    try {
      const status = pinned(SERVICE_STATUS.size);
      if (call.QueryServiceStatus(service, status) === 0) return null;
      return status[SERVICE_STATUS.offsets.dwCurrentState] === SERVICE_RUNNING;
    } finally {
      call.CloseServiceHandle(service);
    }
  } finally {
    call.CloseServiceHandle(manager);
  }
}
