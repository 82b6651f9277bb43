/** Native memory after 12,000 handshakes and after 1 GiB of records, as malloc reports it, read through the same FFI. */

import { assert, assertEquals } from "@std/assert";
import { test } from "@test";
import process from "node:process";
import type { LibrarySpec } from "../../ffi/abi.ts";
import { Gss } from "../../ffi/security/gss/gss.ts";
import { NativeSystem } from "../../ffi/system.ts";
import { connect, listen, openSystem } from "../../mod.ts";
import { startRealm } from "../rig/realm.ts";
import { liveHandles } from "../../testing/mod.ts";
import { childOutcome, children } from "../support/child.ts";
import { acquire, bytes, exchange, PROVIDERS, TARGET, unwrap, wrap } from "../support/gss.ts";
import { noRealm } from "../support/kerberos.ts";
import { compile, noCompiler, runtimeBackend } from "../support/native.ts";

/** mallinfo2 returns a struct by value, which no FFI here supports: this function returns one number. */
const SOURCE = `
#include <malloc.h>
#include <stdint.h>
uint64_t allocated(void) { struct mallinfo2 m = mallinfo2(); return m.uordblks + m.hblkhd; }
`;
const MALLOC = {
  name: "malloc",
  instead: "",
  files: {},
  fns: { allocated: { params: [], result: "u64" } },
} as const satisfies LibrarySpec;

interface Measured {
  /** The bytes more that are allocated after each batch, in the order of the batches. */
  growth: number[];
  live: { [kind: string]: number };
}

/**
 * Returns the bytes that each batch of rounds leaves allocated. A leak appears in every batch; memory of the runtimes
 * (mostly compiled code) appears in the first batches and in steps. So the smallest growth decides.
 */
