/**
 * Records with `gss_wrap_iov` and `gss_unwrap_iov`, which wrap and unwrap in place. Kerberos supports them.
 *
 * @module
 */

import { ProtocolError, StateError } from "../../../errors.ts";
import { pinned } from "../../memory/memory.ts";
import { GSS_ERROR_MASK, IOV_TYPE } from "../../raw/gssapi.ts";
import { dataView, type Gss } from "./gss.ts";
import { type Opened, Sealing, unexpectedResult } from "./sealing.ts";
import type { Layouts } from "./structs.ts";

const IOV = { header: 0, data: 1, padding: 2, trailer: 3 } as const;

/** The lengths a mechanism adds, where they do not depend on the message. */
interface Sizes {
  readonly header: number;
  readonly padding: number;
  readonly trailer: number;
}

/** Wraps and unwraps in place. */
export class IovSealing extends Sealing {
  readonly #layout: Layouts["iov"];
  readonly #iov: Uint8Array<ArrayBuffer>;
  readonly #view: DataView;
  /** The sizes of signed and of encrypted records; `null`: they depend on the message and are queried each time. */
  readonly #fixed: [signed?: Sizes | null, encrypted?: Sizes | null] = [];
  override readonly maxOverhead: number;

  constructor(gss: Gss, context: bigint, encrypts: boolean) {
    super(gss, context);
    this.#layout = gss.build.layouts.iov;
    this.#iov = pinned(this.#layout.size * 4);
    this.#view = dataView(this.#iov);
    const fixed = this.#fixedSizes(encrypts);
    const { header, trailer } = fixed ?? this.#sizes(4096, encrypts);
    // Block ciphers add one block of padding at most; no mechanism has blocks of more than 64 bytes.
    this.maxOverhead = header + trailer + (fixed ? 0 : 64);
  }

