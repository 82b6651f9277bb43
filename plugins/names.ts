/**
 * The names of policies, providers and mechanisms, and which of them are reserved: the built-in names belong to the
 * providers of this package, also as a part of a longer name or in a look-alike spelling.
 *
 * @module
 */

import type { Policy, Provider } from "../contract.ts";

/** Lower case only: a policy that denies "NTLM" must not allow "ntlm". */
const NAME = /^[a-z][a-z0-9._-]{0,63}$/;

/** The rule for a provider's name, in words. */
export const NAME_RULE = 'a lower-case letter, then at most 63 of a-z, 0-9, ".", "_" and "-"';

/** Whether `name` may be a provider's name. */
export function isProviderName(name: unknown): name is string {
  return typeof name === "string" && NAME.test(name);
}

/** The providers of this package; the mechanisms of `negotiate` are among them. */
const BUILT_IN: readonly string[] = ["negotiate", "kerberos", "ntlm", "ipsec"];

/** The names of built-in providers and their mechanisms, here and elsewhere, with the name that policies use. */
const STEMS: { readonly [stem: string]: string } = {
  negotiate: "negotiate",
  spnego: "negotiate",
  negoex: "negotiate",
  kerberos: "kerberos",
  krb5: "kerberos",
  iakerb: "kerberos",
  ntlm: "ntlm",
  ipsec: "ipsec",
  authip: "ipsec",
  schannel: "schannel",
  credssp: "credssp",
  gssapi: "gssapi",
  sspi: "sspi",
};

/** Digits and pairs of letters that look like a letter, with that letter; `i` and `l` look alike too. */
const LOOK_ALIKES: readonly [RegExp, string][] = [
  [/0/g, "o"],
  [/[1i|!]/g, "l"],
  [/3/g, "e"],
  [/4/g, "a"],
  [/5/g, "s"],
  [/7/g, "t"],
  [/8/g, "b"],
  [/9/g, "g"],
  [/rn/g, "m"],
  [/nn/g, "m"],
  [/vv/g, "w"],
];

function look(text: string): string {
  return LOOK_ALIKES.reduce((seen, [what, as]) => seen.replace(what, as), text);
}

const STEM_LOOKS = Object.entries(STEMS).map(([stem, owner]) => ({ stem, seen: look(stem), owner }));

/**
 * Returns the built-in name that `name` is or contains, for instance `"kerberos"` for `kerberos-v5` and `krb5`;
 * `null` if there is none. A built-in name counts anywhere in it; a look-alike, or a name with separators inside,
 * counts at the beginning of a word.
 */
export function builtInName(name: string): string | null {
  const text = name.toLowerCase();
  const words = text.split(/[^a-z0-9|!]+/);
  const tails = words.map((_, index) => look(words.slice(index).join("")));
  const found = STEM_LOOKS.find(({ stem, seen }) =>
    text.includes(stem) || tails.some((tail) => tail.startsWith(seen))
  );
  return found?.owner ?? null;
}

/** Which of the denied names denies a provider or mechanism: its own name, or the built-in name that it contains. */
export function deniedBy(denied: readonly string[] | undefined, name: string): string | null {
  if (!denied || denied.length === 0) return null;
  const builtIn = builtInName(name);
  return denied.find((one) => one === name || one === builtIn) ?? null;
}

/** Names of a policy that have no effect, because no provider or mechanism has such a name. */
export interface UnknownNames {
  /** The list that contains them. */
  readonly list: "order" | "deny";
  /** The names. */
  readonly names: readonly string[];
  /** The names that have an effect there. */
  readonly known: readonly string[];
}

/** The names in `policy` that are neither built in nor known to `providers`. */
export function unknownNames(policy: Policy, providers: readonly Provider[]): readonly UnknownNames[] {
  const serving = [...BUILT_IN, ...providers.map(({ name }) => name)];
  const negotiated = providers.flatMap(({ description }) => description.mechanisms ?? []);
  return (["order", "deny"] as const).flatMap((list) => {
    const known = [...new Set(list === "order" ? serving : [...serving, ...negotiated])];
    const names = (policy[list] ?? []).filter((name) => !known.includes(name));
    return names.length === 0 ? [] : [{ list, names, known }];
  });
}
