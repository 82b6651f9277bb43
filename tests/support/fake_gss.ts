/** A GSS-API library in this process: it records its calls, and counts what its caller has not released. */

import { assert, assertEquals } from "@std/assert";
import { type Memory, pinned } from "../../ffi/memory/memory.ts";
import { KRB5_BASE } from "../../ffi/raw/gss_status.ts";
import { GSS_S, type LUCID_V1_FIELDS } from "../../ffi/raw/gssapi.ts";
import type { Values } from "../../ffi/memory/struct.ts";
import { KRB5_KT_END } from "../../ffi/security/gss/key_table.ts";
import { dataView, Gss } from "../../ffi/security/gss/gss.ts";
import type { NativeSystem } from "../../ffi/system.ts";

/** The address of the one context. */
export const CONTEXT = 0x77n;
/** The minor status of failures: KRB5KRB_AP_ERR_TKT_EXPIRED. */
export const MINOR = (KRB5_BASE + 32) | 0;

/** Addresses for buffers, so that a table of functions in JavaScript can follow pointers. */
class Space {
  readonly #bases = new Map<ArrayBufferLike, bigint>();
  #next = 0x10000n;

  addressOf(bytes: Uint8Array): bigint {
    let base = this.#bases.get(bytes.buffer);
    if (base === undefined) {
      this.#bases.set(bytes.buffer, base = this.#next);
      this.#next += BigInt(bytes.buffer.byteLength + 0x100);
    }
    return base + BigInt(bytes.byteOffset);
  }

  at(address: bigint, length: number): Uint8Array {
    for (const [buffer, base] of this.#bases) {
      const offset = Number(address - base);
      if (offset >= 0 && offset + length <= buffer.byteLength) return new Uint8Array(buffer, offset, length);
    }
    throw new RangeError(`nothing is at address ${address}`);
  }
}

const flip = (bytes: Uint8Array): Uint8Array<ArrayBuffer> => Uint8Array.from(bytes, (byte) => byte ^ 0x5a);

/** Checks that memory has the size and the alignment of what is written there. */
function fits(bytes: Uint8Array, size: number): void {
  assertEquals([bytes.length, bytes.byteOffset % Math.min(size, 8)], [size, 0]);
}

/** The library; what it answers can be changed. */
export class FakeGss {
  /** The calls so far: the function and its numbers. */
  readonly calls: [fn: string, ...numbers: number[]][] = [];
  /** What was returned and not released. */
  readonly open = new Set<bigint>();
  /** Copies of foreign memory that the caller has made. */
  readonly copies: Uint8Array[] = [];
  /** Buffers whose bytes the caller passed to gss_wrap. */
  readonly given: Uint8Array[] = [];
  /** The status of the next calls, and the minor status with which they fail. */
  major = 0;
  minor = MINOR;
  /** Whether gss_wrap returns a record also where it fails. */
  returnsAnyway = true;
  /** Whether records are encrypted where the caller wants it; `null`: the flag is not written. */
  confidential: boolean | null = true;
  /** What the library adds to a record. */
  sizes = { header: 8, padding: (_length: number): number => 0, trailer: 4 };
  /** By how much the lengths that gss_wrap_iov returns differ from these. */
  moved = { header: 0, padding: 0, trailer: 0 };
  /** Where the plain text is in a record, and how much longer it is. */
  shift = 0;
  longer = 0;
  /** What the context reports of itself; `null`: nothing. */
  lucid: Partial<Values<typeof LUCID_V1_FIELDS>> | null = null;
  /** Whether the set of buffers that describes the context is empty. */
  emptySets = false;
  sessionKey: Uint8Array | null = null;
  authorizationData: Uint8Array | null = null;
  /** The text of the context's names; empty: it has none. */
  name = "";
  readonly gss: Gss;
  readonly #space = new Space();
  readonly #texts = new Map<bigint, string>();
  /** The entries of the key table. */
  keys: { readonly name: string; readonly enctype: number; readonly key: Uint8Array }[] = [];
  /** False while the library is opened, which keeps no configuration then. */
  started = false;
  /** The function of libkrb5 that fails. */
  failing = "";

