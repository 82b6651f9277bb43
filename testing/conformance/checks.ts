/**
 * What the conformance checks of all kinds of providers share.
 *
 * @module
 */

/** How one check went. */
export interface Outcome {
  /** What the check requires. */
  readonly name: string;
  /** `skipped`: the provider does not offer what is checked. */
  readonly result: "ok" | "FAILED" | "skipped";
  /** Why it failed or was skipped. */
  readonly reason?: string;
}

/** One check: returns nothing where it passed, or why it does not apply; throws where it failed. */
export interface Check<S> {
  /** What the check requires. */
  readonly name: string;
  /** Runs it. */
  run(subject: S): Promise<string | void> | string | void;
}

/** Runs checks one after the other; one that fails does not end the others. */
export async function runChecks<S>(checks: readonly Check<S>[], subject: S): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  for (const { name, run } of checks) {
    try {
      const skipped = await run(subject);
      outcomes.push(skipped ? { name, result: "skipped", reason: skipped } : { name, result: "ok" });
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      outcomes.push({ name, result: "FAILED", reason });
    }
  }
  return outcomes;
}

/** Ends a check as failed. */
export function fail(problem: string): never {
  throw new Error(problem);
}

/**
 * Runs `action`, which must fail with an error of this name, and with nothing worse. Names are compared: the error may
 * come from another copy of this package.
 */
export async function mustFail(
  what: string,
  expected: string | readonly string[],
  action: () => unknown,
): Promise<void> {
  const names = typeof expected === "string" ? [expected] : expected;
  try {
    await action();
  } catch (error) {
    if (names.includes((error as Error | null)?.name ?? "")) return;
    fail(`${what}: expected ${names.join(" or ")}, got ${error}`);
  }
  fail(`${what}: expected ${names.join(" or ")}, but it succeeded`);
}

/** Bytes that differ by their length. */
export function pattern(length: number): Uint8Array<ArrayBuffer> {
  return Uint8Array.from({ length }, (_, index) => (index * 7 + length) & 0xff);
}

/** Whether two arrays hold the same bytes. */
export function same(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, index) => byte === b[index]);
}

/** Whether `memory` holds `wanted` somewhere. */
export function contains(memory: Uint8Array, wanted: Uint8Array): boolean {
  for (let at = memory.indexOf(wanted[0]); at >= 0; at = memory.indexOf(wanted[0], at + 1)) {
    if (same(memory.subarray(at, at + wanted.length), wanted)) return true;
  }
  return false;
}
