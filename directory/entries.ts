/**
 * Objects as a server returns them, with all values of attributes that it returns in parts.
 *
 * @module
 */

import { DirectoryError, ProtocolError } from "../errors.ts";
import { nameText } from "../ffi/memory/text.ts";
import { quoted } from "./results.ts";
import type { DirectoryEntry } from "./types.ts";

/** The most values of one attribute: more is a server that does not come to an end. */
const MAX_VALUES = 5_000_000;

/** An attribute, as a message holds it. */
export interface RawAttribute {
  /** Its name, with options. */
  readonly type: string;
  /** Its values. */
  readonly values: readonly Uint8Array[];
}

/** Reads the attribute `type` of the same object. */
export type ReadMore = (type: string) => Promise<readonly RawAttribute[]>;

/** An object. */
export class Entry implements DirectoryEntry {
  readonly dn: string;
  readonly #attributes = new Map<string, RawAttribute>();

  /** Takes the attributes; those without values are left out. */
  constructor(dn: string, attributes: Iterable<RawAttribute>) {
    this.dn = dn;
    for (const attribute of attributes) {
      if (attribute.values.length > 0) this.#attributes.set(attribute.type.toLowerCase(), attribute);
    }
  }

  get attributes(): readonly string[] {
    return [...this.#attributes.values()].map(({ type }) => type);
  }

  text(attribute: string): string | undefined {
    const values = this.texts(attribute);
    if (values.length <= 1) return values[0];
    throw this.#unusable(attribute, `has ${values.length} values where one is expected`);
  }

  texts(attribute: string): readonly string[] {
    return this.bytes(attribute).map((value) => {
      try {
        return nameText(value);
      } catch {
        throw this.#unusable(attribute, "has a value that is not text");
      }
    });
  }

  bytes(attribute: string): readonly Uint8Array[] {
    return this.#attributes.get(attribute.toLowerCase())?.values ?? [];
  }

  #unusable(attribute: string, why: string): DirectoryError {
    return new DirectoryError(
      0,
      "success",
      `Cannot use ${
        quoted(this.dn)
      }: its attribute ${attribute} ${why}. Read it with bytes() or texts(), or ` +
        "have the object corrected",
    );
  }
}

/** `;range=0-1499`, or `;range=1500-*` for the last part ([MS-ADTS] 3.1.1.3.1.3.3). */
const RANGE = /;range=(\d+)-(\d+|\*)$/i;

/** Asks for the values of an attribute in parts of at most `count`. */
export function inParts(attribute: string, count: number | undefined, from = 0): string {
  return count === undefined ? attribute : `${attribute};range=${from}-${from + count - 1}`;
}

/** Makes an entry of what a message holds, and reads the rest of attributes that it holds in part. */
export async function completeEntry(
  dn: string,
  attributes: readonly RawAttribute[],
  readMore: ReadMore,
  count?: number,
): Promise<Entry> {
  const complete: RawAttribute[] = [];
  for (const attribute of attributes) {
    const range = RANGE.exec(attribute.type);
    if (range) complete.push(await completeValues(attribute, readMore, count));
    // Active Directory adds the name without a range, without values, where it answers with a range.
    else if (attribute.values.length > 0) complete.push(attribute);
  }
  return new Entry(dn, complete);
}

async function completeValues(
  first: RawAttribute,
  readMore: ReadMore,
  count: number | undefined,
): Promise<RawAttribute> {
  const type = first.type.replace(RANGE, "");
  const values: Uint8Array[] = [];
  for (let part: RawAttribute | undefined = first; part !== undefined;) {
    const [, from, to] = RANGE.exec(part.type)!;
    const follows = Number(from) === values.length && part.values.length > 0 &&
      (to === "*" || Number(to) === values.length + part.values.length - 1);
    if (!follows || values.length + part.values.length > MAX_VALUES) throw disordered(type);
    for (const value of part.values) values.push(value);
    if (to === "*") break;
    const next = count === undefined
      ? `${type};range=${values.length}-*`
      : inParts(type, count, values.length);
    part = (await readMore(next)).find((attribute) =>
      RANGE.test(attribute.type) && attribute.type.replace(RANGE, "").toLowerCase() === type.toLowerCase()
    );
    if (part === undefined) throw disordered(type);
  }
  return { type, values };
}

function disordered(type: string): ProtocolError {
  return new ProtocolError(
    "unexpected-message",
    `The server returned parts of ${type} that do not follow each other. Read the object again: somebody else may ` +
      "have changed it",
  );
}
