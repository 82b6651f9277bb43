/**
 * `deno task bench:ntlm`: the sandboxed NTLM against gss-ntlmssp, whose loop is all in C: no crossing of a
 * language on its side, so any way to reach it from here is slower still. Medians, both in the same run.
 *
 * @module
 */

import { ntHash, ntlm } from "../plugins/ntlm/mod.ts";
import { GUEST_SHA256, guestModule } from "../plugins/ntlm/guest_wasm.ts";
import type { ProviderContext } from "../contract.ts";
import { resolveRequirements } from "../plugins/requirements.ts";
import { loadBuiltIn } from "../plugins/sandbox/load_provider.ts";
import { helpOnly } from "./command_line.ts";
import { GssNtlmPeer, noGssNtlm } from "../tests/integration/gss_ntlm.ts";

/** One line of the table. */
export interface Row {
  /** What was measured. */
  readonly name: string;
  /** What it took here, in microseconds. */
  readonly ours: number;
  /** The time of gss-ntlmssp, in microseconds; null where there is no comparison. */
  readonly theirs: number | null;
  /** The upper limit of `ours`. */
  readonly allowed: number | null;
}

const HELP = `Usage: deno task bench:ntlm [--help]

Measures ntlm(), which runs in the sandbox, against gss-ntlmssp, whose loop is all in C: loading, handshakes, and
records of 64 bytes, 1 KiB and 64 KiB sealed and opened. Medians, in one run. Without gss-ntlmssp and a C compiler
(Debian: gss-ntlmssp gcc libc6-dev libkrb5-dev) only the library is measured.

Exit status: 0 every target was met, or could not be measured; 1 one was missed; 2 the command is wrong.`;
const BUDGET_MS = 700;
/** Sizes of the plain text, and the least part of gss-ntlmssp's rate that is asked for. */
const SIZES: readonly [bytes: number, share: number | null][] = [[64, null], [1024, 1], [65_536, 1]];
const LOAD_ALLOWED_US = 10_000;

/** The median time of `work` in microseconds, of batches of `batch`. */
function median(work: () => void, batch: number): number {
  const times: number[] = [];
  for (let i = 0; i < batch * 3; i++) work();
  for (const end = performance.now() + BUDGET_MS; performance.now() < end;) {
    const started = performance.now();
    for (let i = 0; i < batch; i++) work();
    times.push((performance.now() - started) / batch);
  }
  return times.sort((a, b) => a - b)[times.length >> 1] * 1000;
}

async function medianOf(work: () => Promise<void>, times: number): Promise<number> {
  const taken: number[] = [];
  for (let i = 0; i < times; i++) {
    const started = performance.now();
    await work();
    taken.push(performance.now() - started);
  }
  return taken.sort((a, b) => a - b)[times >> 1] * 1000;
}

/** Makes pairs of contexts that have authenticated. */
async function pairs(): Promise<() => Promise<[ProviderContext, ProviderContext]>> {
  const hash = ntHash("a password"), provider = ntlm({ accounts: () => hash });
  const shared = {
    system: { capabilities: () => ({} as never) },
    requirements: resolveRequirements({ mutualAuthentication: false }),
  };
  const identity = { username: "alice", domain: "EXAMPLE", password: "a password" };
  const client = await provider.acquire({ role: "client", ...shared, credentials: identity });
  const server = await provider.acquire({ role: "server", ...shared });
  return async () => {
    const a = client.client({ target: "host/localhost" }), b = server.server({});
    const first = await a.step(null), second = await b.step(first.token);
    await b.step((await a.step(second.token)).token);
    return [a, b];
  };
}

/** Measures everything. */
export async function benchNtlm(): Promise<Row[]> {
  const rows: Row[] = [];
  const load = () =>
    loadBuiltIn(guestModule(), { sha256: GUEST_SHA256, name: "ntlm", imports: { random: true, clock: true } })
      .then(() => {});
  rows.push({
    name: "load the guest: hash, guard, compile, describe",
    ours: await medianOf(load, 31),
    theirs: null,
    allowed: LOAD_ALLOWED_US,
  });
  const make = await pairs();
  const shake = async () => {
    for (const end of await make()) end.close();
  };
  rows.push({ name: "handshake, both ends", ours: await medianOf(shake, 1001), theirs: null, allowed: null });
  const peer = noGssNtlm === null ? await GssNtlmPeer.start() : null;
  if (!peer) console.log(`gss-ntlmssp is not compared: ${noGssNtlm}`);
  for (const [size, share] of SIZES) {
    const [a, b] = await make();
    const plain = new Uint8Array(size), out = new Uint8Array(size + a.maxOverhead);
    const ours = median(() => b.unwrap(a.wrap(plain, out)), Math.floor(2_000_000 / (size + 2000)) + 1);
    const theirs = peer ? await peer.bench(size, BUDGET_MS) / 1000 : null;
    const allowed = share === null || theirs === null ? null : theirs / share;
    rows.push({ name: `sealed ${size} B, wrap and unwrap`, ours, theirs, allowed });
    a.close();
    b.close();
  }
  await peer?.close();
  return rows;
}

/** The rows as a table for people. */
export function table(rows: readonly Row[]): string {
  const us = (value: number | null) => (value === null ? "" : value.toFixed(1)).padStart(10);
  const lines = rows.map(({ name, ours, theirs, allowed }) => {
    const ratio = theirs === null ? "" : `${(theirs / ours).toFixed(2)} x`;
    const verdict = allowed === null ? "" : ours <= allowed ? "  holds" : "  MISSED";
    return `${name.padEnd(48)}${us(ours)}${us(theirs)}${ratio.padStart(9)}${us(allowed)}${verdict}`;
  });
  const head = ["ours", "C", "rate", "allowed"].map((word, i) => word.padStart(i === 2 ? 9 : 10)).join("");
  return [`${"microseconds, median".padEnd(48)}${head}`, ...lines].join("\n");
}

if (import.meta.main) {
  const code = helpOnly(Deno.args, HELP);
  if (code !== null) Deno.exit(code);
  const rows = await benchNtlm();
  console.log(table(rows));
  Deno.exit(rows.every(({ ours, allowed }) => allowed === null || ours <= allowed) ? 0 : 1);
}
