/**
 * oleaut32.dll: the one documented function that calls a function by its address. ConnectEx is available only as an
 * address, and a path-limited `--allow-ffi` refuses the runtime's own way to call one. No logic.
 *
 * @see https://learn.microsoft.com/windows/win32/api/oleauto/nf-oleauto-dispcallfunc
 * @module
 */

import type { LibrarySpec } from "../abi.ts";
import { type Struct, struct } from "../memory/struct.ts";

/** Calls functions by address. */
export const OLEAUT32 = {
  name: "oleaut32.dll",
  instead: "It is part of Windows",
  files: { windows: ["oleaut32.dll"] },
  fns: {
    /** Returns an `HRESULT`; the called function's own result is in `pvargResult`. */
    DispCallFunc: {
      params: [
        ["pvInstance", "usize"],
        ["oVft", "usize"],
        ["cc", "i32"],
        ["vtReturn", "u32"],
        ["cActuals", "u32"],
        ["prgvt", "buf"],
        ["prgpvarg", "buf"],
        ["pvargResult", "buf"],
      ],
      result: "i32",
    },
  },
} as const satisfies LibrarySpec;

/** Fields of {@linkcode VARIANT}; `llVal` represents the union. */
export const VARIANT_FIELDS = {
  vt: "u16",
  wReserved1: "u16",
  wReserved2: "u16",
  wReserved3: "u16",
  llVal: "i64",
  // The union's longest member has two pointers.
  pRecInfo: "ptr",
} as const;
/** `VARIANT`. */
export const VARIANT: Struct<typeof VARIANT_FIELDS> = struct("VARIANT", VARIANT_FIELDS);

/** `CALLCONV`: ignored on x64, which has one convention. */
export const CC_STDCALL = 4;

/** `VARENUM`: types of a VARIANT. */
export const VT = { I4: 3, I8: 20 } as const;
