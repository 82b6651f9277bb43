/**
 * From a plain transport to an authenticated connection.
 *
 * @module
 */

import type { MessageCredentials } from "../plugins/provider.ts";
import type { Selection } from "../plugins/registry.ts";
import { Connection } from "./connection.ts";
import { Handshake } from "./handshake.ts";
import type { Settings } from "./read_options.ts";
import { openRecords } from "./records.ts";
import type { SecureConn } from "./secure_conn.ts";
import type { Wire } from "./transport.ts";
import type { Watch } from "./watch.ts";
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

/** A connection in the making. */
export interface Establishment {
  /** The connection; where it rejects, the wire is closed and the context released. */
  readonly conn: Promise<SecureConn>;
  /** Resolves behind `conn`, when the credentials are no longer in use. */
  readonly idle: Promise<void>;
}

/** Chooses a provider by checked options. */
export function choose(settings: Settings): Chosen {
  const capabilities = settings.system.capabilities();
  const selection = settings.registry.select(settings.requirements, capabilities);
  return { settings, selection, simulated: capabilities.simulated };
}

/** Acquires credentials; those that come after an abort are closed at once. */
export async function acquire({ settings, selection }: Chosen, watch: Watch): Promise<MessageCredentials> {
  watch.signal.throwIfAborted();
  const { credentials, side, system } = settings;
  const acquired = selection.provider.acquire({
    role: side.role,
    system,
    requirements: selection.requirements,
    ...(credentials ? { credentials } : {}),
    signal: watch.signal,
  });
  return await watch.race(acquired, (late) => late.close());
}

/** Runs the handshake over `wire`, which becomes the connection's; the watch and the credentials stay the caller's. */
export function establish(
  chosen: Chosen,
  wire: Wire,
  credentials: MessageCredentials,
  watch: Watch,
  onWaiting?: (waiting: boolean) => void,
): Establishment {
  const { side, channelBindings } = chosen.settings;
  const { requirements } = chosen.selection;
  const reader = new WireReader(wire);
  const handshake = new Handshake(
    { ...side, requirements, ...(channelBindings ? { channelBindings } : {}) },
    { wire, reader, credentials, watch, ...(onWaiting ? { onWaiting } : {}) },
  );
  const conn = run(chosen, wire, reader, handshake);
  return { conn, idle: conn.then(() => {}, () => {}).then(() => handshake.idle) };
}

async function run(
  chosen: Chosen,
  wire: Wire,
  reader: WireReader,
  handshake: Handshake,
): Promise<SecureConn> {
  const { settings, selection, simulated } = chosen;
  try {
    const context = await handshake.run();
    try {
      return new Connection({
        wire,
        context,
        records: openRecords(context, wire, reader),
        role: settings.side.role,
        requirements: selection.requirements,
        channelBindings: settings.channelBindings !== undefined,
        origin: {
          provider: selection.provider.name,
          simulated,
          machinePolicy: selection.machinePolicy.state,
        },
      });
    } catch (error) {
      context.close();
      throw error;
    }
  } catch (error) {
    reader.wipe();
    wire.close();
    throw error;
  }
}
