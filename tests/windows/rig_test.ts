/**
 * What every other test of this folder takes for granted.
 */

import { assertEquals } from "@std/assert";
import fc from "fast-check";
import type { LibrarySpec } from "../../ffi/abi.ts";
import { memoryOf } from "../../ffi/memory/memory.ts";
import { UCRTBASE } from "../../ffi/raw/ucrtbase.ts";
import { openLibrary } from "./support/libraries.ts";
import { machine } from "./support/machine.ts";
import { declareTests, onWindows, windowsTest } from "./support/on_windows.ts";

const NTDLL = {
  name: "ntdll.dll",
  instead: "It is part of Windows",
  files: { windows: ["ntdll.dll"] },
  fns: { wine_get_version: { params: [], result: "usize", optional: true } },
} as const satisfies LibrarySpec;

/** The version Wine itself states, or null where this is no Wine. */
function statedVersion(): string | null {
  const ntdll = openLibrary(NTDLL);
  const ucrtbase = openLibrary(UCRTBASE);
  try {
    return memoryOf(ucrtbase.call as unknown as Parameters<typeof memoryOf>[0]).cString(
      ntdll.call.wine_get_version(),
    );
  } catch (error) {
    if (error instanceof Error && error.name === "UnsupportedPlatformError") return null;
    throw error;
  } finally {
    ucrtbase.close();
    ntdll.close();
  }
}

await windowsTest("the runtime is a Windows program", () => {
  assertEquals(onWindows, true);
});

await windowsTest(
  "the rig recognises the Wine that runs the tests, and does not mistake Windows for Wine",
  () => {
    assertEquals(machine.wine, statedVersion());
  },
);

await windowsTest("packages of npm resolve without a network", () => {
  fc.assert(fc.property(fc.integer(), (value) => Number.isInteger(value)));
});

declareTests();
