/**
 * What the tests know of the machine they run on. This file speaks of a plain machine, a real Windows among them;
 * the rig of `tests/rig/windows` puts another in its place, so that no test needs a permission to learn it.
 */

/** What the rig tells. */
export interface Machine {
  /** The version of Wine, or null where this is no Wine. */
  readonly wine: string | null;
  /** The rig's folder for this run, as Windows names it, with files both sides see. */
  readonly run: string | null;
  /** The repository, as Windows names it; null outside of the rig. */
  readonly repository: string | null;
  /** A deno.exe for probes in another process, or null outside of the rig. */
  readonly deno: string | null;
  /** The Kerberos realm whose tickets this process finds; null: none. */
  readonly realm: {
    /** Its name, in upper case. */
    readonly name: string;
    /** Users and their passwords. */
    readonly users: { readonly alice: string; readonly bob: string };
    /** Services whose keys an acceptor here holds. */
    readonly services: readonly string[];
  } | null;
  /** The control port of peers/agent.ts on 127.0.0.1; null: there is no Linux beside this machine. */
  readonly agentPort: number | null;
}

/** This machine. */
export const machine: Machine = {
  wine: null,
  run: null,
  repository: null,
  deno: null,
  realm: null,
  agentPort: null,
};
