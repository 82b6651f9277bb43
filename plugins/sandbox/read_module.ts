/**
 * Getting at a module's bytes.
 *
 * @module
 */

import { PermissionError } from "../../errors.ts";
import { reject } from "./bytes.ts";

interface FileSystem {
  open(url: URL): Promise<{
    read(into: Uint8Array, offset: number): Promise<{ bytesRead: number }>;
    close(): Promise<void>;
  }>;
}

interface HostProcess {
  process?: { getBuiltinModule?(name: string): FileSystem | undefined };
}

/**
 * The bytes of a module, a copy of its own, so that nobody can change them between the check and the use.
 *
 * @throws ProviderRejectedError where there are more than `most`; TypeError where `wasm` is neither bytes nor a URL.
 * @throws PermissionError where the runtime does not allow reading the URL.
 */
export async function readModule(wasm: URL | Uint8Array, most: number): Promise<Uint8Array<ArrayBuffer>> {
  if (wasm instanceof Uint8Array) {
    refuseLonger(wasm.length, most);
    return Uint8Array.from(wasm);
  }
  if (!(wasm instanceof URL)) throw new TypeError("wasm must be a URL or the module's bytes");
  try {
    return wasm.protocol === "file:" ? await readFile(wasm, most) : await download(wasm, most);
  } catch (cause) {
    if ((cause as Error).name !== "NotCapable") throw cause;
    const flag = wasm.protocol === "file:" ? `--allow-read=${wasm.pathname}` : `--allow-net=${wasm.host}`;
    throw new PermissionError("plugins", flag, `Cannot read the provider's module ${wasm}: add ${flag}`, {
      cause,
    });
  }
}

async function readFile(url: URL, most: number): Promise<Uint8Array<ArrayBuffer>> {
  const files = (globalThis as HostProcess).process?.getBuiltinModule?.("node:fs/promises");
  if (!files) {
    throw new TypeError("wasm is a file's URL and this runtime reads no files; give the module's bytes");
  }
  const file = await files.open(url);
  try {
    // Not readFile: what stands at the path may be a device without an end.
    const bytes = new Uint8Array(most + 1);
    for (let length = 0;;) {
      const { bytesRead } = await file.read(bytes, length);
      if (bytesRead === 0) return bytes.slice(0, length);
      length += bytesRead;
      refuseLonger(length, most);
    }
  } finally {
    await file.close();
  }
}

async function download(url: URL, most: number): Promise<Uint8Array<ArrayBuffer>> {
  const response = await fetch(url);
  if (!response.ok || !response.body) {
    await response.body?.cancel();
    throw new TypeError(`wasm cannot be read: ${url} answered ${response.status}; check the URL`);
  }
  const chunks: Uint8Array[] = [];
  let length = 0;
  // Counted as it comes: a server may send for ever. Leaving the loop cancels the rest.
  for await (const chunk of response.body) {
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
