/**
 * Access tokens of a peer: its account, its groups, and impersonation.
 *
 * @module
 */

import { AuthenticationError, ProtocolError, StateError } from "../../errors.ts";
import type { Calls } from "../abi.ts";
import { track } from "../handles.ts";
import { type Memory, pinned, wideString } from "../memory/memory.ts";
import {
  ADVAPI32,
  SE_GROUP_ENABLED,
  SE_GROUP_USE_FOR_DENY_ONLY,
  SECURITY_MAX_SID_SIZE,
  SecurityIdentification,
  SID_AND_ATTRIBUTES,
  TOKEN,
  TokenGroups,
  TokenImpersonation,
  TokenPrimary,
  TokenUser,
} from "../raw/advapi32.ts";
import { KERNEL32 } from "../raw/kernel32.ts";
import { UCRTBASE } from "../raw/ucrtbase.ts";
import type { ImpersonationLevel } from "../../contract.ts";
import { formatSid, parseSid, sidLength } from "./sid.ts";
import { Impersonator } from "./impersonation.ts";
import { nativeError } from "../status.ts";
import type { NativeSystem } from "../system.ts";
import { checkWellFormed, wideText } from "../memory/text.ts";

/** An account or a group. */
export interface Account {
  /** The security identifier: `S-1-5-21-…`. */
  readonly sid: string;
  /** The domain or computer it belongs to; empty where the SID cannot be resolved. */
  readonly domain: string;
  /** Its name; empty where the SID cannot be resolved. */
  readonly name: string;
}

/** Access rights for a token: no more than is used. */
export const TOKEN_ACCESS = {
  /** To check that there is one. */
  query: TOKEN.QUERY,
  /** To read its account and groups; for a primary token this needs a duplicate. */
  identify: TOKEN.QUERY | TOKEN.DUPLICATE,
  /** To impersonate it. */
  impersonate: TOKEN.QUERY | TOKEN.IMPERSONATE | TOKEN.DUPLICATE,
} as const;

/** A count, padded to the alignment of what follows. */
const GROUPS_AT = 8;
const NAME_UNITS = 256;
const MAX_INFORMATION = 1 << 20;

/**
 * The token of a peer. One owner, usually the connection; closing twice is harmless.
 *
 * Members throw an AuthenticationError where the system does not return the information, a ProtocolError where its
 * answer is invalid, and a StateError after `close()`.
 */
export class PeerToken implements Disposable {
  readonly #advapi: Calls<typeof ADVAPI32>;
  readonly #kernel: Calls<typeof KERNEL32>;
  readonly #memory: Memory;
  readonly #untrack: () => void;
  readonly #onClose: () => void;
  #handle: bigint | null;

  /**
   * @param onClose called once, after it was closed: its owner then no longer keeps it.
   * @throws PermissionError where the system does not have the grant `impersonation`; the caller then still owns the
   * handle.
   */
  constructor(system: NativeSystem, handle: bigint, onClose: () => void = () => {}) {
    this.#advapi = system.library("impersonation", ADVAPI32).call;
    this.#kernel = system.library("impersonation", KERNEL32).call;
    this.#memory = system.memory("impersonation", UCRTBASE);
    this.#handle = handle;
    this.#onClose = onClose;
    this.#untrack = track("token");
  }

  /** The account. */
  get account(): Account {
    return this.#account(this.#sidAt(this.#information(TokenUser), 0).sid);
  }

  /** The groups it belongs to. */
  get groups(): readonly Account[] {
    return this.#groups().map(({ sid }) => this.#account(sid));
  }

