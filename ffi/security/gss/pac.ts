/**
 * The two parts of a privilege attribute certificate ([MS-PAC]) that say who an account is: KERB_VALIDATION_INFO
 * (2.5), which is NDR ([MS-RPCE] 2.2.6, type serialization version 1), and UPN_DNS_INFO (2.10).
 *
 * A PAC is signed by the client's realm, and a foreign realm's KDC is a stranger: every count, offset and length is
 * compared with what is there before it is used, and one contradiction makes the whole PAC invalid.
 *
 * @module
 */

import { ProtocolError } from "../../../errors.ts";
import { wideText } from "../../memory/text.ts";
import { formatSid, sidLength } from "../../windows/sid.ts";

/** What a PAC says of an account. */
export interface PacAccount {
  /** The account's SID. */
  readonly sid: string;
  /** The SIDs of the groups that count for it in access checks, each once. */
  readonly groups: readonly string[];
  /** What the account stands for. */
  readonly kind: "user" | "computer" | "unknown";
  /** Its full name, where it has one. */
  readonly displayName?: string;
  /** The NetBIOS name of its domain. */
  readonly netbiosDomain?: string;
  /** Its user principal name. */
  readonly upn?: string;
}

/**
 * The most SIDs a PAC may name. Windows makes no token of more than 1,024, so that no account of it has more; four
 * times that leaves other KDCs room, and bounds the text that one token makes.
 */
const MAX_SIDS = 4096;
/** What type serialization puts before the data: [MS-RPCE] 2.2.6.1 and 2.2.6.2. */
const HEADER_BYTES = 16;
/** `SE_GROUP_ENABLED` and `SE_GROUP_USE_FOR_DENY_ONLY` */
const [ENABLED, DENY_ONLY] = [0x4, 0x10];
/** `UserFlags`: whether there are extra SIDs, and resource groups. */
const [EXTRA_SIDS, RESOURCE_GROUPS] = [0x20, 0x200];
/** `UserAccountControl`, [MS-SAMR] 2.2.1.12. */
const [NORMAL_ACCOUNT, TRUST_ACCOUNTS] = [0x10, 0x80 | 0x100];
/** `UPN_DNS_INFO.Flags`: the account's name and SID follow. */
const HAS_SAM_NAME_AND_SID = 0x2;

function malformed(problem: string): ProtocolError {
  return new ProtocolError("malformed", `the peer's PAC ${problem}`);
}

