/**
 * A GSS-API library with the helpers that its callers share: errors from statuses, names, buffers.
 *
 * @module
 */

import { AuthenticationError, NativeError } from "../../../errors.ts";
import type { Calls, ThreadedCalls } from "../../abi.ts";
import { type Memory, pinned } from "../../memory/memory.ts";
import { GSS_C, GSS_ERROR_MASK, GSS_S, GSSAPI, OIDS } from "../../raw/gssapi.ts";
import {
  GSS_ROUTINE_ERRORS,
  KRB5_ACQUIRE_ERRORS,
  KRB5_BASE,
  KRB5_ERRORS,
  type StatusEntry,
} from "../../raw/gss_status.ts";
import type { NativeSystem } from "../../system.ts";
import { messageText, nameText } from "../../memory/text.ts";
import type { RecordCrypto } from "./accelerated_crypto.ts";
import { openRecordCrypto } from "./accelerated_messages.ts";
import { StructBuilder } from "./structs.ts";

/** What an error message adds to the failure. */
export interface Hints {
  /** What to do where credentials are missing; left out: the status's own advice. */
  readonly missing?: string;
  /**
   * Returns what to do about a status, from its name and the library's text; `undefined`: the status's own advice.
   */
  advise?(codeName: string, text: string): string | undefined;
  /** Returns which realm, cache, key table and configuration were used, as a sentence. */
  used(): string;
}

/** Adds nothing. */
export const NO_HINTS: Hints = { used: () => "" };

/** The known mechanisms, by their OID's bytes in hexadecimal. */
const MECHANISMS = new Map([
  [hex(OIDS.kerberos), "kerberos"],
  [hex(OIDS.ntlmssp), "ntlm"],
  [hex(OIDS.spnego), "negotiate"],
]);

function hex(bytes: ArrayLike<number>): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Memory where a function writes its minor status and its other small results; one for each caller. */
export class Slots {
  /** The whole block. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly u32: Uint32Array;
  readonly u64: BigUint64Array;

  constructor(length: number) {
    this.bytes = pinned(length);
    this.u32 = new Uint32Array(this.bytes.buffer);
    this.u64 = new BigUint64Array(this.bytes.buffer);
  }

  /** Returns `length` bytes from `at`, to pass to a function. */
  slice(at: number, length: number): Uint8Array<ArrayBuffer> {
    // Not by subarray(), which takes several times as long.
    return new Uint8Array(this.bytes.buffer, at, length);
  }
}

/** The open library and the helpers around it. */
export class Gss {
  readonly call: Calls<typeof GSSAPI>;
  readonly threaded: ThreadedCalls<typeof GSSAPI>;
  readonly memory: Memory;
  readonly build: StructBuilder;
  readonly oids: { readonly [name in keyof typeof OIDS]: Uint8Array };
  /** Keeps the library open until the returned function is called; see `NativeSystem.hold`. */
  readonly hold: () => () => void;
  /**
   * The most records that a direction of a context may carry; left out: the most that its token format can number.
   */
  readonly maxRecords: number | undefined;
  readonly #slots = new Slots(32);
  readonly #mechanisms = new Map<bigint, string>();
  readonly #system: NativeSystem;
  #recordCrypto?: RecordCrypto | null;

  constructor(system: NativeSystem) {
    this.#system = system;
    this.hold = () => system.hold();
    this.maxRecords = system.seams.maxRecords;
    const library = system.library("sspi", GSSAPI);
    this.call = library.call;
    this.threaded = library.threaded;
    this.memory = system.memory("sspi", GSSAPI);
    const packed = system.platform.os === "darwin" && system.platform.arch === "x86_64";
    this.build = new StructBuilder(this.memory, packed ? 2 : undefined);
    const oids: Record<string, Uint8Array> = {};
    for (const [name, der] of Object.entries(OIDS)) oids[name] = this.build.oid(der);
    this.oids = oids as Gss["oids"];
    this.#keepConfiguration(system);
  }

