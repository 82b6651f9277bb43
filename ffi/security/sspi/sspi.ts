/**
 * secur32.dll with the helpers that its callers share: errors from statuses, buffers, attributes, packages.
 *
 * @module
 */

import { AuthenticationError, NativeError, ProtocolError } from "../../../errors.ts";
import type { Calls, ThreadedCalls } from "../../abi.ts";
import { BufferPool } from "../../winsock/buffers.ts";
import { type Memory, pinned, wideString } from "../../memory/memory.ts";
import type { MemoryBlock } from "../../memory/block.ts";
import { SECBUFFER, SecBuffer, SecBufferDesc, SecPkgInfoW, SECUR32 } from "../../raw/secur32.ts";
import { SECURITY_STATUS } from "../../raw/sspi_status.ts";
import type { Struct } from "../../memory/struct.ts";
import type { Fields, Values } from "../../memory/struct.ts";
import type { NativeSystem } from "../../system.ts";
import { UCRTBASE } from "../../raw/ucrtbase.ts";
import { LocalTime } from "./local_time.ts";

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

/**
 * A `SecBufferDesc` and its array of `SecBuffer`, in memory that does not move. Written by hand for speed: it is used
 * often.
 */
export class Buffers {
  /** The descriptor, to pass to a function. */
  readonly desc: Uint8Array;
  readonly #view: DataView;

  /** Returns the bytes that `count` buffers take. */
  static size(count: number): number {
    return SecBufferDesc.size + count * SecBuffer.size;
  }

  /** Takes memory for `count` buffers from `block`, which must have `Buffers.size(count)` bytes left. */
  constructor(block: MemoryBlock, count: number) {
    const { bytes, address } = block.take(Buffers.size(count));
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    this.desc = bytes;
    const array = address + BigInt(SecBufferDesc.size);
    this.#view.setUint32(SecBufferDesc.offsets.ulVersion, SECBUFFER.VERSION, true);
    this.#view.setBigUint64(SecBufferDesc.offsets.pBuffers, array, true);
    this.use(count);
  }

  /** Sets how many of the buffers are in use. */
  use(count: number): void {
    this.#view.setUint32(SecBufferDesc.offsets.cBuffers, count, true);
  }

  #at(index: number): number {
    return SecBufferDesc.size + index * SecBuffer.size;
  }

  /** Sets one buffer. */
  set(index: number, type: number, length: number, address: bigint): void {
    const at = this.#at(index);
    this.#view.setUint32(at, length, true);
    this.#view.setUint32(at + SecBuffer.offsets.BufferType, type, true);
    this.#view.setBigUint64(at + SecBuffer.offsets.pvBuffer, address, true);
  }

  /** Returns the length of one buffer in bytes. */
  length(index: number): number {
    return this.#view.getUint32(this.#at(index), true);
  }

  /** Returns the address of one buffer. */
  address(index: number): bigint {
    return this.#view.getBigUint64(this.#at(index) + SecBuffer.offsets.pvBuffer, true);
  }
}

/** More than any attribute or package needs. */
const ANSWER_BYTES = 256;

/** The open library and the helpers around it. */
export class Sspi {
  readonly call: Calls<typeof SECUR32>;
  readonly threaded: ThreadedCalls<typeof SECUR32>;
  readonly memory: Memory;
  /** Keeps the libraries open until the returned function is called; see `NativeSystem.hold`. */
  readonly hold: () => () => void;
  /** Converts the times that the library returns. */
  readonly localTime: LocalTime;
  /** Memory for tokens. */
  readonly buffers: BufferPool;
  /** The most records that a direction of a context may carry; left out: the number of 32-bit sequence numbers. */
  readonly maxRecords: number | undefined;
  /** The output buffer of calls on this thread, read before the next call. */
  readonly #answer = pinned(ANSWER_BYTES);
  readonly #answerView = new DataView(this.#answer.buffer);

  constructor(system: NativeSystem) {
    this.hold = () => system.hold();
    this.maxRecords = system.seams.maxRecords;
    const library = system.library("sspi", SECUR32);
    this.call = library.call;
    this.threaded = library.threaded;
    this.memory = system.memory("sspi", UCRTBASE);
    this.localTime = new LocalTime(system.library("sspi", UCRTBASE).call);
    this.buffers = new BufferPool(this.memory);
  }

  /** Returns the error for a failed call. */
  failure(fn: string, status: number, doing: string): AuthenticationError {
    const known = SECURITY_STATUS[status >>> 0];
    const native = nativeError(fn, status);
    const advice = known?.advice ? `. ${known.advice}` : "";
    return new AuthenticationError(known?.reason ?? "other", `Cannot ${doing}: ${native.message}${advice}`, {
      cause: native,
    });
  }

  /** Returns the error for a record that was refused or could not be made. */
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

  /** Reads an attribute; `null` where this package or this version of Windows does not support it. */
  attribute<F extends Fields>(context: Uint8Array, attribute: number, layout: Struct<F>): Values<F> | null {
    this.#answer.fill(0);
    const status = this.call.QueryContextAttributesW(context, attribute, this.#answer);
    return isError(status) ? null : layout.read(this.#answerView);
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

  /** Returns all security packages of this system. */
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

  /** Returns the package with this name. */
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

  /** Reads the package's name from a `PSecPkgInfoW` that an attribute returned, and frees it. */
  takePackageName(address: bigint): string {
    if (address === 0n) return "";
    try {
      this.memory.readInto(address, this.#answer.subarray(0, SecPkgInfoW.size));
      return this.memory.wideString(this.#answerView.getBigUint64(SecPkgInfoW.offsets.Name, true));
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
