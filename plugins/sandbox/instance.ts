/**
 * One instance of a provider's module, and calls into it: metered, bounds-checked, and wiped after use.
 *
 * @module
 */

import { ProviderLimitError, ProviderTrapError, StateError } from "../../errors.ts";
import { ABI_VERSIONS, IMPORT_MODULE, Operation, type OperationName } from "./abi.ts";
import { reject } from "./bytes.ts";
import type { GuardedModule } from "./guard.ts";
import { hostFunctions, type ImportGrants, type ImportName } from "./host_functions.ts";
import type { ResolvedLimits } from "./limits.ts";
import { Counter, isStop } from "./counter.ts";
import { breach, Reader } from "./wire.ts";

const HEADER = 4; // the operation, and the status
const PAGE = 65_536;

/** A module that was guarded and compiled, with what its instances need. */
export interface CompiledModule {
  /** The provider's name, for messages. */
  readonly name: string;
  /** The version of the ABI that its description says; left out while that is not known. */
  readonly abi?: number;
  /**
   * The compiled module, a `WebAssembly.Module`. The declarations that entry points reach do not name that type,
   * because neither ECMAScript's library nor Node's types declare it.
   */
  readonly module: object;
  /** What the guard found out. */
  readonly guarded: GuardedModule;
  /** The limits of one call. */
  readonly limits: ResolvedLimits;
  /** The host functions that the application grants. */
  readonly grants: ImportGrants;
}

interface Exports {
  readonly memory: WebAssembly.Memory;
  [Counter.refuel](units: number): number;
  [Counter.spend](units: number): number;
  [Counter.failures](nothing: number): number;
  [Counter.stop](nothing: number): number;
  abi_version(): number;
  alloc(length: number): number;
  call(pointer: number, length: number): bigint;
  _initialize?(): void;
}

/** One instance. It serves one context, and is dropped at the first trap, exceeded limit or breach of the ABI. */
export class GuestInstance {
  readonly #compiled: CompiledModule;
  /** The version of the ABI that it speaks. */
  readonly abi: number;
  readonly #result = new DataView(new ArrayBuffer(8));
  #exports: Exports | null = null;
  #memory: Uint8Array<ArrayBuffer> = new Uint8Array(0);

  /**
   * Makes an instance and initialises it.
   *
   * @throws ProviderTrapError or ProviderLimitError if that fails.
   * @throws ProviderRejectedError if the module uses another version of the ABI.
   */
  constructor(compiled: CompiledModule) {
    this.#compiled = compiled;
    const exports = this.#exports = this.#instantiate();
    const version = this.abi = this.#start(exports);
    if (ABI_VERSIONS.includes(version) && version === (compiled.abi ?? version)) return;
    this.drop();
    const spoken = compiled.abi === undefined
      ? `this host supports ${ABI_VERSIONS.join(" and ")}`
      : `it said ${compiled.abi}`;
    reject("abi-version", -1, `it uses ABI ${version}, ${spoken}; rebuild it`);
  }

  /** True until the instance is dropped. */
  get alive(): boolean {
    return this.#exports !== null;
  }

  /** The fuel that the last call used, in units; 0 once dropped. */
  get fuelUsed(): number {
    return this.#exports ? this.#compiled.limits.fuel - this.#exports[Counter.spend](0) : 0;
  }

