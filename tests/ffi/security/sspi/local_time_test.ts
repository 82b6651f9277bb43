/** SSPI's local times, with a system clock that the test sets. */

import { assertEquals } from "@std/assert";
import { test } from "@test";
import { LocalTime } from "../../../../ffi/security/sspi/local_time.ts";

const HOUR_MS = 3_600_000;
const EPOCH = 116_444_736_000_000_000n;

/** A system whose time is `nowMs`, and whose clock is `aheadMs` ahead of UTC; counts the calls. */
class FakeClock {
  nowMs: number;
  aheadMs: number;
  asked = 0;

  constructor(nowMs: number, aheadMs: number) {
    this.nowMs = nowMs;
    this.aheadMs = aheadMs;
  }

  #write(buffer: Uint8Array | null, text: string): number {
    buffer!.set(Uint8Array.from(`${text}\0`, (letter) => letter.charCodeAt(0)));
    return 0;
  }

  /** As text: `2026-11-28T17:40:00.000Z`. */
  get #local(): string {
    return new Date(this.nowMs + this.aheadMs).toISOString();
  }

  _strdate_s = (buffer: Uint8Array | null): number => {
    const [year, month, day] = this.#local.slice(0, 10).split("-");
    return this.#write(buffer, `${month}/${day}/${year.slice(2)}`);
  };

  _strtime_s = (buffer: Uint8Array | null): number => {
    this.asked++;
    return this.#write(buffer, this.#local.slice(11, 19));
  };

  /** A `TimeStamp` as the system writes it now. */
  stamp(ms: number): bigint {
    return BigInt(ms + this.aheadMs) * 10_000n + EPOCH;
  }
}

/** Runs `body` by that clock. */
function by(clock: FakeClock, body: (time: LocalTime) => void): void {
  const { now } = Date;
  Date.now = () => clock.nowMs;
  try {
    body(new LocalTime(clock));
  } finally {
    Date.now = now;
  }
}

const END_MS = Date.UTC(2026, 2, 29, 9, 0, 0);

test("toMs() does not add an hour where summer time begins between two calls", () => {
  // Central Europe, 2026-03-29, 01:00 UTC.
  const begins = Date.UTC(2026, 2, 29, 1, 0, 0);
  const clock = new FakeClock(begins - 1000, HOUR_MS);
  by(clock, (time) => {
    assertEquals(time.toMs(clock.stamp(END_MS)), END_MS);
    clock.nowMs = begins;
    clock.aheadMs = 2 * HOUR_MS;
    assertEquals(time.toMs(clock.stamp(END_MS)), END_MS);
  });
});

test("toMs() reads the system's offset again after a minute, and where the clock was set back", () => {
  const clock = new FakeClock(Date.UTC(2026, 10, 28, 12, 1, 0), 0);
  by(clock, (time) => {
    const asked = (movedMs: number) => {
      clock.nowMs += movedMs;
      const before = clock.asked;
      assertEquals(time.toMs(clock.stamp(END_MS)), END_MS);
      return clock.asked > before;
    };
    assertEquals([0, 59_000, 1000, 1000, -5000].map(asked), [true, false, true, false, true]);
  });
});

test("toMs() finds the offset of any time zone, at any second and day", () => {
  for (const hours of [-12, -9.5, -3.5, 0, 5.75, 12.75, 14]) {
    for (
      const nowMs of [Date.UTC(2026, 11, 31, 23, 59, 59, 999), Date.UTC(2027, 0, 1), Date.UTC(2028, 1, 29, 3)]
    ) {
      const clock = new FakeClock(nowMs, hours * HOUR_MS);
      by(clock, (time) => assertEquals(time.toMs(clock.stamp(END_MS)), END_MS, `${hours} at ${nowMs}`));
    }
  }
});
