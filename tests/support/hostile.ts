/** The hostile corpus: small modules, each with the expected reaction of the host. */

import { readdir, readFile } from "node:fs/promises";
import process from "node:process";
import { loadProvider } from "../../plugins/sandbox/load_provider.ts";
import type { Answers } from "../../plugins/sandbox/questions.ts";
import type { ImportGrants } from "../../plugins/sandbox/host_functions.ts";
import type { ContextProvider, ProviderContext, ProviderSystem } from "../../contract.ts";
import { resolveRequirements } from "../../plugins/requirements.ts";
import { compileWat, repeat } from "./wat.ts";

/** One file of the corpus. */
export interface HostileModule {
  /** The file's name. */
  readonly file: string;
  /** What the guest tries, in a sentence. */
  readonly what: string;
  /** The name of the error and a word of it, or `nothing`. */
  readonly expect: string;
  /** The stage at which the error must come. */
  readonly at: string;
  /** What it is granted. */
  readonly grants: readonly string[];
  /** Its answers; left out: one for the question of the canned module. */
  readonly answers?: Answers;
  /** Its bytes. */
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** The folder of the corpus. */
export const HOSTILE = `${process.cwd()}/tests/hostile/`;
/** The data that the driver wraps: a plain text that a guest can predict. */
export const PLAIN: Uint8Array = new Uint8Array(64).fill(0x50);
/** The requirements the driver has. */
export const REQUIREMENTS = resolveRequirements({ mutualAuthentication: false });
/** A system, which sandboxed providers do not need. */
export const SYSTEM = {} as ProviderSystem;

/** The requirement of the sandbox: a guest is refused or stopped within this time of the processor, in milliseconds. */
export const HANG_MS = 250;

/** The least of up to five processor times of `body`, in milliseconds; more than one only where it exceeds the limit. */
export async function leastCpuMs(body: () => Promise<void>): Promise<number> {
  // The collector and the compiler run in this process too, and not in each of several runs.
  let least = Infinity;
  for (let again = 0; again < 5 && least >= HANG_MS; again++) {
    const before = process.cpuUsage();
    await body();
    const { user, system } = process.cpuUsage(before);
    least = Math.min(least, (user + system) / 1000);
  }
  return least;
}

/** The correct body, in which hostile files replace answers. */
export async function canned(): Promise<string> {
  return await readFile(`${HOSTILE}canned.wat`, "utf8");
}

/** The text for `{{NAME}}` in hostile files. */
export async function cannedPieces(): Promise<Record<string, string>> {
  const body = await canned();
  // As a helper it is called by the hostile file's own call.
  const helper = body.replace(' (export "call")', "");
  const logging = helper.replace('\\"imports\\":[]', '\\"imports\\":[\\"log\\"]').replace(
    "\\87\\01",
    "\\8c\\01",
  );
  return {
    canned: body,
    canned_as_helper: helper,
    canned_that_logs: logging,
    canned_of_version_two: cannedOfVersion2(body),
  };
}

/**
 * The canned module in version 2, which can do all there is besides: the answers to operations 10 to 12 stand where those
 * of the others end, the session key at 0x5000, the peer at 0x5400, and requests go to 0x6000.
 */
function cannedOfVersion2(body: string): string {
  const also = '\\"imports\\":[],\\"also\\":[\\"wrapUnencrypted\\",\\"wrapSizeLimit\\",\\"peerIdentity\\"],';
  const peer = `(if (i32.and (i32.eq (i32.load (local.get $request)) (i32.const 8))
      (i32.eq (i32.load offset=4 (local.get $request)) (i32.const 3))) (then (local.set $from (i32.const 0x5400))))`;
  const answers = `
(data (i32.const 0x3800) "\\0a\\00\\00\\00" "\\00\\00\\00\\00" "signed")
(data (i32.const 0x3c00) "\\0c\\00\\00\\00" "\\00\\00\\00\\00" "\\00\\00\\00\\00" "open")
(data (i32.const 0x4000) "\\08\\00\\00\\00" "\\00\\00\\00\\00" "\\30\\00\\00\\00")
(data (i32.const 0x5400) "\\05\\00\\00\\00" "\\00\\00\\00\\00" "\\00")`;
  return body.replaceAll("0x3800", "0x5000").replace("(i32.const 0x4000)", "(i32.const 0x6000)")
    .replace('"abi_version") (result i32) (i32.const 1)', '"abi_version") (result i32) (i32.const 2)')
    .replace('\\"abi\\":1', '\\"abi\\":2').replace('\\"imports\\":[],', also).replace("\\87\\01", "\\c1\\01")
    .replace(";; where no answer", `${peer}\n  ;; where no answer`) + answers;
}

/** Reads and compiles the whole corpus, in order of name. */
export async function hostileModules(): Promise<HostileModule[]> {
  const pieces = await cannedPieces();
  const files = (await readdir(HOSTILE)).filter((file) => /\.(wat|hex)$/.test(file) && file !== "canned.wat");
  return await Promise.all(
    files.sort().map(async (file) => {
      const text = await readFile(HOSTILE + file, "utf8");
      const header = (key: string) => new RegExp(`^;; ${key}: (.*)$`, "m").exec(text)?.[1] ?? "";
      const words = (key: string) => header(key).split(" ").filter((word) => word !== "");
      return {
        file,
        what: /^;; (.*)$/m.exec(text)?.[1] ?? "",
        expect: header("Expect"),
        at: header("At"),
        grants: words("Grants"),
        ...(header("Answers") === "none" ? { answers: {} } : {}),
        bytes: file.endsWith(".hex") ? parseHex(text) : compileWat(file, text, words("Features"), pieces),
      };
    }),
  );
}

function parseHex(text: string): Uint8Array<ArrayBuffer> {
  const plain = repeat(text.replace(/;;.*$/gm, ""));
  const digits = plain.split(/\s+/).filter((byte) => byte !== "");
  return Uint8Array.from(digits, (byte) => parseInt(byte, 16));
}

/** The SHA-256 of `bytes` in hexadecimal. */
export async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Loads `bytes` with its own hash, these grants, and an answer for the question of the canned module. */
export async function load(
  bytes: Uint8Array<ArrayBuffer>,
  grants: readonly string[] = [],
  answers: Answers = { colour: () => ({ is: new Uint8Array(1) }) },
): Promise<ContextProvider> {
  const imports: ImportGrants = {};
  if (grants.includes("random")) imports.random = true;
  if (grants.includes("clock")) imports.clock = true;
  if (grants.includes("log")) imports.log = () => {};
  return await loadProvider(bytes, {
    sha256: await sha256(bytes),
    imports,
    answers,
  });
}

/** The stage that a provider reached, and the error that stopped it. */
export interface Outcome {
  /** The stage that was under way at the end. */
  readonly at: string;
  /** What stopped it; `null`: nothing did. */
  readonly error: Error | null;
}

/** Uses every function of a provider, until an error stops it. */
export async function drive(
  bytes: Uint8Array<ArrayBuffer>,
  grants: readonly string[] = [],
  answers?: Answers,
): Promise<Outcome> {
  let at = "load";
  let context: ProviderContext | null = null;
  try {
    const provider = await load(bytes, grants, answers);
    at = "acquire";
    const credentials = await provider.acquire({
      role: "client",
      system: SYSTEM,
      requirements: REQUIREMENTS,
      credentials: { username: "alice", password: "correct horse battery staple" },
    });
    context = credentials.client({ target: "host/server.example.test" });
    credentials.close();
    at = "step";
    for (let token: Uint8Array | null = null; !context.done; token = new Uint8Array(8)) {
      await context.step(token);
    }
    at = "wrap";
    const out = new Uint8Array(PLAIN.length + context.maxOverhead);
    context.wrap(PLAIN, out);
    at = "unwrap";
    context.unwrap(out);
    if (context.wrapUnencrypted && context.unwrapAny) {
      at = "wrapUnencrypted";
      context.wrapUnencrypted(PLAIN, out);
      at = "unwrapAny";
      context.unwrapAny(out);
    }
    at = "wrapSizeLimit";
    context.wrapSizeLimit?.(PLAIN.length, true);
    at = "sign";
    const signature = context.sign(PLAIN);
    at = "verify";
    context.verify(PLAIN, signature);
    at = "sessionKey";
    context.sessionKey();
    at = "close";
    context.close();
    return { at, error: null };
  } catch (error) {
    context?.close();
    return { at, error: error as Error };
  }
}