  /**
   * Keeps krb5.conf parsed until the libraries are closed: without a user, libkrb5 parses it again several times in
   * each handshake. Changes of the file are still noticed, at every use, by its date.
   */
  #keepConfiguration(system: NativeSystem): void {
    const slots = new Slots(8);
    // The first call that needs the configuration reports what is wrong with it.
    if (this.call.krb5_init_context(slots.bytes) !== 0) return;
    system.beforeClose(() => this.call.krb5_free_context(slots.u64[0]));
  }

  /** What protects records by libcrypto, opened on first use; `null` where the library itself has to do it. */
  get recordCrypto(): RecordCrypto | null {
    if (this.#recordCrypto === undefined) this.#recordCrypto = openRecordCrypto(this.#system);
    return this.#recordCrypto;
  }

  /**
   * Throws where `major` is an error.
   *
   * @param doing what failed, for the message, after "Cannot ".
   * @param hints what the message adds.
   */
  check(fn: string, major: number, minor: number, doing: string, hints?: Hints): void {
    if ((major & GSS_ERROR_MASK) !== 0) throw this.failure(fn, major, minor, doing, hints);
  }

  /** Returns the error for a failed call of GSS-API. */
  failure(fn: string, major: number, minor: number, doing: string, hints?: Hints): AuthenticationError {
    const code = this.#kerberosCode(minor);
    const text = this.#statusText(major, minor);
    if (code !== undefined) return this.#kerberosError(fn, code, text, doing, hints);
    return failureOf(fn, major, GSS_ROUTINE_ERRORS[(major >>> 16) & 0xff], text, doing, hints);
  }

  /**
   * Returns the error for a failed call of libkrb5.
   *
   * @param text the library's own message for the status.
   */
  kerberosFailure(
    fn: string,
    status: number,
    text: string,
    doing: string,
    hints: Hints,
  ): AuthenticationError {
    const code = (status >>> 0) - KRB5_BASE;
    if (isKerberosCode(code)) return this.#kerberosError(fn, code, text, doing, hints);
    return failureOf(fn, status, undefined, text, doing, hints);
  }

  #kerberosError(fn: string, code: number, text: string, doing: string, hints?: Hints): AuthenticationError {
    const acquiring = fn.startsWith("gss_acquire_cred") || fn.startsWith("krb5_");
    const entry = (acquiring ? KRB5_ACQUIRE_ERRORS : KRB5_ERRORS)[code];
    const variant = entry?.variants?.find(({ words }) => text.includes(words));
    return failureOf(fn, (KRB5_BASE + code) | 0, { ...entry, ...variant }, text, doing, hints);
  }

  /**
   * Returns the offset of a Kerberos status from {@linkcode KRB5_BASE}. A status that passed through SPNEGO has a
   * number that is valid in this process only, so it is recognised by its text.
   */
  #kerberosCode(minor: number): number | undefined {
    const direct = (minor >>> 0) - KRB5_BASE;
    if (minor === 0 || isKerberosCode(direct)) return minor === 0 ? undefined : direct;
    const text = this.#display(minor, GSS_C.MECH_CODE);
    if (text === "") return undefined;
    const same = (code: string): boolean => this.#display(KRB5_BASE + Number(code), GSS_C.MECH_CODE) === text;
    const found = Object.keys(KRB5_ERRORS).find(same);
    return found === undefined ? undefined : Number(found);
  }

  #statusText(major: number, minor: number): string {
    const minorText = minor === 0 ? "" : this.#display(minor, GSS_C.MECH_CODE);
    const useful = minorText !== "" && !/^(Unknown error|Success)/i.test(minorText);
    return useful ? minorText : this.#display(major, GSS_C.GSS_CODE);
  }

  #display(code: number, type: number): string {
    const context = this.#slots.slice(8, 4);
    const buffer = this.#slots.slice(16, 16);
    this.#slots.u32[2] = 0;
    const mech = type === GSS_C.MECH_CODE ? this.oids.kerberos : null;
    const status = this.call.gss_display_status(this.#minor, code >>> 0, type, mech, context, buffer);
    if ((status & GSS_ERROR_MASK) !== 0) return "";
    return messageText(this.takeBuffer(buffer));
  }

  get #minor(): Uint8Array<ArrayBuffer> {
    return this.#slots.slice(0, 4);
  }

  /** Copies out a `gss_buffer_desc` that the library filled, and releases it. */
  takeBuffer(desc: Uint8Array): Uint8Array {
    const { length: lengthAt, value: valueAt } = this.build.layouts.buffer.offsets;
    const view = dataView(desc);
    const value = view.getBigUint64(valueAt, true);
    if (value === 0n) return pinned(0);
    try {
      return this.memory.read(value, Number(view.getBigUint64(lengthAt, true)));
    } finally {
      this.call.gss_release_buffer(this.#minor, desc);
    }
  }

  /** Returns the non-empty buffers of a `gss_buffer_set_t`, which the library still owns. */
  buffersOfSet(set: bigint): { readonly length: number; readonly value: bigint }[] {
    if (set === 0n) return [];
    const { bufferSet, buffer } = this.build.layouts;
    const head = dataView(this.memory.read(set, bufferSet.size));
    const count = Number(head.getBigUint64(bufferSet.offsets.count, true));
    const elements = head.getBigUint64(bufferSet.offsets.elements, true);
    if (count === 0 || elements === 0n) return [];
    const array = dataView(this.memory.read(elements, count * buffer.size));
    const found: { length: number; value: bigint }[] = [];
    for (let at = 0; at < count * buffer.size; at += buffer.size) {
      const value = array.getBigUint64(at + buffer.offsets.value, true);
      const length = Number(array.getBigUint64(at + buffer.offsets.length, true));
      if (value !== 0n) found.push({ length, value });
    }
    return found;
  }

  /** Imports a name; the caller releases it with {@linkcode Gss.releaseName}. */
  importName(text: string, type: "principalName" | "hostService" | "userName"): bigint {
    return this.#import(
      new TextEncoder().encode(text),
      this.oids[type],
      `use the name ${JSON.stringify(text)}`,
    );
  }

  /**
   * Returns a copy of a name in a mechanism's internal form; the caller releases both.
   *
   * @param doing the purpose, for messages, after "Cannot ".
   */
  canonicalName(name: bigint, mechanism: Uint8Array, doing: string, hints?: Hints): bigint {
    const out = this.#slots.slice(16, 8);
    this.#slots.u64[2] = 0n;
    const major = this.call.gss_canonicalize_name(this.#minor, name, mechanism, out);
    this.check("gss_canonicalize_name", major, this.#slots.u32[0], doing, hints);
    return this.#slots.u64[2];
  }

  /** Returns a mechanism's name in a form that every mechanism accepts; the caller releases both. */
  portableName(name: bigint, doing: string): bigint {
    const buffer = this.#slots.slice(16, 16);
    this.#slots.u64.fill(0n, 2, 4);
    const major = this.call.gss_export_name(this.#minor, name, buffer);
    this.check("gss_export_name", major, this.#slots.u32[0], doing);
    return this.#import(this.takeBuffer(buffer), this.oids.exportedName, doing);
  }

  #import(bytes: Uint8Array, type: Uint8Array, doing: string): bigint {
    const data = pinned(bytes.length);
    data.set(bytes);
    const buffer = this.build.buffer(data);
    const out = this.#slots.slice(16, 8);
    this.#slots.u64[2] = 0n;
    const major = this.call.gss_import_name(this.#minor, buffer, type, out);
    this.check("gss_import_name", major, this.#slots.u32[0], doing);
    return this.#slots.u64[2];
  }

  /** Returns the text of a name. @throws AuthenticationError where it is not UTF-8 and would read as another name. */
  displayName(name: bigint): string {
    const buffer = this.#slots.slice(16, 16);
    this.#slots.u64.fill(0n, 2, 4);
    const major = this.call.gss_display_name(this.#minor, name, buffer, null);
    this.check("gss_display_name", major, this.#slots.u32[0], "read a name");
    const bytes = this.takeBuffer(buffer);
    try {
      // gss-ntlmssp includes the terminating zero in the length; Kerberos would write a zero as \\0.
      return nameText(bytes.at(-1) === 0 ? bytes.subarray(0, -1) : bytes);
    } catch (cause) {
      throw new AuthenticationError(
        "other",
        "Cannot read a name: it is not UTF-8, and would read as another name. Rename the principal",
        { cause },
      );
    }
  }

  /**
   * Calls `fn` with the target name of an established Kerberos context, 0 where it has none: on a client the server's
   * name, on a server the name of the key that decrypted the ticket. (gss-ntlmssp 1.2 crashes on a server in this
   * query.)
   *
   * @param doing the purpose, for messages, after "Cannot ".
   */
  withTargetName<T>(context: bigint, fn: (name: bigint) => T, doing = "read the server's name"): T {
    const slots = new Slots(16);
    const [minor, out] = [slots.slice(0, 4), slots.slice(8, 8)];
    const major = this.call.gss_inquire_context(minor, context, null, out, null, null, null, null, null);
    this.check("gss_inquire_context", major, slots.u32[0], doing);
    try {
      return fn(slots.u64[1]);
    } finally {
      this.releaseName(slots.u64[1]);
    }
  }

  /**
   * Returns the bytes of a name's attribute (RFC 6680); `null` where the name does not have it.
   *
   * @throws AuthenticationError where the mechanism did not authenticate all of it.
   */
  nameAttribute(name: bigint, attribute: string): Uint8Array | null {
    const slots = new Slots(48);
    const [authenticated, complete, more] = [4, 8, 12].map((at) => slots.slice(at, 4));
    // -1 requests the first value; the value afterwards is not 0 where there are others.
    slots.u32[3] = 0xffff_ffff;
    const text = pinned(attribute.length);
    text.set(new TextEncoder().encode(attribute));
    const value = slots.slice(16, 16);
    const major = this.call.gss_get_name_attribute(
      slots.slice(0, 4),
      name,
      this.build.buffer(text),
      authenticated,
      complete,
      value,
      null,
      more,
    );
    if (major === GSS_S.UNAVAILABLE) return null;
    this.check("gss_get_name_attribute", major, slots.u32[0], `read the peer's ${attribute}`);
    const bytes = this.takeBuffer(value);
    if (slots.u32[1] !== 0 && slots.u32[2] !== 0 && slots.u32[3] === 0) return bytes;
    throw new AuthenticationError(
      "other",
      `Cannot read the peer's ${attribute}: its mechanism did not authenticate it completely`,
    );
  }

  /** Returns the local account to which the Kerberos configuration maps a name; `undefined` where there is none. */
  localName(name: bigint): string | undefined {
    const slots = new Slots(24);
    const major = this.call.gss_localname(slots.slice(0, 4), name, this.oids.kerberos, slots.slice(8, 16));
    // Any failure means no account: rules without a match fail in many ways.
    if ((major & GSS_ERROR_MASK) !== 0) return undefined;
    const bytes = this.takeBuffer(slots.slice(8, 16));
    try {
      const name = nameText(bytes);
      return name === "" || /\p{Cc}/u.test(name) ? undefined : name;
    } catch {
      return undefined;
    }
  }

  /** Releases a name; ignores 0. */
  releaseName(name: bigint): void {
    if (name === 0n) return;
    this.#slots.u64[2] = name;
    this.call.gss_release_name(this.#minor, this.#slots.slice(16, 8));
  }

  /**
   * Returns the mechanism's name for a `gss_OID` that the library returned for a context, which is static storage.
   */
  mechanism(oid: bigint): string {
    if (oid === 0n) return "none";
    let name = this.#mechanisms.get(oid);
    if (name === undefined) this.#mechanisms.set(oid, name = this.readMechanism(oid));
    return name;
  }

  /** Returns the mechanism's name for a `gss_OID` that may be released later. */
  readMechanism(oid: bigint): string {
    const { length, elements } = this.build.layouts.oid.read(
      dataView(this.memory.read(oid, this.build.layouts.oid.size)),
    );
    const der = hex(this.memory.read(elements, Math.min(length, 64)));
    return MECHANISMS.get(der) ?? `oid-${der}`;
  }
}

/** Returns a view of exactly these bytes. */
export function dataView(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Whether a number is within the Kerberos error table. */
function isKerberosCode(code: number): boolean {
  return code >= 0 && code < 256;
}

function failureOf(
  fn: string,
  status: number,
  known: Partial<StatusEntry> | undefined,
  text: string,
  doing: string,
  hints?: Hints,
): AuthenticationError {
  const native = new NativeError(fn, status, known?.name ?? `status ${hexStatus(status)}`, text);
  const reason = known?.reason ?? "other";
  const advised = hints?.advise?.(native.codeName, text);
  const missing = reason === "no-credentials" ? hints?.missing : undefined;
  const more = [advised ?? missing ?? known?.advice, hints?.used()].filter((sentence) => sentence);
  const message = [native.message, ...more].join(". ").replaceAll("..", ".");
  return new AuthenticationError(reason, `Cannot ${doing}: ${message}`, { cause: native });
}

function hexStatus(status: number): string {
  return `0x${(status >>> 0).toString(16).padStart(8, "0")}`;
}
