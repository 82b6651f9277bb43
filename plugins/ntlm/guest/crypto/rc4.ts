/**
 * RC4 over raw memory. The table's entries are words, not bytes: a store that the next load must see whole is
 * forwarded at full speed. The loop is unrolled, so that the fuel charged at its head is small beside its work.
 */

/** Bytes of one cipher's state: the table, then both indices. */
export const RC4_SIZE: usize = 1032;

function entry(state: usize, index: u32): usize {
  return state + (<usize> (index & 255) << 2);
}

/** Moves the second index. */
function move(state: usize, i: u32, j: u32): u32 {
  return j + load<u32>(entry(state, i));
}

/** Swaps the entries of both indices and yields the byte of the key stream they choose. */
function swap(state: usize, i: u32, j: u32): u32 {
  const x = load<u32>(entry(state, i)), y = load<u32>(entry(state, j));
  store<u32>(entry(state, i), y);
  store<u32>(entry(state, j), x);
  return load<u32>(entry(state, x + y));
}

/** Sets up the state at `state` with a key of 1 to 256 bytes. */
export function rc4Init(state: usize, key: usize, length: usize): void {
  for (let i: u32 = 0; i < 256; i++) store<u32>(entry(state, i), i);
  let j: u32 = 0;
  for (let i: u32 = 0, k: usize = 0; i < 256; i++) {
    j = move(state, i, j) + load<u8>(key + k);
    swap(state, i, j);
    if (++k == length) k = 0;
  }
  store<u64>(state, 0, 1024);
}

/** Encrypts or decrypts `length` bytes from `from` to `to`, which may be the same place. */
export function rc4(state: usize, from: usize, to: usize, length: usize): void {
  let i = load<u32>(state, 1024), j = load<u32>(state, 1028), word: u64;
  const whole = from + (length & ~7), end = from + length;
  while (from < whole) {
    j = move(state, i + 1, j);
    word = <u64> swap(state, i + 1, j);
    j = move(state, i + 2, j);
    word |= <u64> swap(state, i + 2, j) << 8;
    j = move(state, i + 3, j);
    word |= <u64> swap(state, i + 3, j) << 16;
    j = move(state, i + 4, j);
    word |= <u64> swap(state, i + 4, j) << 24;
    j = move(state, i + 5, j);
    word |= <u64> swap(state, i + 5, j) << 32;
    j = move(state, i + 6, j);
    word |= <u64> swap(state, i + 6, j) << 40;
    j = move(state, i + 7, j);
    word |= <u64> swap(state, i + 7, j) << 48;
    i += 8;
    j = move(state, i, j);
    word |= <u64> swap(state, i, j) << 56;
    store<u64>(to, load<u64>(from) ^ word);
    from += 8;
    to += 8;
  }
  while (from < end) {
    i++;
    j = move(state, i, j);
    store<u8>(to, load<u8>(from) ^ <u8> swap(state, i, j));
    from++;
    to++;
  }
  store<u32>(state, i, 1024);
  store<u32>(state, j, 1028);
}
