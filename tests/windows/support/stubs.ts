/**
 * Functions that Wine exports and does not have: calling one ends the process. Found by calling it in another.
 */

import { spawnSync } from "node:child_process";
import { machine } from "./machine.ts";

/** The exception that Wine's stubs raise, and what Deno ends with where one is not handled. */
const STUB_EXIT_CODES = [0x8000_0100, 0xc000_0409];
const LIMIT_MS = 60_000;

/**
 * Wine's answer where it has no such function, else null: on Windows, and under a Wine that has it, the tests run.
 *
 * @param count how many arguments it takes; it is called with zeros.
 */
export function stubAnswer(dll: string, symbol: string, count: number): string | null {
  const key = `${dll}.${symbol}`;
  const known = answers.get(key);
  if (known !== undefined) return known;
  const answer = machine.wine === null ? null : callElsewhere(dll, symbol, count);
  answers.set(key, answer);
  return answer;
}

const answers = new Map<string, string | null>();

function callElsewhere(dll: string, symbol: string, count: number): string | null {
  const parameters = JSON.stringify(Array.from({ length: count }, () => "usize"));
  const path = JSON.stringify(`C:\\Windows\\System32\\${dll}`);
  const script =
    `const { symbols } = Deno.dlopen(${path}, { ${symbol}: { parameters: ${parameters}, result: "u32" } });
    symbols.${symbol}(...${JSON.stringify(Array(count).fill(0))});`;
  const { status, error } = spawnSync(machine.deno!, ["eval", script], {
    stdio: "ignore",
    timeout: LIMIT_MS,
  });
  if (error) throw error;
  const code = (status ?? 0) >>> 0;
  if (!STUB_EXIT_CODES.includes(code)) return null;
  return `Wine ${machine.wine}: unimplemented function ${dll}.${symbol}, aborting (exit code 0x${
    code.toString(16)
  })`;
}
