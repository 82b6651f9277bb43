/** Encodes KERB_VALIDATION_INFO and UPN_DNS_INFO, valid and invalid ones. */

import { parseSid } from "../../ffi/windows/sid.ts";

/** What is written. */
export interface PacTold {
  /** Six names: the account's, its full one, and four of paths. `null`: a null pointer. */
  readonly names: readonly (string | null)[];
  readonly domainName: string | null;
  readonly userId: number;
  readonly primaryId: number;
  readonly flags: number;
  readonly control: number;
  readonly domain: string | null;
  readonly groups: readonly (readonly [relative: number, attributes: number])[];
  readonly extra: readonly (readonly [sid: string | Uint8Array, attributes: number])[];
  readonly resourceDomain: string | null;
  readonly resources: readonly (readonly [relative: number, attributes: number])[];
  /** Whether an empty list still has a pointer, as Samba writes it. */
  readonly emptyListsPointedTo?: boolean;
}

/** An account in one group of its domain. */
export const PLAIN: PacTold = {
  names: ["alice", "Alice Example", "", null, null, ""],
  domainName: "EXAMPLE",
  userId: 1104,
  primaryId: 513,
  flags: 0x220,
  control: 0x10,
  domain: "S-1-5-21-1-2-3",
  groups: [[513, 7]],
  extra: [],
  resourceDomain: null,
  resources: [],
};

/** A growing buffer. */
class Writer {
  readonly #bytes: number[] = [];

  get length(): number {
    return this.#bytes.length;
  }

  raw(bytes: Iterable<number>): this {
    for (const byte of bytes) this.#bytes.push(byte);
    return this;
  }

  u16(value: number): this {
    return this.raw([value & 0xff, value >>> 8 & 0xff]);
  }

  u32(value: number): this {
    return this.u16(value & 0xffff).u16(value >>> 16);
  }

  zeros(count: number): this {
    return this.raw(new Uint8Array(count));
  }

  align(to: number): this {
    return this.zeros(-this.#bytes.length & (to - 1));
  }

  get bytes(): Uint8Array {
    return Uint8Array.from(this.#bytes);
  }
}

const units = (text: string): number[] => Array.from({ length: text.length }, (_, at) => text.charCodeAt(at));
const sidBytes = (sid: string | Uint8Array): Uint8Array => typeof sid === "string" ? parseSid(sid)! : sid;

/** Writes the logon information. */
export function encodeLogonInfo(told: PacTold): Uint8Array {
  const out = new Writer();
  const later: (() => void)[] = [];
  let pointers = 0x20000;
  const pointer = (there: boolean): void => void out.u32(there ? pointers += 4 : 0);
  const text = (value: string | null): void => {
    const bytes = 2 * (value?.length ?? 0);
    out.u16(bytes).u16(bytes);
    pointer(value !== null);
    if (value === null) return;
    later.push(() => {
      out.align(4).u32(value.length).u32(0).u32(value.length);
      units(value).forEach((unit) => out.u16(unit));
    });
  };
  const sid = (value: string | Uint8Array): void => {
    const bytes = sidBytes(value);
    out.align(4).u32(bytes[1]).raw(bytes);
  };
  const list = (values: readonly (readonly [number, number])[]): void => {
    const there = values.length > 0 || told.emptyListsPointedTo === true;
    pointer(there);
    if (!there) return;
    later.push(() => {
      out.align(4).u32(values.length);
      for (const [value, attributes] of values) out.u32(value).u32(attributes);
    });
  };
  out.u32(pointers).zeros(48);
  told.names.forEach(text);
  out.zeros(4).u32(told.userId).u32(told.primaryId).u32(told.groups.length);
  list(told.groups);
  out.u32(told.flags).zeros(16);
  text("DC1");
  text(told.domainName);
  pointer(told.domain !== null);
  if (told.domain !== null) later.push(() => sid(told.domain!));
  out.zeros(8).u32(told.control).zeros(4 + 16 + 8).u32(told.extra.length);
  pointer(told.extra.length > 0);
  if (told.extra.length > 0) {
    later.push(() => {
      out.align(4).u32(told.extra.length);
      for (const [, attributes] of told.extra) {
        pointer(true);
        out.u32(attributes);
      }
      for (const [value] of told.extra) sid(value);
    });
  }
  pointer(told.resourceDomain !== null);
  if (told.resourceDomain !== null) later.push(() => sid(told.resourceDomain!));
  out.u32(told.resources.length);
  list(told.resources);
  for (const write of later) write();
  out.align(8);
  const head = new Writer().raw([1, 0x10]).u16(8).u32(0xcccccccc).u32(out.length).u32(0);
  return head.raw(out.bytes).bytes;
}

/** Writes the names; without `sid` the older structure, which has none. */
export function encodeUpn(upn: string, sid?: string | Uint8Array): Uint8Array {
  const parts: number[][] = [upn, "EXAMPLE.TEST", ...(sid === undefined ? [] : ["alice"])].map((text) => {
    return units(text).flatMap((unit) => [unit & 0xff, unit >>> 8]);
  });
  if (sid !== undefined) parts.push([...sidBytes(sid)]);
  const out = new Writer();
  let at = sid === undefined ? 16 : 24;
  parts.forEach((part, index) => {
    if (index === 2) out.u32(2);
    out.u16(part.length).u16(at);
    at += part.length;
  });
  if (sid === undefined) out.u32(0);
  out.align(8);
  for (const part of parts) out.raw(part);
  return out.bytes;
}
