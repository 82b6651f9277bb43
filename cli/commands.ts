/**
 * Every command: its summary, and the module that is loaded when it is used.
 *
 * @module
 */

import type { Command } from "./command.ts";

/** A command before its module is loaded. */
export interface CommandEntry {
  /** What it does, in one line without a full stop. */
  readonly summary: string;
  /** Loads its module. */
  load(): Promise<{ readonly command: Command }>;
}

/** The commands by name, in the order of the help. */
export const COMMANDS: Readonly<Record<string, CommandEntry>> = {
  doctor: {
    summary: "print what this machine and process can do",
    load: () => import("./doctor.ts"),
  },
  permissions: {
    summary: "print the flags that grants need",
    load: () => import("./permissions.ts"),
  },
};
