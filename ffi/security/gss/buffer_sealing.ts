/**
 * Records with `gss_wrap` and `gss_unwrap`, which return buffers that the library allocates: for mechanisms that
 * cannot wrap in place, such as gss-ntlmssp.
 *
 * @module
 */

import { ProtocolError } from "../../../errors.ts";
import { pinned } from "../../memory/memory.ts";
import { GSS_ERROR_MASK } from "../../raw/gssapi.ts";
import { type Gss, Slots } from "./gss.ts";
import { type Opened, Sealing, unexpectedResult } from "./sealing.ts";

/** More bytes than any record has; size limits are computed for it. */
const LARGE = 1 << 20;

/** Wraps and unwraps through buffers of the library. */
export class BufferSealing extends Sealing {
  readonly #slots = new Slots(16);
  readonly #output = this.#slots.slice(0, 16);
  override readonly maxOverhead: number;

  constructor(gss: Gss, context: bigint, encrypts: boolean) {
    super(gss, context);
    this.maxOverhead = LARGE - this.sizeLimit(LARGE, encrypts);
  }

  override seal(plain: Uint8Array, out: Uint8Array, encrypt: boolean): Uint8Array {
    if (plain.length === 0) {
      throw new RangeError("plain is empty, and this mechanism cannot wrap an empty message");
    }
    const { call, build } = this.gss;
    const copy = pinned(plain.length);
    copy.set(plain);
    this.#output.fill(0);
    this.clearEncrypted();
    const major = call.gss_wrap(
      this.minor,
      this.context,
      encrypt ? 1 : 0,
      0,
      build.buffer(copy),
      this.confidential,
      this.#output,
    );
    const record = this.gss.takeBuffer(this.#output);
    if ((major & GSS_ERROR_MASK) !== 0) throw this.sealFailure("gss_wrap", major);
    if (record.length > out.length || (encrypt && !this.encrypted)) throw unexpectedResult("gss_wrap");
    out.set(record);
    return out.subarray(0, record.length);
  }

  override open(record: Uint8Array): Opened {
    const { call, build } = this.gss;
    this.#output.fill(0);
    this.clearEncrypted();
    const input = build.buffer(record);
    const major = call.gss_unwrap(this.minor, this.context, input, this.#output, this.confidential, null);
    const plain = this.gss.takeBuffer(this.#output);
    if ((major & GSS_ERROR_MASK) !== 0) throw this.openFailure("gss_unwrap", major);
    if (plain.length > record.length) {
      throw new ProtocolError(
        "malformed",
        "Cannot open a record: gss_unwrap returned more bytes than the record has",
      );
    }
    record.set(plain);
    return { major, encrypted: this.encrypted, plain: record.subarray(0, plain.length) };
  }
}
