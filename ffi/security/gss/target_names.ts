/**
 * The names of the servers that credentials were used for, kept in the form the mechanism computes with.
 *
 * A name as the application typed it is turned into that form anew at every leg of every handshake, and each turn
 * reads the Kerberos configuration; kept, the second handshake with a server costs a fifth less.
 *
 * @module
 */

import type { Gss } from "./gss.ts";

/**
 * How the name will be used: by Kerberos alone, by SPNEGO over Kerberos alone, or by SPNEGO over mechanisms that
 * are not known yet, which can only take it as it was typed.
 */
export type NameForm = "kerberos" | "spnego-kerberos" | "as-typed";

interface Kept {
  readonly handle: bigint;
  users: number;
}

/** How many names that nobody uses are kept: whoever talks to more servers than this pays as if none were. */
const MAX_IDLE = 16;

/** Keeps names, each until it is one too many or {@linkcode TargetNames.close} ends them all. */
export class TargetNames {
  readonly #gss: Gss;
  readonly #form: NameForm;
  readonly #names = new Map<string, Kept>();

  constructor(gss: Gss, form: NameForm) {
    this.#gss = gss;
    this.#form = form;
  }

  /**
   * The name's handle, to be given back once and not released.
   *
   * @throws AuthenticationError where `target` is no principal name.
   */
  borrow(target: string): bigint {
    let kept = this.#names.get(target);
    if (kept === undefined) {
      kept = { handle: importTarget(this.#gss, target, this.#form), users: 0 };
      this.#names.set(target, kept);
    }
    kept.users++;
    return kept.handle;
  }

  /** Ends one use. */
  giveBack(target: string): void {
    const kept = this.#names.get(target);
    if (kept === undefined || --kept.users > 0 || this.#names.size <= MAX_IDLE) return;
    this.#gss.releaseName(kept.handle);
    this.#names.delete(target);
  }

  /** Releases every name; none may be in use. */
  close(): void {
    for (const { handle } of this.#names.values()) this.#gss.releaseName(handle);
    this.#names.clear();
  }
}

/** The server's name, in the form asked for. */
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
  const own = replaced(typed, (name) => gss.canonicalName(name, kerberos, doing));
  if (form === "kerberos") return own;
  // SPNEGO hands Kerberos the name that it was given, which must then be Kerberos' own already.
  const portable = replaced(own, (name) => gss.portableName(name, doing));
  return replaced(portable, (name) => gss.canonicalName(name, spnego, doing));
}

/**
 * NTLM knows no names but `class@host`; where NTLM may serve Kerberos has to do with that too, and may then ask DNS for
 * the host, whose answer decides nothing that was required: the server need not prove who it is.
 */
function importForAny(gss: Gss, target: string): bigint {
  const [serviceClass, host, ...rest] = target.split("/");
  if (rest.length > 0 || target.includes("@")) return gss.importName(target, "principalName");
  return gss.importName(`${serviceClass}@${host}`, "hostService");
}
