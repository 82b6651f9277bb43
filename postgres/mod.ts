/**
 * PostgreSQL by Kerberos instead of a password: a stream for node-postgres (`pg`) that speaks GSS encryption and GSS
 * authentication, so that the driver need not.
 *
 * ```ts
 * import { postgresStream } from "@winsock/secure-sockets/postgres";
 *
 * // const pool = new pg.Pool({ host: "db.example.test", user: "alice", database: "sales", stream });
 * const stream = postgresStream();
 * console.log(typeof stream);
 * ```
 *
 * @module
 */

import type { Credentials, ProviderSystem, SecurityInfo } from "../contract.ts";
import { checkCredentials } from "../credentials.ts";
import { SecurityRequirementError } from "../errors.ts";
import {
  checkHostname,
  checkKeys,
  checkMethod,
  checkSignal,
  checkTarget,
  describe,
  isIpAddress,
} from "../contexts/check.ts";
import { bareRequirements, openInitiator } from "../contexts/open.ts";
import { defaultSystem, selectContexts } from "../contexts/options.ts";
import { kerberos } from "../plugins/negotiate/mod.ts";
import { createRegistry, type Registry } from "../plugins/registry.ts";
import { GssStream, type PostgresStream } from "./stream.ts";

export type * from "../contract.ts";
export type { RejectedProvider } from "../errors.ts";
export type { UnknownNames } from "../plugins/names.ts";
export type {
  ContextSelection,
  Registry,
  Selection,
  SelectionDetails,
  SocketSelection,
} from "../plugins/registry.ts";
export type { PostgresStream } from "./stream.ts";

/** Options of {@linkcode postgresStream}. */
export interface PostgresStreamOptions {
  /** The server's SPN. Left out: `postgres/` and the host as the driver is given it; an IP address needs one. */
  readonly target?: string;
  /**
   * GSS encryption, in the words of libpq's `gssencmode`. `require` (the default): the connection is encrypted, or not
   * made. `disable`: only authentication by GSS; nothing protects what is sent after it. `prefer`: as `require` where
   * the server offers it, else as `disable`: an attacker on the network can choose.
   */
  readonly encryption?: "require" | "prefer" | "disable";
  /** The providers to choose from; left out: `[kerberos()]`, since PostgreSQL's tokens are Kerberos'. */
  readonly registry?: Registry;
  /** Who to be; left out: the user of the process. Acquired anew for each connection, so a password stays in use. */
  readonly credentials?: Credentials;
  /** The system to work on; left out: one for the whole process. */
  readonly system?: ProviderSystem;
  /** Abandons connections that are being made; its reason is rethrown unchanged. */
  readonly signal?: AbortSignal;
}

/** What a driver passes to the function that {@linkcode postgresStream} returns. */
export interface DriverConfig {
  /** node-postgres' option `ssl`. */
  readonly ssl?: unknown;
}

const ENCRYPTION = ["require", "prefer", "disable"] as const;
let registry: Registry | undefined;

/**
 * Makes the function that node-postgres' option `stream` takes: `new pg.Client({ ..., stream: postgresStream() })`.
 *
 * Each connection authenticates by itself, one that cancels a query too. The server has proved who it is before the
 * driver's queries are sent; with encryption (the default) before anything is.
 *
 * Leave the driver's `ssl` option out: TLS would be put over the stream.
 *
 * @returns a function that makes one stream for one connection. Errors of the connection are emitted by the stream:
 * the driver's `connect()` rejects with them. They are AuthenticationError, SecurityRequirementError, ProtocolError,
 * ProviderNotFoundError and PermissionError, those of `net.Socket`, and a TypeError for a host that has no target.
 *
 * @throws TypeError where an option is wrong.
 *
 * @example
 * ```ts
 * import { postgresStream } from "@winsock/secure-sockets/postgres";
 *
 * const stream = postgresStream({ target: "postgres/db.example.test" });
 * // new pg.Client({ host: "10.0.0.7", user: "alice", stream })
 * console.log(typeof stream);
 * ```
 */
export function postgresStream(
  options: PostgresStreamOptions = {},
): (config?: DriverConfig) => PostgresStream {
  checkKeys(options, ["target", "encryption", "registry", "credentials", "system", "signal"], "options");
  const { encryption = "require", system } = options;
  const providers = options.registry ?? (registry ??= createRegistry([kerberos()]));
  const target = options.target === undefined ? undefined : checkTarget(options.target, "options.target");
  if (!ENCRYPTION.includes(encryption)) {
    throw new TypeError(
      `options.encryption must be one of ${ENCRYPTION.join(", ")}, not ${describe(encryption)}`,
    );
  }
  const credentials = options.credentials === undefined
    ? undefined
    : checkCredentials(options.credentials, "options.credentials");
  checkMethod(providers, "options.registry", "select");
  if (system !== undefined) checkMethod(system, "options.system", "capabilities");
  const signal = checkSignal(options.signal, "options.signal");
  return (config) => {
    if (config?.ssl) {
      throw new TypeError(
        "ssl must be left out with postgresStream(): GSS encryption takes the place of TLS. Unset PGSSLMODE too",
      );
    }
    return new GssStream({
      encryption,
      signal,
      target: (host) => target ?? targetOf(host),
      open: (encrypted, signal) => {
        const requirements = { integrity: encrypted, confidentiality: encrypted };
        const of = { registry: providers, system: system ?? defaultSystem(), requirements };
        if (!encrypted) refuseWhereDemanded(of);
        return openInitiator({ ...of, credentials, signal });
      },
    });
  };
}

/**
 * What is known of the connection of a client of node-postgres, verified: whether it is encrypted, and who the server
 * is.
 *
 * @param client a connected `pg.Client`, or one that a `pg.Pool` lent.
 * @throws TypeError where its stream is not of {@linkcode postgresStream}; StateError where it has not connected yet.
 *
 * @example
 * ```ts
 * import { securityOf } from "@winsock/secure-sockets/postgres";
 *
 * function isEncrypted(client: object): boolean {
 *   return securityOf(client).confidentiality;
 * }
 * console.log(typeof isEncrypted);
 * ```
 */
export function securityOf(client: object): SecurityInfo {
  const { connection } = (client ?? {}) as { connection?: { stream?: unknown } };
  if (connection?.stream instanceof GssStream) return connection.stream.security;
  throw new TypeError("client must be a client of node-postgres whose stream option is postgresStream()");
}

function targetOf(given: string): string {
  const host = checkHostname(given, "host");
  if (!isIpAddress(host)) return `postgres/${host}`;
  throw new TypeError(
    `host ${host} is an IP address, which has no service principal name: give the server's name as host, or ` +
      'postgresStream({ target: "postgres/db.example.test" })',
  );
}

/** Without encryption no message is protected, so a policy that demands protection refuses the connection. */
function refuseWhereDemanded(of: {
  readonly registry: Registry;
  readonly system: ProviderSystem;
}): void {
  const { selection: { requirements } } = selectContexts({ ...of, requirements: bareRequirements() });
  const demanded = requirements.confidentiality ? "confidentiality" : "integrity";
  if (!requirements[demanded]) return;
  throw new SecurityRequirementError(
    demanded,
    "none",
    `The policy demands ${demanded}, and a connection without GSS encryption has none; nothing was sent. ` +
      'Give encryption: "require"',
  );
}
