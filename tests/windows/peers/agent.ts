/**
 * The Linux end of the tests across systems: started by the rig beside Wine, with the same realm and loopback. It
 * takes one JSON request a line on its control port and answers each with one JSON line:
 *
 * - `{ "do": "listen", ...terms }`: opens a secured echo server for one connection and answers with its port; the
 *   next line, once that connection has ended, tells what became of it.
 * - `{ "do": "ntlm", "username", "domain", "password", "tokens" }`: hands the client's tokens, in base64, to Samba's
 *   ntlm_auth, which knows this one user; answers with its next token, or with the session key once it is satisfied.
 * - `{ "do": "connect", "port", "target", "bytes", ...terms }`: connects, sends, reads the echo, and tells.
 */

import {
  connect,
  createRegistry,
  kerberos,
  listen,
  negotiate,
  openSystem,
  type Requirements,
  type SecureConn,
} from "../../../mod.ts";

/** What both requests say. */
export interface Terms {
  /** The provider's name. */
  provider: "kerberos" | "negotiate";
  /** What this end requires. */
  requirements?: Requirements;
}

/** One user whom ntlm_auth is to know, and the client's next token. */
export interface NtlmStep {
  do: "ntlm";
  username: string;
  domain: string;
  password: string;
  /** Base64. */
  token: string;
}

/** A request. */
export type Request =
  | NtlmStep
  | Terms & { do: "listen" }
  | Terms & { do: "connect"; port: number; target: string; bytes: number };

/** What became of a connection. */
export interface Outcome {
  /** True where every byte came back, or went back, as it was. */
  ok: boolean;
  /** What this end knows of its peer's security. */
  security?: { mutual: unknown; encrypted: boolean; peer: string; mechanism: unknown };
  /** The error's name and message, where there was one. */
  error?: string;
  /** ntlm_auth's next token, in base64. */
  token?: string;
  /** The session key it agreed on, in base64. */
  sessionKey?: string;
}

const PROVIDERS = { kerberos: kerberos(), negotiate: negotiate() };
const system = openSystem({ grants: ["sspi"] });

function common({ provider, requirements = {} }: Terms) {
  return { system, requirements, registry: createRegistry([PROVIDERS[provider]]) };
}

function told({ security }: SecureConn): Outcome["security"] {
  const { mutualAuthentication: mutual, confidentiality: encrypted, peer, mechanism } = security;
  return { mutual, encrypted, peer, mechanism };
}

function failed(error: unknown): Outcome {
  return { ok: false, error: error instanceof Error ? `${error.name}: ${error.message}` : String(error) };
}

async function echo(conn: SecureConn): Promise<Outcome> {
  try {
    const security = told(conn);
    const buffer = new Uint8Array(65536);
    for (let length = await conn.read(buffer); length !== null; length = await conn.read(buffer)) {
      for (let at = 0; at < length;) at += await conn.write(buffer.subarray(at, length));
    }
    return { ok: true, security };
  } catch (error) {
    return failed(error);
  } finally {
    await conn.close();
  }
}

async function talk(request: Extract<Request, { do: "connect" }>): Promise<Outcome> {
  try {
    const { port, target } = request;
    await using conn = await connect({ hostname: "127.0.0.1", port, target, ...common(request) });
    const sent = Uint8Array.from({ length: request.bytes }, (_, index) => (index * 7 + 3) % 251);
    const sending = (async () => {
      for (let at = 0; at < sent.length;) at += await conn.write(sent.subarray(at, at + 60_000));
      await conn.closeWrite();
    })();
    const got = new Uint8Array(sent.length);
    let at = 0;
    while (at < got.length) {
      const length = await conn.read(got.subarray(at));
      if (length === null) break;
      at += length;
    }
    await sending;
    return {
      ok: at === got.length && got.every((byte, index) => byte === sent[index]),
      security: told(conn),
    };
  } catch (error) {
    return failed(error);
  }
}

/** Samba's NTLM acceptor: one line in, one line out. */
class NtlmAuth {
  readonly #child: Deno.ChildProcess;
  readonly #lines: ReadableStreamDefaultReader<string>;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  #first = true;

  constructor({ username, domain, password }: NtlmStep) {
    this.#child = new Deno.Command("ntlm_auth", {
      args: [
        "--helper-protocol=squid-2.5-ntlmssp",
        `--username=${username}`,
        `--domain=${domain}`,
        `--password=${password}`,
      ],
      stdin: "piped",
      stdout: "piped",
      stderr: "null",
    }).spawn();
    this.#lines = this.#child.stdout.pipeThrough(new TextDecoderStream()).getReader();
    this.#writer = this.#child.stdin.getWriter();
  }

  async #ask(line: string): Promise<string[]> {
    await this.#writer.write(new TextEncoder().encode(`${line}\n`));
    const { value = "" } = await this.#lines.read();
    return value.trim().split(" ");
  }

  async step({ token }: NtlmStep): Promise<Outcome> {
    const [verdict, ...rest] = await this.#ask(`${this.#first ? "YR" : "KK"} ${token}`);
    this.#first = false;
    if (verdict === "TT") return { ok: true, token: rest[0] };
    if (verdict !== "AF") return { ok: false, error: `ntlm_auth says ${verdict} ${rest.join(" ")}` };
    const [, key] = await this.#ask("GK");
    await this.#writer.close();
    await this.#child.status;
    return { ok: true, sessionKey: key };
  }
}

async function serve(control: Deno.Conn): Promise<void> {
  const say = (value: unknown) => control.write(new TextEncoder().encode(JSON.stringify(value) + "\n"));
  let ntlm: NtlmAuth | undefined;
  const lines = control.readable.pipeThrough(new TextDecoderStream());
  for await (const line of lines) {
    const request: Request = JSON.parse(line);
    if (request.do === "ntlm") {
      await say(await (ntlm ??= new NtlmAuth(request)).step(request).catch(failed));
      continue;
    }
    if (request.do === "connect") {
      await say(await talk(request));
      continue;
    }
    const failures: unknown[] = [];
    const listener = await listen({
      hostname: "127.0.0.1",
      port: 0,
      ...common(request),
      onHandshakeError: (error) => {
        failures.push(error);
        listener.close();
      },
    });
    await say({ port: (listener.addr as { port: number }).port });
    const outcome = await listener.accept().then(echo, failed);
    await say(failures.length > 0 ? failed(failures[0]) : outcome);
    await listener.close();
  }
}

if (import.meta.main) {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: Number(Deno.args[0]) });
  console.log("ready");
  for await (const control of listener) serve(control).catch(() => {});
}
