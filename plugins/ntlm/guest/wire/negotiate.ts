/** NEGOTIATE_MESSAGE ([MS-NLMP] 2.2.1.1), the first of three: what the client can do. */

import { Slice } from "../../../sdk/assembly/index";
import { Flag } from "./flags";
import { isMessage, newMessage, VERSION } from "./message";

const TYPE: u32 = 1;

/** Builds the message; neither domain nor workstation is told, as Windows does not either. */
export function writeNegotiate(flags: u32): Slice {
  const message = newMessage(TYPE, 40);
  store<u32>(message.ptr, flags, 12);
  if (flags & Flag.Version) store<u64>(message.ptr, VERSION, 32);
  return message;
}

/** Whether this is such a message. */
export function isNegotiate(message: Slice): bool {
  return isMessage(message, TYPE, 16);
}

/** The flags of such a message. */
export function negotiateFlags(message: Slice): u32 {
  return load<u32>(message.ptr, 12);
}
