/**
 * advapi32.dll of a simulated host: tokens of simulated accounts, and one thread that may carry one.
 *
 * @module
 */

import type { Calls } from "../../ffi/abi.ts";
import {
  type ADVAPI32,
  SE_GROUP_ENABLED,
  SID_AND_ATTRIBUTES,
  TOKEN,
  TokenGroups,
  TokenImpersonation,
  TokenPrimary,
  TokenUser,
} from "../../ffi/raw/advapi32.ts";
import { parseSid } from "../../ffi/windows/sid.ts";
import type { Host, SimulatedAccount } from "./host.ts";
import type { KernelObject } from "./machine.ts";
import { readWide } from "./memory.ts";

const ERROR = {
  ACCESS_DENIED: 5,
  INVALID_HANDLE: 6,
  INVALID_PARAMETER: 87,
  INSUFFICIENT_BUFFER: 122,
  NO_IMPERSONATION_TOKEN: 1309,
  NONE_MAPPED: 1332,
} as const;
/** `SECURITY_IMPERSONATION_LEVEL` */
const LEVEL = { IDENTIFICATION: 1, IMPERSONATION: 2 } as const;

/** A token. */
export class Token implements KernelObject {
  readonly account: SimulatedAccount;
  readonly access: number;
  /** `TOKEN_TYPE` */
  readonly type: number;

  constructor(account: SimulatedAccount, access: number, type: number = TokenImpersonation) {
    this.account = account;
    this.access = access;
    this.type = type;
  }

  closed(): void {}
}

/** The account that a host's programs run as. */
export function accountOf(host: Host): SimulatedAccount {
  return host.options.account ??
    { domain: "SIM", name: host.name, sid: `S-1-5-21-1-2-3-${1000 + host.v4[3]}` };
}

/** The account of a host's computer. */
export function computerAccountOf(host: Host): SimulatedAccount {
  return { domain: "SIM", name: `${host.name.toUpperCase()}$`, sid: `S-1-5-21-1-2-3-${2000 + host.v4[3]}` };
}

/** The calling thread, and the token it carries, if any. */
export class Thread {
  /** The token of ImpersonateLoggedOnUser or WSAImpersonateSocketPeer; `null`: the thread has the process's token. */
  carried: Token | null = null;
  /** Whether WSAImpersonateSocketPeer set it; only then WSARevertImpersonation removes it. */
  bySocket = false;

  /** Starts carrying a token. */
  carry(token: Token, bySocket: boolean): void {
    this.carried = token;
    this.bySocket = bySocket;
  }

  /** Returns to the process's token. */
  revert(): void {
    this.carried = null;
    this.bySocket = false;
  }
}

type Functions = Calls<typeof ADVAPI32>;

