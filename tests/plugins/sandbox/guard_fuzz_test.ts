import { assert, assertEquals } from "@std/assert";
import { test } from "@test";
import fc from "fast-check";
import { ProviderRejectedError } from "../../../errors.ts";
import { hostileModules } from "../../support/hostile.ts";
import { guardAny, instantiate, outcomeOf } from "../../support/guarding.ts";
import { fuelAccesses } from "../../support/fuel_accesses.ts";
import { generateModule } from "../../support/wasm_generator.ts";

const AMPLE = 1_000_000_000;
const choices = fc.uint8Array({ minLength: 20, maxLength: 900 });
// wabt's disassembler cannot follow blocks ten thousand deep.
const corpus = (await hostileModules()).filter(({ file }) => !file.startsWith("body_deep")).map(({ bytes }) =>
  bytes
);

/** Calls every function of a generated module, in an order that lets later calls see what earlier ones did. */
function run(bytes: Uint8Array<ArrayBuffer>): string[] {
  const exports = instantiate(bytes);
  const fuel = exports.fuel;
  const outcomes: string[] = [];
  for (const [a, b] of [[0, 0], [1, -1], [1000, 7]]) {
    for (const name of ["f0", "f1", "f2"]) {
      if (fuel) fuel.value = AMPLE;
      outcomes.push(outcomeOf(() => exports[name](a, b)));
      const globals = exports as unknown as Record<string, { value: unknown }>;
      outcomes.push(`${globals.g0.value} ${globals.g1.value} ${checksum(exports.memory)}`);
    }
  }
  return outcomes;
}

function checksum(memory: WebAssembly.Memory): number {
  let sum = memory.buffer.byteLength;
  for (const byte of new Uint8Array(memory.buffer, 0, 8192)) sum = (Math.imul(sum, 31) + byte) | 0;
  return sum;
}

test("generated modules are valid, without which the properties below would prove nothing", () => {
  fc.assert(fc.property(choices, (bytes) => WebAssembly.validate(generateModule(bytes))), { numRuns: 300 });
});

test("a guarded module is valid and computes, traps and stores what the original does", () => {
  fc.assert(
    fc.property(choices, (bytes) => {
      const original = generateModule(bytes);
      const guarded = guardAny(original).bytes;
      assert(WebAssembly.validate(guarded));
      assertEquals(run(guarded), run(original));
    }),
    { numRuns: 400 },
  );
});

test("every call costs fuel, the same call the same amount, and nothing ever adds any", () => {
  fc.assert(
    fc.property(choices, fc.integer(), (bytes, argument) => {
      const guarded = guardAny(generateModule(bytes)).bytes;
      const used = [instantiate(guarded), instantiate(guarded)].map((exports) => {
        exports.fuel.value = AMPLE;
        outcomeOf(() => exports.f0(argument, 1));
        return AMPLE - exports.fuel.value;
      });
      assert(used[0] > 0);
      assertEquals(used[0], used[1]);
    }),
    { numRuns: 200 },
  );
});

test("a module with less fuel than it needs stops with the counter below zero", () => {
  fc.assert(
    fc.property(choices, fc.nat(1000), (bytes, share) => {
      const guarded = guardAny(generateModule(bytes)).bytes;
      const measure = instantiate(guarded);
      measure.fuel.value = AMPLE;
      outcomeOf(() => measure.f0(3, 4));
      const needed = AMPLE - measure.fuel.value;
      const given = Math.floor(needed * share / 1001);
      const exports = instantiate(guarded);
      exports.fuel.value = given;
      outcomeOf(() => exports.f0(3, 4));
      assert(exports.fuel.value < 0);
    }),
    { numRuns: 200 },
  );
});

test("no accepted module, however it was changed, accesses the fuel except with the guard's own code", () => {
  const modules = fc.oneof(choices.map(generateModule), fc.constantFrom(...corpus));
  const edits = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 4 });
  let accepted = 0;
  fc.assert(
    fc.property(modules, edits, (module, changes) => {
      const changed = Uint8Array.from(module);
      for (const [at, value] of changes) if (changed.length > 0) changed[at % changed.length] = value;
      let guarded;
      try {
        guarded = guardAny(changed).bytes;
      } catch (error) {
        assert(error instanceof ProviderRejectedError, String(error));
        assert(
          error.rule !== "malformed",
          `the engine accepted what the guard could not read: ${error.message}`,
        );
        return;
      }
      accepted++;
      assert(WebAssembly.validate(changed) && WebAssembly.validate(guarded));
      assertEquals(fuelAccesses(guarded), "ticks only");
    }),
    { numRuns: 3000 },
  );
  assert(accepted > 300, `only ${accepted} were accepted`);
});

test("random bytes are refused with a rule, never with another error", () => {
  const header = [0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00];
  fc.assert(
    fc.property(fc.boolean(), fc.uint8Array({ maxLength: 200 }), (plausible, bytes) => {
      const module = Uint8Array.from([...(plausible ? header : []), ...bytes]);
      try {
        guardAny(module);
      } catch (error) {
        assert(error instanceof ProviderRejectedError && error.rule !== "", String(error));
      }
    }),
    { numRuns: 1000 },
  );
});
