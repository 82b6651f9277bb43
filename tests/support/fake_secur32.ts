/** A secur32.dll in memory, whose results the test sets, and which counts the handles it returned. */

import type { Memory } from "../../ffi/memory/memory.ts";
import {
  SEC_WINNT_AUTH_IDENTITY_EXW,
  SECBUFFER,
  SecBuffer,
  SecBufferDesc,
  SECPKG_ATTR,
  SecPkgContext_NamesW,
  SecPkgContext_NativeNamesW,
  SecPkgContext_NegotiationInfoW,
  SecPkgContext_Sizes,
  SecPkgInfoW,
} from "../../ffi/raw/secur32.ts";
import { Sspi } from "../../ffi/security/sspi/sspi.ts";
import type { Values } from "../../ffi/memory/struct.ts";
import type { NativeSystem } from "../../ffi/system.ts";

/** Memory with invented addresses: each buffer gets its own range. */
export class FakeMemory {
  readonly #bases = new Map<ArrayBufferLike, bigint>();
  #next = 0x10000n;

  /** As the real one's. */
  addressOf(bytes: Uint8Array): bigint {
    let base = this.#bases.get(bytes.buffer);
    if (base === undefined) {
      base = this.#next;
      this.#bases.set(bytes.buffer, base);
      this.#next += BigInt(bytes.buffer.byteLength) + 0x10000n;
    }
    return base + BigInt(bytes.byteOffset);
  }

  /** Returns the bytes at an address. */
  at(address: bigint, length: number): Uint8Array {
    for (const [buffer, base] of this.#bases) {
      if (address >= base && address + BigInt(length) <= base + BigInt(buffer.byteLength)) {
        return new Uint8Array(buffer, Number(address - base), length);
      }
    }
    throw new Error(`nothing stands at ${address}`);
  }

  /** As the real one's. */
  read(address: bigint, length: number): Uint8Array {
    return this.at(address, length).slice();
  }

  /** As the real one's. */
  readInto(address: bigint, bytes: Uint8Array): void {
    bytes.set(this.at(address, bytes.length));
  }

  /** As the real one's. */
  wideString(address: bigint): string {
    let text = "";
    for (let at = address;; at += 2n) {
      const [low, high] = this.at(at, 2);
      if (low === 0 && high === 0) return text;
      text += String.fromCharCode(low | high << 8);
    }
  }
}

/** One `SecBuffer` of a descriptor. */
export interface BufferPart {
  /** `BufferType` */
  type: number;
  /** `cbBuffer` */
  length: number;
  /** `pvBuffer` */
  address: bigint;
  /** Writes what the function would. */
  set(length: number, address?: bigint): void;
}

/** The buffers of a descriptor. */
export function bufferParts(memory: FakeMemory, desc: Uint8Array): BufferPart[] {
  const view = new DataView(desc.buffer, desc.byteOffset);
  const { cBuffers, pBuffers } = SecBufferDesc.read(view);
  const bytes = memory.at(pBuffers, cBuffers * SecBuffer.size);
  const array = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Array.from({ length: cBuffers }, (_, index) => {
    const { BufferType, cbBuffer, pvBuffer } = SecBuffer.read(array, index * SecBuffer.size);
    const set = (length: number, address = pvBuffer) =>
      SecBuffer.write(array, { cbBuffer: length, pvBuffer: address }, index * SecBuffer.size);
    return { type: BufferType, length: cbBuffer, address: pvBuffer, set };
  });
}

/** What one step answers. */
export interface FakeStep {
  /** The status. */
  readonly status: number;
  /** The token it makes. */
  readonly token?: Uint8Array;
}

/** The identity that credentials were acquired with: the structure, and the texts it points to. */
export interface AcquiredAs extends Values<typeof SEC_WINNT_AUTH_IDENTITY_EXW.fields> {
  /** The texts by field, each with the structure's length; null for a null pointer. */
  readonly texts: { readonly [field in "User" | "Domain" | "Password" | "PackageList"]: string | null };
}