  #fixedSizes(encrypt: boolean): Sizes | null {
    const known = this.#fixed[encrypt ? 1 : 0];
    if (known !== undefined) return known;
    const odd = this.#sizes(1, encrypt);
    const even = this.#sizes(4096, encrypt);
    const same = odd.padding === 0 && even.padding === 0 && odd.header === even.header &&
      odd.trailer === even.trailer;
    return this.#fixed[encrypt ? 1 : 0] = same ? even : null;
  }

  /** Written by hand for speed: it is called for every record. */
  #entry(index: number, type: number, length: number, value: bigint): void {
    const at = index * this.#layout.size;
    this.#view.setUint32(at, type, true);
    this.#view.setBigUint64(at + this.#layout.offsets.length, BigInt(length), true);
    this.#view.setBigUint64(at + this.#layout.offsets.value, value, true);
  }

  #entryLength(index: number): number {
    return Number(this.#view.getBigUint64(index * this.#layout.size + this.#layout.offsets.length, true));
  }

  #entryValue(index: number): bigint {
    return this.#view.getBigUint64(index * this.#layout.size + this.#layout.offsets.value, true);
  }

  /** The sizes that the mechanism adds to a message. In detached records the trailer is part of the header. */
  #sizes(length: number, encrypt: boolean, entries: 3 | 4 = 4): Sizes {
    this.#entry(IOV.header, IOV_TYPE.HEADER, 0, 0n);
    this.#entry(IOV.data, IOV_TYPE.DATA, length, 0n);
    this.#entry(IOV.padding, IOV_TYPE.PADDING, 0, 0n);
    this.#entry(IOV.trailer, IOV_TYPE.TRAILER, 0, 0n);
    const major = this.gss.call.gss_wrap_iov_length(
      this.minor,
      this.context,
      encrypt ? 1 : 0,
      0,
      this.confidential,
      this.#iov,
      entries,
    );
    if ((major & GSS_ERROR_MASK) !== 0) throw this.sealFailure("gss_wrap_iov_length", major);
    return {
      header: this.#entryLength(IOV.header),
      padding: this.#entryLength(IOV.padding),
      trailer: this.#entryLength(IOV.trailer),
    };
  }

  override seal(plain: Uint8Array, out: Uint8Array, encrypt: boolean): Uint8Array {
    const sizes = this.#fixedSizes(encrypt) ?? this.#sizes(plain.length, encrypt);
    const start = this.gss.memory.addressOf(out);
    const dataAt = sizes.header;
    const paddingAt = dataAt + plain.length;
    const trailerAt = paddingAt + sizes.padding;
    const end = trailerAt + sizes.trailer;
    if (end > out.length) throw new RangeError(`out has ${out.length} bytes; this record needs ${end}`);
    out.set(plain, dataAt);
    this.#entry(IOV.header, IOV_TYPE.HEADER, sizes.header, start);
    this.#entry(IOV.data, IOV_TYPE.DATA, plain.length, start + BigInt(dataAt));
    this.#entry(IOV.padding, IOV_TYPE.PADDING, sizes.padding, start + BigInt(paddingAt));
    this.#entry(IOV.trailer, IOV_TYPE.TRAILER, sizes.trailer, start + BigInt(trailerAt));
    this.#wrapIov(sizes, encrypt, 4);
    return out.subarray(0, end);
  }

  #wrapIov(sizes: Sizes, encrypt: boolean, entries: 3 | 4): void {
    this.clearEncrypted();
    const major = this.gss.call.gss_wrap_iov(
      this.minor,
      this.context,
      encrypt ? 1 : 0,
      0,
      this.confidential,
      this.#iov,
      entries,
    );
    if ((major & GSS_ERROR_MASK) !== 0) throw this.sealFailure("gss_wrap_iov", major);
    const moved = this.#entryLength(IOV.header) !== sizes.header ||
      this.#entryLength(IOV.padding) !== sizes.padding ||
      (entries === 4 && this.#entryLength(IOV.trailer) !== sizes.trailer);
    if (moved || (encrypt && !this.encrypted)) throw unexpectedResult("gss_wrap_iov");
  }

  override sealDetached(data: Uint8Array, encrypt: boolean): Uint8Array {
    const sizes = this.#sizes(data.length, encrypt, 3);
    if (sizes.padding > 0) {
      throw new StateError("This context adds padding to its records, so data cannot be wrapped in place");
    }
    const header = pinned(sizes.header);
    this.#entry(IOV.header, IOV_TYPE.HEADER, header.length, this.gss.memory.addressOf(header));
    this.#entry(IOV.data, IOV_TYPE.DATA, data.length, this.gss.memory.addressOf(data));
    this.#entry(IOV.padding, IOV_TYPE.PADDING, 0, 0n);
    this.#wrapIov(sizes, encrypt, 3);
    return header;
  }

  override openDetached(header: Uint8Array, data: Uint8Array): Opened {
    // A copy: opening changes the header, which belongs to the caller.
    const own = pinned(header.length);
    own.set(header);
    this.#entry(IOV.header, IOV_TYPE.HEADER, own.length, this.gss.memory.addressOf(own));
    this.#entry(IOV.data, IOV_TYPE.DATA, data.length, this.gss.memory.addressOf(data));
    this.#entry(IOV.padding, IOV_TYPE.PADDING, 0, 0n);
    this.clearEncrypted();
    const { call } = this.gss;
    const major = call.gss_unwrap_iov(this.minor, this.context, this.confidential, null, this.#iov, 3);
    if ((major & GSS_ERROR_MASK) !== 0) throw this.openFailure("gss_unwrap_iov", major);
    return { major, encrypted: this.encrypted, plain: data };
  }

  override open(record: Uint8Array): Opened {
    const start = this.gss.memory.addressOf(record);
    this.#entry(0, IOV_TYPE.STREAM, record.length, start);
    this.#entry(1, IOV_TYPE.DATA, 0, 0n);
    this.clearEncrypted();
    const { call } = this.gss;
    const major = call.gss_unwrap_iov(this.minor, this.context, this.confidential, null, this.#iov, 2);
    if ((major & GSS_ERROR_MASK) !== 0) throw this.openFailure("gss_unwrap_iov", major);
    return { major, encrypted: this.encrypted, plain: this.#plain(record, start) };
  }

  #plain(record: Uint8Array, start: bigint): Uint8Array {
    const length = this.#entryLength(1);
    if (length === 0) return record.subarray(0, 0);
    const at = Number(this.#entryValue(1) - start);
    if (at >= 0 && at + length <= record.length) return record.subarray(at, at + length);
    throw new ProtocolError(
      "malformed",
      "Cannot open a record: gss_unwrap_iov returned plain text outside the record",
    );
  }
}
