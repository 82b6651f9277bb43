/**
 * What the system told of a connection, held against what it must be.
 *
 * @module
 */

import { SecurityRequirementError } from "../../errors.ts";
import { nativeError } from "../../ffi/status.ts";
import type { JsonValue, ResolvedRequirements, SecurityInfo } from "../../contract.ts";
import { isActing } from "./settings_bounds.ts";
import type { Association } from "../../ffi/ipsec/associations.ts";
import type { Transform } from "../../ffi/ipsec/transform.ts";

/** What a connection must be. */
export interface InfoTerms {
  /** The provider's name. */
  readonly provider: string;
  /** What is required. */
  readonly requirements: ResolvedRequirements;
  /** Whether clear text is allowed. */
  readonly mayBeClear: boolean;
  /** Whether the level of impersonation is the most that the peer may do; else it is the least this end must. */
  readonly bounds: boolean;
  /** Asks whether the client is known by a token, where nothing else tells; true where nobody needs it known. */
  readonly identified: () => boolean;
  /** What failing means for the bytes, as a part of a sentence. */
  readonly consequence: string;
}

/** @throws SecurityRequirementError naming the first requirement that is not met. */
export function verifyInfo(info: SecurityInfo, terms: InfoTerms): void {
  const { requirements, bounds, consequence } = terms;
  const { negotiationError, unprotectedBy: hole } = info.details;
  const cause = typeof negotiationError === "number"
    ? nativeError("IPsec's negotiation", negotiationError)
    : undefined;
  const refuse = (required: string, got: string, fix: string): never => {
    throw new SecurityRequirementError(
      required,
      got,
      `The connection's ${required} is ${got}, which is not what was required; ${consequence}. ` +
        `${cause ? `${cause.message}. ` : ""}${fix}`,
      { cause },
    );
  };
  if (!info.integrity && !terms.mayBeClear) {
    if (typeof hole === "string") {
      refuse(
        "integrity",
        hole,
        "Use a quick-mode policy that proposes ESP or AH with integrity on every packet.",
      );
    }
    refuse(
      "integrity",
      "none",
      `Give both computers credentials, and have both ends use "${terms.provider}".`,
    );
  }
  if (requirements.confidentiality && !info.confidentiality) {
    refuse("confidentiality", "none", "Have the policy of both ends offer encryption.");
  }
  if (requirements.mutualAuthentication && info.mutualAuthentication !== true) {
    refuse(
      "mutualAuthentication",
      String(info.mutualAuthentication),
      "The system tells it only of associations whose credentials may be read: use a main-mode policy by " +
        "Kerberos or certificates, and an account that is an administrator or a Network Configuration Operator. " +
        "Where the policy of the domain ensures it, say mutualAuthentication: false",
    );
  }
  const acting = isActing(requirements);
  if (bounds && !acting && info.impersonation === "impersonate") {
    refuse(
      "impersonation",
      info.impersonation,
      `"${requirements.impersonation}" is the most that was allowed: use a policy whose extended mode does not let ` +
        'the server impersonate, or require impersonation: "impersonate".',
    );
  }
  if (bounds || requirements.impersonation === "anonymous") return;
  if (acting && info.impersonation !== "impersonate") {
    refuse(
      "impersonation",
      info.impersonation,
      "Use an extended-mode policy that lets the server impersonate, on both ends.",
    );
  }
  if (!acting && info.mutualAuthentication !== true && !terms.identified()) {
    refuse(
      "impersonation",
      info.impersonation,
      'The client is not known by name: use policies by Kerberos, or require impersonation: "anonymous".',
    );
  }
}

/** `read`: the association, or why it is not told; `null`: there is none. */
export function associationDetails(read: Association | string | null): JsonValue {
  if (read === null || typeof read === "string") return read ?? "none";
  const { authentication, cipher, integrity, lifetimeSeconds, quickMode } = read;
  return {
    authentication,
    mainModeCipher: cipher,
    mainModeIntegrity: integrity,
    lifetimeSeconds,
    quickMode: quickMode as JsonValue,
  };
}

/**
 * The transform by which quick mode leaves packets unprotected although the connection counts as secured; `null`: none.
 * By `esp-auth-fw` "the entire session is then sent in clear text", and a cipher alone protects nothing against change.
 *
 * @see https://learn.microsoft.com/windows/win32/api/ipsectypes/ne-ipsectypes-ipsec_transform_type
 */
export function unprotectedBy(read: Association | string | null): Transform["type"] | null {
  if (read === null || typeof read === "string" || typeof read.quickMode === "string") return null;
  const { transforms, outbound } = read.quickMode;
  for (const direction of [transforms, outbound?.transforms ?? transforms]) {
    if (direction.some(({ type }) => type === "esp-auth-fw")) return "esp-auth-fw";
    if (direction.every(({ type }) => type === "esp-cipher")) return "esp-cipher";
  }
  return null;
}
