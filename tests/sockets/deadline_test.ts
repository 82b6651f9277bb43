import { assert, assertEquals, assertStrictEquals } from "@std/assert";
import { test } from "@test";
import { TimeoutError } from "../../errors.ts";
import { Deadline } from "../../sockets/deadline.ts";

const aborted = (deadline: Deadline) =>
  new Promise<void>((resolve) => {
    if (deadline.signal.aborted) resolve();
    else deadline.signal.addEventListener("abort", () => resolve());
  });
const never = new Promise<never>(() => {});

test("Deadline.pause(): a paused deadline never times out, and continues with the time left once it is resumed", async () => {
  const deadline = new Deadline(undefined, "It", 1);
  const resume = deadline.pause();
  await new Promise((resolve) => setTimeout(resolve, 20));
  assertEquals(deadline.signal.aborted, false);
  resume();
  await aborted(deadline);
  assert(deadline.signal.reason instanceof TimeoutError);
  assertEquals(deadline.signal.reason.message, "It took longer than 1 ms");
  deadline.end();
});

test("Deadline.end() during a pause, or without a time-out, leaves no timer", () => {
  const paused = new Deadline(undefined, "It", 10_000);
  paused.pause();
  paused.end();
  const endless = new Deadline(undefined, "It");
  endless.pause()();
  endless.end();
  // The runtime fails a test that leaves a timer.
  assertEquals([paused.signal.aborted, endless.signal.aborted], [false, false]);
});

test("Deadline.abort() and the caller's signal abort a paused deadline", async () => {
  const controller = new AbortController();
  const deadline = new Deadline(controller.signal, "It", 10_000);
  deadline.pause();
  const racing = deadline.race(never).catch((error) => error);
  const reason = { mine: true };
  controller.abort(reason);
  assertStrictEquals(await racing, reason);
  deadline.end();
});
