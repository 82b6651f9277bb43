/**
 * What `negotiate()` and `kerberos()` share: the operating system's security contexts as a message provider.
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

/** What one kind of native provider is. */
export interface NativeProviderOptions {
  /** Its name. */
  readonly name: SecurityPackage;
  /** Whether NTLM may be negotiated where mutual authentication is not required. */
  readonly allowNtlm: boolean;
}

/** A provider over the operating system's security contexts. */
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
      // NTLM cannot delegate either.
      const excludeNtlm = requirements.mutualAuthentication || requirements.delegation || !allowNtlm ||
        deniedBy(denied, "ntlm") !== null;
      const excludeKerberos = deniedBy(denied, "kerberos") !== null;
      if (excludeKerberos && excludeNtlm) throw nothingLeft(name);
      if (given !== undefined && "delegated" in given) {
        if (excludeKerberos) throw delegatedIsKerberos();
        if (options.role === "server") throw new TypeError("delegated credentials serve a client");
        // They stay the caller's: closing what is returned here leaves them open.
        return delegated(name, given.delegated).lend(requirements);
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
    "Cannot use credentials.delegated: they are Kerberos tickets, and a policy denies kerberos. Take it out of the " +
      "policy's deny, or connect without them",
  );
}

/** A registry selects no such provider; whoever acquires without one is refused here. */
function nothingLeft(name: SecurityPackage): AuthenticationError {
  return new AuthenticationError(
    "mechanism",
    `Cannot acquire credentials of ${name}: a policy denies kerberos, and no other mechanism may serve. Take it out ` +
      "of the policy's deny, or use another provider",
  );
}

/** Refused before the first token, which would tell who the client is. */
function cannotBeAnonymous(name: SecurityPackage): SecurityRequirementError {
  return new SecurityRequirementError(
    "impersonation",
    "identify",
    `${name} tells the server who its client is, and impersonation: "anonymous" forbids that; nothing was sent. ` +
      'Ask for "identify", the default',
  );
}

/** @throws TypeError unless they came from `takeDelegated()` of a context of the same provider. */
function delegated(name: SecurityPackage, credentials: ProviderCredentials): CredentialsBase {
  // Not any credentials: others were acquired for what their own policy and requirements let in, NTLM perhaps.
  if (credentials instanceof CredentialsBase && credentials.delegated && credentials.package === name) {
    return credentials;
  }
  throw new TypeError(
    "credentials.delegated must come from takeDelegated() of a connection of the same provider",
  );
}
