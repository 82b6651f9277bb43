/**
 * Reads a module's bytes.
 *
 * @module
 */

import { PermissionError } from "../../errors.ts";
import { reject } from "./bytes.ts";

/**
 * Returns a copy of a module's bytes, so that they cannot be changed between the check and the use.
 *
 * A URL is read with `fetch`, which reads files on Deno but not on Node.
 *
 * @throws ProviderRejectedError if there are more than `most`.
 * @throws TypeError if `wasm` is neither bytes nor a URL, or the URL cannot be read.
 * @throws PermissionError if the runtime does not allow reading the URL.
 */
export async function readModule(wasm: URL | Uint8Array, most: number): Promise<Uint8Array<ArrayBuffer>> {
  if (wasm instanceof Uint8Array) {
    refuseLonger(wasm.length, most);
    return Uint8Array.from(wasm);
  }
  if (!(wasm instanceof URL)) throw new TypeError("wasm must be a URL or the module's bytes");
  const response = await open(wasm);
  if (!response.ok || !response.body) {
    await response.body?.cancel();
    throw new TypeError(`wasm cannot be read: ${wasm} returned the status ${response.status}; check the URL`);
  }
  return await collect(response.body, most);
}

async function open(url: URL): Promise<Response> {
  try {
    return await fetch(url);
  } catch (cause) {
    if ((cause as Error).name === "NotCapable") {
      const flag = url.protocol === "file:" ? `--allow-read=${pathOf(url)}` : `--allow-net=${url.host}`;
      throw new PermissionError("plugins", flag, `Cannot read the provider's module ${url}: add ${flag}`, {
        cause,
      });
    }
    const fix = url.protocol === "file:" ? "give its bytes, or check that it exists" : "check the URL";
    throw new TypeError(`wasm cannot be read from ${url}: ${fix}`, { cause });
  }
}

/** The path of a file URL, in Windows' form on Windows. */
function pathOf({ host, pathname }: URL): string {
  const path = decodeURIComponent(pathname);
  if (host !== "") return `\\\\${host}${path.replaceAll("/", "\\")}`;
  return /^\/[A-Za-z]:\//.test(path) ? path.slice(1).replaceAll("/", "\\") : path;
}

async function collect(body: ReadableStream<Uint8Array>, most: number): Promise<Uint8Array<ArrayBuffer>> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  // Counted while it arrives: the sender may never end. Leaving the loop cancels the rest.
  for await (const chunk of body) {
    length += chunk.length;
    refuseLonger(length, most);
    chunks.push(chunk);
  }
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return bytes;
}

function refuseLonger(length: number, most: number): void {
  if (length <= most) return;
  reject(
    "module-size",
    -1,
    `it has ${length} bytes or more, ${most} are allowed; build it smaller or set limits.moduleBytes`,
  );
}
