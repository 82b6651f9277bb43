/**
 * Reads what the fixture logged (fixtures/call_log.c).
 */

import { readFileSync, writeFileSync } from "node:fs";
import { machine } from "./machine.ts";

/** One call: its arguments as text, and what it answered. */
export type Call = { readonly fn: string; readonly result: number; readonly error: number } & {
  readonly [argument: string]: unknown;
};

const path = (): string => `${machine.run}\\fwpuclnt.log`;

/** Empties the log. */
export function clearLog(): void {
  writeFileSync(path(), "");
}

/** Every call since the log was emptied. */
export function readLog(): Call[] {
  return readFileSync(path(), "utf8").trim().split("\n").filter((line) => line !== "").map((line) =>
    JSON.parse(line)
  );
}

/** The hexadecimal digits of a text in UTF-16. */
export function utf16Hex(text: string): string {
  const units = new Uint8Array(2 * text.length);
  const view = new DataView(units.buffer);
  for (let index = 0; index < text.length; index++) view.setUint16(2 * index, text.charCodeAt(index), true);
  return Array.from(units, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
