/**
 * Checks that a socket's settings do not let its peer do or be more than the requirements allow, before anything is
 * sent.
 *
 * @module
 */

import { SecurityRequirementError } from "../../errors.ts";
import { mayLetImpersonate } from "../../ffi/ipsec/known_policies.ts";
import type { ResolvedRequirements, SocketGrants } from "../../contract.ts";

/** Whether an impersonation level lets a server act as its client. */
export function isActing({ impersonation }: Pick<ResolvedRequirements, "impersonation">): boolean {
  return impersonation === "impersonate" || impersonation === "delegate";
}

/**
 * Refuses the level `anonymous`, which IPsec cannot enforce: the client's computer, or user, authenticates to the
 * server.
 *
 * @throws SecurityRequirementError
 */
export function refuseAnonymous({ impersonation }: ResolvedRequirements, provider: string): void {
  if (impersonation !== "anonymous") return;
  throw new SecurityRequirementError(
    "impersonation",
    "not offered",
    `"${provider}" authenticates this computer to its peer, so it is not anonymous; nothing was ` +
      'sent. Require "identify", the default, or "impersonate"',
  );
}

/**
 * For an end that names its peer (a client, or datagrams): refuses settings with which the peer could do more as
 * this end, or be another computer, than the requirements allow.
 *
 * @param policies The keys of the policies that the settings name.
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
      "With optionalPeerName any computer that can authenticate is accepted instead of the named " +
        "one; nothing was sent. Leave optionalPeerName out (rawPeerName is for names that are not " +
        "SPNs), or set mutualAuthentication: false",
    );
  }
  if (isActing(requirements) || !policies.some(mayLetImpersonate)) return;
  throw new SecurityRequirementError(
    "impersonation",
    "impersonate",
    `"${requirements.impersonation}" is the most that a server may do, but the policy lets it ` +
      "impersonate, or was not added by ipsecPolicy() in this program, so that its level is unknown; " +
      "nothing was sent. Use a policy without extendedMode.impersonation, or require impersonation: " +
      '"impersonate"',
  );
}
