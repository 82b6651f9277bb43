/**
 * What a provider may use up. Each default has its reason beside it.
 *
 * @module
 */

/** The limits an application may set when it loads a provider; what is left out has its default. */
export interface Limits {
  /** Fuel for one call. One unit is about one simple instruction. Default 40,000,000. */
  fuel?: number;
  /** Memory of one instance, in pages of 64 KiB. Default 64. */
  memoryPages?: number;
  /** The largest request or response, in bytes. Default 131,072. */
  messageBytes?: number;
  /** The largest module, in bytes. Default 1,048,576. */
  moduleBytes?: number;
  /** Entries of the module's table. Default 1,024. */
  tableEntries?: number;
}

/** {@linkcode Limits} with every default filled in. */
export type ResolvedLimits = Readonly<Required<Limits>>;

/** The defaults. */
export const DEFAULT_LIMITS: ResolvedLimits = Object.freeze({
  // An endless loop ends after 20 to 80 ms, whatever it is made of. Sealing the largest record with RC4 and
  // HMAC-MD5 takes a tenth of this; a public-key handshake in WebAssembly fits too, deriving keys by a million hashes does not.
  fuel: 40_000_000,
  // 4 MiB: the largest message four times over and ample tables. Each connection has an instance of its own,
  // so a server with a thousand connections stays under 4 GiB even if every guest takes all it may.
  memoryPages: 64,
  // Twice the largest record of [MS-NNS] (64 KiB and its header), which leaves room for any signature.
  messageBytes: 131_072,
  // Guarding and compiling are linear in it, some 20 ms for this; the NTLM guest is a twentieth of it.
  moduleBytes: 1_048_576,
  // Entries cost the host memory; compilers make one for each function whose address is taken.
  tableEntries: 1_024,
});

/** The largest value that may be set for each limit. */
const CEILINGS: ResolvedLimits = {
  // The counter is a signed 32-bit integer and must not run below its smallest value on its last charge.
  fuel: 1_000_000_000,
  // Half of what 32-bit pointers reach.
  memoryPages: 32_768,
  messageBytes: 16_777_216,
  moduleBytes: 16_777_216,
  tableEntries: 65_536,
};

/**
 * Fills in the defaults.
 *
 * @throws TypeError where a key is unknown or a value no number; RangeError where it is out of range.
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

/** Bounds on a module's structure that nobody needs to set; they keep compiling quick and the host's tables small. */
export const STRUCTURE = Object.freeze({
  /** Bytes of one function's body. Compilers of the engine are not linear in it; hand-unrolled ciphers have 20 KiB. */
  functionBytes: 65_536,
  /** Functions. Each costs the engine some hundred bytes. */
  functions: 10_000,
  /** Local variables of one function: they are set to zero on each call and take room on the stack. */
  locals: 1_000,
  /** Parameters of a function or block. */
  parameters: 64,
  /** Results of a function or block. */
  results: 16,
  /** Types, globals, imports, exports, element segments and data segments, each. */
  entries: 1_000,
});
