/**
 * An association that must stay as it was: the system is told to abort the connection when it changes, and what it
 * tells is compared besides.
 *
 * No page documents the flag. Its name, and the names of its fields, say what it does; that a query watches from the
 * moment it is answered, and what an aborted connection answers to another one, are assumptions that this file does
 * not rest on: both ways are handled.
 *
 * @module
 */

import { SecurityRequirementError, TransportError } from "../../errors.ts";
import type { SecurityAnswer } from "../../ffi/ipsec/query.ts";
import type { AssociationField } from "../../contract.ts";
import type { SocketQuery } from "./query.ts";

const NAME = "abortOnAssociationChange";
/** What a connection ends with that was broken off, by this machine or by its peer. */
const BROKEN_OFF = ["ERROR_CONNECTION_ABORTED", "WSAECONNABORTED", "ERROR_NETNAME_DELETED", "WSAECONNRESET"];

/** The association of one connection. */
export class AssociationWatch {
  readonly #fields: readonly AssociationField[];
  readonly #query: SocketQuery;
  #first: SecurityAnswer | null = null;

  /** `fields`: what must not change; empty: nothing is watched. */
  constructor(fields: readonly AssociationField[], query: SocketQuery) {
    this.#fields = fields;
    this.#query = query;
  }

  /**
   * Has the system watch, and holds what it tells against what it told first.
   *
   * @param told what it has just told without watching: nothing that changes between the two goes unseen.
   * @throws SecurityRequirementError where something has changed, or where there is nothing to watch.
   */
  arm(told: SecurityAnswer): void {
    if (this.#fields.length === 0) return;
    for (const field of this.#fields) {
      if (told[field] === 0n) {
        throw new SecurityRequirementError(
          NAME,
          "none",
          `The system names no ${field} of this connection, so that it cannot be watched: leave it out of ${NAME}`,
        );
      }
    }
    this.#first ??= told;
    this.#hold(told);
    const armed = this.#query.ask(this.#fields);
    this.#hold(armed);
    if (armed.secured !== told.secured || armed.encrypted !== told.encrypted) {
      throw this.#changed("its protection has changed");
    }
  }

  #hold(now: SecurityAnswer): void {
    const change = this.#change(now);
    if (change !== null) throw this.#changed(change);
  }

  /** What differs from the beginning; a field that is not told proves nothing. */
  #change(now: SecurityAnswer): string | null {
    const field = this.#fields.find((each) => now[each] !== 0n && now[each] !== this.#first![each]);
    return field === undefined ? null : `${field} has changed from ${this.#first![field]} to ${now[field]}`;
  }

  #changed(change: string, cause?: unknown): SecurityRequirementError {
    return new SecurityRequirementError(
      NAME,
      change,
      `The connection was ended, as ${NAME} requires, since its association is another one: ${change}. Connect again`,
      { cause },
    );
  }

  /** The error to tell for one that ended reading or writing: why the connection was broken off, where that is known. */
  explain(error: unknown): unknown {
    if (this.#first === null || !(error instanceof TransportError) || !BROKEN_OFF.includes(error.codeName)) {
      return error;
    }
    const now = this.#now();
    const change = now === null ? null : this.#change(now);
    if (change !== null) return this.#changed(change, error);
    // All that is watched is told, and is as it was: the connection broke off for another reason.
    if (now !== null && this.#fields.every((field) => now[field] !== 0n)) return error;
    return new TransportError(
      error.codeName,
      `${error.message} Or the system aborted the connection because its association changed: ${NAME} watches ` +
        `${this.#fields.join(" and ")}, and the system does not tell`,
      { cause: error.cause },
    );
  }

  #now(): SecurityAnswer | null {
    try {
      return this.#query.ask();
    } catch {
      // The system may know nothing of a connection that has ended: the error at hand is told then.
      return null;
    }
  }
}
