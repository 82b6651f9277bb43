/**
 * What tests of applications and providers need.
 *
 * @module
 */

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
