/** Ends that call GSS-API with any flags, as other implementations do. */

import type { NativeSystem } from "../../ffi/system.ts";
import { Gss, Slots } from "../../ffi/security/gss/gss.ts";
import { GssRecords, type RecordRules } from "../../ffi/security/gss/records.ts";
import { GSS_ERROR_MASK, GSS_S } from "../../ffi/raw/gssapi.ts";
import { pinned } from "../../ffi/memory/memory.ts";
import type { Stepping } from "./gss.ts";

/** Options of the client. */
export interface RawOptions {
  /** The mechanism. */
  readonly mechanism: "kerberos" | "spnego";
  /** The target to request. */
  readonly target: string;
  /** `GSS_C_*_FLAG` bits. */
  readonly flags: number;
}

/** One for each system, kept until the system closes. */
const opened = new WeakMap<NativeSystem, Gss>();

function gssOf(system: NativeSystem): Gss {
  let gss = opened.get(system);
  if (gss === undefined) opened.set(system, gss = new Gss(system));
  return gss;
}

/** A client end, from the process's own credentials. */
export class RawClient implements Stepping, Disposable {
  /** The library. */
  readonly gss: Gss;
  readonly #options: RawOptions;
  readonly #slots = new Slots(64);
  readonly #name: bigint;
  #done = false;

  constructor(system: NativeSystem, options: RawOptions) {
    this.gss = gssOf(system);
    this.#options = options;
    this.#name = this.gss.importName(options.target, "principalName");
  }

  get done(): boolean {
    return this.#done;
  }

  /** The flags that the library reports as agreed on. */
  get flags(): number {
    return this.#slots.u32[12];
  }

  // deno-lint-ignore require-await
  async step(token: Uint8Array | null): Promise<{ token: Uint8Array | null; done: boolean }> {
    const { gss } = this;
    const output = this.#slots.slice(24, 16);
    output.fill(0);
    const copy = token === null ? null : pinned(token.length);
    copy?.set(token!);
    const major = gss.call.gss_init_sec_context(
      this.#slots.slice(0, 4),
      0n,
      this.#slots.slice(8, 8),
      this.#name,
      gss.oids[this.#options.mechanism],
      this.#options.flags,
      0,
      null,
      copy === null ? null : gss.build.buffer(copy),
      null,
      output,
      this.#slots.slice(48, 4),
      null,
    );
    const made = gss.takeBuffer(output);
    if ((major & GSS_ERROR_MASK) !== 0) {
      throw gss.failure("gss_init_sec_context", major, this.#slots.u32[0], "go on");
    }
    this.#done = (major & GSS_S.CONTINUE_NEEDED) === 0;
    return { token: made.length === 0 ? null : made, done: this.#done };
  }

  /** The library's handle of the context. */
  get handle(): bigint {
    return this.#slots.u64[1];
  }

  /** Makes records with these rules. */
  records(rules: Partial<RecordRules> = {}): GssRecords {
    return new GssRecords(this.gss, this.handle, {
      kerberos: true,
      encrypts: true,
      mustBeEncrypted: false,
      negotiated: this.#options.mechanism === "spnego",
      accelerate: false,
      sequence: false,
      ...rules,
    });
  }

  [Symbol.dispose](): void {
    this.gss.call.gss_delete_sec_context(this.#slots.slice(0, 4), this.#slots.slice(8, 8), null);
    this.gss.releaseName(this.#name);
  }
}

/** A server end with the keys of the process's own key table. */
export class RawServer implements Stepping, Disposable {
  /** The library. */
  readonly gss: Gss;
  readonly #slots = new Slots(56);
  #done = false;

  constructor(system: NativeSystem) {
    this.gss = gssOf(system);
  }

  get done(): boolean {
    return this.#done;
  }

  /** The library's handle of the context. */
  get handle(): bigint {
    return this.#slots.u64[1];
  }

  // deno-lint-ignore require-await
  async step(token: Uint8Array | null): Promise<{ token: Uint8Array | null; done: boolean }> {
    const { gss } = this;
    const output = this.#slots.slice(24, 16);
    output.fill(0);
    const copy = pinned(token!.length);
    copy.set(token!);
    const major = gss.call.gss_accept_sec_context(
      this.#slots.slice(0, 4),
      this.#slots.slice(8, 8),
      0n,
      gss.build.buffer(copy),
      null,
      null,
      null,
      output,
      this.#slots.slice(48, 4),
      null,
      null,
    );
    const made = gss.takeBuffer(output);
    if ((major & GSS_ERROR_MASK) !== 0) {
      throw gss.failure("gss_accept_sec_context", major, this.#slots.u32[0], "go on");
    }
    this.#done = (major & GSS_S.CONTINUE_NEEDED) === 0;
    return { token: made.length === 0 ? null : made, done: this.#done };
  }

  [Symbol.dispose](): void {
    this.gss.call.gss_delete_sec_context(this.#slots.slice(0, 4), this.#slots.slice(8, 8), null);
  }
}