/** Reads little-endian values one after the other; the end of the bytes is an error and never passed. */
class Reader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** The next `count` bytes, not copied. */
  take(count: number): Uint8Array {
    const at = this.#at;
    if (count > this.#bytes.length - at) throw malformed("ends inside of its data");
    this.#at = at + count;
    return this.#bytes.subarray(at, at + count);
  }

  u16(): number {
    this.take(2);
    return this.#view.getUint16(this.#at - 2, true);
  }

  u32(): number {
    this.take(4);
    return this.#view.getUint32(this.#at - 4, true);
  }

  /** What a pointer points to begins at a multiple of 4. */
  align(): void {
    this.take(-this.#at & 3);
  }
}

/** The head of an RPC_UNICODE_STRING: its lengths in bytes, and whether there is a buffer. */
interface StringHead {
  readonly length: number;
  readonly maximum: number;
  readonly present: boolean;
}

function stringHead(from: Reader): StringHead {
  const [length, maximum] = [from.u16(), from.u16()];
  return { length, maximum, present: from.u32() !== 0 };
}

/** The buffer of a string: conformant and varying, [C706] 14.3.4. */
function stringBody(from: Reader, { length, maximum, present }: StringHead): string | undefined {
  if (!present) {
    if (length > 0) throw malformed("has a string without its letters");
    return undefined;
  }
  from.align();
  const [room, offset, units] = [from.u32(), from.u32(), from.u32()];
  if (offset !== 0 || room !== maximum >>> 1 || units > room || 2 * units !== length) {
    throw malformed("has a string whose lengths contradict each other");
  }
  return shown(from.take(length));
}

/** UTF-16 as text; left out where it is empty, or holds what would read as another text or write into a log. */
function shown(bytes: Uint8Array): string | undefined {
  const text = wideText(bytes);
  return text === "" || !text.isWellFormed() || /[\p{Cc}\p{Cf}\u2028\u2029]/u.test(text) ? undefined : text;
}

/** A SID that a pointer points to: the count of its parts stands before it as well. */
function sidBody(from: Reader): Uint8Array {
  from.align();
  const parts = from.u32();
  return checkedSid(from.take(8 + 4 * Math.min(parts, 0xff)));
}

/** Bytes that are a SID and nothing else. */
function checkedSid(bytes: Uint8Array): Uint8Array {
  try {
    if (sidLength(bytes) === bytes.length) return bytes;
  } catch {
    // Said below.
  }
  throw malformed("has a SID that is none");
}

/** The SID of an account or a group of a domain. */
function inDomain(domain: Uint8Array, relative: number): string {
  const bytes = new Uint8Array(domain.length + 4);
  bytes.set(domain);
  bytes[1]++;
  new DataView(bytes.buffer).setUint32(domain.length, relative, true);
  return formatSid(checkedSid(bytes));
}

/** Numbers with attributes: RIDs, or pointers. */
type Attributed = readonly (readonly [value: number, attributes: number])[];

/** An array of pairs that a pointer points to. */
function pairs(from: Reader, count: number, present: boolean): Attributed {
  if (!present) {
    if (count > 0) throw malformed("has a list without its elements");
    return [];
  }
  from.align();
  if (from.u32() !== count) throw malformed("has a list whose counts contradict each other");
  return Array.from({ length: count }, () => [from.u32(), from.u32()] as const);
}

/** Whether a group counts in access checks, and not only to refuse. */
function counts([, attributes]: readonly [number, number]): boolean {
  return (attributes & (ENABLED | DENY_ONLY)) === ENABLED;
}

/**
 * What a PAC says of the account it is of.
 *
 * @param logonInfo the buffer of type 1, as `urn:mspac:logon-info` gives it.
 * @param upnDnsInfo the buffer of type 12, as `urn:mspac:upn-dns-info` gives it; `null`: there is none.
 * @throws ProtocolError "malformed" where anything in them cannot be.
 */
export function readPac(logonInfo: Uint8Array, upnDnsInfo: Uint8Array | null): PacAccount {
  const account = readLogonInfo(logonInfo);
  const upn = upnDnsInfo === null ? undefined : readUpn(upnDnsInfo, account.sid);
  return Object.freeze(upn === undefined ? account : { ...account, upn });
}

/** A reader of the serialized structure, its headers checked. */
function serialized(bytes: Uint8Array): Reader {
  const header = new Reader(bytes);
  const [version, order] = header.take(2);
  if (version !== 1 || order !== 0x10 || header.u16() !== 8) {
    throw malformed("is not little-endian NDR of version 1");
  }
  header.u32();
  const length = header.u32();
  if (length > bytes.length - HEADER_BYTES) throw malformed("ends inside of its data");
  const from = new Reader(bytes.subarray(HEADER_BYTES, HEADER_BYTES + length));
  if (from.u32() === 0) throw malformed("has no logon information");
  return from;
}

function readLogonInfo(bytes: Uint8Array): PacAccount {
  const from = serialized(bytes);
  // Six times; then EffectiveName, FullName, LogonScript, ProfilePath, HomeDirectory, HomeDirectoryDrive.
  from.take(6 * 8);
  const names = Array.from({ length: 6 }, () => stringHead(from));
  from.take(2 * 2);
  const [userId, primaryId, groupCount, groupsThere] = [from.u32(), from.u32(), from.u32(), from.u32() !== 0];
  const flags = from.u32();
  // The session key, which is nobody's business here.
  from.take(16);
  const [server, domainName, domainThere] = [stringHead(from), stringHead(from), from.u32() !== 0];
  from.take(2 * 4);
  const control = from.u32();
  // SubAuthStatus, two times, a count, Reserved3.
  from.take(4 + 2 * 8 + 2 * 4);
  const [extraCount, extraThere] = [from.u32(), from.u32() !== 0];
  const [resourceDomainThere, resourceCount, resourceThere] = [
    from.u32() !== 0,
    from.u32(),
    from.u32() !== 0,
  ];
  if (groupCount + extraCount + resourceCount > MAX_SIDS) {
    throw malformed(`names ${groupCount + extraCount + resourceCount} SIDs; at most ${MAX_SIDS} are read`);
  }
  if (extraCount > 0 && (flags & EXTRA_SIDS) === 0 || resourceCount > 0 && (flags & RESOURCE_GROUPS) === 0) {
    throw malformed("has groups that its flags say are not there");
  }
  // What the pointers point to, in the order of the pointers.
  const [, displayName] = names.map((head) => stringBody(from, head));
  const groups = pairs(from, groupCount, groupsThere);
  stringBody(from, server);
  const netbiosDomain = stringBody(from, domainName);
  const domain = domainThere ? sidBody(from) : null;
  const extraPairs = pairs(from, extraCount, extraThere);
  const extra = extraPairs.map(([pointer, attributes]) => {
    if (pointer === 0) throw malformed("has a group without a SID");
    return { sid: formatSid(sidBody(from)), counts: counts([pointer, attributes]) };
  });
  const resourceDomain = resourceDomainThere ? sidBody(from) : null;
  const resources = pairs(from, resourceCount, resourceThere);
  const within = (of: Uint8Array | null, relative: number): string => {
    if (of === null) throw malformed("has a group without its domain's SID");
    return inDomain(of, relative);
  };
  // An account without a relative id is the first of the extra SIDs.
  const sid = userId === 0 ? extra.shift()?.sid : within(domain, userId);
  if (sid === undefined) throw malformed("has no SID of its account");
  const all = [
    ...(userId === 0 ? [] : [within(domain, primaryId)]),
    ...groups.filter(counts).map(([relative]) => within(domain, relative)),
    ...extra.filter((group) => group.counts).map((group) => group.sid),
    ...resources.filter(counts).map(([relative]) => within(resourceDomain, relative)),
  ];
  return {
    sid,
    groups: Object.freeze([...new Set(all)]),
    kind: (control & TRUST_ACCOUNTS) !== 0
      ? "computer"
      : (control & NORMAL_ACCOUNT) !== 0
      ? "user"
      : "unknown",
    ...(displayName === undefined ? {} : { displayName }),
    ...(netbiosDomain === undefined ? {} : { netbiosDomain }),
  };
}

/** The user principal name; what the structure says of the SID must be what the logon information says. */
function readUpn(bytes: Uint8Array, sid: string): string | undefined {
  const from = new Reader(bytes);
  const part = (): Uint8Array => {
    const [length, offset] = [from.u16(), from.u16()];
    if (offset + length > bytes.length) throw malformed("has a name that ends behind it");
    return bytes.subarray(offset, offset + length);
  };
  const [upn] = [part(), part()];
  if ((from.u32() & HAS_SAM_NAME_AND_SID) !== 0) {
    const [, own] = [part(), part()];
    if (formatSid(checkedSid(own)) !== sid) throw malformed("names two accounts");
  }
  return shown(upn);
}
