/**
 * Checks and copies options, and sets their defaults.
 *
 * @module
 */

import { checkCredentials, type CheckedCredentials } from "../credentials.ts";
import type { ProviderSystem, ResolvedRequirements } from "../contract.ts";
import type { Registry } from "../plugins/registry.ts";
import { resolveRequirements } from "../plugins/requirements.ts";
import {
  checkComputer,
  checkFunction,
  checkHostname,
  checkInteger,
  checkKeys,
  checkMethod,
  checkSignal,
  checkTarget,
  checkTargets,
  checkTimeout,
  hostPrincipal,
  isIpAddress,
} from "../contexts/check.ts";
import { defaultRegistry, defaultSystem } from "../contexts/options.ts";
import type {
  CommonOptions,
  ConnectOptions,
  HandshakeOrigin,
  ListenOptions,
  SecureOptions,
} from "./options.ts";

const COMMON = ["credentials", "channelBindings", "requirements", "registry", "system", "signal"];
const CLIENT = ["target", "computer", "timeoutMs", ...COMMON];
const SERVER = ["acceptedTargets", "handshakeTimeoutMs", ...COMMON];

const DEFAULT_CONNECT_MS = 30_000;
const DEFAULT_HANDSHAKE_MS = 10_000;
const DEFAULT_HANDSHAKES = 64;
/** A higher number would not limit anything. */
const MAX_HANDSHAKES = 65_536;

/** A client, and the peer it connects to. */
export interface ClientSide {
  readonly role: "client";
  /** The server's SPN; left out if an IP address came with the peer's computer only. */
  readonly target?: string;
  /** The principal of the peer's computer, if given. */
  readonly computer?: string;
}

/** A server, and the SPNs it accepts. */
export interface ServerSide {
  readonly role: "server";
  readonly acceptedTargets?: readonly string[];
}

/** The checked options of every connection. */
export interface Settings {
  /** Which end this is, and its names. */
  readonly side: ClientSide | ServerSide;
  /** What this end authenticates with. */
  readonly credentials?: CheckedCredentials;
  /** A copy of the caller's bytes. */
  readonly channelBindings?: Uint8Array;
  /** The application's requirements, before any policy. */
  readonly requirements: ResolvedRequirements;
  /** Whether the requirements state an impersonation level instead of leaving it to its default. */
  readonly levelGiven: boolean;
  /** The providers to select from. */
  readonly registry: Registry;
  /** The system to use. */
  readonly system: ProviderSystem;
  /** The caller's signal. */
  readonly signal?: AbortSignal;
  /** Milliseconds for the handshake (server), or until the connection is ready (client). */
  readonly timeoutMs: number;
}

/** The result of {@linkcode readConnectOptions}. */
export interface ConnectSettings extends Settings {
  /** The name or address to connect to. */
  readonly hostname: string;
  /** The server's port. */
  readonly port: number;
}

/** The result of {@linkcode readListenOptions}. */
export interface ListenSettings extends Settings {
  /** The address to listen on. */
  readonly hostname: string;
  /** The port to listen on. */
  readonly port: number;
  /** The most handshakes at once. */
  readonly maxHandshakes: number;
  /** Called with failures. */
  readonly onHandshakeError?: (error: unknown, origin: HandshakeOrigin) => void;
}

/** Reads the options of `secure`. */
export function readSecureOptions(options: SecureOptions): Settings {
  const role: unknown = (options as Partial<SecureOptions> | null | undefined)?.role;
  if (role !== "client" && role !== "server") {
    throw new TypeError('options.role must be "client", the end that sends the first token, or "server"');
  }
  checkKeys(options, ["role", ...role === "client" ? CLIENT : SERVER], "options");
  return options.role === "client"
    ? readClient(options, checkTarget(options.target, "options.target"))
    : readServer(options);
}

