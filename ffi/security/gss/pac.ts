/**
 * Reads the two parts of a privilege attribute certificate (PAC, [MS-PAC]) that identify an account:
 * KERB_VALIDATION_INFO (2.5), which is NDR ([MS-RPCE] 2.2.6, type serialization version 1), and UPN_DNS_INFO (2.10).
 *
 * The client's realm signs a PAC, and another realm's KDC is not trusted: every count, offset and length is checked
 * before it is used, and one contradiction makes the whole PAC invalid.
 *
 * @module
 */

import { ProtocolError } from "../../../errors.ts";
import { wideText } from "../../memory/text.ts";
import { formatSid, sidLength } from "../../windows/sid.ts";

/** The account that a PAC identifies. */
export interface PacAccount {
  /** The account's SID. */
  readonly sid: string;
  /** The SIDs of the groups that count for it in access checks, each once. */
  readonly groups: readonly string[];
  /** The kind of account. */
  readonly kind: "user" | "computer" | "unknown";
  /** Its full name, where it has one. */
  readonly displayName?: string;
  /** The NetBIOS name of its domain. */
  readonly netbiosDomain?: string;
  /** Its user principal name. */
  readonly upn?: string;
}

/**
 * The most SIDs a PAC may name. A Windows access token has at most 1,024, so Windows accounts have no more. Four
 * times that is enough for other KDCs, and limits the text that one token produces.
 */
const MAX_SIDS = 4096;
/** The headers of type serialization: [MS-RPCE] 2.2.6.1 and 2.2.6.2. */
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

/** Reads little-endian values in order; reading past the end is an error. */
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
    if (count > this.#bytes.length - at) throw malformed("ends inside its data");
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

  /** Skips padding: the target of a pointer begins at a multiple of 4. */
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
    if (length > 0) throw malformed("has a string without its buffer");
    return undefined;
  }
  from.align();
  const [room, offset, units] = [from.u32(), from.u32(), from.u32()];
  if (offset !== 0 || room !== maximum >>> 1 || units > room || 2 * units !== length) {
    throw malformed("has a string whose lengths contradict each other");
  }
  return shown(from.take(length));
}

/** Decodes UTF-16; returns `undefined` where it is empty, or contains lone surrogates or control characters. */
function shown(bytes: Uint8Array): string | undefined {
  const text = wideText(bytes);
  return text === "" || !text.isWellFormed() || /[\p{Cc}\p{Cf}\u2028\u2029]/u.test(text) ? undefined : text;
}

/** Reads a SID that a pointer points to; the count of its parts comes before it too. */
function sidBody(from: Reader): Uint8Array {
  from.align();
  const parts = from.u32();
  return checkedSid(from.take(8 + 4 * Math.min(parts, 0xff)));
}

/** Checks that bytes are exactly one SID. */
function checkedSid(bytes: Uint8Array): Uint8Array {
  try {
    if (sidLength(bytes) === bytes.length) return bytes;
  } catch {
    // Said below.
  }
  throw malformed("has an invalid SID");
}

/** The SID of an account or a group of a domain. */
function inDomain(domain: Uint8Array, relative: number): string {
  const bytes = new Uint8Array(domain.length + 4);
  bytes.set(domain);
  bytes[1]++;
  new DataView(bytes.buffer).setUint32(domain.length, relative, true);
  return formatSid(checkedSid(bytes));
}

/** Numbers (RIDs or pointers) with attributes. */
type Attributed = readonly (readonly [value: number, attributes: number])[];

/** Reads an array of pairs that a pointer points to. */
function pairs(from: Reader, count: number, present: boolean): Attributed {
  if (!present) {
    if (count > 0) throw malformed("has a list without its elements");
    return [];
  }
  from.align();
  if (from.u32() !== count) throw malformed("has a list whose counts contradict each other");
  return Array.from({ length: count }, () => [from.u32(), from.u32()] as const);
}

/** Whether a group counts in access checks, and not only to deny access. */
function counts([, attributes]: readonly [number, number]): boolean {
  return (attributes & (ENABLED | DENY_ONLY)) === ENABLED;
}

/**
 * Reads the account that a PAC identifies.
 *
 * @param logonInfo the buffer of type 1, as `urn:mspac:logon-info` returns it.
 * @param upnDnsInfo the buffer of type 12, as `urn:mspac:upn-dns-info` returns it; `null`: none.
 * @throws ProtocolError "malformed" where anything in them is invalid.
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
  if (length > bytes.length - HEADER_BYTES) throw malformed("ends inside its data");
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
  // The session key, which is not used.
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
    throw malformed("has groups that its flags exclude");
  }
  // The targets of the pointers, in the order of the pointers.
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

/** Reads the user principal name; the SID in the structure must equal that in the logon information. */
function readUpn(bytes: Uint8Array, sid: string): string | undefined {
  const from = new Reader(bytes);
  const part = (): Uint8Array => {
    const [length, offset] = [from.u16(), from.u16()];
    if (offset + length > bytes.length) throw malformed("has a name that ends after its data");
    return bytes.subarray(offset, offset + length);
  };
  const [upn] = [part(), part()];
  if ((from.u32() & HAS_SAM_NAME_AND_SID) !== 0) {
    const [, own] = [part(), part()];
    if (formatSid(checkedSid(own)) !== sid) throw malformed("names two accounts");
  }
  return shown(upn);
}