  constructor(maxRecords?: number) {
    const read = (address: bigint, length: number): Uint8Array => {
      const copy = pinned(length);
      copy.set(this.#space.at(address, length));
      this.copies.push(copy);
      return copy;
    };
    const memory: Partial<Memory> = {
      addressOf: (bytes) => this.#space.addressOf(bytes),
      read,
      readInto: (address, into) => {
        into.set(this.#space.at(address, into.length));
        this.copies.push(into);
      },
      cString: (address) => this.#texts.get(address)!,
      write: (address, bytes) => this.#space.at(address, bytes.length).set(bytes),
    };
    const call = this.#table();
    const system = {
      hold: () => () => {},
      seams: { maxRecords },
      platform: { os: "linux", arch: "x86_64" },
      library: () => ({ call, threaded: call }),
      memory: () => memory,
    };
    this.gss = new Gss(system as unknown as NativeSystem);
    this.started = true;
  }

  /** The address of new bytes of the library. */
  place(bytes: Uint8Array): bigint {
    return this.#space.addressOf(pinnedCopy(bytes));
  }

  #allocate(bytes: Uint8Array): bigint {
    const address = this.place(bytes);
    this.open.add(address);
    return address;
  }

  #return(desc: Uint8Array, bytes: Uint8Array): void {
    fits(desc, 16);
    const view = dataView(desc);
    view.setBigUint64(0, BigInt(bytes.length), true);
    view.setBigUint64(8, this.#allocate(bytes), true);
  }

  #bytes(desc: Uint8Array): Uint8Array {
    const view = dataView(desc);
    return this.#space.at(view.getBigUint64(8, true), Number(view.getBigUint64(0, true)));
  }

