import { assert, assertEquals, assertStrictEquals } from "@std/assert";
import { test } from "@test";
import { TimeoutError } from "../../errors.ts";
import { Watch } from "../../sockets/deadline.ts";

const aborted = (watch: Watch) =>
  new Promise<void>((resolve) => {
    if (watch.signal.aborted) resolve();
    else watch.signal.addEventListener("abort", () => resolve());
  });
const never = new Promise<never>(() => {});

test("A watch that is paused never times out, and goes on with what was left once it is resumed", async () => {
  const watch = new Watch(undefined, "It", 1);
  const resume = watch.pause();
  await new Promise((resolve) => setTimeout(resolve, 20));
  assertEquals(watch.signal.aborted, false);
  resume();
  await aborted(watch);
  assert(watch.signal.reason instanceof TimeoutError);
  assertEquals(watch.signal.reason.message, "It took longer than 1 ms");
  watch.end();
});

test("A watch that ends while it is paused, or has no time-out, leaves no timer behind", () => {
  const paused = new Watch(undefined, "It", 10_000);
  paused.pause();
  paused.end();
  const endless = new Watch(undefined, "It");
  endless.pause()();
  endless.end();
});

test("A paused watch is aborted all the same, by its owner and by the caller's signal", async () => {
  const controller = new AbortController();
  const watch = new Watch(controller.signal, "It", 10_000);
  watch.pause();
  const racing = watch.race(never).catch((error) => error);
  const reason = { mine: true };
  controller.abort(reason);
  assertStrictEquals(await racing, reason);
  watch.end();
});
