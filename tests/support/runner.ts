/** One `test()` over Deno.test and node:test, so that one suite runs on both. */

interface DenoTest {
  test(definition: { name: string; ignore: boolean; fn: () => void | Promise<void> }): void;
}

type Body = () => void | Promise<void>;

/** Options of {@linkcode test}. */
export interface TestOptions {
  /** Why the test cannot run here; it is then printed and counted as skipped. */
  skip?: string | null;
}

const deno = (globalThis as { Deno?: DenoTest }).Deno;
// `node:test` must not be imported under Deno, whose sanitizers do not watch it.
const nodeTest = deno ? null : (await import("node:test")).default;

/** Declares one test; its name is a sentence that states the expected behaviour. */
export function test(name: string, fn: Body, options: TestOptions = {}): void {
  const skip = options.skip ?? null;
  if (skip !== null) console.log(`SKIP ${name}: ${skip}`);
  if (deno) deno.test({ name, ignore: skip !== null, fn });
  else nodeTest!(name, { skip: skip ?? false }, fn);
}
