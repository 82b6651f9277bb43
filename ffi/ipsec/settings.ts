/**
 * A codec's settings on their way to the system: the password is appended and zeroed again, and what the settings
 * say is held against what was asked for. A codec may be a stranger's.
 *
 * @module
 */

import { ProviderTrapError } from "../../errors.ts";
import { wideString } from "../memory/memory.ts";
import {
  SOCKET_SECURITY_PROTOCOL,
  SOCKET_SECURITY_SETTINGS,
  SOCKET_SECURITY_SETTINGS_IPSEC,
  SOCKET_SECURITY_SETTINGS_IPSEC_FIELDS,
  SOCKET_SETTINGS,
  SOCKET_SETTINGS_IPSEC,
} from "../raw/fwpuclnt.ts";

/** What settings must say. */
export interface SettingsTerms {
  /** They must guarantee encryption. */
  readonly encryption: boolean;
  /** They may allow clear text: nothing is required, and the application said so. */
  readonly allowInsecure: boolean;
  /** The user's name; empty: whoever runs the process. */
  readonly username: string;
  /** The user's domain; may be empty. */
  readonly domain: string;
  /** What the application gave the provider; `firstPacketInClear` counts only with `allowInsecure`. */
  readonly given: {
    /** The key of the main-mode policy; left out: the system's. */
    readonly mainModePolicy?: string;
    /** The key of the quick-mode policy, likewise. */
    readonly quickModePolicy?: string;
    /** A peer that does not prove its name is accepted. */
    readonly optionalPeerName?: boolean;
    /** The peer's name is no service principal name. */
    readonly rawPeerName?: boolean;
    /** No filters are made for the socket. */
    readonly skipFilters?: boolean;
    /** A peer's first packet may come in clear text. */
    readonly firstPacketInClear?: boolean;
  };
}

/**
 * Appends the password and hands the whole to `apply`; zeroed when that has returned.
 *
 * @param password UTF-16 without a terminator, the caller's to zero.
 * @throws ProviderTrapError where the codec's settings are not what was asked for.
 */
export function withSettings(
  settings: Uint8Array,
  password: Uint8Array,
  terms: SettingsTerms,
  apply: (whole: Uint8Array) => void,
): void {
  const expected = expectedSettings(terms, password.length);
  const { length } = settings;
  if (length !== expected.length && length !== SOCKET_SECURITY_SETTINGS.size) {
    refuse(`have ${length} bytes and not ${expected.length}`);
  }
  // The system takes no less than the structure with its padding; the lengths inside say what counts.
  const whole = new Uint8Array(Math.ceil((length + password.length) / 8) * 8);
  whole.set(settings);
  // What is checked is what the system gets: whose memory the codec's answer is, nobody knows.
  checkSettings(whole.subarray(0, length), expected, terms);
  whole.set(password, length);
  try {
    apply(whole);
  } finally {
    whole.fill(0);
  }
}

function refuse(problem: string): never {
  throw new ProviderTrapError(
    `The provider's socket settings were refused: they ${problem}. Report this to it`,
  );
}

/** The settings for `terms` but for `SecurityFlags`: nothing else is the codec's to choose. */
function expectedSettings(terms: SettingsTerms, passwordBytes: number): Uint8Array {
  const { given, allowInsecure } = terms;
  const [user, domain] = [terms.username, terms.domain].map((text) =>
    wideString(text).subarray(0, 2 * text.length)
  );
  const at = SOCKET_SECURITY_SETTINGS_IPSEC.offsets.AllStrings;
  const strings = user.length + domain.length;
  const size = strings + passwordBytes === 0 ? SOCKET_SECURITY_SETTINGS_IPSEC.size : at + strings;
  const bytes = new Uint8Array(Math.max(size, SOCKET_SECURITY_SETTINGS_IPSEC.size));
  const { OPTIONAL_PEER_NAME_VERIFICATION, PEER_NAME_IS_RAW_FORMAT } = SOCKET_SETTINGS_IPSEC;
  const { SKIP_FILTER_INSTANTIATION, ALLOW_FIRST_INBOUND_PKT_UNENCRYPTED } = SOCKET_SETTINGS_IPSEC;
  SOCKET_SECURITY_SETTINGS_IPSEC.write(new DataView(bytes.buffer), {
    SecurityProtocol: SOCKET_SECURITY_PROTOCOL.IPSEC,
    IpsecFlags: (given.skipFilters ? SKIP_FILTER_INSTANTIATION : 0) |
      (given.optionalPeerName ? OPTIONAL_PEER_NAME_VERIFICATION : 0) |
      (given.firstPacketInClear && allowInsecure ? ALLOW_FIRST_INBOUND_PKT_UNENCRYPTED : 0) |
      (given.rawPeerName ? PEER_NAME_IS_RAW_FORMAT : 0),
    ...(given.mainModePolicy === undefined ? {} : { AuthipMMPolicyKey: given.mainModePolicy }),
    ...(given.quickModePolicy === undefined ? {} : { AuthipQMPolicyKey: given.quickModePolicy }),
    UserNameStringLen: user.length,
    DomainNameStringLen: domain.length,
    PasswordStringLen: passwordBytes,
  });
  bytes.set(user, at);
  bytes.set(domain, at + user.length);
  return bytes.subarray(0, size);
}

function checkSettings(settings: Uint8Array, expected: Uint8Array, terms: SettingsTerms): void {
  const { encryption, allowInsecure } = terms;
  const view = new DataView(settings.buffer, settings.byteOffset, settings.length);
  const { SecurityProtocol, SecurityFlags } = SOCKET_SECURITY_SETTINGS.read(view);
  const { ALLOW_INSECURE, GUARANTEE_ENCRYPTION } = SOCKET_SETTINGS;
  if (SecurityFlags & ~(ALLOW_INSECURE | GUARANTEE_ENCRYPTION)) refuse("have flags that nobody knows");
  if (!allowInsecure && SecurityFlags & ALLOW_INSECURE) {
    refuse("allow clear text, which the application did not");
  }
  if (encryption && !(SecurityFlags & GUARANTEE_ENCRYPTION)) {
    refuse("do not guarantee encryption, which is required");
  }
  if (settings.length === SOCKET_SECURITY_SETTINGS.size) checkShort(SecurityProtocol, expected);
  else checkFields(settings, expected);
}

/** The form without IPsec's own fields: the system's defaults. */
function checkShort(protocol: number, expected: Uint8Array): void {
  const { DEFAULT, IPSEC } = SOCKET_SECURITY_PROTOCOL;
  if (protocol !== DEFAULT && protocol !== IPSEC) refuse(`are of the protocol ${protocol}, not ${IPSEC}`);
  if (expected.subarray(SOCKET_SECURITY_SETTINGS.size).some((byte) => byte !== 0)) {
    refuse("are the system's defaults, and more was asked for");
  }
}

/** Every byte but those of `SecurityFlags`, padding included. */
function checkFields(settings: Uint8Array, expected: Uint8Array): void {
  const { offsets } = SOCKET_SECURITY_SETTINGS_IPSEC;
  const names = Object.keys(SOCKET_SECURITY_SETTINGS_IPSEC_FIELDS) as (keyof typeof offsets)[];
  names.forEach((name, index) => {
    if (name === "SecurityFlags") return;
    const next = names[index + 1];
    const part = [offsets[name], next === undefined ? undefined : offsets[next]] as const;
    const wanted = expected.subarray(...part);
    if (settings.subarray(...part).every((byte, at) => byte === wanted[at])) return;
    refuse(`have another ${name} than was asked for`);
  });
}
