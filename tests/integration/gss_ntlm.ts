/** gss-ntlmssp through libgssapi_krb5, driven by fixtures/gss_ntlm_peer.c: compiled once, removed at the end of the tests. */

import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { findProgram, mustRun } from "../../scripts/process.ts";
import { LinePeer } from "../support/line_peer.ts";

const SOURCE = fileURLToPath(new URL("fixtures/gss_ntlm_peer.c", import.meta.url));

/** Why this peer cannot run here; null where it can. */
export const noGssNtlm: string | null = missing();

function missing(): string | null {
  if (process.platform !== "linux") return "gss-ntlmssp is tested on Linux";
  const packages = [
    ...(findProgram("gcc") === null ? ["gcc"] : []),
    ...(existsSync("/usr/include/gssapi/gssapi_ext.h") ? [] : ["libkrb5-dev"]),
    ...(existsSync("/etc/gss/mech.d/mech.ntlmssp.conf") ? [] : ["gss-ntlmssp"]),
  ];
  return packages.length === 0 ? null : `apt-get install ${packages.join(" ")}`;
}

let built: Promise<{ program: string; users: string }> | null = null;

async function build(): Promise<{ program: string; users: string }> {
  const folder = mkdtempSync(`${tmpdir()}/gss_ntlm_peer_`);
  const remove = () => rmSync(folder, { recursive: true, force: true });
  process.on("exit", remove);
  // Deno's tests end without the event of Node.
  (globalThis as { addEventListener?(name: string, listener: () => void): void }).addEventListener?.(
    "unload",
    remove,
  );
  const program = `${folder}/peer`, users = `${folder}/users`;
  writeFileSync(users, "EXAMPLE:alice:Пароль-1 €\n");
  await mustRun("gcc", ["-Wall", "-Werror", "-O2", "-o", program, SOURCE, "-lgssapi_krb5"]);
  return { program, users };
}

/** The flags that a GSS-API client requests. */
export const GSS = {
  mutual: 2,
  replay: 4,
  sequence: 8,
  confidentiality: 16,
  integrity: 32,
  channelBound: 2048,
};

const hex = (bytes: Uint8Array | undefined) =>
  bytes?.length ? Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("") : "-";
const unhex = (text: string) =>
  Uint8Array.from(text === "-" ? [] : text.match(/../g)!, (pair) => parseInt(pair, 16));

/** The failure of a GSS-API function. */
export class GssFailure extends Error {
  override readonly name = "GssFailure";
}

/** One such peer: one context at a time. */
export class GssNtlmPeer {
  readonly #lines: LinePeer;

  private constructor(lines: LinePeer) {
    this.#lines = lines;
  }

  /** Compiles the program, the first time, and starts it. It knows `EXAMPLE\alice`. */
  static async start(env: Record<string, string> = {}): Promise<GssNtlmPeer> {
    const { program, users } = await (built ??= build());
    return new GssNtlmPeer(new LinePeer(program, [], { ...env, NTLM_USER_FILE: users }));
  }

  /** Makes an initiator: `ntlm`, `spnego` with NTLM alone, or `negotiate` with all mechanisms. */
  async initiate(
    mechanism: string,
    flags: number,
    bindings?: Uint8Array,
    target = "host@server.example.test",
  ): Promise<void> {
    await this.#say(`init ${mechanism} ${target} ${flags} ${hex(bindings)}`);
  }

  /** Makes an acceptor. */
  async accept(mechanism: string, bindings?: Uint8Array): Promise<void> {
    await this.#say(`accept ${mechanism} ${hex(bindings)}`);
  }

  async step(token: Uint8Array | null): Promise<{ token: Uint8Array | null; done: boolean }> {
    const [, next, state] = await this.#say(`step ${hex(token ?? undefined)}`);
    return { token: next === "-" ? null : unhex(next), done: state === "done" };
  }

  async wrap(plain: Uint8Array): Promise<Uint8Array> {
    return unhex((await this.#say(`wrap 1 ${hex(plain)}`))[1]);
  }

  async unwrap(record: Uint8Array): Promise<Uint8Array> {
    return unhex((await this.#say(`unwrap ${hex(record)}`))[1]);
  }

  async sign(message: Uint8Array): Promise<Uint8Array> {
    return unhex((await this.#say(`sign ${hex(message)}`))[1]);
  }

  async verify(message: Uint8Array, signature: Uint8Array): Promise<void> {
    await this.#say(`verify ${hex(message)} ${hex(signature)}`);
  }

  async peerName(): Promise<string> {
    return new TextDecoder().decode(unhex((await this.#say("name"))[1])).replace(/\0$/, "");
  }

  async flags(): Promise<number> {
    return Number((await this.#say("flags"))[1]);
  }

  async sessionKey(): Promise<Uint8Array> {
    return unhex((await this.#say("key"))[1]);
  }

  /** Nanoseconds of one wrap with its unwrap, in C alone. */
  async bench(size: number, milliseconds: number): Promise<number> {
    return Number((await this.#say(`bench ${size} ${milliseconds}`))[1]);
  }

  async close(): Promise<void> {
    await this.#lines.close();
  }

  async #say(line: string): Promise<string[]> {
    const answer = await this.#lines.say(line);
    if (answer.startsWith("error ")) throw new GssFailure(answer.slice(6));
    return answer.split(" ");
  }
}
