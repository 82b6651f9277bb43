/**
 * Implements `negotiate()` and `kerberos()`: a provider over the operating system's security contexts.
 *
 * @module
 */

import type { ContextProvider, Offers, ProviderCredentials } from "../../contract.ts";
import { checkCredentials } from "../../credentials.ts";
import { AuthenticationError, SecurityRequirementError } from "../../errors.ts";
import { acquireCredentials } from "../../ffi/security/credentials.ts";
import { CredentialsBase, type SecurityPackage } from "../../ffi/security/credentials_base.ts";
import { nativeSystem } from "../../ffi/system.ts";
import { deniedBy } from "../names.ts";

const OFFERS: Offers = Object.freeze({
  integrity: true,
  confidentiality: true,
  mutualAuthentication: true,
  impersonation: "delegate",
  delegation: true,
});

/** Options of {@linkcode nativeProvider}. */
export interface NativeProviderOptions {
  /** Its name. */
  readonly name: SecurityPackage;
  /** Whether NTLM may be negotiated where mutual authentication is not required. */
  readonly allowNtlm: boolean;
}

/** Returns a provider over the operating system's security contexts. */
export function nativeProvider({ name, allowNtlm }: NativeProviderOptions): ContextProvider {
  const mechanisms = Object.freeze(allowNtlm ? ["kerberos", "ntlm"] : ["kerberos"]);
  return Object.freeze<ContextProvider>({
    layer: "context",
    name,
    description: Object.freeze({ name, layer: "context", isolation: "native", offers: OFFERS, mechanisms }),
    available: (capabilities) => capabilities.securityContexts,
    async acquire(options) {
      const { denied = [], requirements } = options;
      const given = options.credentials === undefined
        ? undefined
        : checkCredentials(options.credentials, "credentials");
      if (options.role === "client" && requirements.impersonation === "anonymous") {
        throw cannotBeAnonymous(name);
      }
      // NTLM supports neither mutual authentication nor delegation.
      const excludeNtlm = requirements.mutualAuthentication || requirements.delegation || !allowNtlm ||
        deniedBy(denied, "ntlm") !== null;
      const excludeKerberos = deniedBy(denied, "kerberos") !== null;
      if (excludeKerberos && excludeNtlm) throw nothingLeft(name);
      if (given !== undefined && "delegated" in given) {
        if (excludeKerberos) throw delegatedIsKerberos();
        if (options.role === "server") {
          throw new TypeError("credentials.delegated can be used on a client only");
        }
        // The caller stays the owner: closing the returned credentials leaves these open.
        return delegated(name, given.delegated).withRequirements(requirements);
      }
      return await acquireCredentials(nativeSystem(options.system), {
        package: name,
        role: options.role,
        requirements,
        excludeNtlm,
        ...(excludeKerberos ? { excludeKerberos } : {}),
        ...(given === undefined ? {} : { identity: given }),
      }, options.signal);
    },
  });
}

function delegatedIsKerberos(): AuthenticationError {
  return new AuthenticationError(
    "mechanism",
    "Cannot use credentials.delegated: they are Kerberos tickets, and a policy denies kerberos. Remove kerberos from " +
      "the policy's deny, or connect without them",
  );
}

/** Refuses an acquisition without a registry; a registry does not select such a provider. */
function nothingLeft(name: SecurityPackage): AuthenticationError {
  return new AuthenticationError(
    "mechanism",
    `Cannot acquire credentials of ${name}: a policy denies kerberos, and no other mechanism is allowed. Remove ` +
      "kerberos from the policy's deny, or use another provider",
  );
}

/** Refused before the first token, which would identify the client. */
function cannotBeAnonymous(name: SecurityPackage): SecurityRequirementError {
  return new SecurityRequirementError(
    "impersonation",
    "identify",
    `${name} identifies the client to the server, which impersonation: "anonymous" forbids; nothing was sent. ` +
      'Use "identify", the default',
  );
}

/** @throws TypeError unless they came from `takeDelegated()` of a context of the same provider. */
function delegated(name: SecurityPackage, credentials: ProviderCredentials): CredentialsBase {
  // Refuses all other credentials: their own policy and requirements may have allowed more, for instance NTLM.
  if (credentials instanceof CredentialsBase && credentials.delegated && credentials.package === name) {
    return credentials;
  }
  throw new TypeError(
    "credentials.delegated must come from takeDelegated() of a connection of the same provider",
  );
}
