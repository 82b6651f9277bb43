/**
 * ucrtbase.dll of a simulated host: memory, a disk without files, and no clock.
 *
 * @module
 */

import type { Calls } from "../../ffi/abi.ts";
import type { UCRTBASE } from "../../ffi/raw/ucrtbase.ts";
import type { Machine } from "./machine.ts";

const EINVAL = 22;

/** The functions of a machine. */
export function libcCalls({ memory }: Machine): Calls<typeof UCRTBASE> {
  return {
    addressOf(dest, src, count) {
      if (count > 0n) dest!.set(src!.subarray(0, Number(count)));
      return memory.addressOf(dest!);
    },
    copyFrom(dest, src, count) {
      dest!.set(memory.at(src, Number(count)));
      return memory.addressOf(dest!);
    },
    copyTo(dest, src, count) {
      memory.at(dest, Number(count)).set(src!.subarray(0, Number(count)));
      return dest;
    },
    access: () => -1,
    fopen: () => 0n,
    fread: () => 0n,
    fclose: () => -1,
    _strdate_s: () => EINVAL,
    _strtime_s: () => EINVAL,
  };
}