  #flag(conf: Uint8Array, encrypted: boolean): void {
    fits(conf, 4);
    if (this.confidential !== null) dataView(conf).setUint32(0, encrypted && this.confidential ? 1 : 0, true);
  }

  #status(minor: Uint8Array, context: bigint): number {
    fits(minor, 4);
    assertEquals(context, CONTEXT);
    dataView(minor).setInt32(0, this.major >= 0x10000 ? this.minor : 0, true);
    return this.major;
  }

  #iov(iov: Uint8Array, count: number): {
    readonly type: number;
    length: number;
    readonly bytes: () => Uint8Array;
    value: bigint;
  }[] {
    const view = dataView(iov);
    return Array.from({ length: count }, (_, index) => {
      const at = index * 24;
      const space = this.#space;
      return {
        type: view.getUint32(at, true),
        get length() {
          return Number(view.getBigUint64(at + 8, true));
        },
        set length(length) {
          view.setBigUint64(at + 8, BigInt(length), true);
        },
        set value(value: bigint) {
          view.setBigUint64(at + 16, value, true);
        },
        get value() {
          return view.getBigUint64(at + 16, true);
        },
        bytes() {
          return this.length === 0 ? new Uint8Array() : space.at(this.value, this.length);
        },
      };
    });
  }

  #table() {
    const log = (fn: string, ...numbers: number[]): void => void this.calls.push([fn, ...numbers]);
    const opens = (fn: string, out: Uint8Array): number => {
      fits(out, 8);
      if (this.failing === fn) return 13;
      dataView(out).setBigUint64(0, this.#allocate(pinned(8)), true);
      return 0;
    };
    const closes = (address: bigint): number => {
      assert(this.open.delete(address), "something is closed twice");
      return 0;
    };
    let [entry, table] = [0, 0n];
    const opensTable = (fn: string, out: Uint8Array): number => {
      const status = opens(fn, out);
      table = dataView(out).getBigUint64(0, true);
      return status;
    };
    return {
      krb5_init_context: (out: Uint8Array) => this.started ? opens("krb5_init_context", out) : 1,
      krb5_free_context: closes,
      krb5_kt_default: (_context: bigint, out: Uint8Array) => opensTable("krb5_kt_default", out),
      krb5_kt_resolve: (_context: bigint, name: Uint8Array, out: Uint8Array) => {
        assertEquals(new TextDecoder().decode(name), "FILE:/keys\0");
        return opensTable("krb5_kt_resolve", out);
      },
      krb5_kt_close: (_context: bigint, given: bigint) => {
        assertEquals(given, table);
        return closes(given);
      },
      krb5_kt_start_seq_get: (_context: bigint, given: bigint, cursor: Uint8Array) => {
        assertEquals(given, table);
        entry = 0;
        return opens("krb5_kt_start_seq_get", cursor);
      },
      krb5_kt_end_seq_get: (_context: bigint, given: bigint, cursor: Uint8Array) => {
        assertEquals(given, table);
        return closes(dataView(cursor).getBigUint64(0, true));
      },
      krb5_kt_next_entry: (_context: bigint, given: bigint, bytes: Uint8Array) => {
        assertEquals(given, table);
        const layout = this.gss.build.layouts.keytabEntry;
        fits(bytes, layout.size);
        if (this.failing === "krb5_kt_next_entry" && entry === 1) return 13;
        if (entry === this.keys.length) return KRB5_KT_END;
        const { name, enctype, key } = this.keys[entry++];
        const principal = this.#allocate(pinned(8));
        this.#texts.set(principal, name);
        layout.write(dataView(bytes), {
          principal,
          key_enctype: enctype,
          key_length: key.length,
          key_contents: this.place(key),
        });
        return 0;
      },
      krb5_free_keytab_entry_contents: (_context: bigint, bytes: Uint8Array) =>
        closes(this.gss.build.layouts.keytabEntry.read(dataView(bytes)).principal),
      krb5_unparse_name: (_context: bigint, principal: bigint, out: Uint8Array) => {
        const status = opens("krb5_unparse_name", out);
        if (status === 0) {
          this.#texts.set(dataView(out).getBigUint64(0, true), this.#texts.get(principal)!);
        }
        return status;
      },
      krb5_free_unparsed_name: (_context: bigint, text: bigint) => closes(text),
      gss_display_status: () => 13 << 16,
      gss_release_buffer: (_minor: Uint8Array, desc: Uint8Array) => {
        // The pointer stays, so that a second use of it is noticed.
        assert(this.open.delete(dataView(desc).getBigUint64(8, true)), "a buffer is released twice");
        return 0;
      },
      gss_release_buffer_set: (_minor: Uint8Array, set: Uint8Array) => {
        this.open.delete(dataView(set).getBigUint64(0, true));
        return 0;
      },
      gss_inquire_context: (_minor: Uint8Array, context: bigint, _source: null, target: Uint8Array) => {
        assertEquals(context, CONTEXT);
        if (this.name !== "") dataView(target).setBigUint64(0, this.#allocate(pinned(1)), true);
        return 0;
      },
      gss_display_name: (_minor: Uint8Array, name: bigint, text: Uint8Array) => {
        assert(this.open.has(name), "there is no such name");
        this.#return(text, new TextEncoder().encode(this.name));
        return 0;
      },
      gss_release_name: (_minor: Uint8Array, name: Uint8Array) => {
        assert(this.open.delete(dataView(name).getBigUint64(0, true)), "a name is released twice");
        return 0;
      },
      gss_krb5_free_lucid_sec_context: (_minor: Uint8Array, address: bigint) => {
        this.open.delete(address);
        return 0;
      },
      gss_inquire_sec_context_by_oid: (
        minor: Uint8Array,
        context: bigint,
        oid: Uint8Array,
        set: Uint8Array,
      ) => {
        const { layouts } = this.gss.build;
        fits(set, 8);
        const status = this.#status(minor, context);
        if (status >= 0x10000) return status;
        let value: Uint8Array | null;
        if (oid === this.gss.oids.lucidV1) {
          if (this.lucid === null) return GSS_S.UNAVAILABLE;
          const lucid = pinned(layouts.lucid.size);
          layouts.lucid.write(dataView(lucid), this.lucid);
          value = this.emptySets ? null : pinned(8);
          if (value !== null) dataView(value).setBigUint64(0, this.#allocate(lucid), true);
        } else value = oid === this.gss.oids.ifRelevant ? this.authorizationData : this.sessionKey;
        const buffer = pinned(value === null ? 0 : 16);
        if (value !== null) {
          layouts.buffer.write(dataView(buffer), {
            length: BigInt(value.length),
            value: this.#space.addressOf(value),
          });
        }
        const head = pinned(16);
        layouts.bufferSet.write(dataView(head), {
          count: BigInt(buffer.length / 16),
          elements: this.#space.addressOf(buffer),
        });
        dataView(set).setBigUint64(0, this.#allocate(head), true);
        return 0;
      },
      gss_wrap: (
        minor: Uint8Array,
        context: bigint,
        encrypt: number,
        qop: number,
        input: Uint8Array,
        conf: Uint8Array,
        output: Uint8Array,
      ) => {
        log("gss_wrap", encrypt, qop);
        const bytes = this.#bytes(input);
        this.given.push(bytes);
        if (this.major < 0x10000 || this.returnsAnyway) {
          this.#return(output, Uint8Array.from([1, 2, 3, encrypt, ...flip(bytes)]));
        }
        this.#flag(conf, encrypt === 1);
        return this.#status(minor, context);
      },
      gss_unwrap: (
        minor: Uint8Array,
        context: bigint,
        input: Uint8Array,
        output: Uint8Array,
        conf: Uint8Array,
      ) => {
        const record = this.#bytes(input);
        const plain = new Uint8Array(record.length - 4 + this.longer);
        plain.set(flip(record.subarray(4)));
        if (this.major < 0x10000) this.#return(output, plain);
        this.#flag(conf, record[3] === 1);
        return this.#status(minor, context);
      },
      gss_wrap_size_limit: (
        minor: Uint8Array,
        context: bigint,
        encrypt: number,
        qop: number,
        size: number,
        max: Uint8Array,
      ) => {
        log("gss_wrap_size_limit", encrypt, qop, size);
        fits(max, 4);
        dataView(max).setUint32(0, size - 4 - encrypt, true);
        return this.#status(minor, context);
      },
      gss_get_mic: (
        minor: Uint8Array,
        context: bigint,
        qop: number,
        message: Uint8Array,
        token: Uint8Array,
      ) => {
        log("gss_get_mic", qop);
        if (this.major < 0x10000) this.#return(token, flip(this.#bytes(message)));
        return this.#status(minor, context);
      },
      gss_verify_mic: (
        minor: Uint8Array,
        context: bigint,
        message: Uint8Array,
        token: Uint8Array,
      ) => {
        const same = String(flip(this.#bytes(message))) === String(this.#bytes(token));
        const status = this.#status(minor, context);
        return same ? status : 6 << 16;
      },
      gss_wrap_iov_length: (
        minor: Uint8Array,
        context: bigint,
        encrypt: number,
        qop: number,
        _conf: Uint8Array,
        iov: Uint8Array,
        count: number,
      ) => {
        const entries = this.#iov(iov, count);
        log("gss_wrap_iov_length", encrypt, qop, entries[1].length, ...entries.map(({ type }) => type));
        const { header, padding, trailer } = this.sizes;
        entries[0].length = header + (count === 3 ? trailer : 0);
        entries[2].length = padding(entries[1].length);
        if (count === 4) entries[3].length = trailer;
        return this.#status(minor, context);
      },
      gss_wrap_iov: (
        minor: Uint8Array,
        context: bigint,
        encrypt: number,
        qop: number,
        conf: Uint8Array,
        iov: Uint8Array,
        count: number,
      ) => {
        log("gss_wrap_iov", encrypt, qop, count);
        const [header, data, padding, trailer] = this.#iov(iov, count);
        header.bytes().fill(0x11);
        header.bytes()[0] = encrypt;
        data.bytes().set(encrypt ? flip(data.bytes()) : data.bytes());
        padding.bytes().fill(0x22);
        trailer?.bytes().fill(0x33);
        header.length += this.moved.header;
        padding.length += this.moved.padding;
        if (trailer) trailer.length += this.moved.trailer;
        this.#flag(conf, encrypt === 1);
        return this.#status(minor, context);
      },
      gss_unwrap_iov: (
        minor: Uint8Array,
        context: bigint,
        conf: Uint8Array,
        _qop: null,
        iov: Uint8Array,
        count: number,
      ) => {
        const entries = this.#iov(iov, count);
        log("gss_unwrap_iov", count, ...entries.map(({ type, length }) => type * 1000 + length));
        const head = entries[0].bytes();
        if (count === 2) {
          const { header, trailer } = this.sizes;
          entries[1].value = entries[0].value + BigInt(header + this.shift);
          entries[1].length = head.length - header - trailer + this.longer;
        }
        if (this.shift === 0 && this.longer === 0 && head[0] === 1) {
          entries[1].bytes().set(flip(entries[1].bytes()));
        }
        this.#flag(conf, head[0] === 1);
        if (count === 3) head.fill(0);
        return this.#status(minor, context);
      },
    };
  }
}

/** A copy that does not move. */
export function pinnedCopy(bytes: ArrayLike<number>): Uint8Array<ArrayBuffer> {
  const copy = pinned(bytes.length);
  copy.set(bytes);
  return copy;
}

/** What a context's keys begin with. */
export const KEY = Uint8Array.from({ length: 64 }, (_, index) => index + 1);

/** Makes the library report a context of RFC 4121 tokens, with an acceptor's subkey, apart from `changes`. */
export function describe(library: FakeGss, changes: Partial<NonNullable<FakeGss["lucid"]>> = {}): void {
  library.lucid = {
    version: 1,
    initiate: 1,
    send_seq: 21n,
    recv_seq: 34n,
    protocol: 1,
    have_acceptor_subkey: 1,
    cfx_key_type: 18,
    cfx_key_length: 32,
    cfx_key_data: library.place(KEY),
    acceptor_subkey_type: 17,
    acceptor_subkey_length: 16,
    acceptor_subkey_data: library.place(KEY),
    ...changes,
  };
}
