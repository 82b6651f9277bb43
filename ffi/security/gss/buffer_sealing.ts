/**
 * Records by `gss_wrap` and `gss_unwrap`, which return buffers of the library's own: for mechanisms that cannot do it
 * in place, as gss-ntlmssp.
 *
 * @module
 */

import { ProtocolError } from "../../../errors.ts";
import { pinned } from "../../memory/memory.ts";
import { GSS_ERROR_MASK } from "../../raw/gssapi.ts";
import { type Gss, Slots } from "./gss.ts";
import { brokenPromise, type Opened, Sealing } from "./sealing.ts";

/** A size over any record: what a limit is asked for. */
const LARGE = 1 << 20;

/** Seals and opens by way of the library's buffers. */
export class BufferSealing extends Sealing {
  readonly #slots = new Slots(16);
  readonly #output = this.#slots.slice(0, 16);
  override readonly maxOverhead: number;

  constructor(gss: Gss, context: bigint, encrypts: boolean) {
    super(gss, context);
    this.maxOverhead = LARGE - this.sizeLimit(LARGE, encrypts);
  }

  override seal(plain: Uint8Array, out: Uint8Array, encrypt: boolean): Uint8Array {
    if (plain.length === 0) throw new RangeError("plain is empty, and this mechanism seals no empty records");
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
    if (record.length > out.length || (encrypt && !this.encrypted)) throw brokenPromise("gss_wrap");
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
      throw new ProtocolError("malformed", "Cannot open a record: gss_unwrap made it longer than it was");
    }
    record.set(plain);
    return { major, encrypted: this.encrypted, plain: record.subarray(0, plain.length) };
  }
}