  /** The account's SID; does not contact a domain controller for its name. */
  get sid(): string {
    return formatSid(this.#sidAt(this.#information(TokenUser), 0).sid);
  }

  /**
   * The SIDs of the groups that count for it in access checks; does not contact a domain controller for their names.
   */
  get memberOf(): readonly string[] {
    const counting = this.#groups().filter(({ attributes }) => {
      return (attributes & (SE_GROUP_ENABLED | SE_GROUP_USE_FOR_DENY_ONLY)) === SE_GROUP_ENABLED;
    });
    return [...new Set(counting.map(({ sid }) => formatSid(sid)))];
  }

  /**
   * Returns whether the account is a member of a group in access checks.
   *
   * @param group a SID, `S-1-5-32-544`, or a name, `EXAMPLE\Operators`.
   * @throws TypeError where it is neither; AuthenticationError where the name cannot be resolved.
   */
  isMember(group: string): boolean {
    if (typeof group !== "string" || group === "") {
      throw new TypeError("group must be a SID such as S-1-5-32-544, or a name such as EXAMPLE\\Operators");
    }
    checkWellFormed(group, "group");
    const sid = parseSid(group) ?? this.#lookUp(group);
    const type = new DataView(this.#information(TOKEN.TYPE).buffer).getUint32(0, true);
    if (type !== TokenPrimary) return this.#checkMember(this.#live(), sid);
    const duplicate = this.#identifying();
    try {
      return this.#checkMember(duplicate, sid);
    } finally {
      this.#kernel.CloseHandle(duplicate);
    }
  }

  /** The function's page: "The token must be an impersonation token." */
  #checkMember(token: bigint, sid: Uint8Array): boolean {
    const member = pinned(4);
    const ok = this.#advapi.CheckTokenMembership(token, sid, member);
    const code = ok === 0 ? this.#kernel.GetLastError() : 0;
    if (ok === 0) throw tokenFailure("check the peer's membership", "CheckTokenMembership", code);
    return new DataView(member.buffer).getInt32(0, true) !== 0;
  }

  /** Returns a token that identifies the peer and cannot be impersonated further; the caller closes it. */
  #identifying(): bigint {
    const out = pinned(8);
    const ok = this.#advapi.DuplicateTokenEx(
      this.#live(),
      TOKEN.QUERY,
      0n,
      SecurityIdentification,
      TokenImpersonation,
      out,
    );
    const code = ok === 0 ? this.#kernel.GetLastError() : 0;
    if (ok === 0) throw tokenFailure("check the peer's membership", "DuplicateTokenEx", code);
    return new DataView(out.buffer).getBigUint64(0, true);
  }

  /** Closes it. */
  close(): void {
    if (this.#handle === null) return;
    this.#kernel.CloseHandle(this.#handle);
    this.#handle = null;
    this.#untrack();
    this.#onClose();
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
    if (needed > MAX_INFORMATION) throw malformed(`${needed} bytes`);
    const bytes = pinned(needed);
    const ok = this.#advapi.GetTokenInformation(this.#live(), kind, bytes, bytes.length, size);
    const code = ok === 0 ? this.#kernel.GetLastError() : 0;
    if (ok === 0) throw tokenFailure("read the peer's token", "GetTokenInformation", code);
    // Every valid answer begins with a number or a pointer.
    if (bytes.length < 4) throw malformed(`${bytes.length} bytes`);
    return bytes;
  }

  #groups(): { sid: Uint8Array; attributes: number }[] {
    const bytes = this.#information(TokenGroups);
    const count = new DataView(bytes.buffer).getUint32(0, true);
    if (GROUPS_AT + count * SID_AND_ATTRIBUTES.size > bytes.length) throw malformed(`${count} groups`);
    return Array.from({ length: count }, (_, index) => {
      return this.#sidAt(bytes, GROUPS_AT + index * SID_AND_ATTRIBUTES.size);
    });
  }

  /** The SID that a `SID_AND_ATTRIBUTES` at `at` points to, inside the same buffer, and its attributes. */
  #sidAt(bytes: Uint8Array, at: number): { sid: Uint8Array; attributes: number } {
    if (at + SID_AND_ATTRIBUTES.size > bytes.length) throw malformed(`${bytes.length} bytes`);
    const { Sid, Attributes } = SID_AND_ATTRIBUTES.read(new DataView(bytes.buffer), at);
    const place = Number(Sid - this.#memory.addressOf(bytes));
    if (place < 0 || place >= bytes.length) throw malformed("a SID outside the answer");
    try {
      return {
        sid: bytes.slice(place, place + sidLength(bytes.subarray(place))),
        attributes: Attributes,
      };
    } catch {
      throw malformed("an invalid SID");
    }
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
    if (ok === 0) throw tokenFailure(`find the account ${group}`, "LookupAccountNameW", code);
    return sid;
  }
}

function tokenFailure(doing: string, fn: string, code: number): AuthenticationError {
  const cause = nativeError(fn, code);
  return new AuthenticationError("other", `Cannot ${doing}: ${cause.message}`, { cause });
}

function malformed(what: string): ProtocolError {
  return new ProtocolError(
    "malformed",
    `The system's answer about the peer's token is invalid: it has ${what}`,
  );
}

function count(value: number): Uint8Array {
  const bytes = pinned(4);
  new DataView(bytes.buffer).setUint32(0, value, true);
  return bytes;
}

function text(units: Uint8Array): string {
  const all = wideText(units);
  return all.slice(0, all.indexOf("\u0000"));
}

/**
 * Runs `fn` as the account of a token, on this thread and synchronously. The caller keeps the ownership of the token.
 *
 * @param level the least impersonation level of the token; verified once the thread has it.
 * @throws PermissionError where the system does not have the grant `impersonation`.
 * @throws AuthenticationError where the system does not permit this account to impersonate it; StateError where this
 * thread is impersonating already.
 */
export function runAs<T>(system: NativeSystem, token: bigint, level: ImpersonationLevel, fn: () => T): T {
  const advapi = system.library("impersonation", ADVAPI32).call;
  const kernel = system.library("impersonation", KERNEL32).call;
  const enter = (): void => {
    const ok = advapi.ImpersonateLoggedOnUser(token);
    const code = ok === 0 ? kernel.GetLastError() : 0;
    if (ok === 0) throw tokenFailure("act as the client", "ImpersonateLoggedOnUser", code);
  };
  return new Impersonator(system).run(enter, () => advapi.RevertToSelf() !== 0, level, fn);
}
