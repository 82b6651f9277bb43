/** The tokens of SPNEGO (RFC 4178 4.2) as far as one mechanism needs them. */

import { equal, Slice } from "../../../sdk/assembly/index";
import { DerReader, DerWriter, Tag } from "./der";

/** No token comes near it; it bounds what a peer can make this end keep. */
export const LONGEST_TOKEN: u32 = 32768;

// 1.3.6.1.5.5.2 and 1.3.6.1.4.1.311.2.2.10.
const SPNEGO: usize = memory.data<u8>([0x2b, 0x06, 0x01, 0x05, 0x05, 0x02]);
const NTLM: usize = memory.data<u8>([0x2b, 0x06, 0x01, 0x04, 0x01, 0x82, 0x37, 0x02, 0x02, 0x0a]);
const NTLM_LEN: u32 = 10;
const BYTE: usize = memory.data(1);

export enum NegState {
  Absent = -1,
  Completed = 0,
  Incomplete = 1,
  Reject = 2,
  RequestMic = 3,
}

/** Whether an object identifier is that of NTLM. */
export function isNtlmMechanism(identifier: Slice): bool {
  return identifier.len == NTLM_LEN && equal(identifier.ptr, NTLM, NTLM_LEN);
}

/** The list of mechanisms that this end offers: NTLM alone. Both ends sign it as it went over the wire. */
export function ownMechanisms(): Slice {
  const out = new DerWriter(16);
  out.put(NTLM, NTLM_LEN);
  out.wrap(Tag.ObjectIdentifier, NTLM_LEN);
  out.wrap(Tag.Sequence, out.bytes.len);
  return out.bytes;
}

/** NegTokenInit: what the client offers, and perhaps a first message for the mechanism it likes best. */
export class Init {
  /** The list of mechanisms as it went over the wire. */
  mechanisms: Slice = new Slice();
  /** Where NTLM stands in it; -1 where it does not. */
  rank: i32 = -1;
  message: Slice | null = null;

  /** Reads the token; null where it is not one. */
  static read(token: Slice): Init | null {
    if (token.len > LONGEST_TOKEN) return null;
    const frame = new DerReader(token), framed = frame.take(Tag.Application);
    if (framed === null || !frame.done()) return null;
    const inner = new DerReader(framed), identifier = inner.take(Tag.ObjectIdentifier);
    if (identifier === null || identifier.len != 6 || !equal(identifier.ptr, SPNEGO, 6)) return null;
    const choice = inner.take(Tag.Context);
    if (choice === null || !inner.done()) return null;
    const sequence = new DerReader(choice), fields = sequence.take(Tag.Sequence);
    if (fields === null || !sequence.done()) return null;
    return Init.readFields(new DerReader(fields));
  }

  private static readFields(fields: DerReader): Init | null {
    const init = new Init(), outer = fields.take(Tag.Context);
    if (outer === null) return null;
    const whole = new DerReader(outer), list = whole.take(Tag.Sequence);
    if (list === null || !whole.done()) return null;
    init.mechanisms = outer;
    const identifiers = new DerReader(list);
    for (let rank = 0; !identifiers.done(); rank++) {
      const identifier = identifiers.take(Tag.ObjectIdentifier);
      if (identifier === null) return null;
      if (init.rank < 0 && isNtlmMechanism(identifier)) init.rank = rank;
    }
    // Flags are obsolete (RFC 4178 4.2.1); a hint or a code after the message says nothing in a first token.
    fields.take(Tag.Context + 1);
    init.message = fields.takeInside(2, Tag.OctetString);
    fields.take(Tag.Context + 3);
    fields.take(Tag.Context + 4);
    return fields.done() ? init : null;
  }
}

/** Builds NegTokenInit with its frame. */
export function writeInit(mechanisms: Slice, message: Slice): Slice {
  const out = new DerWriter(mechanisms.len + message.len + 64);
  out.inside(2, Tag.OctetString, message.ptr, message.len);
  const before = out.bytes.len;
  out.put(mechanisms.ptr, mechanisms.len);
  out.wrap(Tag.Context, out.bytes.len - before);
  out.wrap(Tag.Sequence, out.bytes.len);
  out.wrap(Tag.Context, out.bytes.len);
  out.put(SPNEGO, 6);
  out.wrap(Tag.ObjectIdentifier, 6);
  out.wrap(Tag.Application, out.bytes.len);
  return out.bytes;
}

/** NegTokenResp: every further token of both ends. */
export class Reply {
  state: NegState = NegState.Absent;
  mechanism: Slice | null = null;
  message: Slice | null = null;
  /** The signature over the list of mechanisms. */
  code: Slice | null = null;

  /** Reads the token; null where it is not one. */
  static read(token: Slice): Reply | null {
    if (token.len > LONGEST_TOKEN) return null;
    const frame = new DerReader(token), choice = frame.take(Tag.Context + 1);
    if (choice === null || !frame.done()) return null;
    const sequence = new DerReader(choice), contents = sequence.take(Tag.Sequence);
    if (contents === null || !sequence.done()) return null;
    const fields = new DerReader(contents), reply = new Reply();
    const state = fields.takeInside(0, Tag.Enumerated);
    if (state !== null) {
      if (state.len != 1 || load<u8>(state.ptr) > 3) return null;
      reply.state = load<u8>(state.ptr);
    }
    reply.mechanism = fields.takeInside(1, Tag.ObjectIdentifier);
    reply.message = fields.takeInside(2, Tag.OctetString);
    reply.code = fields.takeInside(3, Tag.OctetString);
    return fields.done() ? reply : null;
  }
}

/** Builds NegTokenResp. */
export function writeReply(state: NegState, named: bool, message: Slice | null, code: Slice | null): Slice {
  const out = new DerWriter((message === null ? 0 : message.len) + 96);
  if (code !== null) out.inside(3, Tag.OctetString, code.ptr, code.len);
  if (message !== null) out.inside(2, Tag.OctetString, message.ptr, message.len);
  if (named) out.inside(1, Tag.ObjectIdentifier, NTLM, NTLM_LEN);
  store<u8>(BYTE, state);
  out.inside(0, Tag.Enumerated, BYTE, 1);
  out.wrap(Tag.Sequence, out.bytes.len);
  out.wrap(Tag.Context + 1, out.bytes.len);
  return out.bytes;
}
