/** A peer that writes the framing itself, and can violate each of its rules. */

import { decodeHandshakeHeader, encodeHandshake, type HandshakeKind } from "../../sockets/framing.ts";
import type { MemoryTransport } from "./memory_transport.ts";

/** One handshake record. */
export interface RawRecord {
  /** Its kind, which states the sender's state. */
  kind: HandshakeKind;
  /** Its token. */
  token: Uint8Array;
}

/** Reads exactly `size` bytes; `null` where the stream ended first. */
async function readBytes(transport: MemoryTransport, size: number): Promise<Uint8Array | null> {
  const bytes = new Uint8Array(size);
  for (let at = 0; at < size;) {
    const read = await transport.read(bytes.subarray(at));
    if (read === null) return null;
    at += read;
  }
  return bytes;
}

/** The peer's next handshake record; `null` at the end of the stream. */
export async function receiveRecord(transport: MemoryTransport): Promise<RawRecord | null> {
  const header = await readBytes(transport, 5);
  if (!header) return null;
  const { kind, size } = decodeHandshakeHeader(header);
  return { kind, token: (await readBytes(transport, size))! };
}

/** Sends one handshake record. */
export async function sendRecord(
  transport: MemoryTransport,
  kind: HandshakeKind,
  token: Uint8Array = new Uint8Array(),
): Promise<void> {
  await transport.write(encodeHandshake(kind, token));
}

/** The handshake records at the start of what was sent, as `kind:length`. */
export function spellRecords(sent: readonly number[]): string[] {
  const bytes = Uint8Array.from(sent);
  const spelled: string[] = [];
  for (let at = 0; at < bytes.length;) {
    const { kind, size } = decodeHandshakeHeader(bytes.subarray(at));
    spelled.push(size === 0 ? `${kind}:empty` : size === 8 ? `${kind}:8` : kind);
    at += 5 + size;
  }
  return spelled;
}
