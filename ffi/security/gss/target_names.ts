/**
 * Keeps the names of servers that credentials were used for, in the mechanism's internal form.
 *
 * A name as the application typed it is converted to that form again in every step of every handshake, and each
 * conversion reads the Kerberos configuration. With kept names, the second handshake with a server costs a fifth
 * less.
 *
 * @module
 */

import type { Gss } from "./gss.ts";
import { describeUsed } from "./krb5.ts";

/**
 * How the name is used: by Kerberos alone, by SPNEGO with Kerberos alone, or by SPNEGO with mechanisms that are not
 * known yet, which accept it only as it was typed.
 */
export type NameForm = "kerberos" | "spnego-kerberos" | "as-typed";

interface Kept {
  readonly handle: bigint;
  references: number;
}

/** How many unused names are kept. With more servers than this in turn, no conversion is saved. */
const MAX_IDLE = 16;

/** A bounded map of names. A name is released when the map is full, or by {@linkcode TargetNames.close}. */
export class TargetNames {
  readonly #gss: Gss;
  readonly #form: NameForm;
  readonly #names = new Map<string, Kept>();

  constructor(gss: Gss, form: NameForm) {
    this.#gss = gss;
    this.#form = form;
  }

  /**
   * Returns the name's handle. The caller ends its use with `release()` and does not release the handle itself.
   *
   * @throws AuthenticationError where `target` is not a principal name.
   */
  acquire(target: string): bigint {
    let kept = this.#names.get(target);
    if (kept === undefined) {
      kept = { handle: importTarget(this.#gss, target, this.#form), references: 0 };
      this.#names.set(target, kept);
    }
    kept.references++;
    return kept.handle;
  }

  /** Ends one use. */
  release(target: string): void {
    const kept = this.#names.get(target);
    if (kept === undefined || --kept.references > 0 || this.#names.size <= MAX_IDLE) return;
    this.#gss.releaseName(kept.handle);
    this.#names.delete(target);
  }

  /** Releases every name; none may be in use. */
  close(): void {
    for (const { handle } of this.#names.values()) this.#gss.releaseName(handle);
    this.#names.clear();
  }
}

/** Imports the server's name in the given form. */
function importTarget(gss: Gss, target: string, form: NameForm): bigint {
  if (form === "as-typed") return importForAny(gss, target);
  const doing = `use the name ${JSON.stringify(target)}`;
  const { kerberos, spnego } = gss.oids;
  const replaced = (name: bigint, replace: (name: bigint) => bigint): bigint => {
    try {
      return replace(name);
    } finally {
      gss.releaseName(name);
    }
  };
  const typed = gss.importName(target, "principalName");
  const hints = { used: () => describeUsed(gss, {}) };
  const own = replaced(typed, (name) => gss.canonicalName(name, kerberos, doing, hints));
  if (form === "kerberos") return own;
  // SPNEGO passes its name to Kerberos unchanged, so the name must be in Kerberos' form already.
  const portable = replaced(own, (name) => gss.portableName(name, doing));
  return replaced(portable, (name) => gss.canonicalName(name, spnego, doing));
}

/**
 * NTLM accepts only names of the form `class@host`. Where NTLM is allowed, Kerberos gets the same name and may then
 * resolve the host by DNS. That weakens nothing that was required: mutual authentication is not required here.
 */
function importForAny(gss: Gss, target: string): bigint {
  const [serviceClass, host, ...rest] = target.split("/");
  if (rest.length > 0 || target.includes("@")) return gss.importName(target, "principalName");
  return gss.importName(`${serviceClass}@${host}`, "hostService");
}
