import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { test } from "@test";
import { StateError, UnsupportedPlatformError } from "../../errors.ts";
import { secured } from "../support/secured.ts";

/** A provider that records when a client is impersonated. */
function recorder() {
  const log: string[] = [];
  const impersonate = <T>(fn: () => T): T => {
    log.push("begin");
    try {
      return fn();
    } finally {
      log.push("revert");
    }
  };
  return { log, impersonate };
}

test("impersonate() runs a synchronous function as the client, and returns its result or rethrows its error", async () => {
  const { log, impersonate } = recorder();
  const { server, close } = await secured({ serverFaults: { impersonate } });
  assertEquals(server.impersonate(() => log.push("work")), 2);
  assertEquals(log, ["begin", "work", "revert"]);
  assertThrows(
    () => {
      server.impersonate(() => {
        throw new Error("from within");
      });
    },
    Error,
    "from within",
  );
  assertEquals(log.at(-1), "revert");
  await close();
});

test("impersonate() refuses an asynchronous function, or a generator, before it impersonates", async () => {
  const { log, impersonate } = recorder();
  const { server, close } = await secured({ serverFaults: { impersonate } });
  const wrong: unknown[] = ["text", null];
  // deno-lint-ignore require-await
  wrong.push(async () => log.push("ran"));
  wrong.push(function* () {
    yield log.push("ran");
  });
  wrong.push(async function* () {
    yield await Promise.resolve(log.push("ran"));
  });
  for (const fn of wrong) {
    assertThrows(() => server.impersonate(fn as () => void), TypeError, "must be a synchronous function");
  }
  assertEquals(log, []);
  await close();
});

test("impersonate() refuses a returned promise after the impersonation has ended, and ignores its failure", async () => {
  const { log, impersonate } = recorder();
  const { server, close } = await secured({ serverFaults: { impersonate } });
  assertThrows(
    () => server.impersonate(() => Promise.reject(new Error("late"))),
    TypeError,
    "returned a promise",
  );
  // deno-lint-ignore no-explicit-any
  assertThrows(() => server.impersonate(() => ({ then: () => {} }) as any), TypeError, "returned a promise");
  assertEquals(log, ["begin", "revert", "begin", "revert"]);
  await close();
});

test("impersonate() refuses a returned iterator, whose body would run as the server, after the impersonation", async () => {
  const { log, impersonate } = recorder();
  const { server, close } = await secured({ serverFaults: { impersonate } });
  function* rows() {
    yield log.push("ran");
  }
  async function* arriving() {
    yield await Promise.resolve(log.push("ran"));
  }
  const results = [
    () => rows(),
    () => arriving(),
    () => new Set([1]).values(),
    () => new ReadableStream(),
    () => ({ [Symbol.asyncIterator]: arriving }),
  ];
  for (const fn of results) {
    assertThrows(() => server.impersonate<unknown>(fn), TypeError, "returned an iterator");
  }
  assertEquals(log, results.flatMap(() => ["begin", "revert"]));
  assertEquals(server.impersonate(() => [...new Set([1])]), [1], "a list has been worked out");
  await close();
});

test("impersonate() of two connections cannot be nested, and works for each of them afterwards", async () => {
  const { log, impersonate } = recorder();
  const [one, other] = [
    await secured({ serverFaults: { impersonate } }),
    await secured({ serverFaults: { impersonate } }),
  ];
  one.server.impersonate(() => {
    assertThrows(() => other.server.impersonate(() => 1), StateError, "already impersonating");
    log.push("still the first");
  });
  assertEquals(log, ["begin", "still the first", "revert"]);
  assertEquals(other.server.impersonate(() => 1), 1);
  await one.close();
  await other.close();
});

test("impersonate() reports that the provider cannot impersonate, or that this end is the client", async () => {
  const { client, server, close } = await secured();
  assertThrows(() => server.impersonate(() => 1), UnsupportedPlatformError, "cannot impersonate");
  assertThrows(() => client.impersonate(() => 1), StateError, "Only the server");
  await close();
  assertThrows(() => server.impersonate(() => 1), StateError, "closed");
});

test("close() inside impersonate() releases the context when the impersonation has ended", async () => {
  const { log, impersonate } = recorder();
  const { client, server, b, serverProvider } = await secured({ serverFaults: { impersonate } });
  const closes: number[] = [];
  server.impersonate(() => {
    assertThrows(() => server.impersonate(() => log.push("inner")), StateError, "already impersonating");
    server.close();
    closes.push(b.closes, serverProvider.ledger.contextCloses[0]);
  });
  assertEquals(closes, [1, 0]);
  assertEquals(serverProvider.ledger.contextCloses, [1]);
  assertEquals(log, ["begin", "revert"]);
  await assertRejects(() => server.read(new Uint8Array(1)), StateError);
  await client.close();
});
