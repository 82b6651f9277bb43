/**
 * Knows when a client's first step needs no network: when a ticket for its target is in this process's memory. Such a
 * step is made on the calling thread, with a handle whose cache is in memory; every other step, on another thread,
 * uses the credentials' own handle and source.
 *
 * @module
 */

import { type FileState, fileState, hasState, isSameState, isSettled } from "../../memory/file_state.ts";
import { cString } from "../../memory/memory.ts";
import { GSS_C, OIDS } from "../../raw/gssapi.ts";
import { ReferenceCount } from "../../handles.ts";
import { CacheReader } from "./cache_reader.ts";
import { type Gss, NO_HINTS } from "./gss.ts";
import { acquireHandle, handleOwner, prepareHandle, releaseHandle } from "./handles.ts";
import { defaultCache } from "./krb5.ts";
import { cacheStore, MemoryCache } from "./tickets.ts";

/** Credentials whose only mechanism is Kerberos. */
export interface HeldTicketsOptions {
  /** The credentials' handle. */
  readonly handle: bigint;
  /** The mechanism that makes the tokens. */
  readonly mechanism: "kerberos" | "spnego";
  /** The handle's cache, where it is in memory. */
  readonly cache: MemoryCache | null;
  /** The handle's cache, where it is a file: its path, and whether it is so as the library's default. */
  readonly file: { readonly path: string; readonly isDefault: boolean } | null;
}

/** A handle in use. */
export interface Lease {
  /** The handle. */
  readonly handle: bigint;
  /** Ends the use. */
  readonly release: () => void;
}

/** A ticket that ends before this is not used on this thread: the library would get another one. */
const MARGIN_S = 60;
/** Differences of clocks, in seconds, that rounding explains. */
const ROUNDING_S = 2;
/** The most targets that are remembered. */
const MAX_TARGETS = 1024;

/**
 * A cache in memory, and a handle that uses nothing else. Only this thread makes steps with the handle: a step on
 * another thread would lock it while it waits for a KDC.
 */
interface Held {
  readonly handle: bigint;
  readonly reader: CacheReader;
  readonly uses: ReferenceCount;
  /** The file's state when its tickets were copied; `null`: the cache is the credentials' own. */
  readonly state: FileState | null;
}

/** Finds tickets for one set of credentials. */
export class HeldTickets {
  readonly #gss: Gss;
  readonly #options: HeldTicketsOptions;
  readonly #path: Uint8Array;
  readonly #reached = new Set<string>();
  #held: Held | null = null;
  #opening: Promise<Held | null> | null = null;
  /** The file's state of which no copy could be made. */
  #failed: FileState | null = null;
  #never: boolean;

  constructor(gss: Gss, options: HeldTicketsOptions) {
    this.#gss = gss;
    this.#options = options;
    this.#path = cString(options.file?.path ?? "");
    this.#never = options.cache === null && options.file === null;
  }

  /**
   * Notes that a first step to `target` succeeded on another thread: the handle has chosen its cache, and the cache
   * has a ticket.
   */
  reached(target: string): void {
    if (this.#never) return;
    if (this.#reached.size >= MAX_TARGETS) this.#reached.clear();
    this.#reached.add(target);
  }

  /**
   * Returns a handle with which a first step to `target` needs no network; `null`: there is none now. Waits only where
   * the tickets must be copied into memory first.
   */
  find(target: string): Lease | null | Promise<Lease | null> {
    // Credentials that are used once for each target would pay for a copy that helps nobody.
    if (this.#never || !this.#reached.has(target)) return null;
    const held = this.#held;
    const { file } = this.#options;
    if (file === null) return held === null ? this.#open(null, target) : lease(held, target);
    if (held !== null && hasState(this.#gss.call, this.#path, held.state!)) return lease(held, target);
    const state = fileState(this.#gss.call, this.#path);
    if (state === null || !isSettled(state)) return null;
    if (this.#failed !== null && isSameState(this.#failed, state)) return null;
    return this.#open(state, target);
  }

  async #open(state: FileState | null, target: string): Promise<Lease | null> {
    this.#opening ??= this.#replace(state).finally(() => this.#opening = null);
    const held = await this.#opening;
    // Another step may have replaced it since.
    return held === null || held.uses.closed ? null : lease(held, target);
  }

  /** Holds what the source contains now. */
  async #replace(state: FileState | null): Promise<Held | null> {
    let made: Held | null;
    try {
      made = await this.#make(state);
    } catch (error) {
      // The next step on another thread reports what is wrong, with the library's own message.
      if ((error as Error).name !== "AuthenticationError") throw error;
      made = null;
    }
    if (made === null) {
      this.#failed = state;
      this.#never ||= state === null;
      return null;
    }
    this.#held?.uses.close();
    return this.#held = made;
  }

  async #make(state: FileState | null): Promise<Held | null> {
    const gss = this.#gss;
    const { mechanism, cache: own, file } = this.#options;
    const cache = own ?? new MemoryCache(gss);
    const ends: (() => void)[] = own === null ? [() => cache.destroy()] : [];
    const end = (): void => ends.splice(0).reverse().forEach((one) => one());
    try {
      if (file !== null) await cache.copyFromFile(file.path);
      const reader = new CacheReader(gss, cache.name);
      ends.push(() => reader[Symbol.dispose]());
      const wanted = {
        mechanisms: [mechanism],
        usage: GSS_C.INITIATE,
        name: 0n,
        store: cacheStore(cache.name),
        doing: "use tickets in memory",
        hints: NO_HINTS,
      };
      const acquired = await acquireHandle(gss, wanted);
      const handle = prepareHandle(gss, acquired, true, mechanism === "spnego" ? [OIDS.kerberos] : null);
      ends.push(() => releaseHandle(gss, handle));
      if (await this.#isSame(reader, state)) return { handle, reader, uses: new ReferenceCount(end), state };
    } catch (error) {
      end();
      throw error;
    }
    end();
    return null;
  }

  /** Whether steps with the cache do what steps with the credentials' own handle do. */
  async #isSame(reader: CacheReader, state: FileState | null): Promise<boolean> {
    // A file whose KDC has another time corrects the client's; a cache in memory would not.
    if (reader.isProxy || Math.abs(reader.clockOffset) > ROUNDING_S) return false;
    const { file, handle } = this.#options;
    if (file === null || state === null) return true;
    // The library chooses among caches by the target where the user's .k5identity says so.
    const isStillDefault = !file.isDefault || filePath(defaultCache(this.#gss)) === file.path;
    if (!isStillDefault || reader.owner !== await handleOwner(this.#gss, handle)) return false;
    // Last: nothing waits between this and the use.
    return hasState(this.#gss.call, this.#path, state);
  }

  /** Releases everything; nothing may be in use. */
  close(): void {
    this.#held?.uses.close();
    this.#held = null;
  }
}

function lease(held: Held, target: string): Lease | null {
  if (held.reader.endOf(target) - MARGIN_S < Date.now() / 1000) return null;
  return { handle: held.handle, release: held.uses.hold() };
}

/** The path of a cache in a file, from the cache's name; `null`: another kind of cache. */
export function filePath(cache: string): string | null {
  return /^(?:FILE:)?(\/[^\0]*)$/.exec(cache)?.[1] ?? null;
}
