/** As much of DER as SPNEGO needs: definite lengths, tags of one byte. */

import { Slice } from "../../../sdk/assembly/index";

export enum Tag {
  OctetString = 0x04,
  ObjectIdentifier = 0x06,
  Enumerated = 0x0a,
  Sequence = 0x30,
  /** GSS-API's frame around a first token. */
  Application = 0x60,
  /** The first of the context's own tags. */
  Context = 0xa0,
}

/** Reads elements one after the other. What does not fit yields null and stays unread. */
export class DerReader {
  private at: usize;
  private readonly end: usize;

  constructor(bytes: Slice) {
    this.at = bytes.ptr;
    this.end = bytes.ptr + bytes.len;
  }

  /** Whether everything was read. */
  done(): bool {
    return this.at == this.end;
  }

  /** The contents of the next element where it has this tag. */
  take(tag: u32): Slice | null {
    const left = <u32> (this.end - this.at);
    if (left < 2 || load<u8>(this.at) != <u8> tag) return null;
    let len: u32 = load<u8>(this.at, 1), head: u32 = 2;
    if (len >= 0x80) {
      const count = len & 0x7f;
      if (count == 0 || count > 3 || left - 2 < count) return null;
      len = 0;
      for (let i: u32 = 0; i < count; i++) len = (len << 8) | load<u8>(this.at + 2 + i);
      head += count;
    }
    if (left - head < len) return null;
    const contents = new Slice(this.at + head, len);
    this.at += head + len;
    return contents;
  }

  /** The contents of an element of `inner` tag, alone inside the context's tag of that number. */
  takeInside(context: u32, inner: u32): Slice | null {
    const start = this.at, outer = this.take(Tag.Context + context);
    if (outer !== null) {
      const reader = new DerReader(outer), contents = reader.take(inner);
      if (contents !== null && reader.done()) return contents;
      this.at = start;
    }
    return null;
  }
}

/** Writes from the end to the beginning, so that every length is known when it is written. */
export class DerWriter {
  private readonly start: usize;
  private readonly end: usize;
  private at: usize;

  constructor(room: u32) {
    this.start = heap.alloc(room);
    this.end = this.start + room;
    this.at = this.end;
  }

  /** What was written so far. */
  get bytes(): Slice {
    return new Slice(this.at, <u32> (this.end - this.at));
  }

  /** Puts raw bytes before what is there. */
  put(ptr: usize, len: u32): void {
    if (this.at - this.start < len) unreachable();
    this.at -= len;
    memory.copy(this.at, ptr, len);
  }

  private byte(value: u32): void {
    if (this.at == this.start) unreachable();
    store<u8>(--this.at, value);
  }

  /** Puts a tag and a length before the last `len` bytes. */
  wrap(tag: u32, len: u32): void {
    if (len < 0x80) this.byte(len);
    else {
      let count: u32 = 0;
      for (let rest = len; rest != 0; rest >>= 8, count++) this.byte(rest & 0xff);
      this.byte(0x80 | count);
    }
    this.byte(tag);
  }

  /** Puts an element of `inner` tag inside the context's tag of that number. */
  inside(context: u32, inner: u32, ptr: usize, len: u32): void {
    const before = this.bytes.len;
    this.put(ptr, len);
    this.wrap(inner, len);
    this.wrap(Tag.Context + context, this.bytes.len - before);
  }
}
