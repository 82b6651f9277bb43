/**
 * The part of @std/assert the tests use, over node:assert/strict: used where JSR cannot be reached, so that the tests
 * never depend on it.
 */

import strict, { AssertionError } from "node:assert/strict";

export { AssertionError };

/** The message as a last argument, or none: Node refuses an explicit undefined. */
function said(message?: string): [] | [string] {
  return message === undefined ? [] : [message];
}

// deno-lint-ignore no-explicit-any
type ErrorClass<E extends Error> = abstract new (...args: any[]) => E;

/** Fails unless `value` is truthy. */
export function assert(value: unknown, message?: string): asserts value {
  strict.ok(value, ...said(message));
}

/** Fails unless both are deeply equal. */
export function assertEquals<T>(actual: T, expected: T, message?: string): void {
  strict.deepStrictEqual(actual, expected, ...said(message));
}

/** Fails where both are deeply equal. */
export function assertNotEquals<T>(actual: T, expected: T, message?: string): void {
  strict.notDeepStrictEqual(actual, expected, ...said(message));
}

/** Fails unless both are the same value. */
export function assertStrictEquals<T>(actual: unknown, expected: T, message?: string): asserts actual is T {
  strict.strictEqual(actual, expected, ...said(message));
}

/** Fails where `value` is null or undefined. */
export function assertExists<T>(value: T, message?: string): asserts value is NonNullable<T> {
  strict.ok(value !== null && value !== undefined, message ?? "expected a value");
}

/** Fails unless `value` is an instance of `type`. */
export function assertInstanceOf<E extends Error>(
  value: unknown,
  type: ErrorClass<E>,
  message?: string,
): asserts value is E {
  strict.ok(value instanceof type, message ?? `expected an instance of ${type.name}, got ${String(value)}`);
}

/** Fails unless `text` contains `part`. */
export function assertStringIncludes(text: string, part: string, message?: string): void {
  strict.ok(
    text.includes(part),
    message ?? `expected ${JSON.stringify(text)} to include ${JSON.stringify(part)}`,
  );
}

/** Fails unless `text` matches `pattern`. */
export function assertMatch(text: string, pattern: RegExp, message?: string): void {
  strict.match(text, pattern, ...said(message));
}

/** Always fails. */
export function fail(message?: string): never {
  strict.fail(...said(message));
}

function check<E extends Error>(error: unknown, type?: ErrorClass<E>, part?: string): E {
  if (type) assertInstanceOf(error, type);
  strict.ok(error instanceof Error, `expected an Error, got ${String(error)}`);
  if (part !== undefined) assertStringIncludes(error.message, part);
  return error as E;
}

/** Fails unless `fn` throws, and returns what it threw. */
export function assertThrows<E extends Error = Error>(
  fn: () => unknown,
  type?: ErrorClass<E>,
  part?: string,
): E {
  try {
    fn();
  } catch (error) {
    return check(error, type, part);
  }
  strict.fail("expected the function to throw");
}

/** Fails unless the promise of `fn` is rejected, and resolves to the reason. */
export async function assertRejects<E extends Error = Error>(
  fn: () => PromiseLike<unknown>,
  type?: ErrorClass<E>,
  part?: string,
): Promise<E> {
  try {
    await fn();
  } catch (error) {
    return check(error, type, part);
  }
  strict.fail("expected the promise to be rejected");
}
