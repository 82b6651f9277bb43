/** Pieces of memory. The SDK is built for the `stub` runtime: what is allocated is never freed, so wipe and reuse. */

/** A piece of memory somebody else owns: where it stands and how long it is. */
export class Slice {
  constructor(public ptr: usize = 0, public len: u32 = 0) {}

  /** The byte at `index`; traps beyond the end. */
  at(index: u32): u8 {
    if (index >= this.len) unreachable();
    return load<u8>(this.ptr + index);
  }

  /** A copy in fresh memory, which stays. */
  copy(): Slice {
    const place = heap.alloc(max<u32>(this.len, 1));
    memory.copy(place, this.ptr, this.len);
    return new Slice(place, this.len);
  }

  /** The same bytes as UTF-16 text. Text cannot be wiped: not for secrets. */
  text(): string {
    return String.UTF8.decodeUnsafe(this.ptr, this.len);
  }

  /** Overwrites the bytes with zeros. */
  wipe(): void {
    memory.fill(this.ptr, 0, this.len);
  }
}

/** Whether `len` bytes at both addresses are equal; takes the same time wherever they differ. */
export function equal(a: usize, b: usize, len: u32): bool {
  let difference: u32 = 0;
  for (let i: u32 = 0; i < len; i++) difference |= load<u8>(a + i) ^ load<u8>(b + i);
  return difference == 0;
}

/** A buffer that is reused and grows by doubling; what it held is wiped when it moves. */
export class Buffer {
  ptr: usize;
  capacity: u32;

  constructor(capacity: u32) {
    this.ptr = heap.alloc(capacity);
    this.capacity = capacity;
  }

  /** Makes room for `need` bytes, keeping the first `used`. */
  ensure(need: u32, used: u32): void {
    if (need <= this.capacity) return;
    let capacity = this.capacity;
    while (capacity < need) {
      if (capacity >= 0x40000000) unreachable();
      capacity *= 2;
    }
    const place = heap.alloc(capacity);
    memory.copy(place, this.ptr, used);
    memory.fill(this.ptr, 0, this.capacity);
    this.ptr = place;
    this.capacity = capacity;
  }
}
