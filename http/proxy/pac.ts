/**
 * PAC files: programs of strangers, which choose the proxy for each host. They run in QuickJS, in WebAssembly: without
 * the objects of the host, and with bounds on time, memory and lookups of names.
 *
 * @module
 */

import { lookup } from "node:dns/promises";
import { readFile } from "node:fs/promises";
import { get, type IncomingMessage } from "node:http";
import { get as getSecurely } from "node:https";
import { AuthenticationError, ProtocolError, TimeoutError, TransportError } from "../../errors.ts";
import { proxyAddress } from "./address.ts";
import { MAX_RUN_MS, printable } from "./pac_functions.ts";
import type { Program, Run } from "./pac_sandbox.ts";
import type { Finder, Route } from "./routes.ts";

/** The longest PAC file, in characters. */
const MAX_TEXT = 1024 * 1024;
/** After an evaluation that ran too long the file is not used for this time. */
const PAUSE_MS = 60_000;
/** The most names that one evaluation may look up, and for how long each. */
const MAX_LOOKUPS = 16;
const LOOKUP_MS = 3000;
const CACHE_MS = 60_000;
const MAX_CACHED = 1000;
const FETCH_MS = 10_000;
const MAX_REDIRECTS = 5;
/** After this time the file is read again. */
const REREAD_MS = 10 * 60_000;

/** Is called with what is to be logged. */
export type Report = (level: "info" | "warn", message: string) => void;

/** Opens a PAC file, which is read on first use. */
export function openPac(url: URL, report: Report): Finder {
  return new Pac(url, report);
}

class Pac implements Finder {
  readonly #url: URL;
  readonly #report: Report;
  readonly #names = new Map<string, { readonly addresses: string; readonly until: number }>();
  #program: Promise<Program> | null = null;
  #readAt = 0;
  #pausedUntil = 0;

  constructor(url: URL, report: Report) {
    this.#url = url;
    this.#report = report;
  }

  async find(url: string, host: string): Promise<readonly Route[]> {
    if (Date.now() < this.#pausedUntil) {
      throw new TimeoutError(
        `The PAC file ${this.#url} runs too long; it is tried again within a minute`,
        MAX_RUN_MS,
      );
    }
    let program = await this.#current();
    for (let round = 0;; round++) {
      // During a lookup another evaluation may have failed, or the file been read again.
      if (program.closed) program = await this.#current();
      const { result, unknown } = this.#run(program, url, host, round < MAX_LOOKUPS);
      if (unknown === null) return readResult(result, this.#url);
      await this.#lookUp(unknown);
    }
  }

  #run(program: Program, url: string, host: string, mayLookUp: boolean): Run {
    const known = (name: string): string | undefined => {
      const entry = this.#names.get(name);
      return entry !== undefined && entry.until > Date.now() ? entry.addresses : mayLookUp ? undefined : "";
    };
    try {
      return program.run(url, host, known);
    } catch (error) {
      this.#forget(program);
      if (error instanceof TimeoutError) this.#pausedUntil = Date.now() + PAUSE_MS;
      throw error;
    }
  }

  #forget(program: Program): void {
    this.#program = null;
    program.close();
  }

  /** What was read last; while the file is read again, and where it cannot be, that is the earlier content. */
  async #current(): Promise<Program> {
    const before = this.#program;
    if (before === null) {
      this.#readAt = Date.now();
      const reading = this.#program = this.#read();
      reading.catch(() => {
        if (this.#program === reading) this.#program = null;
      });
      return await reading;
    }
    if (Date.now() - this.#readAt > REREAD_MS) {
      this.#readAt = Date.now();
      this.#read().then((program) => {
        const earlier = this.#program;
        this.#program = Promise.resolve(program);
        earlier?.then((program) => program.close(), () => {});
      }, (error) => {
        this.#report("warn", `${(error as Error).message}. The earlier content is still used`);
      });
    }
    return await before;
  }

  async #read(): Promise<Program> {
    const text = await readText(this.#url);
    const { openProgram } = await import("./pac_sandbox.ts");
    const program = await openProgram(text, this.#url);
    this.#report("info", `Read the PAC file ${this.#url}`);
    return program;
  }

  async #lookUp(name: string): Promise<void> {
    let timer: ReturnType<typeof setTimeout>;
    const late = new Promise<never>((_, reject) =>
      timer = setTimeout(() => reject(new Error("late")), LOOKUP_MS)
    );
    const looking = lookup(name, { all: true });
    const addresses = await Promise.race([looking, late])
      .then((found) => found.map(({ address }) => address).join(";"), () => "")
      .finally(() => clearTimeout(timer));
    looking.catch(() => {});
    if (this.#names.size >= MAX_CACHED) this.#names.delete(this.#names.keys().next().value!);
    this.#names.set(name, { addresses, until: Date.now() + CACHE_MS });
  }
}

