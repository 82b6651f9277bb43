/**
 * Turns a plain transport into an authenticated connection.
 *
 * @module
 */

import { observeCredentials } from "../contexts/diagnostics.ts";
import { originOf, selectContexts } from "../contexts/options.ts";
import { VerifiedContext } from "../contexts/verified_context.ts";
import type { Origin } from "../contexts/verify.ts";
import type { ProviderCredentials } from "../contract.ts";
import type { ContextSelection, Selection, SocketSelection } from "../plugins/registry.ts";
import { Connection } from "./connection.ts";
import { VerifiedSecurity } from "./connection_security.ts";
import { Handshake } from "./handshake.ts";
import { quietly, type Wire } from "./transport.ts";
import { namedSide, type Settings } from "./read_options.ts";
import { openRecords } from "./records.ts";
import type { SecureConn } from "./secure_conn.ts";
import type { Deadline } from "./deadline.ts";
import { WireReader } from "./wire_reader.ts";

/** The provider that was selected, before a transport was opened. */
export interface Chosen<S extends Selection = Selection> {
  /** The checked options. */
  readonly settings: Settings;
  /** The provider, and the requirements that it must meet. */
  readonly selection: S;
  /** Which provider was selected, and by what rule. */
  readonly origin: Origin;
}

/** Selects a provider for a socket that the library opens. */
export function choose(settings: Settings): Chosen<ContextSelection> | Chosen<SocketSelection> {
  const capabilities = settings.system.capabilities();
  const selection = settings.registry.select(settings.requirements, capabilities);
  const origin = originOf(selection, capabilities.simulated);
  return selection.layer === "context" ? { settings, selection, origin } : { settings, selection, origin };
}

/** A selected provider of the socket layer: the operating system secures the socket itself. */
export type SocketChosen = Chosen<SocketSelection>;

/** Whether the operating system secures the socket itself. */
export function isSocketChosen(chosen: Chosen): chosen is SocketChosen {
  return chosen.selection.layer === "socket";
}

/** Selects a provider of the context layer for a transport that the application opened. */
export function chooseForTransport(settings: Settings): Chosen<ContextSelection> {
  return { settings, ...selectContexts(settings) };
}

/** Acquires credentials. Credentials that arrive after an abort are closed at once. */
export async function acquire(
  { settings, selection }: Chosen<ContextSelection>,
  deadline: Deadline,
): Promise<ProviderCredentials> {
  deadline.signal.throwIfAborted();
  const { credentials, side, system } = settings;
  const { role } = namedSide(side);
  const acquired = selection.provider.acquire({
    role,
    system,
    requirements: selection.requirements,
    denied: selection.denied,
    ...(credentials ? { credentials } : {}),
    signal: deadline.signal,
  });
  const observed = observeCredentials(role, selection.provider.name, acquired);
  return await deadline.race(observed, (late) => late.close());
}

/** What a handshake uses and notifies, besides the selected provider. */
export interface EstablishOptions {
  /** Becomes owned by the connection; closed if the handshake fails. */
  readonly wire: Wire;
  /** The deadline of every wait; the caller ends it. */
  readonly deadline: Deadline;
  /** The credentials of this end. */
  readonly credentials: ProviderCredentials;
  /**
   * Releases what the caller shares with the handshake, once no call into the provider uses it. It may throw or
   * reject.
   */
  readonly release: () => unknown;
  /** Called when the handshake starts to wait for its peer, and when it stops. */
  readonly onWaiting?: (waiting: boolean) => void;
  /** See {@linkcode HandshakeOptions.begin}. */
  readonly begin?: (peerEnded: () => Promise<void>) => Promise<void>;
}

/**
 * Runs the handshake and makes the connection.
 *
 * When it settles, `release` has been called, unless an abort came while the provider was working: its call cannot
 * be cancelled, so the release follows when that call ends. If the release fails, the connection is closed and that
 * failure is thrown; after another failure it is ignored.
 */
export async function establish(
  chosen: Chosen<ContextSelection>,
  options: EstablishOptions,
): Promise<SecureConn> {
  const { settings: { side, channelBindings }, selection: { requirements }, origin } = chosen;
  const { wire, deadline, release, credentials } = options;
  const reader = new WireReader(wire);
  const context = new VerifiedContext({
    ...namedSide(side),
    channelBindings: channelBindings ? "required" : "none",
    bindings: channelBindings,
    serve: () => ({ credentials, requirements, origin }),
  });
  let conn: Connection;
  try {
    await new Handshake(context, { ...options, role: side.role, reader }).run();
    const records = openRecords(context.inner("records"), wire, reader);
    conn = new Connection({ wire, security: new VerifiedSecurity(context), records });
  } catch (error) {
    reader.wipe();
    wire.close();
    // Closing may throw or reject: what was borrowed is released all the more.
    const closed = quietly(() => context.release());
    const released = quietly(() => closed.then(() => context.idle).then(release));
    if (!context.stepping) await released;
    throw error;
  }
  try {
    await deadline.race(context.idle.then(release));
    return conn;
  } catch (error) {
    await quietly(() => conn.close());
    throw error;
  }
}
