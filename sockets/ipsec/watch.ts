/**
 * Ensures that an association stays the same: the system is asked to abort the connection when it changes, and
 * every answer is compared with the first one.
 *
 * No page documents the flag. The names of the flag and of its fields say what it does. That watching starts when a
 * query is answered, and what a query returns after an abort, are assumptions: this file handles either behaviour.
 *
 * @module
 */

import { SecurityRequirementError, TransportError } from "../../errors.ts";
import type { SecurityAnswer } from "../../ffi/ipsec/query.ts";
import type { AssociationField } from "../../contract.ts";
import type { SocketQuery } from "./query.ts";

const NAME = "abortOnAssociationChange";
/** The errors of a connection that this machine or its peer aborted. */
const ABORTED = ["ERROR_CONNECTION_ABORTED", "WSAECONNABORTED", "ERROR_NETNAME_DELETED", "WSAECONNRESET"];

/** Watches the association of one connection. */
export class AssociationWatch {
  readonly #fields: readonly AssociationField[];
  readonly #query: SocketQuery;
  #first: SecurityAnswer | null = null;

  /** @param fields The fields that must not change; empty: nothing is watched. */
  constructor(fields: readonly AssociationField[], query: SocketQuery) {
    this.#fields = fields;
    this.#query = query;
  }

  /**
   * Asks the system to watch, and compares its answer with the first one.
   *
   * @param answer The last answer without watching, so that a change between the two is detected.
   * @throws SecurityRequirementError if something has changed, or if there is nothing to watch.
   */
  arm(answer: SecurityAnswer): void {
    if (this.#fields.length === 0) return;
    for (const field of this.#fields) {
      if (answer[field] === 0n) {
        throw new SecurityRequirementError(
          NAME,
          "none",
          `The system reports no ${field} for this connection, so it cannot be watched: leave it out ` +
            `of ${NAME}`,
        );
      }
    }
    this.#first ??= answer;
    this.#hold(answer);
    const armed = this.#query.ask(this.#fields);
    this.#hold(armed);
    if (armed.secured !== answer.secured || armed.encrypted !== answer.encrypted) {
      throw this.#changed("its protection has changed");
    }
  }

  #hold(now: SecurityAnswer): void {
    const change = this.#change(now);
    if (change !== null) throw this.#changed(change);
  }

  /** What has changed since the first answer; a field that is not reported proves nothing. */
  #change(now: SecurityAnswer): string | null {
    const field = this.#fields.find((each) => now[each] !== 0n && now[each] !== this.#first![each]);
    return field === undefined ? null : `${field} has changed from ${this.#first![field]} to ${now[field]}`;
  }

  #changed(change: string, cause?: unknown): SecurityRequirementError {
    return new SecurityRequirementError(
      NAME,
      change,
      `The connection was closed, as ${NAME} requires, because its association has changed: ` +
        `${change}. Connect again`,
      { cause },
    );
  }

  /** The error to report when `error` ended reading or writing: the change that aborted the connection, if known. */
  explain(error: unknown): unknown {
    if (this.#first === null || !(error instanceof TransportError) || !ABORTED.includes(error.codeName)) {
      return error;
    }
    const now = this.#now();
    const change = now === null ? null : this.#change(now);
    if (change !== null) return this.#changed(change, error);
    // All watched fields are reported and unchanged: the connection was aborted for another reason.
    if (now !== null && this.#fields.every((field) => now[field] !== 0n)) return error;
    return new TransportError(
      error.codeName,
      `${error.message} Or the system aborted the connection because its association changed: ` +
        `${NAME} watches ${this.#fields.join(" and ")}, and the system does not report which`,
      { cause: error.cause },
    );
  }

  #now(): SecurityAnswer | null {
    try {
      return this.#query.ask();
    } catch {
      // The system may have no answer for a closed connection; the original error is reported then.
      return null;
    }
  }
}
