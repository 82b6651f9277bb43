/**
 * `windowsTest()`: a test that needs Windows, and may say what Wine answers where Wine cannot serve it.
 */

import { test } from "@test";
import { currentPlatform } from "../../../ffi/permissions.ts";
import { machine } from "./machine.ts";

/** True on Windows and under Wine. */
export const onWindows: boolean = currentPlatform("").os === "windows";

/** Options of {@linkcode windowsTest}. */
export interface WindowsTestOptions {
  /** Why it cannot run here at all; it is then printed and counted as skipped. */
  skip?: string | null;
  /**
   * Part of the error by which Wine refuses what the test needs. The test is tried: where it fails with this, it
   * is skipped with Wine's own words; where it passes, the test fails, so that this option is taken out again.
   */
  wineAnswers?: string;
}

const declared: (() => void)[] = [];

/**
 * Declares what {@linkcode windowsTest} has collected. Every test file ends with it: Node runs a test as soon as it
 * is declared, and none may run while another is being tried.
 */
export function declareTests(): void {
  for (const declare of declared.splice(0)) declare();
}

/**
 * Collects a test that runs on Windows and under Wine. Await it: it may have to be tried first. It is declared by
 * {@linkcode declareTests}.
 */
export async function windowsTest(
  name: string,
  fn: () => void | Promise<void>,
  options: WindowsTestOptions = {},
): Promise<void> {
  const skip = onWindows ? options.skip ?? null : "it needs Windows: deno task test:windows";
  const expected = options.wineAnswers;
  const declare = (body: () => void | Promise<void>, reason: string | null = null) =>
    void declared.push(() => test(name, body, { skip: reason }));
  if (skip !== null || machine.wine === null || expected === undefined) return declare(fn, skip);
  const answer = await failureOf(fn);
  if (answer === null) {
    declare(() => {
      throw new Error(`Wine ${machine.wine} serves this now: take the option wineAnswers out`);
    });
  } else if (!answer.message.includes(expected)) {
    declare(() => {
      throw answer;
    });
  } else {
    declare(fn, `Wine ${machine.wine}: ${answer.message.split("\n")[0]}`);
  }
}

async function failureOf(fn: () => void | Promise<void>): Promise<Error | null> {
  try {
    await fn();
    return null;
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}
