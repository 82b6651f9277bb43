/**
 * Reads untrusted JSON: each step states what it expects, and refuses everything else by name.
 *
 * @module
 */

import { printable, quoted } from "./wire.ts";

/** Called for an unexpected value: throws an error that names the path and the problem. */
export type Refuse = (path: string, problem: string) => never;

/** A JSON value and its path. */
export class JsonNode {
  readonly #value: unknown;
  readonly #path: string;

  readonly #refuse: Refuse;

  /** Wraps `value`, whose path is `path`. */
  constructor(value: unknown, path: string, refuse: Refuse) {
    this.#value = value;
    this.#path = path;
    this.#refuse = refuse;
  }

  /** Refuses this value. */
  refuse(problem: string): never {
    return this.#refuse(this.#path, problem);
  }

  /** This value as an object, all of whose keys must be among `keys`. */
  object(keys: readonly string[]): JsonNode {
    for (const key of Object.keys(this.#record())) {
      if (!keys.includes(key)) {
        this.refuse(`has the unknown key ${quoted(key)}; use ${keys.join(", ")}`);
      }
    }
    return this;
  }

  /** A required member. */
  get(key: string): JsonNode {
    return this.optional(key) ?? this.refuse(`lacks the key ${key}`);
  }

  /** An optional member. */
  optional(key: string): JsonNode | undefined {
    const record = this.#record();
    if (!Object.hasOwn(record, key)) return undefined;
    return new JsonNode(record[key], this.#path ? `${this.#path}.${key}` : key, this.#refuse);
  }

  /** The entries of a list of at most `most`. */
  list<T>(most: number, parse: (node: JsonNode) => T): T[] {
    if (!Array.isArray(this.#value)) return this.refuse("must be a list");
    if (this.#value.length > most) return this.refuse(`has more than ${most} entries`);
    return this.#value.map((value, index) =>
      parse(new JsonNode(value, `${this.#path}[${index}]`, this.#refuse))
    );
  }

  /** True or false. */
  boolean(): boolean {
    return typeof this.#value === "boolean" ? this.#value : this.refuse("must be true or false");
  }

  /** A whole number in a range. */
  integer(min: number = Number.MIN_SAFE_INTEGER, max: number = Number.MAX_SAFE_INTEGER): number {
    const value = this.#value;
    const good = typeof value === "number" && Number.isSafeInteger(value) && value >= min && value <= max;
    return good ? value : this.refuse(`must be a whole number from ${min} to ${max}`);
  }

  /** Text of 1 to `most` characters, none of them a control character. */
  text(most: number): string {
    const value = this.#value;
    const good = typeof value === "string" && value.length > 0 && value.length <= most &&
      printable(value) === value;
    return good ? value : this.refuse(`must be text of 1 to ${most} characters, without control characters`);
  }

  /** Text that matches `pattern`. */
  match(pattern: RegExp): string {
    const value = this.text(1024);
    return pattern.test(value) ? value : this.refuse(`must match ${pattern}`);
  }

  /** One of `values`. */
  choice<T extends string>(values: readonly T[]): T {
    const value = values.find((one) => one === this.#value);
    return value ?? this.refuse(`must be one of ${values.join(", ")}`);
  }

  #record(): Record<string, unknown> {
    const value = this.#value;
    if (typeof value !== "object" || value === null || Array.isArray(value)) this.refuse("must be an object");
    return value as Record<string, unknown>;
  }
}