async function growthOf(
  batches: number,
  rounds: number,
  body: (round: number) => Promise<void>,
): Promise<number[]> {
  const gc = (globalThis as unknown as { gc(): void }).gc;
  const library = runtimeBackend().open(process.argv.at(-1)!, MALLOC);
  const settled = async (): Promise<number> => {
    for (let turn = 0; turn < 5; turn++) {
      gc();
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    return Number(library.call.allocated());
  };
  const growth: number[] = [];
  let before = await settled();
  for (let batch = 0; batch < batches; batch++) {
    for (let round = 0; round < rounds; round++) await body(round);
    const after = await settled();
    growth.push(after - before);
    before = after;
  }
  library.close();
  return growth;
}

async function handshakes(leaveName: boolean): Promise<Measured> {
  const system = new NativeSystem({ grants: ["sspi"] });
  const gss = new Gss(system);
  const providers = Object.values(PROVIDERS);
  const ends = await Promise.all(providers.map(async (provider) => ({
    client: await acquire(system, "client", { provider, requirements: { delegation: true } }),
    server: await acquire(system, "server", { provider, requirements: { delegation: true } }),
  })));
  const options = { channelBindings: bytes("tls-server-end-point:x") };
  const growth = await growthOf(leaveName ? 2 : 6, 2000, async (round) => {
    const { client, server } = ends[round % ends.length];
    const [one, other] = [client.client({ target: TARGET, ...options }), server.server(options)];
    await exchange({ client: one, server: other });
    unwrap(other, wrap(one, bytes("x")));
    one.verify(bytes("x"), other.sign(bytes("x")));
    void [one.sessionKey(), other.peerName, other.requestedTarget, one.peerIdentity, other.peerIdentity];
    if (round % 4 === 0) other.takeDelegated!()!.close();
    one.close();
    other.close();
    if (round % 10 === 0) await server.server({}).step(bytes("no token")).catch(() => {});
    if (leaveName) gss.importName(TARGET, "principalName");
  });
  for (const { client, server } of ends) {
    client.close();
    server.close();
  }
  system.close();
  return { growth, live: liveHandles() };
}

/** Every way to acquire credentials that creates a cache in memory, and one that fails. */
async function acquisitions(): Promise<Measured> {
  const system = new NativeSystem({ grants: ["sspi"] });
  const keytab = process.env.KRB5_CLIENT_KTNAME!;
  const growth = await growthOf(8, 100, async (round) => {
    const provider = round % 2 === 0 ? PROVIDERS.negotiate : PROVIDERS.kerberos;
    const password = { username: "alice", password: "Alice1234!" };
    (await acquire(system, "client", { provider, credentials: password })).close();
    (await acquire(system, "client", { provider, credentials: { keytab } })).close();
    (await acquire(system, "server", { provider })).close();
    await acquire(system, "client", { provider, credentials: { keytab: "FILE:/none" } }).catch(() => {});
  });
  system.close();
  return { growth, live: liveHandles() };
}

/** The transfers of {@linkcode stream}, each of 256 MiB and a little more, in writes of 60 KiB. */
const CHUNKS = 4400;

/** Sends 256 MiB in each of four batches; `keep`: something small is kept for each write. */
async function stream(keep: boolean): Promise<Measured> {
  const system = openSystem({ grants: ["sspi"] });
  const listener = await listen({ hostname: "127.0.0.1", port: 0, system });
  const { port } = listener.addr as { port: number };
  const connecting = connect({ hostname: "127.0.0.1", port, target: TARGET, system });
  const [client, server] = await Promise.all([connecting, listener.accept()]);
  const chunk = new Uint8Array(60 * 1024).fill(7);
  const into = new Uint8Array(64 * 1024);
  const kept: Uint8Array[] = [];
  const receive = async (): Promise<void> => {
    for (let left = CHUNKS * chunk.length; left > 0;) left -= (await server.read(into))!;
  };
  const growth = await growthOf(keep ? 2 : 4, 1, async () => {
    const receiving = receive();
    for (let sent = 0; sent < CHUNKS; sent++) {
      await client.write(chunk);
      if (keep) kept.push(new Uint8Array(128));
    }
    await receiving;
  });
  await Promise.all([client.close(), server.close(), listener.close()]);
  system.close();
  return { growth, live: liveHandles() };
}

await children({
  streaming: () => stream(false),
  keeping: () => stream(true),
  handshakes: () => handshakes(false),
  leaving: () => handshakes(true),
  acquisitions,
});

const skip = noRealm ?? noCompiler() ?? (process.platform === "linux" ? null : "mallinfo2 is glibc's");
const FLAGS = process.versions.deno ? ["-A", "--v8-flags=--expose-gc"] : ["--expose-gc"];

async function measured(name: string): Promise<Measured> {
  await using realm = await startRealm();
  await realm.kinit("alice");
  using library = await compile(SOURCE, ["-shared"]);
  return await childOutcome(import.meta.url, name, { flags: FLAGS, args: [library.path], env: realm.env });
}

test("12,000 handshakes leave no native allocation behind", async () => {
  const { growth, live } = await measured("handshakes");
  console.log(`bytes more after each 2,000 handshakes: ${growth.join(", ")}`);
  assertEquals(live, {});
  // The least that malloc ever gives is 32 bytes.
  assert(Math.min(...growth) < 2000 * 16, `${growth}`);
}, { skip });

test("a leak of one name in each handshake is detected", async () => {
  const { growth } = await measured("leaving");
  assert(Math.min(...growth) > 2000 * 64, `${growth}`);
}, { skip });

test(
  "acquire() with a password, with a key table and with a failure leaves no native allocation behind",
  async () => {
    const { growth, live } = await measured("acquisitions");
    console.log(`bytes more after each 100 rounds of acquisitions: ${growth.join(", ")}`);
    assertEquals(live, {});
    // A leaked cache would be several kilobytes each time.
    assert(Math.min(...growth) < 100 * 200, `${growth}`);
  },
  { skip },
);

test("1 GiB through a sealed connection leaves nothing behind that grows with its records", async () => {
  const { growth, live } = await measured("streaming");
  console.log(`bytes more after each ${CHUNKS} writes: ${growth.join(", ")}`);
  assertEquals(live, {});
  // Less than malloc's least for each write.
  assert(Math.min(...growth) < CHUNKS * 16, `${growth}`);
}, { skip });

test("128 bytes that stay for each write of a connection are detected", async () => {
  const { growth } = await measured("keeping");
  assert(Math.min(...growth) > CHUNKS * 64, `${growth}`);
}, { skip });
