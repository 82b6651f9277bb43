/**
 * What one check of a provider came to.
 *
 * @module
 */

/** How one check went. */
export interface Outcome {
  /** The check. */
  readonly name: string;
  /** How it went. */
  readonly result: "ok" | "FAILED" | "skipped";
  /** Why it failed or was skipped. */
  readonly reason?: string;
}