/** Reads the options of `connect`. */
export function readConnectOptions(options: ConnectOptions): ConnectSettings {
  checkKeys(options, ["hostname", "port", ...CLIENT], "options");
  const hostname = checkHostname(options.hostname, "options.hostname");
  const port = checkInteger(options.port, "options.port", 1, 65_535);
  const { target, computer } = options;
  if (target === undefined && isIpAddress(hostname)) {
    if (computer === undefined) throw missingTarget(`the IP address ${hostname}`);
    return { ...readClient(options), hostname, port };
  }
  return {
    ...readClient(options, checkTarget(target ?? hostPrincipal(hostname), "options.target")),
    hostname,
    port,
  };
}

/**
 * The names as providers of the context layer need them: a client knows the server's SPN.
 *
 * @throws TypeError if an IP address came with `computer` only, which only providers of the socket layer use.
 */
export function namedSide(
  side: ClientSide | ServerSide,
): ClientSide & { readonly target: string } | ServerSide {
  if (side.role === "server") return side;
  const { target } = side;
  if (target === undefined) throw missingTarget("an IP address");
  return { ...side, target };
}

function missingTarget(hostname: string): TypeError {
  return new TypeError(
    `options.hostname is ${hostname}, which does not name the server: give options.target too, for ` +
      'instance "host/server.example.test"; with ipsec(), options.computer',
  );
}

/** Reads the options of `listen`. */
export function readListenOptions(options: ListenOptions): ListenSettings {
  checkKeys(options, ["hostname", "port", "maxHandshakes", "onHandshakeError", ...SERVER], "options");
  const { maxHandshakes = DEFAULT_HANDSHAKES, onHandshakeError, hostname = "0.0.0.0" } = options;
  checkFunction(onHandshakeError, "options.onHandshakeError");
  return {
    ...readServer(options),
    hostname: checkHostname(hostname, "options.hostname"),
    port: checkInteger(options.port, "options.port", 0, 65_535),
    maxHandshakes: checkInteger(maxHandshakes, "options.maxHandshakes", 1, MAX_HANDSHAKES),
    ...(onHandshakeError ? { onHandshakeError } : {}),
  };
}

function readClient(options: Omit<ConnectOptions, "hostname" | "port">, target?: string): Settings {
  if (options.computer !== undefined) checkComputer(options.computer, "options.computer");
  const timeoutMs = checkTimeout(options.timeoutMs, "options.timeoutMs", DEFAULT_CONNECT_MS);
  const { computer } = options;
  return {
    ...readCommon(options),
    side: {
      role: "client",
      ...(target === undefined ? {} : { target }),
      ...(computer === undefined ? {} : { computer }),
    },
    timeoutMs,
  };
}

function readServer(options: Omit<ListenOptions, "port">): Settings {
  const acceptedTargets = options.acceptedTargets === undefined
    ? {}
    : { acceptedTargets: checkTargets(options.acceptedTargets, "options.acceptedTargets") };
  const timeoutMs = checkTimeout(
    options.handshakeTimeoutMs,
    "options.handshakeTimeoutMs",
    DEFAULT_HANDSHAKE_MS,
  );
  return { ...readCommon(options), side: { role: "server", ...acceptedTargets }, timeoutMs };
}

function readCommon(
  options: CommonOptions & { readonly signal?: AbortSignal },
): Omit<Settings, "side" | "timeoutMs"> {
  const { channelBindings, credentials, registry, system } = options;
  if (
    channelBindings !== undefined && !(channelBindings instanceof Uint8Array && channelBindings.length > 0)
  ) {
    throw new TypeError(
      "options.channelBindings must be a Uint8Array that is not empty; leave it out if there are none",
    );
  }
  if (registry !== undefined) checkMethod(registry, "options.registry", "select");
  if (system !== undefined) checkMethod(system, "options.system", "capabilities");
  return {
    requirements: resolveRequirements(options.requirements),
    levelGiven: options.requirements?.impersonation !== undefined,
    signal: checkSignal(options.signal, "options.signal"),
    // Not slice(): a Buffer's slice shares its memory with the caller.
    ...(channelBindings ? { channelBindings: new Uint8Array(channelBindings) } : {}),
    ...(credentials === undefined
      ? {}
      : { credentials: checkCredentials(credentials, "options.credentials") }),
    registry: registry ?? defaultRegistry(),
    system: system ?? defaultSystem(),
  };
}
