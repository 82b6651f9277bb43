/** Every target of `deno task fuzz`, for a short time, and every input that once failed. */

import { assert, assertEquals } from "@std/assert";
import { test } from "@test";
import { change, FOUND, fuzz } from "../../scripts/fuzz.ts";
import { Random } from "../../scripts/random.ts";
import { TARGETS } from "./targets.ts";

for (const [name, target] of Object.entries(TARGETS)) {
  test(`${name}: changed inputs end in a result or a typed error`, async () => {
    const { failures, answers } = await fuzz(target, new Random(7), { inputs: 300 });
    assertEquals(failures.map(({ reason }) => reason), []);
    assert(answers > 1, "every input had the same answer: the target proves nothing");
  });
}

for (const file of await filesOf(FOUND)) {
  test(`${file}: an input that once failed ends in a result or a typed error`, async () => {
    const hex = (await Deno.readTextFile(FOUND + file)).trim();
    const input = Uint8Array.from(hex.match(/../g) ?? [], (pair) => parseInt(pair, 16));
    await TARGETS[file.slice(0, file.lastIndexOf("-"))].run(input);
  });
}

test("fuzz() reports an input that ends otherwise, and the same seed gives the same inputs", async () => {
  const target = {
    seeds: () => [Uint8Array.of(1, 2, 3)],
    run: (input: Uint8Array) => {
      if (input.includes(0xff)) throw new RangeError("a bug");
      return `${input.length}`;
    },
  };
  const first = await fuzz(target, new Random(3), { inputs: 500 });
  const second = await fuzz(target, new Random(3), { inputs: 500 });
  assert(first.failures.length > 0 && first.failures.every(({ input }) => input.includes(0xff)));
  assertEquals(second.failures.map(({ input }) => [...input]), first.failures.map(({ input }) => [...input]));
  const random = new Random(9), corpus = [Uint8Array.of(1), new Uint8Array(8_000)];
  for (let i = 0; i < 300; i++) assert(change(corpus, random).length <= 8_192);
});

async function filesOf(folder: string): Promise<string[]> {
  try {
    return await Array.fromAsync(Deno.readDir(folder), ({ name }) => name);
  } catch {
    return [];
  }
}