/** The functions of a host; `hosts` are those whose accounts can be looked up. */
export function tokenCalls(host: Host, hosts: () => Iterable<Host>, thread: Thread): Functions {
  const { machine } = host;
  const fail = (code: number): number => machine.fail(code, 0);
  const known = (): { domain: string; name: string; sid: string }[] =>
    [...hosts()].flatMap((each) => {
      const account = accountOf(each);
      return [account, computerAccountOf(each), ...account.groups ?? []];
    });
  const withToken = (handle: bigint, access: number, fn: (token: Token) => number): number => {
    const token = machine.find(handle, Token);
    if (token === null) return fail(ERROR.INVALID_HANDLE);
    return (token.access & access) === access ? fn(token) : fail(ERROR.ACCESS_DENIED);
  };
  return {
    OpenThreadToken(_thread, _access, _self, out) {
      if (thread.carried === null) return fail(TOKEN.ERROR_NO_TOKEN);
      const copy = machine.open(new Token(thread.carried.account, TOKEN.QUERY));
      new DataView(out!.buffer, out!.byteOffset).setBigUint64(0, copy, true);
      return 1;
    },
    GetTokenInformation: (handle, kind, into, length, size) =>
      withToken(handle, TOKEN.QUERY, (token) => answer(host, token, kind, into, length, size!)),
    ImpersonateLoggedOnUser: (handle) =>
      withToken(handle, TOKEN.QUERY, (token) => {
        // As documented: a primary token is duplicated, an impersonation token is carried itself.
        const needed = token.type === TokenPrimary ? TOKEN.DUPLICATE : TOKEN.IMPERSONATE;
        if ((token.access & needed) === 0) return fail(ERROR.ACCESS_DENIED);
        thread.carry(new Token(token.account, token.access), false);
        return 1;
      }),
    RevertToSelf() {
      thread.revert();
      return 1;
    },
    DuplicateTokenEx: (handle, access, _attributes, _level, type, out) =>
      withToken(handle, TOKEN.DUPLICATE, (token) => {
        const copy = machine.open(new Token(token.account, access, type));
        new DataView(out!.buffer, out!.byteOffset).setBigUint64(0, copy, true);
        return 1;
      }),
    CheckTokenMembership: (handle, sid, member) =>
      withToken(handle, TOKEN.QUERY, ({ account, type }) => {
        if (type === TokenPrimary) return fail(ERROR.NO_IMPERSONATION_TOKEN);
        const wanted = [...sid!];
        const is = [account, ...account.groups ?? []].some((each) => {
          return parseSid(each.sid)!.every((byte, index) => byte === wanted[index]);
        });
        new DataView(member!.buffer, member!.byteOffset).setInt32(0, is ? 1 : 0, true);
        return 1;
      }),
    LookupAccountSidW(_system, sid, name, _nameLength, domain) {
      const wanted = [...sid!];
      const found = known().find((each) =>
        parseSid(each.sid)!.every((byte, index) => byte === wanted[index])
      );
      if (found === undefined) return fail(ERROR.NONE_MAPPED);
      writeWide(found.name, name!);
      writeWide(found.domain, domain!);
      return 1;
    },
    // There are no services: nobody may connect to their manager.
    OpenSCManagerW() {
      fail(ERROR.ACCESS_DENIED);
      return 0n;
    },
    OpenServiceW() {
      fail(ERROR.INVALID_HANDLE);
      return 0n;
    },
    QueryServiceStatus: () => fail(ERROR.INVALID_HANDLE),
    CloseServiceHandle: () => fail(ERROR.INVALID_HANDLE),
    LookupAccountNameW(_system, name, sid) {
      const wanted = readWide(name!).toLowerCase();
      const found = known().find((each) => `${each.domain}\\${each.name}`.toLowerCase() === wanted);
      if (found === undefined) return fail(ERROR.NONE_MAPPED);
      sid!.set(parseSid(found.sid)!);
      return 1;
    },
  };
}

function answer(
  { machine, options: { mayImpersonate = true } }: Host,
  { account, type }: Token,
  kind: number,
  into: Uint8Array | null,
  length: number,
  size: Uint8Array,
): number {
  const groups = (account.groups ?? []).map(({ sid }) => sid);
  const sids = kind === TokenUser ? [account.sid] : kind === TokenGroups ? groups : null;
  const needed = new DataView(size.buffer, size.byteOffset);
  if (kind === TOKEN.IMPERSONATION_LEVEL && type === TokenPrimary) {
    return machine.fail(ERROR.INVALID_PARAMETER, 0);
  }
  if (kind === TOKEN.IMPERSONATION_LEVEL || kind === TOKEN.TYPE) {
    needed.setUint32(0, 4, true);
    if (into === null || length < 4) return machine.fail(ERROR.INSUFFICIENT_BUFFER, 0);
    new DataView(into.buffer, into.byteOffset).setUint32(
      0,
      kind === TOKEN.TYPE ? type : mayImpersonate ? LEVEL.IMPERSONATION : LEVEL.IDENTIFICATION,
      true,
    );
    return 1;
  }
  if (sids === null) return machine.fail(ERROR.INVALID_PARAMETER, 0);
  const bytes = sids.map((sid) => parseSid(sid)!);
  const head = (kind === TokenGroups ? 8 : 0) + sids.length * SID_AND_ATTRIBUTES.size;
  const total = bytes.reduce((sum, each) => sum + each.length, head);
  needed.setUint32(0, total, true);
  if (into === null || length < total) return machine.fail(ERROR.INSUFFICIENT_BUFFER, 0);
  const view = new DataView(into.buffer, into.byteOffset, into.length);
  if (kind === TokenGroups) view.setUint32(0, sids.length, true);
  let at = head;
  bytes.forEach((sid, index) => {
    into.set(sid, at);
    const entry = (kind === TokenGroups ? 8 : 0) + index * SID_AND_ATTRIBUTES.size;
    const Sid = machine.memory.addressOf(into) + BigInt(at);
    SID_AND_ATTRIBUTES.write(view, { Sid, Attributes: SE_GROUP_ENABLED }, entry);
    at += sid.length;
  });
  return 1;
}

function writeWide(text: string, into: Uint8Array): void {
  const view = new DataView(into.buffer, into.byteOffset, into.length);
  [...text, "\u0000"].forEach((char, index) => view.setUint16(index * 2, char.charCodeAt(0), true));
}
