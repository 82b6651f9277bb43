/**
 * Modules of layer `socket`: codecs between requirements and the bytes of the system's socket security calls.
 *
 * @module
 */

import { StateError } from "../../errors.ts";
import type {
  AssociationField,
  ProviderDescription,
  ResolvedRequirements,
  SettingsIdentity,
  SocketAnswer,
  SocketCodec,
} from "../../contract.ts";
import { reject } from "./bytes.ts";
import { GuestInstance } from "./instance.ts";
import { loadModule } from "./load_provider.ts";
import type { Manifest } from "./manifest.ts";
import type { LoadedModule } from "./message_context.ts";
import { readRest, readSocketAnswer, writeOptions, writeRequirements } from "./messages.ts";
import { refuseHalfPairs, Writer } from "./wire.ts";

/** Fields of an association, as bits. */
const FIELDS: { readonly [field in AssociationField]: number } = { mainModeSa: 1, quickModeSa: 2 };

/** A codec from a module, which also says what it is. */
export interface LoadedSocketCodec extends SocketCodec {
  /** How it presents itself. */
  readonly description: ProviderDescription;
}

/**
 * Loads a codec of layer `socket`. `wasm` and `manifest` are as for `loadProvider`; a codec imports nothing.
 *
 * @param builtIn whether it is a part of this package, which alone may have a built-in name.
 * @throws TypeError or RangeError where the manifest is wrong.
 * @throws ProviderRejectedError where the module is not what the manifest says, or breaks a rule of the sandbox.
 */
export async function loadSocketCodec<O extends object = Record<string, unknown>>(
  wasm: URL | Uint8Array,
  manifest: Manifest<O>,
  builtIn = false,
): Promise<LoadedSocketCodec> {
  const loaded = await loadModule(wasm, manifest, builtIn);
  if (loaded.description.layer !== "socket") {
    reject("layer", -1, `its layer is ${loaded.description.layer}; load it with loadProvider`);
  }
  return new SandboxedCodec(loaded, manifest.sha256.toLowerCase());
}

class SandboxedCodec implements LoadedSocketCodec {
  readonly description: ProviderDescription;
  readonly #loaded: LoadedModule;
  #instance: GuestInstance | null;

  constructor(loaded: LoadedModule, sha256: string) {
    const { name, offers } = loaded.description;
    this.#loaded = loaded;
    this.#instance = new GuestInstance(loaded.compiled);
    this.description = Object.freeze({
      name,
      layer: "socket",
      isolation: "sandboxed",
      sha256,
      imports: [],
      offers,
    });
  }

  settings(requirements: ResolvedRequirements, identity: SettingsIdentity): Uint8Array {
    refuseHalfPairs("identity.username", identity.username);
    refuseHalfPairs("identity.domain", identity.domain);
    const request = new Writer();
    writeRequirements(request, requirements);
    writeOptions(request, this.#loaded.options);
    request.text(identity.username).text(identity.domain).u32(identity.passwordBytes);
    return this.#bytes("socketSettings", request);
  }

  target(peerAddress: Uint8Array, target: string): Uint8Array {
    refuseHalfPairs("target", target);
    return this.#bytes("socketTarget", new Writer().bytes(peerAddress).text(target));
  }

  queryTemplate(
    peerAddress: Uint8Array,
    accessMask: number,
    watched: readonly AssociationField[] = [],
  ): Uint8Array {
    const request = new Writer().u8(watched.length === 0 ? 1 : 3).bytes(peerAddress).u32(accessMask);
    if (watched.length > 0) request.u32(watched.reduce((bits, field) => bits | FIELDS[field], 0));
    return this.#bytes("socketQuery", request);
  }

  queryAnswer(answer: Uint8Array): SocketAnswer {
    const request = new Writer().u8(2).rest(answer);
    return this.#live().call(
      "socketQuery",
      request.written,
      (input) => readSocketAnswer(input, this.description.name),
    );
  }

  close(): void {
    this.#instance?.drop();
    this.#instance = null;
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #bytes(operation: "socketSettings" | "socketTarget" | "socketQuery", request: Writer): Uint8Array {
    const read = (input: Parameters<typeof readRest>[0]) => readRest(input, this.description.name).slice();
    return this.#live().call(operation, request.written, read);
  }

  #live(): GuestInstance {
    if (!this.#instance) throw new StateError(`${this.description.name}: the codec is closed; load it again`);
    return this.#instance;
  }
}
