/**
 * Asks libkrb5 which tickets a credential cache in memory holds. It never contacts a KDC.
 *
 * @module
 */

import { cString, pinned } from "../../memory/memory.ts";
import { KRB5_GC_CACHED } from "../../raw/gssapi.ts";
import { dataView, type Gss, type Hints, NO_HINTS, Slots } from "./gss.ts";
import { Krb5 } from "./krb5.ts";

const DOING = "look for a ticket";
/** Names the service whose ticket lets a user of constrained delegation act as others; in the cache's configuration. */
const IMPERSONATOR = "proxy_impersonator";
/** The most answers that are remembered. */
const MAX_ANSWERS = 64;

/** Reads one cache, whose tickets stay in it until it is destroyed. Close it before that. */
export class CacheReader implements Disposable {
  readonly #gss: Gss;
  readonly #krb5: Krb5;
  readonly #cache: bigint;
  readonly #owner: bigint;
  readonly #ends = new Map<string, number>();

  /** @throws AuthenticationError where the cache cannot be read. */
  constructor(gss: Gss, name: string, hints: Hints = NO_HINTS) {
    const { call } = gss;
    this.#gss = gss;
    const krb5 = this.#krb5 = new Krb5(gss, DOING, hints);
    try {
      const cache = this.#cache = krb5.must(
        "krb5_cc_resolve",
        (out) => call.krb5_cc_resolve(krb5.context, cString(name), out),
        (opened) => call.krb5_cc_close(krb5.context, opened),
      );
      this.#owner = krb5.must(
        "krb5_cc_get_principal",
        (out) => call.krb5_cc_get_principal(krb5.context, cache, out),
        (principal) => call.krb5_free_principal(krb5.context, principal),
      );
    } catch (error) {
      krb5[Symbol.dispose]();
      throw error;
    }
  }

  /** The cache's principal, as text. */
  get owner(): string {
    const { call, memory } = this.#gss;
    const { context } = this.#krb5;
    const slots = new Slots(8);
    this.#krb5.check("krb5_unparse_name", call.krb5_unparse_name(context, this.#owner, slots.bytes));
    try {
      return memory.cString(slots.u64[0]);
    } finally {
      call.krb5_free_unparsed_name(context, slots.u64[0]);
    }
  }

  /** Whether the tickets are for constrained delegation, for which the library looks differently. */
  get isProxy(): boolean {
    const { call } = this.#gss;
    const { context } = this.#krb5;
    const data = pinned(16);
    if (call.krb5_cc_get_config(context, this.#cache, 0n, cString(IMPERSONATOR), data) !== 0) return false;
    call.krb5_free_data_contents(context, data);
    return true;
  }

  /** How far the library's clock, which may follow the KDC's, is ahead of the system's, in seconds. */
  get clockOffset(): number {
    const now = pinned(4);
    this.#krb5.check("krb5_timeofday", this.#gss.call.krb5_timeofday(this.#krb5.context, now));
    return dataView(now).getInt32(0, true) - Math.floor(Date.now() / 1000);
  }

  /**
   * Returns until when the library uses a ticket for `target` that is in the cache, in seconds since 1970; 0: it has
   * none. What was found once stays in the cache, so it is not looked for again before its end.
   */
  endOf(target: string): number {
    const known = this.#ends.get(target);
    if (known !== undefined && known * 1000 > Date.now()) return known;
    const end = this.#find(target);
    if (this.#ends.size >= MAX_ANSWERS) this.#ends.clear();
    if (end === 0) this.#ends.delete(target);
    else this.#ends.set(target, end);
    return end;
  }

  #find(target: string): number {
    const { call, build, memory } = this.#gss;
    const { context } = this.#krb5;
    const slots = new Slots(16);
    if (call.krb5_parse_name_flags(context, cString(target), 0, slots.slice(0, 8)) !== 0) return 0;
    const { creds } = build.layouts;
    const wanted = pinned(creds.size);
    creds.write(dataView(wanted), { client: this.#owner, server: slots.u64[0] });
    try {
      const status = call.krb5_get_credentials(
        context,
        KRB5_GC_CACHED,
        this.#cache,
        wanted,
        slots.slice(8, 8),
      );
      if (status !== 0) return 0;
      try {
        return creds.read(dataView(memory.read(slots.u64[1], creds.size))).endtime;
      } finally {
        call.krb5_free_creds(context, slots.u64[1]);
      }
    } finally {
      call.krb5_free_principal(context, slots.u64[0]);
    }
  }

  [Symbol.dispose](): void {
    this.#krb5[Symbol.dispose]();
  }
}
