/**
 * The provider contract, for those who write providers and for those who choose among them.
 *
 * @module
 */

export type * from "./provider.ts";
export { resolveRequirements, verifyAttributes } from "./requirements.ts";
