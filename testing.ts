/**
 * What tests of applications and providers need.
 *
 * @module
 */

export type { MachinePolicyText } from "./ffi/machine_policy.ts";
export type { Grant, RequiredPermissions } from "./ffi/permissions.ts";
export type { System, SystemAvailability, SystemCapabilities } from "./ffi/system.ts";
export { liveHandles } from "./ffi/live.ts";
export { simulate } from "./ffi/simulator/simulate.ts";
export type {
  FaultOptions,
  Held,
  HostOptions,
  NetworkOptions,
  SimulatedAccount,
  SimulatedNetwork,
  Traffic,
} from "./ffi/simulator/simulate.ts";
