/**
 * What `saslClient` and `saslServer` take, checked before anything native happens.
 *
 * @module
 */

import { checkFunction, checkInteger, checkKeys, checkTarget, checkTargets } from "../contexts/check.ts";
import { checkBindings } from "../contexts/channel_bindings.ts";
import type {
  ChannelBindingPolicy,
  ChannelBindings,
  Credentials,
  PeerIdentity,
  ProviderSystem,
  Requirements,
} from "../contract.ts";
import { checkWellFormed } from "../ffi/memory/text.ts";
import { kerberos, negotiate } from "../plugins/negotiate/mod.ts";
import { createRegistry, type Registry } from "../plugins/registry.ts";
import { LAYERS, MAX_BUFFER, type SecurityLayer, strongest } from "./layers.ts";

/** `GSSAPI`: Kerberos by RFC 4752. `GSS-SPNEGO`: Negotiate, as Active Directory's LDAP has it. */
export type SaslMechanism = "GSSAPI" | "GSS-SPNEGO";

/** What both ends of an exchange take. */
export interface SaslOptions {
  /** The mechanism, as the protocol names it. */
  readonly mechanism: SaslMechanism;
  /**
   * The security layers that are acceptable: the strongest that both ends accept is used. Default
   * `["confidentiality"]`, and `["none"]` where channel bindings are given, since TLS then protects the connection.
   */
  readonly layers?: readonly SecurityLayer[];
  /** What ties the authentication to the TLS connection it travels on. */
  readonly channelBindings?: ChannelBindings;
  /**
   * The longest record to take from the peer, in bytes without the four of its length: 1,024 to 16,777,215. Default
   * 65,536, which GSSAPI announces; GSS-SPNEGO announces nothing, so its default is 16,777,215.
   */
  readonly maxReceive?: number;
  /** The providers to choose from. Default `[kerberos()]` for GSSAPI, `[negotiate()]` for GSS-SPNEGO. */
  readonly registry?: Registry;
  /** Who to be; left out: the account of the process. */
  readonly credentials?: Credentials;
  /** What else the context must be; `layers` decides on integrity and confidentiality. */
  readonly requirements?: Omit<Requirements, "integrity" | "confidentiality">;
  /** The system to work on; left out: one for the whole process. */
  readonly system?: ProviderSystem;
  /** Ends every wait of the exchange; its reason is rethrown unchanged. */
  readonly signal?: AbortSignal;
}

/** Options of {@linkcode saslClient}. */
export interface SaslClientOptions extends SaslOptions {
  /** The server's SPN: `ldap/dc1.example.test`, `imap/mail.example.test`, `kafka/broker1.example.test`. */
  readonly target: string;
  /** Who to act as, where that is not who authenticates. Only GSSAPI can say it. */
  readonly authorizationId?: string;
}

/** Options of {@linkcode saslServer}. */
export interface SaslServerOptions extends SaslOptions {
  /** The SPNs that a client may ask for, for instance `["ldap/dc1.example.test"]`. */
  readonly acceptedTargets: readonly string[];
  /** Default `"always"` where `channelBindings` are given. */
  readonly channelBindingPolicy?: ChannelBindingPolicy;
  /**
   * Decides whether a client may act as the authorization identity it names. Left out: only as itself, which is the
   * peer's whole name, `alice@EXAMPLE.TEST`. Not asked where a client names none.
   */
  readonly authorize?: (peer: PeerIdentity, authorizationId: string) => boolean | Promise<boolean>;
}

/** Options of an exchange, checked and complete. */
export interface Terms {
  /** The mechanism. */
  readonly mechanism: SaslMechanism;
  /** The acceptable layers, the strongest first. */
  readonly layers: readonly SecurityLayer[];
  /** The longest record to take. */
  readonly maxReceive: number;
  /** What `openInitiator` and `openAcceptor` take, and check before they open anything. */
  readonly open: {
    readonly registry: Registry;
    readonly requirements: Requirements;
    readonly credentials?: Credentials;
    readonly system?: ProviderSystem;
    readonly signal?: AbortSignal;
  };
}

const MECHANISMS: readonly SaslMechanism[] = ["GSSAPI", "GSS-SPNEGO"];
const COMMON = ["mechanism", "layers", "channelBindings", "maxReceive"];
const OPEN = ["registry", "credentials", "requirements", "system", "signal"];
const POLICIES: readonly ChannelBindingPolicy[] = ["never", "whenSupported", "always"];
const MIN_RECEIVE = 1024;
const DEFAULT_RECEIVE = { "GSSAPI": 65_536, "GSS-SPNEGO": MAX_BUFFER } as const;

