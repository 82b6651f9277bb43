/**
 * secur32.dll with what every owner needs of it: statuses turned into errors, buffers, attributes, packages.
 *
 * @module
 */

import { AuthenticationError, NativeError, ProtocolError } from "../../errors.ts";
import type { Calls, ThreadedCalls } from "../abi.ts";
import { type Memory, pinned, wideString } from "../memory.ts";
import { SECBUFFER, SecBuffer, SecBufferDesc, SecPkgInfoW, SECUR32 } from "../raw/secur32.ts";
import { SECURITY_STATUS } from "../raw/sspi_status.ts";
import type { Struct } from "../struct.ts";
import type { Fields, Values } from "../struct.ts";
import type { NativeSystem } from "../system.ts";
import { UCRTBASE } from "../raw/ucrtbase.ts";

/** A security package as Windows lists it. */
export interface PackageInfo {
  /** `Negotiate`, `Kerberos`, `NTLM`, ... */
  readonly name: string;
  /** Its description, in the system's language. */
  readonly comment: string;
  /** `SECPKG_FLAG_*` bits. */
  readonly capabilities: number;
  /** The longest token it makes, in bytes. */
  readonly maxToken: number;
}

/** Whether a status is an error. */
export function isError(status: number): boolean {
  return (status & 0x8000_0000) !== 0;
}

/** A `SecBufferDesc` and its array of `SecBuffer`, in memory that does not move. */
export class Buffers {
  /** The descriptor, to pass to a function. */
  readonly desc: Uint8Array;
  readonly #view: DataView;

  /** Room for `count` buffers. */
  constructor(memory: Memory, count: number) {
    const bytes = pinned(SecBufferDesc.size + count * SecBuffer.size);
    this.#view = new DataView(bytes.buffer);
    this.desc = bytes;
    SecBufferDesc.write(this.#view, {
      ulVersion: SECBUFFER.VERSION,
      cBuffers: count,
      pBuffers: memory.addressOf(bytes) + BigInt(SecBufferDesc.size),
    });
  }

  #at(index: number): number {
    return SecBufferDesc.size + index * SecBuffer.size;
  }

  /** Sets one buffer. Written by hand: records go through here. */
  set(index: number, type: number, length: number, address: bigint): void {
    const at = this.#at(index);
    this.#view.setUint32(at, length, true);
    this.#view.setUint32(at + SecBuffer.offsets.BufferType, type, true);
    this.#view.setBigUint64(at + SecBuffer.offsets.pvBuffer, address, true);
  }

  /** One buffer as it stands. */
  get(index: number): Values<typeof SecBuffer["fields"]> {
    return SecBuffer.read(this.#view, this.#at(index));
  }
}

/** The open library and the helpers around it. */
export class Sspi {
  readonly call: Calls<typeof SECUR32>;
  readonly threaded: ThreadedCalls<typeof SECUR32>;
  readonly memory: Memory;
  /** Keeps the libraries open until the returned function is called; see `NativeSystem.hold`. */
  readonly hold: () => () => void;
  /** The most records a direction of a context may carry; left out: what 32 bits number. */
  readonly maxRecords: number | undefined;

  constructor(system: NativeSystem) {
    this.hold = () => system.hold();
    this.maxRecords = system.seams.maxRecords;
    const library = system.library("sspi", SECUR32);
    this.call = library.call;
    this.threaded = library.threaded;
    this.memory = system.memory("sspi", UCRTBASE);
  }

  /** The error for a failed call. */
  failure(fn: string, status: number, doing: string): AuthenticationError {
    const known = SECURITY_STATUS[status >>> 0];
    const native = nativeError(fn, status);
    const advice = known?.advice ? `. ${known.advice}` : "";
    return new AuthenticationError(known?.reason ?? "other", `Cannot ${doing}: ${native.message}${advice}`, {
      cause: native,
    });
  }

  /** The error for a record that was refused, or that could not be made. */
  recordFailure(fn: string, status: number, doing: string): Error {
    const record = SECURITY_STATUS[status >>> 0]?.record;
    if (record === undefined) return this.failure(fn, status, doing);
    const native = nativeError(fn, status);
    return new ProtocolError(
      record,
      `A record was refused: ${native.message}. ${SECURITY_STATUS[status >>> 0].advice}`,
      {
        cause: native,
      },
    );
  }

  /** Reads an attribute; `null` where this package or this Windows does not offer it. */
  attribute<F extends Fields>(context: Uint8Array, attribute: number, layout: Struct<F>): Values<F> | null {
    const buffer = pinned(layout.size);
    const status = this.call.QueryContextAttributesW(context, attribute, buffer);
    return isError(status) ? null : layout.read(new DataView(buffer.buffer));
  }

  /** Reads the UTF-16 text at an address that the package allocated, and frees it. */
  takeText(address: bigint): string {
    if (address === 0n) return "";
    try {
      return this.memory.wideString(address);
    } finally {
      this.call.FreeContextBuffer(address);
    }
  }

  /** Every package of this Windows. */
  packages(): PackageInfo[] {
    const out = pinned(16);
    const status = this.call.EnumerateSecurityPackagesW(out.subarray(0, 4), out.subarray(8));
    if (isError(status)) {
      throw this.failure("EnumerateSecurityPackagesW", status, "list the security packages");
    }
    const view = new DataView(out.buffer);
    const address = view.getBigUint64(8, true);
    try {
      return Array.from({ length: view.getUint32(0, true) }, (_, index) => {
        return this.#packageAt(address + BigInt(index * SecPkgInfoW.size));
      });
    } finally {
      this.call.FreeContextBuffer(address);
    }
  }

  /** One package, by name. */
  package(name: string): PackageInfo {
    const out = pinned(8);
    const status = this.call.QuerySecurityPackageInfoW(wideString(name), out);
    if (isError(status)) throw this.failure("QuerySecurityPackageInfoW", status, `use the package ${name}`);
    const address = new DataView(out.buffer).getBigUint64(0, true);
    try {
      return this.#packageAt(address);
    } finally {
      this.call.FreeContextBuffer(address);
    }
  }

  /** A package's name at a `PSecPkgInfoW` that an attribute returned, which is freed. */
  takePackageName(address: bigint): string {
    if (address === 0n) return "";
    try {
      return this.#packageAt(address).name;
    } finally {
      this.call.FreeContextBuffer(address);
    }
  }

  #packageAt(address: bigint): PackageInfo {
    const info = SecPkgInfoW.read(
      new DataView(this.memory.read(address, SecPkgInfoW.size).buffer as ArrayBuffer),
    );
    return {
      name: this.memory.wideString(info.Name),
      comment: this.memory.wideString(info.Comment),
      capabilities: info.fCapabilities,
      maxToken: info.cbMaxToken,
    };
  }
}

function nativeError(fn: string, status: number): NativeError {
  const name = SECURITY_STATUS[status >>> 0]?.name ?? `0x${(status >>> 0).toString(16).padStart(8, "0")}`;
  return new NativeError(fn, status | 0, name, "");
}
