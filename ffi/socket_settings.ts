/**
 * A codec's settings on their way to the system: the password is appended and zeroed again, and what the settings
 * say is held against what was asked for. A codec may be a stranger's.
 *
 * @module
 */

import { ProviderTrapError, SecurityRequirementError } from "../errors.ts";
import {
  SOCKET_SECURITY_SETTINGS,
  SOCKET_SECURITY_SETTINGS_IPSEC,
  SOCKET_SETTINGS,
  SOCKET_SETTINGS_IPSEC,
} from "./raw/fwpuclnt.ts";

/** No settings are longer. */
const MAX_SETTINGS = 65536;

/** What settings must say. */
export interface SettingsTerms {
  /** They must guarantee encryption. */
  readonly encryption: boolean;
  /** They may allow clear text: nothing is required, and the application said so. */
  readonly allowInsecure: boolean;
  /** They are for datagrams, the first of which leaves before the system can be asked. */
  readonly datagrams: boolean;
}

/**
 * Appends the password and hands the whole to `apply`; zeroed when that has returned.
 *
 * @param password UTF-16 without a terminator, the caller's to zero.
 * @throws ProviderTrapError where the codec's settings are not what was asked for; SecurityRequirementError where they
 * leave datagrams to filters that nobody knows of.
 */
export function withSettings(
  settings: Uint8Array,
  password: Uint8Array,
  terms: SettingsTerms,
  apply: (whole: Uint8Array) => void,
): void {
  checkSettings(settings, terms);
  // The system takes no less than the structure with its padding; the lengths inside say what counts.
  const whole = new Uint8Array(Math.ceil((settings.length + password.length) / 8) * 8);
  whole.set(settings);
  whole.set(password, settings.length);
  try {
    apply(whole);
  } finally {
    whole.fill(0);
  }
}

function checkSettings(
  settings: Uint8Array,
  { encryption, allowInsecure, datagrams }: SettingsTerms,
): void {
  const refuse = (problem: string): never => {
    throw new ProviderTrapError(
      `The provider's socket settings were refused: they ${problem}. Report this to it`,
    );
  };
  if (settings.length < SOCKET_SECURITY_SETTINGS.size || settings.length > MAX_SETTINGS) {
    refuse(`have ${settings.length} bytes`);
  }
  const view = new DataView(settings.buffer, settings.byteOffset, settings.length);
  const { SecurityFlags } = SOCKET_SECURITY_SETTINGS.read(view);
  if (!allowInsecure && SecurityFlags & SOCKET_SETTINGS.ALLOW_INSECURE) {
    refuse("allow clear text, which the application did not");
  }
  if (encryption && !(SecurityFlags & SOCKET_SETTINGS.GUARANTEE_ENCRYPTION)) {
    refuse("do not guarantee encryption, which is required");
  }
  const { offsets } = SOCKET_SECURITY_SETTINGS_IPSEC;
  const ipsec = settings.length >= offsets.AllStrings ? view.getUint32(offsets.IpsecFlags, true) : 0;
  if (!allowInsecure && ipsec & SOCKET_SETTINGS_IPSEC.ALLOW_FIRST_INBOUND_PKT_UNENCRYPTED) {
    refuse("allow a first packet in clear text, which the application did not");
  }
  if (!allowInsecure && datagrams && ipsec & SOCKET_SETTINGS_IPSEC.SKIP_FILTER_INSTANTIATION) {
    throw new SecurityRequirementError(
      "integrity",
      "not known",
      "Settings without filters of the socket's own leave the first datagram to filters that nobody has told of; " +
        "nothing was sent. Leave skipFilters out",
    );
  }
}
