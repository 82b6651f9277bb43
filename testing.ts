/**
 * What tests of applications and providers need.
 *
 * @module
 */

export { liveHandles } from "./ffi/live.ts";
