/**
 * Makes a provider of a sandboxed module of layer `socket`, which writes the bytes for the system's socket security
 * calls.
 *
 * @module
 */

import { StateError, UnsupportedPlatformError } from "../../errors.ts";
import type {
  AssociationField,
  Availability,
  Capabilities,
  ProviderDescription,
  ResolvedRequirements,
  SettingsIdentity,
  SocketCodec,
  SocketGrants,
  SocketProvider,
} from "../../contract.ts";
import type { OperationName } from "./abi.ts";
import { GuestInstance } from "./instance.ts";
import type { LoadedModule } from "./context.ts";
import { readRest, writeOptions, writeRequirements } from "./messages.ts";
import { refuseLoneSurrogates, Writer } from "./wire.ts";

/** Fields of an association, as bits. */
const FIELDS: { readonly [field in AssociationField]: number } = { mainModeSa: 1, quickModeSa: 2 };

/** Makes a provider of a loaded module of layer `socket` whose hash is `sha256`. */
export function sandboxedSocketProvider(
  loaded: LoadedModule,
  sha256: string,
  grants: SocketGrants,
): SocketProvider {
  const { name, offers } = loaded.description;
  const description: ProviderDescription = Object.freeze({
    name,
    layer: "socket",
    isolation: "sandboxed",
    sha256,
    imports: Object.freeze([]),
    offers,
  });
  return Object.freeze<SocketProvider>({
    ...grants,
    layer: "socket",
    name,
    description,
    available: socketSecurityAvailable,
    // deno-lint-ignore require-await -- the contract's promise; what is wrong rejects it
    codec: async (): Promise<SocketCodec> => new SandboxedCodec(loaded),
  });
}

/** Whether the system can secure sockets; outside Windows the reason says what to use instead. */
export function socketSecurityAvailable({ ipsec, os }: Capabilities): Availability {
  if (ipsec.available || os === "windows") return ipsec;
  const cause = new UnsupportedPlatformError(`IPsec at the socket is part of Windows, and this is ${os}`, {
    dll: "fwpuclnt.dll",
    instead: "Use negotiate() here; to try a program without Windows, use simulate() of ./testing",
  });
  return { available: false, reason: cause.message, cause };
}

/**
 * A codec with instances of its own: one connection or listener cannot affect another.
 *
 * A codec keeps no state between calls. An instance that was dropped, or whose memory has grown, is replaced: a
 * listener uses one codec for every connection that it accepts, and a guest that frees no memory must not stop it.
 */
export class SandboxedCodec implements SocketCodec {
  readonly #loaded: LoadedModule;
  #instance: GuestInstance;
  #pages: number;
  #closed = false;

  /** Makes the first instance of the module. */
  constructor(loaded: LoadedModule) {
    this.#loaded = loaded;
    this.#instance = new GuestInstance(loaded.compiled);
    this.#pages = this.#instance.memoryPages;
  }

  settings(requirements: ResolvedRequirements, identity: SettingsIdentity): Uint8Array {
    refuseLoneSurrogates("identity.username", identity.username);
    refuseLoneSurrogates("identity.domain", identity.domain);
    const request = new Writer();
    writeRequirements(request, requirements);
    writeOptions(request, this.#loaded.options);
    request.text(identity.username).text(identity.domain).u32(identity.passwordBytes);
    return this.#bytes("socketSettings", request);
  }

  target(peerAddress: Uint8Array, target: string): Uint8Array {
    refuseLoneSurrogates("target", target);
    return this.#bytes("socketTarget", new Writer().bytes(peerAddress).text(target));
  }

  queryTemplate(
    peerAddress: Uint8Array,
    accessMask: number,
    watched: readonly AssociationField[] = [],
  ): Uint8Array {
    const fields = watched.reduce((bits, field) => bits | FIELDS[field], 0);
    return this.#bytes("socketQuery", new Writer().bytes(peerAddress).u32(accessMask).u32(fields));
  }

  close(): void {
    this.#instance.drop();
    this.#closed = true;
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #bytes(operation: OperationName, request: Writer): Uint8Array {
    const { name } = this.#loaded.description;
    if (this.#closed) throw new StateError(`${name}: the codec is closed; get another from the provider`);
    if (this.#instance.memoryPages !== this.#pages) {
      this.#instance.drop();
      this.#instance = new GuestInstance(this.#loaded.compiled);
    }
    return this.#instance.call(operation, request.written, (input) => readRest(input, name).slice());
  }
}
