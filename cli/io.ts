/**
 * The streams, signals and environment of the process, as commands use them.
 *
 * @module
 */

import process from "node:process";

/** The colours of a verdict. */
const COLORS = { red: 31, green: 32, yellow: 33, dim: 2, bold: 1 } as const;

const ERASE_LINE = "\r\x1b[K";
/** The sequences of {@linkcode Io.paint}. */
// deno-lint-ignore no-control-regex
const PAINT = /\x1b\[(?:[012]|3[123])m/u;
/** What a terminal obeys, or lets reorder a line, instead of showing it. */
const OBEYED = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;
const OBEYED_OR_PAINT = new RegExp(`${PAINT.source}|${OBEYED.source}`, "gu");

/** Returns a text of somebody else for one line of output: control characters and line breaks become `\uXXXX`. */
export function shown(text: string): string {
  return text.replace(OBEYED, escaped);
}

function escaped(character: string): string {
  return character.split("").map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`).join("");
}

/** Escapes what no command means to print: everything that a terminal obeys, but line breaks, tabs and colours. */
function safe(lines: string, colored: boolean): string {
  return lines.replace(
    OBEYED_OR_PAINT,
    (found) => found === "\n" || found === "\t" || (colored && PAINT.test(found)) ? found : escaped(found),
  );
}

/** What a command reads from and writes to. */
export interface Io {
  /**
   * Prints a line on standard output, with control characters as escapes; {@linkcode shown} is for a part of it that
   * may have line breaks. Rejects with {@linkcode BrokenPipe} where its reader has gone.
   */
  print(line: string): Promise<void>;
  /** Prints a value as indented JSON on standard output. */
  json(value: unknown): Promise<void>;
  /** Writes bytes to standard output; where that is a terminal, control characters become escapes. */
  write(bytes: Uint8Array): Promise<void>;
  /** Prints a line on standard error, with control characters as escapes. */
  note(line: string): Promise<void>;
  /** Standard input. It may be iterated once. */
  input(): AsyncIterable<Uint8Array>;
  /** Shows `text` on standard error while `work` runs, where that is a terminal. */
  waiting<T>(text: string, work: Promise<T>): Promise<T>;
  /** Colours `text` for standard output; unchanged where there are no colours. */
  paint(color: keyof typeof COLORS, text: string): string;
  /** Which streams are a terminal. */
  readonly isTerminal: { readonly stdin: boolean; readonly stdout: boolean; readonly stderr: boolean };
  /** Aborted by SIGINT and SIGTERM, once it was read; a second SIGINT ends the process. */
  readonly signal: AbortSignal;
  /** Returns an environment variable; `undefined` also where this process may not read it. Never prompts. */
  env(name: string): string | undefined;
  /**
   * Whether this process may use the network, read a file, or read a fact about the system; where Deno would ask the
   * user: `false`.
   */
  permits(name: "net" | "read" | "sys", what?: string): boolean;
}

/** The reader of standard output has gone. */
export class BrokenPipe extends Error {
  /** Always `"BrokenPipe"`. */
  override readonly name = "BrokenPipe";
}

/** Why {@linkcode Io.signal} was aborted. */
export class Interrupted extends Error {
  /** Always `"Interrupted"`. */
  override readonly name = "Interrupted";
}

/** The part of Deno that is used; on Node there is none. */
interface Runtime {
  Deno?: {
    readonly noColor: boolean;
    readonly permissions: {
      querySync(query: { name: string; variable?: string; path?: string; kind?: string }): { state: string };
    };
  };
}

const { Deno: deno } = globalThis as Runtime;

/** Returns the streams of this process. */
export function processIo(): Io {
  const { stdin, stdout, stderr } = process;
  const isTerminal = {
    stdin: stdin.isTTY === true,
    stdout: stdout.isTTY === true,
    stderr: stderr.isTTY === true,
  };
  const colored = isTerminal.stdout && !(deno ? deno.noColor : process.env.NO_COLOR);
  let controller: AbortController | undefined;
  /** What `waiting` shows at the moment. */
  let waitingFor = "";
  const decoder = new TextDecoder();
  // A failed write is reported to its callback; without a listener the event would end the process.
  for (const stream of [stdout, stderr]) stream.on("error", () => {});
  const io: Io = {
    print: (line) => write(stdout, `${safe(line, colored)}\n`),
    json: (value) => io.print(JSON.stringify(value, null, 2)),
    write: (bytes) =>
      write(
        stdout,
        isTerminal.stdout ? safe(decoder.decode(bytes, { stream: true }).replaceAll("\r", ""), false) : bytes,
      ),
    // Where nothing reads standard error, the command goes on without it.
    note: (line) =>
      write(stderr, `${waitingFor === "" ? "" : ERASE_LINE}${safe(line, false)}\n${waitingFor}`).catch(
        () => {},
      ),
    input: () => stdin,
    async waiting(text, work) {
      if (!isTerminal.stderr) return await work;
      waitingFor = safe(`${text} ...`, false);
      await write(stderr, waitingFor);
      try {
        return await work;
      } finally {
        waitingFor = "";
        await write(stderr, ERASE_LINE);
      }
    },
    paint: (color, text) => colored ? `\x1b[${COLORS[color]}m${text}\x1b[0m` : text,
    isTerminal,
    get signal() {
      return (controller ??= abortedBySignals()).signal;
    },
    env(name) {
      const readable = deno?.permissions.querySync({ name: "env", variable: name }).state ?? "granted";
      return readable === "granted" ? process.env[name] : undefined;
    },
    permits(name, what) {
      const query = { name, ...(name === "read" ? { path: what } : name === "sys" ? { kind: what } : {}) };
      return deno === undefined || deno.permissions.querySync(query).state === "granted";
    },
  };
  return io;
}

/** The part of an output stream that is used. */
interface Output {
  write(data: string | Uint8Array, done: (error?: Error & { code?: string } | null) => void): unknown;
}

function write(stream: Output, data: string | Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    stream.write(data, (error) => {
      if (!error) resolve();
      else reject(error.code === "EPIPE" ? new BrokenPipe("nothing reads standard output any more") : error);
    });
  });
}

function abortedBySignals(): AbortController {
  const controller = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.on(signal, () => {
      if (controller.signal.aborted) process.exit(130);
      controller.abort(new Interrupted(`interrupted by ${signal}`));
    });
  }
  return controller;
}
