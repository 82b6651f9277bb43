/**
 * What the tests know of the machine they run on. This file speaks of a plain machine, a real Windows among them;
 * the rig of `scripts/windows` puts another in its place, so that no test needs a permission to learn it.
 */

/** What the rig tells. */
export interface Machine {
  /** The version of Wine, or null where this is no Wine. */
  readonly wine: string | null;
  /** The rig's folder for this run, as Windows names it, with files both sides see. */
  readonly run: string | null;
}

/** This machine. */
export const machine: Machine = { wine: null, run: null };
