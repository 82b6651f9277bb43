/**
 * Reads the bytes that a codec of the socket layer wrote, with the layouts of `ffi/raw`, before they are passed to
 * the system. A codec may be a third party's: what is weaker than the application granted, or different from it, is
 * refused. Results are copies.
 *
 * @module
 */

import { ProviderTrapError } from "../../errors.ts";
import * as fwp from "../raw/fwpuclnt.ts";
import { SOCKADDR_STORAGE } from "../raw/ws2_32.ts";
import type { Fields, Struct, Values } from "../memory/struct.ts";

/** The key that means the system's own policy. */
const NO_KEY = "00000000-0000-0000-0000-000000000000";
const FLAGS = {
  skipFilters: fwp.SOCKET_SETTINGS_IPSEC.SKIP_FILTER_INSTANTIATION,
  optionalPeerName: fwp.SOCKET_SETTINGS_IPSEC.OPTIONAL_PEER_NAME_VERIFICATION,
  firstPacketInClear: fwp.SOCKET_SETTINGS_IPSEC.ALLOW_FIRST_INBOUND_PKT_UNENCRYPTED,
  rawPeerName: fwp.SOCKET_SETTINGS_IPSEC.PEER_NAME_IS_RAW_FORMAT,
} as const;
const { MM_SA_ID: mainModeSa, QM_SA_ID: quickModeSa } = fwp.SOCKET_QUERY_IPSEC2_FIELD_MASK;
const WATCHED = { mainModeSa, quickModeSa } as const;
type Flag = keyof typeof FLAGS;

/** What the application granted for a socket's settings: a flag must be set exactly where it is true. */
export interface SettingsGrant extends Readonly<Record<Flag | "encryption" | "allowInsecure", boolean>> {
  /** Keys of policies; the settings must name one of them. Empty: only the system's own policy. */
  readonly mainModePolicies: readonly string[];
  readonly quickModePolicies: readonly string[];
  readonly username: string;
  readonly domain: string;
  readonly passwordBytes: number;
}

/** Reads a `SOCKET_SECURITY_SETTINGS_IPSEC` that ends before its password; `keys` are those of its policies. */
export function readSettings(given: Uint8Array, grant: SettingsGrant): { bytes: Uint8Array; keys: string[] } {
  const { ALLOW_INSECURE, GUARANTEE_ENCRYPTION } = fwp.SOCKET_SETTINGS;
  // Guaranteeing encryption without a requirement is allowed, and so is leaving out a granted permission for clear
  // text.
  const secure = grant.encryption ? [GUARANTEE_ENCRYPTION] : [0, GUARANTEE_ENCRYPTION];
  const clear = grant.allowInsecure ? secure.map((flags) => flags | ALLOW_INSECURE) : [];
  const oneOf = (keys: readonly string[]) => keys.length > 0 ? keys.map((key) => key.toLowerCase()) : NO_KEY;
  const { offsets, size } = fwp.SOCKET_SECURITY_SETTINGS_IPSEC, names = grant.username + grant.domain;
  const length = names.length + grant.passwordBytes === 0 ? size : offsets.AllStrings + 2 * names.length;
  const { bytes, fields } = read(given, fwp.SOCKET_SECURITY_SETTINGS_IPSEC, length, {
    SecurityProtocol: fwp.SOCKET_SECURITY_PROTOCOL.IPSEC,
    SecurityFlags: [...secure, ...clear],
    IpsecFlags: Object.entries(FLAGS).reduce((sum, [flag, bit]) => grant[flag as Flag] ? sum | bit : sum, 0),
    AuthipMMPolicyKey: oneOf(grant.mainModePolicies),
    AuthipQMPolicyKey: oneOf(grant.quickModePolicies),
    Reserved: NO_KEY,
    Reserved2: 0n,
    UserNameStringLen: 2 * grant.username.length,
    DomainNameStringLen: 2 * grant.domain.length,
    PasswordStringLen: grant.passwordBytes,
    AllStrings: names,
  });
  return { bytes, keys: [fields.AuthipMMPolicyKey, fields.AuthipQMPolicyKey] };
}

/** Reads a `SOCKET_PEER_TARGET_NAME` for a peer, whose address may be empty. */
export function readTarget(given: Uint8Array, peer: Uint8Array, name: string): Uint8Array {
  const { offsets, size } = fwp.SOCKET_PEER_TARGET_NAME, length = offsets.AllStrings + 2 * name.length;
  return read(given, fwp.SOCKET_PEER_TARGET_NAME, Math.max(size, length), {
    SecurityProtocol: fwp.SOCKET_SECURITY_PROTOCOL.IPSEC,
    PeerAddress: peer,
    PeerTargetNameStringLen: 2 * name.length,
    AllStrings: name,
  }).bytes;
}

/**
 * Reads a `SOCKET_SECURITY_QUERY_TEMPLATE_IPSEC2`; when a field of `watched` changes, the system aborts the
 * connection.
 */
export function readTemplate(
  given: Uint8Array,
  peer: Uint8Array,
  access: number,
  watched: readonly (keyof typeof WATCHED)[],
): Uint8Array {
  const layout = fwp.SOCKET_SECURITY_QUERY_TEMPLATE_IPSEC2;
  return read(given, layout, layout.size, {
    SecurityProtocol: fwp.SOCKET_SECURITY_PROTOCOL.IPSEC2,
    PeerAddress: peer,
    PeerTokenAccessMask: access,
    Flags: watched.length === 0 ? 0 : fwp.SOCKET_QUERY_IPSEC2.ABORT_CONNECTION_ON_FIELD_CHANGE,
    FieldMask: watched.reduce((sum, field) => sum | WATCHED[field], 0) ||
      WATCHED.mainModeSa | WATCHED.quickModeSa,
  }).bytes;
}

/**
 * The allowed contents of a field: a value, one of several values, a text in UTF-16, or the bytes of an address
 * followed by zeros.
 */
type Granted = number | bigint | string | Uint8Array | readonly (number | string)[];

/** Reads a structure: every field must be as granted, and the bytes between and after the fields must be zeros. */
function read<F extends Fields>(
  given: Uint8Array,
  layout: Struct<F>,
  length: number,
  granted: { readonly [name in keyof F]: Granted },
): { bytes: Uint8Array; fields: Values<F> } {
  const refuse = (problem: string): never => {
    throw new ProviderTrapError(
      `The provider's ${layout.name} was refused: it ${problem}. Correct the provider, or its grants`,
    );
  };
  if (given.length !== length) refuse(`has ${given.length} bytes, not ${length}`);
  const [whole, again] = [0, 1].map(() => new Uint8Array(Math.max(length, layout.size)));
  whole.set(given);
  const fields = layout.read(new DataView(whole.buffer));
  for (const name of Object.keys(layout.fields)) {
    const is: unknown = fields[name], want: Granted = granted[name], at = layout.offsets[name];
    let same = Array.isArray(want) ? want.includes(is) : is === want;
    if (Array.isArray(is)) same = is.every((unit, index) => unit === (String(want).charCodeAt(index) || 0));
    const address = whole.subarray(at, at + SOCKADDR_STORAGE.size);
    if (want instanceof Uint8Array) same = address.every((byte, index) => byte === (want[index] ?? 0));
    if (!same) refuse(`has a value in ${name} that was not granted`);
  }
  layout.write(new DataView(again.buffer), fields);
  if (again.some((byte, index) => byte !== whole[index])) refuse("has bytes outside its fields");
  return { bytes: whole.subarray(0, length), fields };
}
