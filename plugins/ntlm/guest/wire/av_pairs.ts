/** AV pairs ([MS-NLMP] 2.2.2.1): what a server reports about itself, and what a client proves that it received. */

import { Slice } from "../../../sdk/assembly/index";

export enum Av {
  End = 0,
  ComputerName = 1,
  DomainName = 2,
  Flags = 6,
  Timestamp = 7,
  SingleHost = 8,
  TargetName = 9,
  ChannelBindings = 10,
}

/** Bits of `Av.Flags`: the message has a code over all three, and its target came from nobody to be trusted. */
export enum AvFlag {
  CodePresent = 2,
  UntrustedTarget = 4,
}

/** The length of the list with its end; 0 where it has no end, or one of the ids known here twice. */
export function listLength(list: Slice): u32 {
  let at: u32 = 0, seen: u32 = 0;
  while (list.len - at >= 4) {
    const id: u32 = load<u16>(list.ptr + at), len: u32 = load<u16>(list.ptr + at, 2);
    at += 4;
    if (list.len - at < len) return 0;
    at += len;
    if (id == Av.End) return len == 0 ? at : 0;
    if (id < 32) {
      if ((seen & (1 << id)) != 0) return 0;
      seen |= 1 << id;
    }
  }
  return 0;
}

/** The value of `id` in a list that `listLength` has measured, or null. */
export function find(list: Slice, id: u32): Slice | null {
  let at: u32 = 0;
  while (true) {
    const found: u32 = load<u16>(list.ptr + at), len: u32 = load<u16>(list.ptr + at, 2);
    if (found == id) return new Slice(list.ptr + at + 4, len);
    if (found == Av.End) return null;
    at += 4 + len;
  }
}

/** A list under construction, in room that its maker has measured. */
export class List {
  readonly bytes: Slice;

  constructor(room: u32) {
    this.bytes = new Slice(heap.alloc(room), 0);
  }

  /** Appends a pair. */
  add(id: u32, value: Slice): void {
    const place = this.bytes.ptr + this.bytes.len;
    store<u16>(place, id);
    store<u16>(place, value.len, 2);
    memory.copy(place + 4, value.ptr, value.len);
    this.bytes.len += 4 + value.len;
  }

  /** Appends every pair of a measured list but its end and those a client states itself. */
  addHeard(list: Slice): void {
    let at: u32 = 0;
    while (true) {
      const id: u32 = load<u16>(list.ptr + at), len: u32 = load<u16>(list.ptr + at, 2);
      if (id == Av.End) return;
      const own = id == Av.Flags || id == Av.SingleHost || id == Av.TargetName || id == Av.ChannelBindings;
      if (!own) this.add(id, new Slice(list.ptr + at + 4, len));
      at += 4 + len;
    }
  }
}
