/**
 * What the tests of applications and providers need.
 *
 * @module
 */

export type { Availability, Capabilities, MachinePolicy } from "../contract.ts";
export type { Grant, OptionalFiles, RequiredPermissions } from "../ffi/permissions.ts";
export type { System } from "../ffi/system.ts";
export { liveHandles } from "../ffi/handles.ts";
export type { Outcome } from "./conformance/checks.ts";
export type { ModuleReport, ProviderReport, TestModuleOptions } from "./conformance/module.ts";
export { simulate } from "./simulator/simulate.ts";
export type {
  FaultOptions,
  Held,
  HostOptions,
  NetworkOptions,
  SimulatedAccount,
  SimulatedNetwork,
  Traffic,
} from "./simulator/simulate.ts";
export { testProvider } from "./test_provider.ts";
export type { TestProviderOptions } from "./test_provider.ts";
