/**
 * What a socket's settings let its peer do or be, held against the requirements before anything leaves.
 *
 * @module
 */

import { SecurityRequirementError } from "../../errors.ts";
import { mayLetImpersonate } from "../../ffi/ipsec/policies.ts";
import type { ResolvedRequirements, SocketGrants } from "../../contract.ts";

/** Whether a level lets a server act as its client. */
export function isActing({ impersonation }: Pick<ResolvedRequirements, "impersonation">): boolean {
  return impersonation === "impersonate" || impersonation === "delegate";
}

/**
 * Refuses a level that nothing can hold a server to: its client's computer, or user, authenticates.
 *
 * @throws SecurityRequirementError
 */
export function refuseAnonymous({ impersonation }: ResolvedRequirements, provider: string): void {
  if (impersonation !== "anonymous") return;
  throw new SecurityRequirementError(
    "impersonation",
    "not offered",
    `"${provider}" authenticates this computer to its peer, which then knows it; nothing was sent. Require ` +
      '"identify", the default, or "impersonate"',
  );
}

/**
 * Refuses settings of an end that names its peer, a client or datagrams, where the peer could then do more in this
 * end's name, or be another, than the requirements allow.
 *
 * @param policies the keys of the policies that the settings name.
 * @throws SecurityRequirementError
 */
export function refuseBeyond(
  grants: SocketGrants,
  policies: readonly string[],
  requirements: ResolvedRequirements,
): void {
  if (requirements.mutualAuthentication && grants.optionalPeerName) {
    throw new SecurityRequirementError(
      "mutualAuthentication",
      "of any computer",
      "With optionalPeerName any computer that can authenticate is taken for the one that was named; nothing was " +
        "sent. Leave optionalPeerName out (rawPeerName is for names that are no SPN), or say " +
        "mutualAuthentication: false",
    );
  }
  if (isActing(requirements) || !policies.some(mayLetImpersonate)) return;
  throw new SecurityRequirementError(
    "impersonation",
    "impersonate",
    `"${requirements.impersonation}" is the most that a server may do, and the policy lets it impersonate, or is none ` +
      "that ipsecPolicy() added in this program, so that nobody knows; nothing was sent. Use a policy without " +
      'extendedMode.impersonation, or require impersonation: "impersonate"',
  );
}
