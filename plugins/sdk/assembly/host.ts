/**
 * What a host may grant. The name of this file is the name of the WebAssembly module they are imported from.
 * A function that a guest does not use is not imported.
 */

/** Fills `len` bytes at `ptr` with cryptographic randomness; at most 65,536 at once. */
export declare function random(ptr: usize, len: u32): void;

/** Milliseconds since 1970-01-01 UTC. */
export declare function clock(): i64;

/** One line of UTF-8 for the developer who debugs this guest: level 0 debug, 1 information, 2 warning. Never a secret. */
export declare function log(level: u32, ptr: usize, len: u32): void;
