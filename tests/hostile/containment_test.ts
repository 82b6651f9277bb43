import { assert, assertEquals, assertRejects } from "@std/assert";
import { test } from "@test";
import process from "node:process";
import { ProviderLimitError, type ProviderRejectedError } from "../../errors.ts";
import { ByteWriter } from "../../plugins/sandbox/bytes.ts";
import type { LogLine } from "../../plugins/sandbox/host_functions.ts";
import { loadProvider } from "../../plugins/sandbox/load_provider.ts";
import type { ContextProvider, ProviderContext } from "../../contract.ts";
import {
  canned,
  drive,
  HANG_MS,
  hostileModules,
  leastCpuMs,
  load,
  REQUIREMENTS,
  sha256,
  SYSTEM,
} from "../support/hostile.ts";
import { compileWat } from "../support/wat.ts";

const healthy = compileWat("canned.wat", `(module ${await canned()})`);
const corpus = new Map((await hostileModules()).map(({ file, bytes }) => [file, bytes]));

async function open(provider: ContextProvider, password: string): Promise<ProviderContext> {
  using credentials = await provider.acquire({
    role: "client",
    system: SYSTEM,
    requirements: REQUIREMENTS,
    credentials: { username: "alice", password },
  });
  const context = credentials.client({ target: "host/server.example.test" });
  await context.step(null);
  return context;
}

/** A module with `count` custom sections of `size` bytes behind it. */
function withCustomSections(module: Uint8Array, count: number, size: number): Uint8Array<ArrayBuffer> {
  const out = new ByteWriter().bytes(module);
  const section = new ByteWriter().sized(new TextEncoder().encode("x")).bytes(new Uint8Array(size)).written;
  for (let i = 0; i < count; i++) out.bytes([0]).sized(section);
  return out.written.slice();
}

test("a guest that keeps a password leaves none in the instance of another connection", async () => {
  const provider = await load(corpus.get("keeps_secret.wat")!);
  const first = await open(provider, "correct horse battery staple");
  const second = await open(provider, "another password of as many.");
  assertEquals(first.peerName, "nothing was kept from before");
  assertEquals(second.peerName, "nothing was kept from before");
  first.close();
  const third = await open(provider, "yet another of the same size");
  assertEquals(third.peerName, "nothing was kept from before");
});

test("custom sections are dropped, however many there are", async () => {
  const bytes = withCustomSections(healthy, 100_000, 0);
  const cpuMs = await leastCpuMs(async () => assertEquals(await drive(bytes), { at: "close", error: null }));
  assert(cpuMs < HANG_MS, `it took ${Math.round(cpuMs)} ms of the processor`);
});

test("a custom section that makes the module too large is refused before the module is parsed", async () => {
  const bytes = withCustomSections(healthy, 1, 2_000_000);
  const { error } = await drive(bytes);
  assertEquals((error as ProviderRejectedError).rule, "module-size");
});

test("a guest that floods the log reaches it sixty-four times a second, and never while it runs", async () => {
  const bytes = corpus.get("import_log_flood.wat")!;
  const lines: LogLine[] = [];
  let provider: ContextProvider | null = null, running = false, heardWhileRunning = false;
  const log = (line: LogLine): void => {
    heardWhileRunning ||= running;
    lines.push(line);
  };
  provider = await loadProvider(bytes, {
    sha256: await sha256(bytes),
    imports: { log },
    answers: { colour: () => null },
  });
  const context = await open(provider, "secret");
  running = true;
  context.sign(new Uint8Array(1));
  running = false;
  await Promise.resolve();
  assert(!heardWhileRunning);
  // Two seconds may have begun since.
  assert(lines.length <= 128, `${lines.length} lines`);
  assertEquals([lines[0].level, lines[0].text], ["warning", "a?b?c"]);
});

test("a log function can call the provider, which is not running then", async () => {
  const bytes = corpus.get("import_log_reentrant.wat")!;
  let context: ProviderContext | null = null;
  const signatures: Uint8Array[] = [];
  const provider = await loadProvider(bytes, {
    sha256: await sha256(bytes),
    imports: {
      log: () => context && signatures.length < 3 && signatures.push(context.sign(new Uint8Array(1))),
    },
    answers: { colour: () => null },
  });
  context = await open(provider, "secret");
  context.sign(new Uint8Array(1));
  await new Promise((resolve) => setTimeout(resolve, 0));
  assertEquals(signatures.length, 3);
});

test("twenty exhausted guests do not change the host's memory or the next provider", async () => {
  const spin = corpus.get("memory_touch_all.wat")!;
  await assertRejects(() => load(spin), ProviderLimitError);
  const before = process.memoryUsage().rss;
  for (let i = 0; i < 20; i++) await assertRejects(() => load(spin), ProviderLimitError);
  const grown = process.memoryUsage().rss - before;
  assert(grown < 200 * 1024 * 1024, `the host grew by ${grown} bytes`);
  assertEquals(await drive(healthy), { at: "close", error: null });
});
