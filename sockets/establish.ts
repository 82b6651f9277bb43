/**
 * From a plain transport to an authenticated connection.
 *
 * @module
 */

import type { MessageContext, MessageCredentials } from "../contract.ts";
import type { Selection } from "../plugins/registry.ts";
import { Connection } from "./connection.ts";
import { MessageSecurity } from "./connection_security.ts";
import { Handshake } from "./handshake.ts";
import { quietly, type Wire } from "./transport.ts";
import { namedSide, type Settings } from "./read_options.ts";
import { openRecords } from "./records.ts";
import type { SecureConn } from "./secure_conn.ts";
import type { Origin } from "./security_info.ts";
import type { Watch } from "./deadline.ts";
import { WireReader } from "./wire_reader.ts";

/** What was chosen before a transport was there. */
export interface Chosen {
  /** The checked options. */
  readonly settings: Settings;
  /** The provider, and what it must give. */
  readonly selection: Selection;
  /** Whether a simulator stands in for the system. */
  readonly simulated: boolean;
}

/** Chooses a provider by checked options. */
export function choose(settings: Settings): Chosen {
  const capabilities = settings.system.capabilities();
  const selection = settings.registry.select(settings.requirements, capabilities);
  return { settings, selection, simulated: capabilities.simulated };
}

/** Chooses a provider that works over a transport which is there already. */
export function chooseForTransport(settings: Settings): Chosen {
  const reason = "it secures sockets that the library opens itself: use connect() or listen()";
  const capabilities = { ...settings.system.capabilities(), ipsec: { available: false, reason } as const };
  const selection = settings.registry.select(settings.requirements, capabilities);
  return { settings, selection, simulated: capabilities.simulated };
}

/** Who serves what was chosen, and on what ground. */
export function originOf({ selection, simulated }: Chosen): Origin {
  return { provider: selection.provider.name, simulated, machinePolicy: selection.machinePolicy.state };
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
  const { settings: { side, channelBindings }, selection: { requirements } } = chosen;
  const { wire, watch, release } = means;
  const reader = new WireReader(wire);
  const terms = { ...namedSide(side), requirements, ...(channelBindings ? { channelBindings } : {}) };
  const handshake = new Handshake(terms, { ...means, reader });
  let conn: Connection;
  try {
    conn = await connectionOver(await handshake.run(), chosen, wire, reader);
  } catch (error) {
    reader.wipe();
    wire.close();
    const released = quietly(() => handshake.idle.then(release));
    if (!handshake.stepping) await released;
    throw error;
  }
  try {
    await watch.race(handshake.idle.then(release));
    return conn;
  } catch (error) {
    await quietly(() => conn.close());
    throw error;
  }
}

/** The connection that a finished context secures; the context is closed where there is none. */
async function connectionOver(
  context: MessageContext,
  chosen: Chosen,
  wire: Wire,
  reader: WireReader,
): Promise<Connection> {
  const { settings, selection: { requirements } } = chosen;
  try {
    const security = new MessageSecurity(context, {
      role: settings.side.role,
      requirements,
      channelBindings: settings.channelBindings !== undefined,
      origin: originOf(chosen),
    });
    return new Connection({ wire, security, records: openRecords(context, wire, reader) });
  } catch (error) {
    await quietly(() => context.close());
    throw error;
  }
}
