/**
 * What a function that had to be synchronous may give back.
 *
 * @module
 */

/**
 * Refuses a result with which the function's work has only been begun, or not even that: promises, and iterators, whose
 * bodies run when they are asked for a value. A promise's own outcome is then nobody's.
 *
 * @returns the result.
 * @throws TypeError
 */
export function finished<T>(result: T): T {
  if ((typeof result !== "object" && typeof result !== "function") || result === null) return result;
  const { then, next, [Symbol.asyncIterator]: asyncIterator } = result as {
    readonly then?: unknown;
    readonly next?: unknown;
    readonly [Symbol.asyncIterator]?: unknown;
  };
  if (typeof then === "function") {
    Promise.resolve(result).catch(() => {});
    throw unfinished("a promise");
  }
  if (typeof next === "function" || asyncIterator !== undefined) throw unfinished("an iterator");
  return result;
}

function unfinished(what: string): TypeError {
  return new TypeError(
    `fn returned ${what}: the impersonation ends when fn returns, so it must be synchronous and hand back ` +
      "what it came to",
  );
}
