/**
 * What a provider may use. Each default has its reason beside it.
 *
 * @module
 */

/** The limits that an application may set when it loads a provider; each has a default. */
export interface Limits {
  /** Fuel for one call. One unit is about one simple instruction. Default 25,000,000. */
  fuel?: number;
  /** Memory of one instance, in pages of 64 KiB. Default 64. */
  memoryPages?: number;
  /** The largest request or response, in bytes. Default 131,072. */
  messageBytes?: number;
  /** The largest module, in bytes. Default 524,288. */
  moduleBytes?: number;
  /** Entries of the module's table. Default 1,024. */
  tableEntries?: number;
}

/** {@linkcode Limits} with every default filled in. */
export type ResolvedLimits = Readonly<Required<Limits>>;

/** The defaults. */
export const DEFAULT_LIMITS: ResolvedLimits = Object.freeze({
  // An endless loop of any instructions ends after 5 to 25 ms (bench/sandbox.ts), and after 0.1 s on a machine with
  // four times the load. Sealing the largest message with RC4 and HMAC-MD5 takes half of it; an elliptic-curve key
  // agreement fits too. An RSA signature, or a million hashes of a password, may need more.
  fuel: 25_000_000,
  // 4 MiB: four times the largest message, and ample tables. Each connection has its own instance, so a server with
  // a thousand connections stays under 4 GiB even if every guest uses all it may.
  memoryPages: 64,
  // Twice the largest record of [MS-NNS] (64 KiB and its header), which leaves room for any signature.
  messageBytes: 131_072,
  // The time for guarding, compiling and running all of it once is linear in it. Twice the size of libsodium; the
  // NTLM guest has a fourteenth.
  moduleBytes: 524_288,
  // Entries use memory of the host; compilers make one for each function whose address is taken.
  tableEntries: 1_024,
});

/** The largest value that may be set for each limit. */
const CEILINGS: ResolvedLimits = {
  // The counter is a signed 32-bit integer and must not underflow on its last charge.
  fuel: 1_000_000_000,
  // Half of what 32-bit pointers can address.
  memoryPages: 32_768,
  messageBytes: 16_777_216,
  moduleBytes: 16_777_216,
  tableEntries: 65_536,
};

/**
 * Fills in the defaults.
 *
 * @throws TypeError if a key is unknown or a value is not a number; RangeError if it is out of range.
 */
export function resolveLimits(limits: Limits = {}): ResolvedLimits {
  if (typeof limits !== "object" || limits === null) throw new TypeError("limits must be an object");
  for (const [key, value] of Object.entries(limits)) {
    if (!Object.hasOwn(DEFAULT_LIMITS, key)) {
      throw new TypeError(`limits.${key} is not known; use ${Object.keys(DEFAULT_LIMITS).join(", ")}`);
    }
    const ceiling = CEILINGS[key as keyof Limits];
    if (value === undefined) continue;
    if (typeof value !== "number") {
      throw new TypeError(`limits.${key} must be a number, not a ${typeof value}`);
    }
    if (!Number.isInteger(value) || value < 1 || value > ceiling) {
      throw new RangeError(`limits.${key} is ${value}; use a whole number from 1 to ${ceiling}`);
    }
  }
  const given = Object.entries(limits).filter(([, value]) => value !== undefined);
  return Object.freeze({ ...DEFAULT_LIMITS, ...Object.fromEntries(given) });
}

/** Fixed limits of a module's structure; they keep compiling quick and the host's tables small. */
export const STRUCTURE = Object.freeze({
  /**
   * Bytes of one function's body: the engine compiles it in one go, without a pause. Unrolled ciphers have 15 KiB.
   */
  functionBytes: 32_768,
  /** Functions. Each costs the engine some hundred bytes. */
  functions: 10_000,
  /** Local variables of one function: each call sets them to zero, and they take room on the stack. */
  locals: 1_000,
  /** Parameters of a function or block. */
  parameters: 64,
  /** Results of a function or block. */
  results: 16,
  /**
   * Loops, conditions and targets of branch tables in one function. The engine's optimising compiler needs memory
   * in proportion to their square: half a gigabyte for three thousand. A JPEG codec has 907, libsodium 150.
   */
  branches: 1_000,
  /**
   * Values visited while compiling, see compile_work.ts. Compiled programs have less than 100,000 per 100 KiB of
   * module; the worst ones at this limit take the engine a twentieth of a second.
   */
  compileWork: 2_000_000,
  /** Types, globals, imports, exports, element segments and data segments, each. */
  entries: 1_000,
});
