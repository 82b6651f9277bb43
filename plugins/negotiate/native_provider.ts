/**
 * What `negotiate()` and `kerberos()` share: the operating system's security contexts as a message provider.
 *
 * @module
 */

import { acquireCredentials } from "../../ffi/credentials.ts";
import type {
  ContextRequest,
  Identity,
  SecurityContext,
  SecurityCredentials,
  SecurityPackage,
} from "../../ffi/security_context.ts";
import { nativeSystem } from "../../ffi/system.ts";
import { checkWellFormed } from "../../ffi/well_formed.ts";
import { readUser } from "../../credentials.ts";
import { SecurityRequirementError, StateError } from "../../errors.ts";
import { Spn } from "../../spn.ts";
import type {
  ContextOptions,
  Credentials,
  MessageContext,
  MessageCredentials,
  MessageProvider,
  Offers,
  ResolvedRequirements,
} from "../provider.ts";

const OFFERS: Offers = Object.freeze({
  integrity: true,
  confidentiality: true,
  mutualAuthentication: true,
  impersonation: "delegate",
  delegation: true,
});

/** What is behind the credentials that `takeDelegated()` returned: how they are recognised. */
const delegations = new WeakMap<
  MessageCredentials,
  { readonly inside: SecurityCredentials; readonly provider: SecurityPackage }
>();

/** What one kind of native provider is. */
export interface NativeProviderOptions {
  /** Its name. */
  readonly name: SecurityPackage;
  /** Whether NTLM may be negotiated where mutual authentication is not required. */
  readonly allowNtlm: boolean;
}

/** A provider over the operating system's security contexts. */
export function nativeProvider({ name, allowNtlm }: NativeProviderOptions): MessageProvider {
  return Object.freeze<MessageProvider>({
    layer: "message",
    name,
    description: Object.freeze({ name, layer: "message", isolation: "native", offers: OFFERS }),
    available: (capabilities) => capabilities.securityContexts,
    async acquire(options) {
      const { denied = [], requirements } = options;
      const given = options.credentials;
      if (given !== undefined && (typeof given !== "object" || given === null)) {
        throw new TypeError("credentials must be an object; leave them out for whoever runs the process");
      }
      if (options.role === "client" && requirements.impersonation === "anonymous") {
        throw cannotBeAnonymous(name);
      }
      if (given !== undefined && "delegated" in given) {
        if (options.role === "server") throw new TypeError("delegated credentials serve a client");
        // They stay the caller's: closing what is returned here leaves them open.
        return wrap(name, delegated(name, given.delegated), requirements, () => {});
      }
      const credentials = await acquireCredentials(nativeSystem(options.system), {
        package: name,
        role: options.role,
        // NTLM cannot delegate either.
        excludeNtlm: requirements.mutualAuthentication || requirements.delegation || !allowNtlm ||
          denied.includes("ntlm"),
        forwardable: requirements.delegation,
        ...(given === undefined ? {} : { identity: checkIdentity(given) }),
      }, options.signal);
      return wrap(name, credentials, requirements, () => credentials.close());
    },
  });
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

function delegated(name: SecurityPackage, credentials: MessageCredentials): SecurityCredentials {
  const delegation = delegations.get(credentials);
  if (delegation?.provider === name) return delegation.inside;
  throw new TypeError(
    "credentials.delegated must come from takeDelegated() of a connection of the same provider",
  );
}

function wrap(
  name: SecurityPackage,
  credentials: SecurityCredentials,
  requirements: ResolvedRequirements,
  release: () => void,
): MessageCredentials {
  let closed = false;
  const close = (): void => {
    if (!closed) release();
    closed = true;
  };
  const open = (): SecurityCredentials => {
    if (closed) throw new StateError("The credentials are closed; acquire them again");
    return credentials;
  };
  return {
    client: (options) => {
      return context(open().client({ ...request(options, requirements), target: target(options) }));
    },
    server: (options) => context(open().server(request(options, requirements))),
    close,
    [Symbol.dispose]: close,
  };

  function context(native: SecurityContext): MessageContext {
    const take = native.takeDelegated?.bind(native);
    if (take === undefined) return native as MessageContext;
    return Object.defineProperty(native, "takeDelegated", {
      value: () => {
        const taken = take();
        if (taken === null) return null;
        const mine = wrap(name, taken, requirements, () => taken.close());
        delegations.set(mine, { inside: taken, provider: name });
        return mine;
      },
    }) as MessageContext;
  }
}

function request(options: ContextOptions, requirements: ResolvedRequirements): ContextRequest {
  const { channelBindings } = options;
  return { ...requirements, ...(channelBindings === undefined ? {} : { channelBindings }) };
}

/** An empty or malformed target is refused here: Negotiate without a target would choose NTLM. */
function target(options: ContextOptions): string {
  return Spn.parse(options.target as string).toString();
}

function checkIdentity(given: Exclude<Credentials, { delegated: unknown }>): Identity {
  const text = (name: string, value: unknown): void => {
    if (typeof value !== "string" || value === "" || value.includes("\u0000")) {
      throw new TypeError(`credentials.${name} must be a string that is not empty and holds no NUL`);
    }
    checkWellFormed(value, `credentials.${name}`);
  };
  if ("password" in given) {
    const user = readUser(given, "credentials");
    if (typeof given.password !== "string" && !(given.password instanceof Uint8Array)) {
      throw new TypeError("credentials.password must be a string or a Uint8Array of UTF-8");
    }
    if (typeof given.password === "string") checkWellFormed(given.password, "credentials.password");
    return { ...user, password: given.password };
  }
  if ("keytab" in given) {
    text("keytab", given.keytab);
    if (given.principal !== undefined) text("principal", given.principal);
    return given;
  }
  if ("cache" in given) {
    text("cache", given.cache);
    return given;
  }
  throw new TypeError("credentials must have a password, a keytab, a cache or delegated credentials");
}
