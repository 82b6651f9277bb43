/**
 * Signing and sealing with extended session security and key exchange over a connection ([MS-NLMP] 3.4): each
 * direction has its keys, its cipher, which runs on from record to record, and its numbers.
 *
 * A record is its signature (version 1, eight bytes of code, number) and then the data.
 */

import { equal, ProtocolReason, Slice } from "../../sdk/assembly/index";
import { HMAC_SIZE, hmacBegin, hmacEnd, hmacSchedule } from "./crypto/hmac_md5";
import { md5Update } from "./crypto/md5";
import { rc4, RC4_SIZE, rc4Init } from "./crypto/rc4";
import { decryptAndDigest, encryptAndDigest } from "./crypto/one_pass";
import { deriveKey, KEY_SIZE } from "./proof";

/** Bytes of a signature, and so of all that a record adds. */
export const SIGNATURE_SIZE: u32 = 16;

const NUMBER_SIZE: usize = 4;

/** What checks answer where nothing is wrong; else it is one of `ProtocolReason`. */
export const FINE: i32 = -1;

const TO_SERVER_SIGNING = "session key to client-to-server signing key magic constant";
const TO_SERVER_SEALING = "session key to client-to-server sealing key magic constant";
const TO_CLIENT_SIGNING = "session key to server-to-client signing key magic constant";
const TO_CLIENT_SEALING = "session key to server-to-client sealing key magic constant";

const CODE: usize = memory.data(16, 16);
const EXPECTED: usize = memory.data(16, 16);
const SAVED: usize = memory.data(1032, 16);

/** One direction of a session. */
export class Direction {
  private readonly schedule: usize = heap.alloc(HMAC_SIZE);
  private readonly cipher: usize = heap.alloc(RC4_SIZE);
  /** The number of the next message; wider than what the wire holds, so that running out shows. */
  number: u64 = 0;
  /** Whether the last record that `unwrapEither` opened was sealed. */
  wasSealed: bool = false;

  /** Derives the keys of the direction to the server, or to the client. */
  begin(sessionKey: usize, toServer: bool): void {
    deriveKey(sessionKey, toServer ? TO_SERVER_SIGNING : TO_CLIENT_SIGNING, CODE);
    hmacSchedule(CODE, KEY_SIZE, this.schedule);
    deriveKey(sessionKey, toServer ? TO_SERVER_SEALING : TO_CLIENT_SEALING, CODE);
    rc4Init(this.cipher, CODE, KEY_SIZE);
    memory.fill(CODE, 0, KEY_SIZE);
    this.number = 0;
  }

  /** Whether no number is left. */
  exhausted(): bool {
    return this.number > 0xffffffff;
  }

  /** Writes the signature of the next message to `to`. */
  sign(message: usize, len: u32, to: usize): void {
    this.beginSignature();
    md5Update(message, len);
    this.endSignature(to);
  }

  private beginSignature(): void {
    store<u32>(CODE, <u32> this.number);
    hmacBegin(this.schedule);
    md5Update(CODE, NUMBER_SIZE);
  }

  private endSignature(to: usize): void {
    hmacEnd(this.schedule, CODE);
    store<u32>(to, 1);
    rc4(this.cipher, CODE, to + 4, 8);
    store<u32>(to, <u32> this.number, 12);
    this.number++;
  }

  /** Writes the record of the next message to `to`: 16 bytes more than the message. */
  wrap(message: usize, len: u32, sealed: bool, to: usize): void {
    if (!sealed) {
      memory.copy(to + SIGNATURE_SIZE, message, len);
      return this.sign(message, len, to);
    }
    this.beginSignature();
    encryptAndDigest(this.cipher, message, to + SIGNATURE_SIZE, len, NUMBER_SIZE);
    this.endSignature(to);
  }

  /** Opens a record of at least 16 bytes to `to`. Where it is refused, the direction is of no more use. */
  unwrap(record: usize, len: u32, sealed: bool, to: usize): i32 {
    const problem = this.misnumbered(record);
    if (problem != FINE) return problem;
    const data = len - SIGNATURE_SIZE;
    if (sealed) {
      this.beginSignature();
      decryptAndDigest(this.cipher, record + SIGNATURE_SIZE, to, data, NUMBER_SIZE);
      this.endSignature(EXPECTED);
    } else {
      memory.copy(to, record + SIGNATURE_SIZE, data);
      this.sign(to, data, EXPECTED);
    }
    if (equal(EXPECTED, record, SIGNATURE_SIZE)) return FINE;
    memory.fill(to, 0, data);
    return ProtocolReason.Altered;
  }

  /**
   * Opens a record of at least 16 bytes, sealed or only signed, to `to`: nothing on the wire says which, so the
   * signature does. `wasSealed` then has it.
   */
  unwrapEither(record: usize, len: u32, to: usize): i32 {
    const number = this.number;
    memory.copy(SAVED, this.cipher, RC4_SIZE);
    let problem = this.unwrap(record, len, true, to);
    // A record of nothing is the same either way, and nothing proves that it was sealed.
    this.wasSealed = problem == FINE && len > SIGNATURE_SIZE;
    if (problem == ProtocolReason.Altered) {
      memory.copy(this.cipher, SAVED, RC4_SIZE);
      this.number = number;
      problem = this.unwrap(record, len, false, to);
    }
    memory.fill(SAVED, 0, RC4_SIZE);
    return problem;
  }

  /** Checks the signature of the next message. One that is refused changes nothing. */
  verify(message: usize, len: u32, signature: usize): i32 {
    return this.check(message, len, signature, false);
  }

  /** Signs without moving the cipher on, as SPNEGO's list of mechanisms is signed ([MS-SPNG] 3.3.5.1). */
  signApart(message: Slice, to: usize): void {
    memory.copy(SAVED, this.cipher, RC4_SIZE);
    this.sign(message.ptr, message.len, to);
    this.restore();
  }

  /** Checks what `signApart` wrote. */
  verifyApart(message: Slice, signature: Slice): i32 {
    if (signature.len != SIGNATURE_SIZE) return ProtocolReason.Malformed;
    return this.check(message.ptr, message.len, signature.ptr, true);
  }

  private check(message: usize, len: u32, signature: usize, apart: bool): i32 {
    const problem = this.misnumbered(signature);
    if (problem != FINE) return problem;
    memory.copy(SAVED, this.cipher, RC4_SIZE);
    this.sign(message, len, EXPECTED);
    const fine = equal(EXPECTED, signature, SIGNATURE_SIZE);
    if (apart || !fine) this.restore();
    else memory.fill(SAVED, 0, RC4_SIZE);
    if (!fine) this.number--;
    return fine ? FINE : ProtocolReason.Altered;
  }

  private restore(): void {
    memory.copy(this.cipher, SAVED, RC4_SIZE);
    memory.fill(SAVED, 0, RC4_SIZE);
  }

  wipe(): void {
    memory.fill(this.schedule, 0, HMAC_SIZE);
    memory.fill(this.cipher, 0, RC4_SIZE);
    memory.fill(CODE, 0, SIGNATURE_SIZE);
    memory.fill(EXPECTED, 0, SIGNATURE_SIZE);
    this.number = 0;
  }

  // The number travels in clear and is looked at first, so that a record in the wrong order does not disturb the cipher.
  private misnumbered(signature: usize): i32 {
    const number: u64 = load<u32>(signature, 12);
    if (this.exhausted()) return ProtocolReason.SequenceExhausted;
    if (number < this.number) return ProtocolReason.Replayed;
    return number > this.number ? ProtocolReason.Gap : FINE;
  }
}
