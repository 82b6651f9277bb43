/** A backend that counts what GSS-API returns to its caller, and can make any single call fail. */

import type { Backend, Library, LibrarySpec } from "../../ffi/abi.ts";
import { runtimeBackend } from "./native.ts";

type Call = (...args: unknown[]) => unknown;
type Calls = Record<string, Call>;

/** Reading memory and addresses cannot fail without ending the process. */
const MEMORY = ["addressOf", "copyFrom", "copyTo"];
/** The functions that release something. Where such a call fails, something must stay open. */
const RELEASES = /release|delete|free|destroy|close|end_seq/;
const GSS_S_FAILURE = 13 << 16;

/** Which argument of a function points to the handle that it returns, by kind. */
const GIVES: { readonly [fn: string]: readonly (readonly [kind: string, argument: number])[] } = {
  gss_import_name: [["name", 3]],
  gss_acquire_cred_from: [["credential", 6]],
  gss_acquire_cred_with_password: [["credential", 6]],
  gss_init_sec_context: [["context", 2], ["buffer", 10]],
  gss_accept_sec_context: [["context", 1], ["name", 5], ["buffer", 7], ["credential", 10]],
  gss_inquire_context: [["name", 2], ["name", 3]],
  gss_canonicalize_name: [["name", 3]],
  gss_export_name: [["buffer", 2]],
  gss_display_name: [["buffer", 2]],
  gss_localname: [["buffer", 3]],
  gss_get_name_attribute: [["buffer", 5]],
  gss_display_status: [["buffer", 5]],
  gss_get_mic: [["buffer", 4]],
  gss_inquire_sec_context_by_oid: [["set", 3]],
  krb5_init_context: [["krb5 context", 0]],
  krb5_cc_resolve: [["cache", 2]],
  krb5_cc_get_principal: [["principal", 2]],
  krb5_copy_principal: [["principal", 2]],
  krb5_parse_name_flags: [["principal", 3]],
  krb5_kt_resolve: [["key table", 2]],
  krb5_kt_client_default: [["key table", 1]],
  krb5_kt_start_seq_get: [["cursor", 2]],
  krb5_get_init_creds_opt_alloc: [["ticket options", 1]],
  krb5_get_default_realm: [["realm", 1]],
  krb5_get_default_config_files: [["file names", 0]],
  krb5_kt_default: [["key table", 1]],
  krb5_kt_next_entry: [["entry", 2]],
  krb5_unparse_name: [["text", 2]],
  krb5_cc_default: [["cache", 1]],
  krb5_cc_start_seq_get: [["cache cursor", 2]],
  krb5_cc_next_cred: [["credentials", 3]],
  krb5_get_profile: [["profile", 1]],
  profile_get_values: [["values", 2]],
  gss_indicate_mechs: [["mechanisms", 1]],
  gss_inquire_cred: [["name", 2]],
  krb5_cc_get_config: [["buffer", 4]],
  krb5_get_credentials: [["ticket", 4]],
};
/** The functions whose result is the handle, and its kind. */
const RETURNS: { readonly [fn: string]: string } = {
  EVP_CIPHER_CTX_new: "cipher",
  EVP_MAC_CTX_new: "checksum",
};
/** Which argument of a function is, or points to, the handle that it releases. */
const TAKES: { readonly [fn: string]: readonly [kind: string, argument: number] } = {
  gss_release_name: ["name", 1],
  gss_release_cred: ["credential", 1],
  gss_delete_sec_context: ["context", 1],
  gss_release_buffer: ["buffer", 1],
  gss_release_buffer_set: ["set", 1],
  krb5_free_context: ["krb5 context", 0],
  krb5_cc_destroy: ["cache", 1],
  krb5_cc_close: ["cache", 1],
  krb5_free_principal: ["principal", 1],
  krb5_kt_close: ["key table", 1],
  krb5_kt_end_seq_get: ["cursor", 2],
  krb5_get_init_creds_opt_free: ["ticket options", 1],
  krb5_free_default_realm: ["realm", 1],
  krb5_free_config_files: ["file names", 0],
  krb5_free_keytab_entry_contents: ["entry", 1],
  krb5_free_unparsed_name: ["text", 1],
  krb5_cc_end_seq_get: ["cache cursor", 2],
  krb5_free_cred_contents: ["credentials", 1],
  profile_release: ["profile", 0],
  profile_free_list: ["values", 0],
  gss_release_oid_set: ["mechanisms", 1],
  krb5_free_data_contents: ["buffer", 1],
  krb5_free_creds: ["ticket", 1],
  EVP_CIPHER_CTX_free: ["cipher", 0],
  EVP_MAC_CTX_free: ["checksum", 0],
};

