/**
 * From a plain transport to an authenticated connection.
 *
 * @module
 */

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

/** What was chosen before a transport was there. */
export interface Chosen<S extends Selection = Selection> {
  /** The checked options. */
  readonly settings: Settings;
  /** The provider, and what it must give. */
  readonly selection: S;
  /** Who serves, and on what ground. */
  readonly origin: Origin;
}

/** Chooses a provider by checked options, for a socket of the library's own. */
export function choose(settings: Settings): Chosen<ContextSelection> | Chosen<SocketSelection> {
  const capabilities = settings.system.capabilities();
  const selection = settings.registry.select(settings.requirements, capabilities);
  const origin = originOf(selection, capabilities.simulated);
  return selection.layer === "context" ? { settings, selection, origin } : { settings, selection, origin };
}

/** What was chosen where the operating system secures the socket itself. */
export type SocketChosen = Chosen<SocketSelection>;

/** Whether the operating system secures the socket itself. */
export function isSocketChosen(chosen: Chosen): chosen is SocketChosen {
  return chosen.selection.layer === "socket";
}

/** Chooses a provider of contexts for a transport that the application opened. */
export function chooseForTransport(settings: Settings): Chosen<ContextSelection> {
  return { settings, ...selectContexts(settings) };
}

/** Acquires credentials; those that come after an abort are closed at once. */
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
  return await deadline.race(acquired, (late) => late.close());
}

/** What a handshake is to use and to tell, beside what was chosen. */
export interface EstablishMeans {
  /** Becomes the connection's; closed where it cannot be made. */
  readonly wire: Wire;
  /** The limit over every wait; the caller ends it. */
  readonly deadline: Deadline;
  /** Who this end is. */
  readonly credentials: ProviderCredentials;
  /** Releases what was lent, when no call into the provider uses it any more; it may throw or reject. */
  readonly release: () => unknown;
  /** Told whenever the handshake begins, and stops, waiting for its peer. */
  readonly onWaiting?: (waiting: boolean) => void;
  /** As a handshake's, which see. */
  readonly begin?: (peerEnded: () => Promise<void>) => Promise<void>;
}

/**
 * Runs the handshake and makes the connection.
 *
 * When it settles, what was lent has been released, unless an abort came while the provider was at work: its call
 * cannot be taken back, so that the release follows when it ends. Where releasing fails the connection is closed,
 * and that is the failure; behind another failure it is nobody's.
 */
export async function establish(
  chosen: Chosen<ContextSelection>,
  means: EstablishMeans,
): Promise<SecureConn> {
  const { settings: { side, channelBindings }, selection: { requirements }, origin } = chosen;
  const { wire, deadline, release, credentials } = means;
  const reader = new WireReader(wire);
  const context = new VerifiedContext({
    ...namedSide(side),
    channelBindings: channelBindings ? "required" : "none",
    bindings: channelBindings,
    serve: () => ({ credentials, requirements, origin }),
  });
  let conn: Connection;
  try {
    await new Handshake(context, { ...means, role: side.role, reader }).run();
    const records = openRecords(context.inner("records"), wire, reader);
    conn = new Connection({ wire, security: new VerifiedSecurity(context), records });
  } catch (error) {
    context.close();
    reader.wipe();
    wire.close();
    const released = quietly(() => context.idle.then(release));
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