/** Checks a client's options. */
export function readClientOptions(options: SaslClientOptions): Terms {
  checkKeys(options, [...COMMON, ...OPEN, "target", "authorizationId"], "options");
  const terms = readOptions(options, "client");
  checkTarget(options.target, "options.target");
  const { authorizationId } = options;
  if (authorizationId !== undefined) checkAuthorizationId(authorizationId, options.mechanism);
  return terms;
}

/** Checks a server's options. */
export function readServerOptions(options: SaslServerOptions): Terms {
  checkKeys(options, [...COMMON, ...OPEN, "acceptedTargets", "channelBindingPolicy", "authorize"], "options");
  const terms = readOptions(options, "server");
  if (options.acceptedTargets === undefined) {
    throw new TypeError(
      'options.acceptedTargets must list the names of this service, such as "ldap/dc1.example.test": a ticket for ' +
        "any other key of the key table would be accepted without it",
    );
  }
  checkTargets(options.acceptedTargets, "options.acceptedTargets");
  checkFunction(options.authorize, "options.authorize");
  checkPolicy(options);
  return terms;
}

function checkPolicy({ channelBindingPolicy = "never", channelBindings }: SaslServerOptions): void {
  if (!POLICIES.includes(channelBindingPolicy)) {
    throw new TypeError(`options.channelBindingPolicy must be one of ${POLICIES.join(", ")}`);
  }
  if (channelBindingPolicy !== "never" && channelBindings === undefined) {
    throw new TypeError("options.channelBindingPolicy needs options.channelBindings to compare with");
  }
}

function readOptions(options: SaslOptions, role: "client" | "server"): Terms {
  const { mechanism, credentials, registry, system, signal } = options;
  if (!MECHANISMS.includes(mechanism)) {
    throw new TypeError(`options.mechanism must be one of ${MECHANISMS.join(", ")}`);
  }
  if (options.channelBindings !== undefined) {
    checkBindings(options.channelBindings, "options.channelBindings");
  }
  const { maxReceive = DEFAULT_RECEIVE[mechanism] } = options;
  checkInteger(maxReceive, "options.maxReceive", MIN_RECEIVE, MAX_BUFFER);
  const layers = readLayers(options);
  return {
    mechanism,
    layers,
    maxReceive,
    open: {
      registry: registry ?? createRegistry([mechanism === "GSSAPI" ? kerberos() : negotiate()]),
      requirements: readRequirements(options.requirements, mechanism, layers, role),
      credentials,
      system,
      signal,
    },
  };
}

function readLayers({ layers, channelBindings }: SaslOptions): readonly SecurityLayer[] {
  if (layers === undefined) return [channelBindings === undefined ? "confidentiality" : "none"];
  const known = Array.isArray(layers) && layers.length > 0 && layers.every((layer) => LAYERS.includes(layer));
  if (!known) throw new TypeError(`options.layers must list at least one of ${LAYERS.join(", ")}`);
  return LAYERS.filter((layer) => layers.includes(layer));
}

/** What the context must be, so that the layers can be negotiated and used. */
function readRequirements(
  given: SaslOptions["requirements"] = {},
  mechanism: SaslMechanism,
  layers: readonly SecurityLayer[],
  role: "client" | "server",
): Requirements {
  if (typeof given !== "object" || given === null) {
    throw new TypeError("options.requirements must be an object");
  }
  for (const key of ["integrity", "confidentiality"]) {
    if (Object.hasOwn(given, key)) {
      throw new TypeError(`options.requirements.${key} is decided by options.layers; leave it out`);
    }
  }
  // A client asks for its strongest layer, which the server may refuse to use; a server is content with its weakest.
  const layer = role === "client" ? strongest(layers) : layers[layers.length - 1];
  const requirements = {
    ...given,
    confidentiality: layer === "confidentiality",
    // GSSAPI negotiates even the layer "none" in signed messages.
    integrity: layer !== "none" || (mechanism === "GSSAPI" && role === "client"),
  };
  if (requirements.mutualAuthentication === false && strongest(layers) !== "none") {
    throw new TypeError(
      "options.requirements.mutualAuthentication must not be false where a security layer is accepted (RFC 4752); " +
        'leave it out, or set options.layers to ["none"]',
    );
  }
  return requirements;
}

function checkAuthorizationId(value: unknown, mechanism: SaslMechanism): void {
  if (typeof value !== "string" || value === "" || value.includes("\0")) {
    throw new TypeError(
      "options.authorizationId must be a string without NUL; leave it out to act as yourself",
    );
  }
  checkWellFormed(value, "options.authorizationId");
  if (mechanism === "GSS-SPNEGO") {
    throw new TypeError(
      "options.authorizationId cannot be said in GSS-SPNEGO; leave it out, or use GSSAPI",
    );
  }
}
