/** Overlapped look-ups of names on Windows itself, or on Wine. */

import { assert, assertEquals, assertStrictEquals } from "@std/assert";
import { liveHandles } from "../../ffi/handles.ts";
import { openLibrary } from "../../ffi/mod.ts";
import { WS2_32 } from "../../ffi/raw/ws2_32.ts";
import { NativeSystem } from "../../ffi/system.ts";
import { type Winsock, winsockOf } from "../../ffi/winsock/winsock.ts";
import { declareTests, windowsTest } from "./support/on_windows.ts";

/** Longer than any name server's silence: what the system cannot cancel ends by itself. */
const PATIENCE_MS = 120_000;

async function nameTest(
  name: string,
  body: (winsock: Winsock, system: NativeSystem) => Promise<void>,
  options: { wineAnswers?: string } = {},
): Promise<void> {
  await windowsTest(name, async () => {
    const system = new NativeSystem({ grants: ["sockets"] });
    try {
      await body(winsockOf(system, "sockets"), system);
    } finally {
      system.close();
      // Also behind a failure: it may be Wine's, and the next test begins with what this one leaves.
      for (const from = Date.now(); Object.keys(liveHandles()).length > 0;) {
        if (Date.now() - from > PATIENCE_MS) break;
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    }
    assertEquals(liveHandles(), {}, "everything is released");
  }, options);
}

const look = (winsock: Winsock, name: string, signal?: AbortSignal) =>
  winsock.resolve(name, 80, "stream", "connect", signal);

await nameTest("localhost and a numeric address have their addresses", async (winsock) => {
  for (const name of ["localhost", "127.0.0.1"]) {
    const found = await look(winsock, name);
    assert(found.some(({ hostname, port }) => hostname === "127.0.0.1" && port === 80), name);
  }
  assertEquals((await look(winsock, "::1"))[0].hostname, "::1");
});

await nameTest("300 look-ups at once are all answered", async (winsock) => {
  const all = await Promise.all(Array.from({ length: 300 }, () => look(winsock, "localhost")));
  assert(all.every((found) => found.length > 0));
});

await nameTest(
  "an abort of a look-up rethrows the reason at once, whatever the system does",
  async (winsock) => {
    const outcomes = await Promise.all(Array.from({ length: 20 }, async (_, index) => {
      const controller = new AbortController();
      const looking = look(winsock, `no-such-name-${index}.invalid`, controller.signal).catch((error) =>
        error
      );
      const reason = new Error("enough");
      controller.abort(reason);
      // Only promises stand between: no event of the system has been waited for.
      const first = await Promise.race([looking, new Promise((resolve) => setTimeout(resolve, 0, "later"))]);
      assertStrictEquals(first, reason);
      return first;
    }));
    assertEquals(outcomes.length, 20);
  },
);

await nameTest("a system that is asked to cancel a look-up does", async (winsock, system) => {
  const { call } = openLibrary(system, "sockets", WS2_32);
  const cancel = call.GetAddrInfoExCancel;
  const answers: number[] = [];
  (winsock as { call: typeof call }).call = {
    ...call,
    GetAddrInfoExCancel(handle) {
      const answer = cancel(handle);
      answers.push(answer);
      return answer;
    },
  };
  // One that has ended by then, as where there is no name server, is not to be cancelled any more.
  for (let attempt = 0; attempt < 50 && answers.length === 0; attempt++) {
    const controller = new AbortController();
    const looking = look(winsock, `no-such-name-${attempt}.invalid`, controller.signal)
      .catch((error) => error);
    const reason = new Error("enough");
    controller.abort(reason);
    assertStrictEquals(await looking, reason);
  }
  assertEquals(answers, [0], `GetAddrInfoExCancel answered ${answers}`);
}, { wineAnswers: "GetAddrInfoExCancel answered 6" });

declareTests();