/** Structs whose address follows another field. */
const BEHIND = ["buffer", "entry", "credentials"];

/** The address that an argument is, or that it points to. */
function addressIn(kind: string, argument: unknown): bigint {
  if (typeof argument === "bigint") return argument;
  if (!(argument instanceof Uint8Array)) return 0n;
  const view = new DataView(argument.buffer, argument.byteOffset, argument.byteLength);
  return view.getBigUint64(BEHIND.includes(kind) ? 8 : 0, true);
}

/** The error of a call that is made to throw. */
export class Injected extends Error {}

/** Whether a function releases something. */
export function isRelease(name: string): boolean {
  return RELEASES.test(name);
}

/** Counts calls, makes one of them fail, and knows what is still open. */
export class Faults {
  /** The functions called so far, in order. */
  readonly called: string[] = [];
  readonly #out = new Map<string, string>();
  #failAt = -1;
  #throws = false;

  /** Starts again; the call with this number, from 0, fails with a status, or with an error of the runtime. */
  reset(failAt = -1, throws = false): void {
    this.called.length = 0;
    this.#out.clear();
    this.#failAt = failAt;
    this.#throws = throws;
  }

  /** The function that was made to fail. */
  get failed(): string | undefined {
    return this.called[this.#failAt];
  }

  /** What the library returned and did not get back, by kind; empty where the failed call was a release. */
  get left(): string[] {
    return isRelease(this.failed ?? "") ? [] : [...this.#out.values()].sort();
  }

  /** The backend to open a system with. */
  backend(): Backend {
    const real = runtimeBackend();
    const open = <L extends LibrarySpec>(path: string, spec: L): Library<L> => {
      const library = real.open(path, spec);
      const wrapAll = (calls: Calls): Calls =>
        Object.fromEntries(Object.entries(calls).map(([name, fn]) => [name, this.#wrap(name, fn, spec)]));
      const call = wrapAll(library.call as unknown as Calls) as unknown as Library<L>["call"];
      const threaded = wrapAll(library.threaded as unknown as Calls) as unknown as Library<L>["threaded"];
      return { ...library, call, threaded };
    };
    return { ...real, open };
  }

  #wrap(name: string, fn: Call, spec: LibrarySpec): Call {
    if (MEMORY.includes(name)) return fn;
    return (...args) => {
      this.called.push(name);
      if (this.called.length - 1 === this.#failAt) {
        if (this.#throws) throw new Injected(name);
        const { result } = spec.fns[name];
        if (result === "i64") return 12n;
        return result === "u32" ? GSS_S_FAILURE : result === "i32" ? 12 : result === "usize" ? 0n : undefined;
      }
      this.#take(name, args);
      const result = fn(...args);
      if (result instanceof Promise) return result.finally(() => this.#give(name, args));
      this.#give(name, args);
      if (name in RETURNS) this.#out.set(`${RETURNS[name]} ${result}`, RETURNS[name]);
      return result;
    };
  }

  #take(name: string, args: unknown[]): void {
    const [kind, argument] = TAKES[name] ?? [];
    if (kind !== undefined) this.#out.delete(`${kind} ${addressIn(kind, args[argument!])}`);
  }

  #give(name: string, args: unknown[]): void {
    for (const [kind, argument] of GIVES[name] ?? []) {
      const address = addressIn(kind, args[argument]);
      if (address !== 0n) this.#out.set(`${kind} ${address}`, kind);
    }
  }
}