/** A library whose calls can be made to fail. */
export class FakeSecur32 {
  /** The library for the code under test. */
  readonly sspi: Sspi;
  /** Its memory. */
  readonly memory = new FakeMemory();
  /** Each call that was made, in order. */
  readonly calls: string[] = [];
  /** Those of them that were made on another thread. */
  readonly threaded: string[] = [];
  /** Made and not released: credentials, contexts, and memory of the package's. */
  readonly held = { credentials: 0, contexts: 0, buffers: 0, system: 0 };
  /** The identity of each acquisition; null: the user that runs the process. */
  readonly acquiredAs: (AcquiredAs | null)[] = [];
  /** Called with the password where it stands, each time that credentials are acquired with one. */
  onPassword: (bytes: Uint8Array) => void = () => {};
  /** What each leg asked for: its flags, and the types of the buffers that it gave. */
  readonly asked: { readonly flags: number; readonly given: readonly number[] }[] = [];
  /** The offset of the system's clock from UTC, in milliseconds; null: not reported. */
  aheadMs: number | null = 0;
  /** When the contexts end by the system's clock, in 100 ns units since 1601. */
  expiry = 0n;
  /** The names that the package reports: of both ends, and of the user; null: none. */
  names: { readonly client?: string; readonly server?: string; readonly user?: string } | null = null;
  /** The result of QuerySecurityContextToken; null: no token. */
  token: bigint | null = null;
  /** The package that Negotiate chose. */
  mechanism = "Kerberos";
  /** The number of the call that fails, and its status. */
  failAt: { readonly index: number; readonly status: number } | null = null;
  /** What a step answers, from the peer's token. */
  step: (role: "client" | "server", token: Uint8Array | null) => FakeStep = () => ({ status: 0 });
  readonly #contexts = new Set<Uint8Array>();

  constructor() {
    const system = {
      seams: {},
      hold: () => {
        this.held.system++;
        return () => this.held.system--;
      },
      library: () => ({ call: this.#calls(), threaded: this.#onThreads() }),
      memory: () => this.memory as unknown as Memory,
    };
    this.sspi = new Sspi(system as unknown as NativeSystem);
  }

  #pointer(text: string): bigint {
    const bytes = new Uint8Array(new ArrayBuffer(2 * text.length + 2));
    for (let at = 0; at < text.length; at++) bytes[2 * at] = text.charCodeAt(at);
    return this.memory.addressOf(bytes);
  }

  /** A `PSecPkgInfoW` that the caller has to free. */
  #packageInfo(name: string): bigint {
    const bytes = new Uint8Array(new ArrayBuffer(SecPkgInfoW.size));
    const [Name, Comment] = [this.#pointer(name), this.#pointer("made up")];
    SecPkgInfoW.write(new DataView(bytes.buffer), { cbMaxToken: 4000, Name, Comment });
    this.held.buffers++;
    return this.memory.addressOf(bytes);
  }

  /** A text that the caller has to free. */
  #text(text: string | undefined): bigint {
    if (text === undefined) return 0n;
    this.held.buffers++;
    return this.#pointer(text);
  }

  #onThreads(): Record<string, (...args: never[]) => Promise<number>> {
    const calls = Object.entries(this.#calls());
    return Object.fromEntries(calls.map(([name, body]) => [name, (...args: never[]) => {
      this.threaded.push(name);
      return Promise.resolve(body(...args));
    }]));
  }