  /** The memory's size now, in pages of 64 KiB; 0 once dropped. */
  get memoryPages(): number {
    return (this.#exports?.memory.buffer.byteLength ?? 0) / PAGE;
  }

  /**
   * Sends one request and passes the response to `read`: a view into the guest that is wiped when `read` returns.
   *
   * @throws RangeError if the request is larger than the limit; StateError if the instance was dropped.
   * @throws ProviderTrapError or ProviderLimitError, after which the instance is dropped; and what `read` throws.
   */
  call<T>(operation: OperationName, body: Uint8Array, read: (response: Reader) => T): T {
    const exports = this.#exports;
    if (!exports) {
      throw new StateError(`${this.#compiled.name}: its instance was dropped; make a new connection`);
    }
    const length = HEADER + body.length, most = this.#compiled.limits.messageBytes;
    if (length > most) {
      throw new RangeError(
        `a request of ${length} bytes is over limits.messageBytes (${most}); send less at once`,
      );
    }
    // Which code is running, so that an error is attributed correctly.
    let inGuest = true;
    let pointer = 0, offset = 0, size = 0;
    exports[Counter.refuel](this.#compiled.limits.fuel);
    try {
      pointer = exports.alloc(length) >>> 0;
      inGuest = false;
      this.#writeRequest(pointer, length, operation, body);
      inGuest = true;
      this.#result.setBigInt64(0, exports.call(pointer, length));
      inGuest = false;
      offset = this.#result.getUint32(0);
      size = this.#result.getUint32(4);
      this.#checkPlace(pointer, length, offset, size);
      return read(new Reader(this.region(offset, size, operation), operation));
    } catch (error) {
      throw this.#dropAfter(inGuest ? this.#explain(exports, error) : error);
    } finally {
      this.#wipe(pointer, length);
      this.#wipe(offset, size);
    }
  }

  /**
   * The bytes of a region that the guest named.
   *
   * @throws ProviderTrapError if they are not all in its memory.
   */
  region(pointer: number, length: number, what: string): Uint8Array<ArrayBuffer> {
    const memory = this.#view();
    if (pointer + length > memory.length) {
      throw breach(`${what} names ${length} bytes at ${pointer}, but its memory has ${memory.length}`);
    }
    return memory.subarray(pointer, pointer + length);
  }

  /**
   * Uses up fuel.
   *
   * @throws ProviderLimitError if none is left.
   */
  charge(cost: number): void {
    // No exports yet: the engine is still making the instance and runs no code of the guest.
    if (this.#exports && this.#exports[Counter.spend](cost) < 0) throw this.#fuelLimit();
  }

  /** Overwrites the whole memory and releases the instance. Repeating it is harmless. */
  drop(): void {
    if (!this.#exports) return;
    this.#view().fill(0);
    this.#exports = null;
    this.#memory = new Uint8Array(0);
  }

  #instantiate(): Exports {
    const { module, guarded, grants, name } = this.#compiled;
    const functions = hostFunctions(guarded.imports as ImportName[], grants, name, this);
    try {
      const instance = new WebAssembly.Instance(module as WebAssembly.Module, { [IMPORT_MODULE]: functions });
      return instance.exports as unknown as Exports;
    } catch (cause) {
      throw new ProviderTrapError(`${name} could not be started: ${(cause as Error).message}`, { cause });
    }
  }

  /** Initialises the guest and returns its version of the ABI. */
  #start(exports: Exports): number {
    exports[Counter.refuel](this.#compiled.limits.fuel);
    try {
      exports._initialize?.();
      return exports.abi_version();
    } catch (error) {
      throw this.#dropAfter(this.#explain(exports, error));
    }
  }

  #writeRequest(pointer: number, length: number, operation: OperationName, body: Uint8Array): void {
    if (pointer === 0) throw this.#memoryLimit();
    const memory = this.#view();
    if (pointer + length > memory.length) this.region(pointer, length, "alloc");
    memory[pointer] = Operation[operation];
    memory[pointer + 1] = memory[pointer + 2] = memory[pointer + 3] = 0;
    memory.set(body, pointer + HEADER);
  }

  /** The error that the application receives for what stopped the guest. */
  #explain(exports: Exports, cause: unknown): Error {
    if (cause instanceof ProviderTrapError || cause instanceof ProviderLimitError) return cause;
    if (exports[Counter.spend](0) < 0 && isStop(cause, exports[Counter.stop])) return this.#fuelLimit(cause);
    if (exports[Counter.failures](0) > 0) return this.#memoryLimit(cause);
    const { message } = cause as Error;
    return new ProviderTrapError(`${this.#compiled.name} trapped: ${message}; its instance was dropped`, {
      cause,
    });
  }

  /** Drops the instance if `error` shows that it cannot be trusted any more. */
  #dropAfter(error: unknown): unknown {
    if (error instanceof ProviderTrapError || error instanceof ProviderLimitError) this.drop();
    return error;
  }

  /** Checks the region of a response against the limit, the ABI and the region of the request. */
  #checkPlace(pointer: number, length: number, offset: number, size: number): void {
    const most = this.#compiled.limits.messageBytes;
    if (size > most) throw new ProviderLimitError("messageBytes", most, "bytes");
    if (size < HEADER) throw breach(`a response of ${size} bytes has no status`);
    if (offset < pointer + length && pointer < offset + size) throw breach("a response overlaps its request");
  }

  #view(): Uint8Array<ArrayBuffer> {
    // A memory that has grown has a new buffer, and views of the old one are empty.
    if (this.#memory.length === 0 && this.#exports) {
      this.#memory = new Uint8Array(this.#exports.memory.buffer as ArrayBuffer);
    }
    return this.#memory;
  }

  #wipe(offset: number, length: number): void {
    if (this.#exports && length > 0) this.#view().fill(0, offset, offset + length);
  }

  #fuelLimit(cause?: unknown): ProviderLimitError {
    return new ProviderLimitError("fuel", this.#compiled.limits.fuel, "units", { cause });
  }

  #memoryLimit(cause?: unknown): ProviderLimitError {
    return new ProviderLimitError("memoryPages", this.#compiled.guarded.memory.maximumPages, "pages", {
      cause,
    });
  }
}
