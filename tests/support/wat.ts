/** Compiles WebAssembly text to bytes, with two abbreviations that keep hand-written test modules small. */

import wabtFactory from "wabt";

const FEATURES = {
  mutable_globals: true,
  sat_float_to_int: true,
  sign_extension: true,
  multi_value: true,
  bulk_memory: true,
} as const;

const wabt = await wabtFactory();

/**
 * Compiles `text` without validating it. `extra` switches on features a provider may not use.
 *
 * `{{20 TEXT}}` stands for TEXT twenty times, `{{NAME}}` for `pieces[NAME]`.
 */
export function compileWat(
  name: string,
  text: string,
  extra: readonly string[] = [],
  pieces: Readonly<Record<string, string>> = {},
): Uint8Array<ArrayBuffer> {
  const features = { ...FEATURES, ...Object.fromEntries(extra.map((feature) => [feature, true])) };
  const expanded = repeat(text.replace(/\{\{([a-z_]+)\}\}/g, (_, piece: string) => pieces[piece]));
  const module = wabt.parseWat(name, expanded, features);
  try {
    return Uint8Array.from(module.toBinary({}).buffer);
  } finally {
    module.destroy();
  }
}

/** Expands `{{20 TEXT}}`. */
export function repeat(text: string): string {
  return text.replace(
    /\{\{(\d+) ([^{}]*)\}\}/g,
    (_, count: string, piece: string) => `${piece} `.repeat(Number(count)),
  );
}
