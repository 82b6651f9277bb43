/**
 * What tests of applications and providers need.
 *
 * @module
 */

export { liveHandles } from "../ffi/handles.ts";
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
