/**
 * Checks what the system reports about a connection against the requirements.
 *
 * @module
 */

import { SecurityRequirementError } from "../../errors.ts";
import { nativeError } from "../../ffi/status.ts";
import type { JsonValue, ResolvedRequirements, SecurityInfo } from "../../contract.ts";
import { isActing } from "./terms.ts";
import type { Association } from "../../ffi/ipsec/associations.ts";
import type { Transform } from "../../ffi/ipsec/transform.ts";

/** What a connection must be. */
export interface ExpectedSecurity {
  /** The provider's name. */
  readonly provider: string;
  /** What is required. */
  readonly requirements: ResolvedRequirements;
  /** Whether clear text is allowed. */
  readonly mayBeClear: boolean;
  /**
   * True if the impersonation level is the most that the peer may do; false if it is the least that this end needs.
   */
  readonly bounds: boolean;
  /** Queries whether the client is known by a token, if nothing else identifies it; true if it need not be known. */
  readonly identified: () => boolean;
  /** What a failure means for the data, as a part of a sentence. */
  readonly consequence: string;
}

/** @throws SecurityRequirementError that names the first requirement that is not met. */
export function verifyInfo(info: SecurityInfo, expected: ExpectedSecurity): void {
  const { requirements, bounds, consequence } = expected;
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
  if (!info.integrity && !expected.mayBeClear) {
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
      `Give both computers credentials, and have both ends use "${expected.provider}".`,
    );
  }
  if (requirements.confidentiality && !info.confidentiality) {
    refuse("confidentiality", "none", "Have the policy of both ends offer encryption.");
  }
  if (requirements.mutualAuthentication && info.mutualAuthentication !== true) {
    refuse(
      "mutualAuthentication",
      String(info.mutualAuthentication),
      "The system reports it only for associations whose credentials may be read: use a main-mode " +
        "policy with Kerberos or certificates, and an account that is an administrator or a Network " +
        "Configuration Operator. If the policy of the domain ensures it, set mutualAuthentication: " +
        "false",
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
  if (!acting && info.mutualAuthentication !== true && !expected.identified()) {
    refuse(
      "impersonation",
      info.impersonation,
      'The client is not known by name: use policies with Kerberos, or require impersonation: "anonymous".',
    );
  }
}

/**
 * Describes an association for `SecurityInfo.details`.
 *
 * @param read The association, or the reason why it cannot be read; `null` if there is none.
 */
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
 * Returns the transform with which quick mode leaves packets unprotected although the connection counts as secured,
 * or `null`. With `esp-auth-fw` "the entire session is then sent in clear text", and encryption without integrity
 * does not detect changes.
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