  #calls(): Record<string, (...args: never[]) => number> {
    const call =
      <A extends unknown[]>(name: string, body: (...args: A) => number) => (...args: A): number => {
        const index = this.calls.push(name) - 1;
        return this.failAt?.index === index ? this.failAt.status : body(...args);
      };
    const view = (bytes: Uint8Array) => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    return {
      QuerySecurityPackageInfoW: call("QuerySecurityPackageInfoW", (_name: Uint8Array, out: Uint8Array) => {
        view(out).setBigUint64(0, this.#packageInfo("Negotiate"), true);
        return 0;
      }),
      AcquireCredentialsHandleW: call(
        "AcquireCredentialsHandleW",
        (...args: [unknown, unknown, number, unknown, Uint8Array | null, ...unknown[]]) => {
          this.acquiredAs.push(args[4] && this.#identity(args[4]));
          this.held.credentials++;
          return 0;
        },
      ),
      InitializeSecurityContextW: call(
        "InitializeSecurityContextW",
        (
          ...args: [
            Uint8Array,
            unknown,
            unknown,
            number,
            number,
            number,
            Uint8Array | null,
            number,
            ...Uint8Array[],
          ]
        ) => {
          if (args[4] !== 0 || args[7] !== 0) throw new Error("a reserved argument is not 0");
          const [context, output, flags, expiry] = args.slice(8) as Uint8Array[];
          view(expiry).setBigInt64(0, this.expiry, true);
          return this.#step("client", args[3], args[6], context, output, flags);
        },
      ),
      AcceptSecurityContext: call(
        "AcceptSecurityContext",
        (...args: [Uint8Array, unknown, Uint8Array | null, number, number, ...Uint8Array[]]) => {
          const [context, output, flags, expiry] = args.slice(5) as Uint8Array[];
          view(expiry).setBigInt64(0, this.expiry, true);
          return this.#step("server", args[3], args[2], context, output, flags);
        },
      ),
      QueryContextAttributesW: call(
        "QueryContextAttributesW",
        (_context: Uint8Array, attribute: number, out: Uint8Array) => {
          if (attribute === SECPKG_ATTR.SIZES) {
            const sizes = { cbMaxToken: 4000, cbMaxSignature: 50, cbBlockSize: 1, cbSecurityTrailer: 60 };
            SecPkgContext_Sizes.write(view(out), sizes);
            return 0;
          }
          if (attribute === SECPKG_ATTR.NATIVE_NAMES && this.names !== null) {
            const { client, server } = this.names;
            const [sClientName, sServerName] = [client, server].map((text) => this.#text(text));
            SecPkgContext_NativeNamesW.write(view(out), { sClientName, sServerName });
            return 0;
          }
          if (attribute === SECPKG_ATTR.NAMES && this.names !== null) {
            SecPkgContext_NamesW.write(view(out), { sUserName: this.#text(this.names.user) });
            return 0;
          }
          if (attribute !== SECPKG_ATTR.NEGOTIATION_INFO) return 0x80090302;
          SecPkgContext_NegotiationInfoW.write(view(out), { PackageInfo: this.#packageInfo(this.mechanism) });
          return 0;
        },
      ),
      QuerySecurityContextToken: call(
        "QuerySecurityContextToken",
        (_context: Uint8Array, out: Uint8Array) => {
          if (this.token === null) return 0x8009030e;
          view(out).setBigUint64(0, this.token, true);
          return 0;
        },
      ),
      _strdate_s: (buffer: Uint8Array) =>
        this.#tell(buffer, (now) => {
          const [year, month, day] = now.slice(2, 10).split("-");
          return `${month}/${day}/${year}`;
        }),
      _strtime_s: (buffer: Uint8Array) => this.#tell(buffer, (now) => now.slice(11, 19)),
      // Releases cannot fail.
      DeleteSecurityContext: (context: Uint8Array) => {
        if (!this.#contexts.delete(context)) throw new Error("no such context");
        this.held.contexts--;
        return 0;
      },
      FreeCredentialsHandle: () => {
        this.held.credentials--;
        return 0;
      },
      FreeContextBuffer: () => {
        this.held.buffers--;
        return 0;
      },
    };
  }

  /** Writes a part of the system's local time, which is given in ISO 8601. */
  #tell(buffer: Uint8Array, part: (now: string) => string): number {
    if (this.aheadMs === null) return 22;
    const text = part(new Date(Date.now() + this.aheadMs).toISOString());
    buffer.set(new TextEncoder().encode(`${text}\0`));
    return 0;
  }

  #identity(bytes: Uint8Array): AcquiredAs {
    const values = SEC_WINNT_AUTH_IDENTITY_EXW.read(new DataView(bytes.buffer, bytes.byteOffset));
    const { Password, PasswordLength } = values;
    if (Password !== 0n) this.onPassword(this.memory.at(Password, 2 * PasswordLength));
    const text = (address: bigint, units: number) =>
      address === 0n ? null : new TextDecoder("utf-16le").decode(this.memory.at(address, 2 * units));
    return {
      ...values,
      texts: {
        User: text(values.User, values.UserLength),
        Domain: text(values.Domain, values.DomainLength),
        Password: text(values.Password, values.PasswordLength),
        PackageList: text(values.PackageList, values.PackageListLength),
      },
    };
  }

  #step(
    role: "client" | "server",
    asked: number,
    input: Uint8Array | null,
    context: Uint8Array,
    output: Uint8Array,
    flags: Uint8Array,
  ): number {
    const given = input ? bufferParts(this.memory, input).map(({ type }) => type) : [];
    this.asked.push({ flags: asked, given });
    const token = input && bufferParts(this.memory, input).find(({ type }) => type === SECBUFFER.TOKEN);
    const answer = this.step(role, token ? this.memory.read(token.address, token.length) : null);
    if ((answer.status & 0x8000_0000) !== 0) return answer.status;
    if (!this.#contexts.has(context)) {
      this.#contexts.add(context);
      this.held.contexts++;
    }
    const [made] = bufferParts(this.memory, output);
    const bytes = answer.token ?? new Uint8Array();
    this.memory.at(made.address, bytes.length).set(bytes);
    made.set(bytes.length);
    new DataView(flags.buffer, flags.byteOffset).setUint32(0, asked, true);
    return answer.status;
  }
}