async function readText(url: URL): Promise<string> {
  let text: string;
  try {
    text = url.protocol === "file:" ? await readFile(url, "utf8") : await download(url);
  } catch (error) {
    const { message, code = "unknown" } = error as Error & { code?: string };
    throw new TransportError(code, `Cannot read the PAC file ${url}: ${message}. Check its address`, {
      cause: error,
    });
  }
  if (text.length <= MAX_TEXT) return text;
  throw new ProtocolError("oversized", `The PAC file ${url} has more than ${MAX_TEXT} characters`);
}

/** Without a proxy: HTTP_PROXY, which `fetch` of Deno follows, may name this very one, or one to sign on to. */
async function download(url: URL, redirects = 0, signal = AbortSignal.timeout(FETCH_MS)): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  const begin = url.protocol === "https:" ? getSecurely : get;
  begin(url, { agent: false, signal }, resolve).on("error", reject);
  try {
    const answer = await promise;
    const { statusCode = 0, headers: { location } } = answer;
    const next = [301, 302, 303, 307, 308].includes(statusCode) ? URL.parse(location ?? "", url) : null;
    if (next !== null || statusCode !== 200) answer.destroy();
    if (next === null) return await contentOf(answer);
    if (!/^https?:$/.test(next.protocol)) throw new Error(`the server redirects to ${next.protocol}`);
    if (redirects === MAX_REDIRECTS) throw new Error(`the server redirects more than ${redirects} times`);
    return await download(next, redirects + 1, signal);
  } catch (error) {
    throw signal.aborted ? signal.reason : error;
  }
}

async function contentOf(answer: IncomingMessage): Promise<string> {
  if (answer.statusCode !== 200) throw new Error(`the server answered ${answer.statusCode}`);
  let text = "";
  const decoder = new TextDecoder();
  for await (const chunk of answer) {
    text += decoder.decode(chunk as Uint8Array, { stream: true });
    if (text.length > MAX_TEXT) throw new Error(`it has more than ${MAX_TEXT} characters`);
  }
  return text;
}

/** Reads what FindProxyForURL returned: `PROXY a.test:8080; HTTPS b.test:443; DIRECT`. */
export function readResult(result: string, url: URL): readonly Route[] {
  const routes: Route[] = [];
  const passedOver: string[] = [];
  for (
    const entry of result.slice(0, 4096).split(";").map((text) => text.trim()).filter((text) => text !== "")
  ) {
    const [, kind, address] = /^(\w+)(?:\s+(\S+))?$/.exec(entry) ?? [];
    try {
      if (/^direct$/i.test(kind) && address === undefined) routes.push("direct");
      else if (/^(proxy|http)$/i.test(kind)) {
        routes.push(proxyAddress(`http://${address}`, undefined, "the PAC's proxy"));
      } else if (/^https$/i.test(kind)) {
        routes.push(proxyAddress(`https://${address}`, undefined, "the PAC's proxy"));
      } else passedOver.push(`${printable(entry)} is not supported`);
    } catch (error) {
      passedOver.push((error as Error).message);
    }
  }
  if (routes.length > 0) return routes;
  const why = passedOver.length === 0 ? `it returned ${printable(result)}` : passedOver.join("; ");
  throw new AuthenticationError(
    "configuration",
    `The PAC file ${url} names no proxy that can be used: ${why}`,
  );
}
