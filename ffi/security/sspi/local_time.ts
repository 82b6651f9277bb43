/**
 * Converts SSPI's times, which are in the system's local time, to UTC. The offset is the system's own and current
 * one: a runtime's time zone can differ (Node reads it from the variable `TZ`), and a runtime uses the offset at the
 * time in question, while SSPI converts every time with the current offset.
 *
 * @see https://learn.microsoft.com/windows/win32/secauthn/timestamp
 * @module
 */

import type { Calls } from "../../abi.ts";
import { pinned } from "../../memory/memory.ts";
import type { UCRTBASE } from "../../raw/ucrtbase.ts";

type Clock = Pick<Calls<typeof UCRTBASE>, "_strdate_s" | "_strtime_s">;

/** 100 ns units from 1601 to 1970. */
const EPOCH = 116_444_736_000_000_000n;
/** Times past the year 9999 mean "no end". */
const FOREVER = 2_650_467_743_990_000_000n;
const TEXT_BYTES = 10;
/** The offset of every time zone is a multiple of it. */
const QUARTER_MS = 15 * 60_000;
/** How long an offset is used; never past a full quarter of an hour, when summer time begins and ends. */
const HOLDS_MS = 60_000;

/** Converts local times to UTC. */
export class LocalTime {
  readonly #clock: Clock;
  #aheadMs = 0;
  #askedMs = -Infinity;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Returns a `TimeStamp` as milliseconds since 1970; `null` where it means "no end" or is not set. */
  toMs(timeStamp: bigint): number | null {
    if (timeStamp <= EPOCH || timeStamp >= FOREVER) return null;
    return Number((timeStamp - EPOCH) / 10_000n) - this.#ahead();
  }

  /** How far the system's clock is ahead of UTC. */
  #ahead(): number {
    const now = Date.now();
    const quarter = (ms: number): number => Math.floor(ms / QUARTER_MS);
    const asked = this.#askedMs;
    if (now < asked || now - asked >= HOLDS_MS || quarter(now) !== quarter(asked)) {
      // Where the system does not report its time, the runtime's time zone is the best that is known.
      this.#aheadMs = this.#ask() ?? -new Date(now).getTimezoneOffset() * 60_000;
      this.#askedMs = now;
    }
    return this.#aheadMs;
  }

  #ask(): number | null {
    const { _strdate_s, _strtime_s } = this.#clock;
    for (let turn = 0; turn < 3; turn++) {
      const date = text(_strdate_s);
      const time = text(_strtime_s);
      const parts = /^(\d\d)\/(\d\d)\/(\d\d) (\d\d):(\d\d):(\d\d)$/.exec(`${date} ${time}`)?.slice(1);
      if (parts === undefined) return null;
      // Midnight may have passed between the two calls.
      if (text(_strdate_s) !== date) continue;
      const [month, day, year, hours, minutes, seconds] = parts.map(Number);
      const localMs = Date.UTC(2000 + year, month - 1, day, hours, minutes, seconds);
      return Math.round((localMs - Date.now()) / QUARTER_MS) * QUARTER_MS;
    }
    return null;
  }
}

function text(fn: Clock["_strdate_s"]): string {
  const buffer = pinned(TEXT_BYTES);
  if (fn(buffer, BigInt(buffer.length)) !== 0) return "";
  return String.fromCharCode(...buffer.subarray(0, buffer.indexOf(0)));
}
