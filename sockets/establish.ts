/**
 * From a plain transport to an authenticated connection.
 *
 * @module
 */

import { originOf, withoutSockets } from "../contexts/options.ts";
import { VerifiedContext } from "../contexts/verified_context.ts";
import type { Origin } from "../contexts/verify.ts";
import type { MessageCredentials } from "../contract.ts";
import type { Selection } from "../plugins/registry.ts";
import { Connection } from "./connection.ts";
import { MessageSecurity } from "./connection_security.ts";
import { Handshake } from "./handshake.ts";
import { quietly, type Wire } from "./transport.ts";
import { namedSide, type Settings } from "./read_options.ts";
import { openRecords } from "./records.ts";
import type { SecureConn } from "./secure_conn.ts";
import type { Watch } from "./deadline.ts";
import { WireReader } from "./wire_reader.ts";

/** What was chosen before a transport was there. */
export interface Chosen {
  /** The checked options. */
  readonly settings: Settings;
  /** The provider, and what it must give. */
  readonly selection: Selection;
  /** Who serves, and on what ground. */
  readonly origin: Origin;
}

/** Chooses a provider by checked options, for a socket of the library's own or for a transport that was given. */
export function choose(settings: Settings, transport: "own" | "given" = "own"): Chosen {
  const found = settings.system.capabilities();
  const capabilities = transport === "own" ? found : withoutSockets(found);
  const selection = settings.registry.select(settings.requirements, capabilities);
  return { settings, selection, origin: originOf(selection, capabilities.simulated) };
}

/** Acquires credentials; those that come after an abort are closed at once. */
export async function acquire({ settings, selection }: Chosen, watch: Watch): Promise<MessageCredentials> {
  watch.signal.throwIfAborted();
  const { credentials, side, system } = settings;
  const { provider } = selection;
  if (provider.layer !== "message") {
    throw new TypeError(
      `the provider "${provider.name}" is of layer ${provider.layer}; it has no credentials`,
    );
  }
  const { role } = namedSide(side);
  const acquired = provider.acquire({
    role,
    system,
    requirements: selection.requirements,
    denied: selection.denied,
    ...(credentials ? { credentials } : {}),
    signal: watch.signal,
  });
  return await watch.race(acquired, (late) => late.close());
}

/** What a handshake is to use and to tell, beside what was chosen. */
export interface EstablishMeans {
  /** Becomes the connection's; closed where it cannot be made. */
  readonly wire: Wire;
  /** The limit over every wait; the caller ends it. */
  readonly watch: Watch;
  /** Who this end is. */
  readonly credentials: MessageCredentials;
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
export async function establish(chosen: Chosen, means: EstablishMeans): Promise<SecureConn> {
  const { settings: { side, channelBindings }, selection: { requirements }, origin } = chosen;
  const { wire, watch, release, credentials } = means;
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
    conn = new Connection({ wire, security: new MessageSecurity(context), records });
  } catch (error) {
    context.close();
    reader.wipe();
    wire.close();
    const released = quietly(() => context.idle.then(release));
    if (!context.stepping) await released;
    throw error;
  }
  try {
    await watch.race(context.idle.then(release));
    return conn;
  } catch (error) {
    await quietly(() => conn.close());
    throw error;
  }
}
