/**
 * Access tokens of a peer: who it is, what groups it is in, and acting as it.
 *
 * @module
 */

import { StateError } from "../errors.ts";
import type { Calls } from "./abi.ts";
import { track } from "./live.ts";
import { type Memory, pinned, wideString } from "./memory.ts";
import {
  ADVAPI32,
  SECURITY_MAX_SID_SIZE,
  SID_AND_ATTRIBUTES,
  TOKEN,
  TokenGroups,
  TokenUser,
} from "./raw/advapi32.ts";
import { KERNEL32 } from "./raw/kernel32.ts";
import { UCRTBASE } from "./raw/ucrtbase.ts";
import type { ImpersonationLevel } from "./security_context.ts";
import { formatSid, parseSid, sidLength } from "./sid.ts";
import { Impersonator } from "./sspi/impersonation.ts";
import { nativeError } from "./status.ts";
import type { NativeSystem } from "./system.ts";

/** An account or a group. */
export interface Account {
  /** The security identifier: `S-1-5-21-…`. */
  readonly sid: string;
  /** The domain or computer it belongs to; empty where nobody knows the SID. */
  readonly domain: string;
  /** Its name; empty where nobody knows the SID. */
  readonly name: string;
}

/** What to ask of a token: no more than is used. */
export const TOKEN_ACCESS = {
  /** To tell who it is. */
  tell: TOKEN.QUERY,
  /** To act as it. */
  act: TOKEN.QUERY | TOKEN.IMPERSONATE | TOKEN.DUPLICATE,
} as const;

/** A count, padded to the alignment of what follows. */
const GROUPS_AT = 8;
const NAME_UNITS = 256;
const MAX_INFORMATION = 1 << 20;

/** The token of a peer. One owner, usually the connection; closing twice is harmless. */
export class PeerToken implements Disposable {
  readonly #advapi: Calls<typeof ADVAPI32>;
  readonly #kernel: Calls<typeof KERNEL32>;
  readonly #memory: Memory;
  readonly #untrack: () => void;
  #handle: bigint | null;

  /** @throws PermissionError where the system lacks the grant `impersonation`; the handle is then the caller's. */
  constructor(system: NativeSystem, handle: bigint) {
    this.#advapi = system.library("impersonation", ADVAPI32).call;
    this.#kernel = system.library("impersonation", KERNEL32).call;
    this.#memory = system.memory("impersonation", UCRTBASE);
    this.#handle = handle;
    this.#untrack = track("token");
  }

  /** The account. */
  get account(): Account {
    const bytes = this.#information(TokenUser);
    return this.#account(this.#sidAt(bytes, 0));
  }

  /** The groups it belongs to. */
  get groups(): readonly Account[] {
    const bytes = this.#information(TokenGroups);
    const count = new DataView(bytes.buffer).getUint32(0, true);
    return Array.from({ length: count }, (_, index) => {
      return this.#account(this.#sidAt(bytes, GROUPS_AT + index * SID_AND_ATTRIBUTES.size));
    });
  }

  /**
   * Whether a group counts for it in access checks.
   *
   * @param group a SID, `S-1-5-32-544`, or a name, `EXAMPLE\Operators`.
   * @throws TypeError where it is neither; NativeError where the name is not known.
   */
  isMember(group: string): boolean {
    if (typeof group !== "string" || group === "") {
      throw new TypeError("group must be a SID such as S-1-5-32-544, or a name such as EXAMPLE\\Operators");
    }
    const sid = parseSid(group) ?? this.#lookUp(group);
    const member = pinned(4);
    const ok = this.#advapi.CheckTokenMembership(this.#live(), sid, member);
    const code = ok === 0 ? this.#kernel.GetLastError() : 0;
    if (ok === 0) throw nativeError("CheckTokenMembership", code);
    return new DataView(member.buffer).getInt32(0, true) !== 0;
  }

  /** Closes it. */
  close(): void {
    if (this.#handle === null) return;
    this.#kernel.CloseHandle(this.#handle);
    this.#handle = null;
    this.#untrack();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #live(): bigint {
    if (this.#handle === null) throw new StateError("The peer's token was closed");
    return this.#handle;
  }

  #information(kind: number): Uint8Array<ArrayBuffer> {
    const size = pinned(4);
    const length = new DataView(size.buffer);
    this.#advapi.GetTokenInformation(this.#live(), kind, null, 0, size);
    const needed = length.getUint32(0, true);
    const bytes = pinned(needed > MAX_INFORMATION ? 0 : needed);
    const ok = this.#advapi.GetTokenInformation(this.#live(), kind, bytes, bytes.length, size);
    const code = ok === 0 ? this.#kernel.GetLastError() : 0;
    if (ok === 0) throw nativeError("GetTokenInformation", code);
    return bytes;
  }

  /** The SID that a `SID_AND_ATTRIBUTES` at `at` points to, inside the same buffer. */
  #sidAt(bytes: Uint8Array, at: number): Uint8Array {
    const { Sid } = SID_AND_ATTRIBUTES.read(new DataView(bytes.buffer), at);
    const place = Number(Sid - this.#memory.addressOf(bytes));
    if (place < 0 || place >= bytes.length) throw new RangeError("a token's SID stands outside its answer");
    return bytes.slice(place, place + sidLength(bytes.subarray(place)));
  }

  #account(sid: Uint8Array): Account {
    const [name, domain] = [pinned(NAME_UNITS * 2), pinned(NAME_UNITS * 2)];
    const [nameLength, domainLength, use] = [count(NAME_UNITS), count(NAME_UNITS), pinned(4)];
    const { LookupAccountSidW } = this.#advapi;
    const known = LookupAccountSidW(null, sid, name, nameLength, domain, domainLength, use) !== 0;
    return Object.freeze({
      sid: formatSid(sid),
      domain: known ? text(domain) : "",
      name: known ? text(name) : "",
    });
  }

  #lookUp(group: string): Uint8Array {
    const [sid, domain] = [pinned(SECURITY_MAX_SID_SIZE), pinned(NAME_UNITS * 2)];
    const [sidSize, domainLength, use] = [count(sid.length), count(NAME_UNITS), pinned(4)];
    const { LookupAccountNameW } = this.#advapi;
    const ok = LookupAccountNameW(null, wideString(group), sid, sidSize, domain, domainLength, use);
    const code = ok === 0 ? this.#kernel.GetLastError() : 0;
    if (ok === 0) throw nativeError("LookupAccountNameW", code);
    return sid;
  }
}

function count(value: number): Uint8Array {
  const bytes = pinned(4);
  new DataView(bytes.buffer).setUint32(0, value, true);
  return bytes;
}

function text(units: Uint8Array): string {
  const all = new TextDecoder("utf-16le").decode(units);
  return all.slice(0, all.indexOf("\u0000"));
}

/**
 * Runs `fn` as the owner of a token, on this thread and synchronously; the token stays the caller's.
 *
 * @param level the least level the token must give; read back once it is in force.
 * @throws PermissionError where the system lacks the grant `impersonation`.
 */
export function runAs<T>(system: NativeSystem, token: bigint, level: ImpersonationLevel, fn: () => T): T {
  const advapi = system.library("impersonation", ADVAPI32).call;
  const kernel = system.library("impersonation", KERNEL32).call;
  const enter = (): void => {
    const ok = advapi.ImpersonateLoggedOnUser(token);
    const code = ok === 0 ? kernel.GetLastError() : 0;
    if (ok === 0) throw nativeError("ImpersonateLoggedOnUser", code);
  };
  return new Impersonator(system).run(enter, () => advapi.RevertToSelf() !== 0, level, fn);
}
