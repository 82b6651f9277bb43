/**
 * RFC 4752's negotiation of a security layer, as bytes: a server's offer and a client's answer.
 *
 * @module
 */

import { ProtocolError } from "../errors.ts";

/** What protects a connection after the exchange: nothing, signed records, or encrypted records. */
export type SecurityLayer = "none" | "integrity" | "confidentiality";

/** All layers, the strongest first. */
export const LAYERS: readonly SecurityLayer[] = ["confidentiality", "integrity", "none"];
/** The largest size that three octets can say. */
export const MAX_BUFFER = 0xffffff;

const BITS: Readonly<Record<SecurityLayer, number>> = { none: 1, integrity: 2, confidentiality: 4 };
const HEADER = 4;

/** Which layers an end can use, and the longest record it takes. */
export interface Offer {
  /** The layers, the strongest first. */
  readonly layers: readonly SecurityLayer[];
  /** The longest record, in bytes. */
  readonly maxReceive: number;
}

/** What a client chose. */
export interface Choice {
  /** The one layer. */
  readonly layer: SecurityLayer;
  /** The longest record it takes, in bytes. */
  readonly maxReceive: number;
  /** Who to act as; empty: as who has authenticated. */
  readonly authorizationId: string;
}

/** The strongest of `layers`, which are in order. */
export function strongest(layers: readonly SecurityLayer[]): SecurityLayer {
  return layers[0];
}

/** A server's offer, to be wrapped. */
export function encodeOffer({ layers, maxReceive }: Offer): Uint8Array {
  const mask = layers.reduce((bits, layer) => bits | BITS[layer], 0);
  return header(mask, strongest(layers) === "none" ? 0 : maxReceive);
}

/** Reads an unwrapped offer. Bits of layers that nobody has defined are passed over, as RFC 4752 says. */
export function decodeOffer(bytes: Uint8Array): Offer {
  if (bytes.length !== HEADER) {
    throw new ProtocolError(
      "malformed",
      `The server's offer of security layers has ${bytes.length} bytes, not ${HEADER}; the exchange was ended`,
    );
  }
  return { layers: LAYERS.filter((layer) => bytes[0] & BITS[layer]), maxReceive: size(bytes) };
}

/** A client's answer, to be wrapped. */
export function encodeChoice({ layer, maxReceive, authorizationId }: Choice): Uint8Array {
  const name = new TextEncoder().encode(authorizationId);
  const bytes = new Uint8Array(HEADER + name.length);
  bytes.set(header(BITS[layer], layer === "none" ? 0 : maxReceive));
  bytes.set(name, HEADER);
  return bytes;
}

/** Reads an unwrapped answer, which must choose one of `offered`. */
export function decodeChoice(bytes: Uint8Array, offered: readonly SecurityLayer[]): Choice {
  const layer = bytes.length < HEADER ? undefined : offered.find((layer) => BITS[layer] === bytes[0]);
  if (layer === undefined) {
    throw new ProtocolError(
      "malformed",
      `The client's answer does not choose one of the security layers offered (${offered.join(", ")}); ` +
        "it was refused",
    );
  }
  return { layer, maxReceive: size(bytes), authorizationId: nameOf(bytes.subarray(HEADER)) };
}

function nameOf(bytes: Uint8Array): string {
  let name: string | undefined;
  try {
    name = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    // Not UTF-8: refused below.
  }
  if (name === undefined || name.includes("\0")) {
    throw new ProtocolError(
      "malformed",
      "The client's authorization identity is not UTF-8 without NUL; the client was refused",
    );
  }
  return name;
}

function header(bits: number, maxReceive: number): Uint8Array {
  return Uint8Array.of(bits, maxReceive >> 16, maxReceive >> 8 & 0xff, maxReceive & 0xff);
}

function size(bytes: Uint8Array): number {
  return bytes[1] << 16 | bytes[2] << 8 | bytes[3];
}
