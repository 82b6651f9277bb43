import { assert, assertEquals } from "@std/assert";
import { test } from "@test";
import fc from "fast-check";
import { readdir, readFile } from "node:fs/promises";
import process from "node:process";
import { pathToFileURL } from "node:url";
import { compileGuest } from "../../../scripts/assembly.ts";
import { guestModule } from "../../../plugins/sdk/template/guest_wasm.ts";
import { guardAny, instantiate, outcomeOf } from "../../support/guarding.ts";
import { tiny } from "../../support/tiny.ts";

const AMPLE = 1_000_000_000;
const root = pathToFileURL(`${process.cwd()}/`);

/** Every guest this repository builds, and some that are built here. */
async function corpus(): Promise<[name: string, module: Uint8Array<ArrayBuffer>][]> {
  const found: [string, Uint8Array<ArrayBuffer>][] = [
    ["the template", Uint8Array.from(guestModule())],
    ["the guest of the bench", await compileGuest(root, "bench/guests/work.ts")],
    ["the provider written by hand", await tiny("tiny.wat")],
    ["the codec written by hand", await tiny("tiny_codec.wat")],
  ];
  for (const name of await readdir(new URL("plugins/", root))) {
    const file = await readFile(new URL(`plugins/${name}/guest.wasm`, root)).catch(() => null);
    if (file) found.push([`plugins/${name}`, Uint8Array.from(file)]);
  }
  return found;
}

/** Sends requests one after another and tells the answers, or where it trapped. */
function converse(bytes: Uint8Array<ArrayBuffer>, requests: readonly Uint8Array[]): string[] {
  const { memory, alloc, call, _initialize, fuel } = instantiate(bytes);
  if (fuel) fuel.value = AMPLE;
  _initialize?.();
  return requests.map((request) =>
    outcomeOf(() => {
      if (fuel) fuel.value = AMPLE;
      const pointer = alloc(request.length) >>> 0;
      new Uint8Array(memory.buffer).set(request, pointer);
      const result = BigInt.asUintN(64, call(pointer, request.length));
      const at = Number(result >> 32n), length = Number(result & 0xffffffffn);
      return `${length}: ${new Uint8Array(memory.buffer).subarray(at, at + length).join()}`;
    })
  );
}

// Operations of the ABI, with bodies that come from anywhere; the guests' first calls are what an acquire would be.
const request = fc.tuple(fc.nat(9), fc.uint8Array({ minLength: 4, maxLength: 300 }))
  .map(([operation, body]) => Uint8Array.from([operation, 0, 0, 0, ...body]));
const acquire = Uint8Array.from([1, 0, 0, 0, 1, 3, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0]);

for (const [name, module] of await corpus()) {
  test(`guard(): ${name} gives the same answers guarded and unguarded`, () => {
    const guarded = guardAny(module).bytes;
    assert(WebAssembly.validate(guarded));
    fc.assert(
      fc.property(fc.array(request, { minLength: 1, maxLength: 12 }), (requests) => {
        const all = [acquire, ...requests];
        assertEquals(converse(guarded, all), converse(module, all));
      }),
      { numRuns: 60 },
    );
  });
}
