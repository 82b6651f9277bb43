/**
 * What a connection must be, told to the system before it exists.
 *
 * @module
 */

import type { CheckedCredentials, CheckedPassword } from "../../credentials.ts";
import { SecurityRequirementError } from "../../errors.ts";
import { readSettings, type SettingsGrant } from "../../ffi/ipsec/codec_reader.ts";
import { UdpSocket } from "../../ffi/winsock/udp.ts";
import type { OverlappedSocket } from "../../ffi/winsock/overlapped.ts";
import type { SecureSockets } from "../../ffi/ipsec/secure_sockets.ts";
import { passwordUnits } from "../../ffi/windows/password.ts";
import type { ResolvedRequirements, SettingsIdentity, SocketCodec, SocketGrants } from "../../contract.ts";
import type { SocketChosen } from "../establish.ts";
import { isActing, refuseAnonymous, refuseBeyond } from "./settings_bounds.ts";

/** A zero in UTF-16, which the settings do without. */
const TERMINATOR = 2;

/** Whether clear text is allowed: the application said so, and requires nothing that clear text cannot give. */
export function mayBeClear(chosen: SocketChosen): boolean {
  return isClearGranted(chosen.selection.provider, chosen.selection.requirements);
}

function isClearGranted({ allowInsecure }: SocketGrants, requirements: ResolvedRequirements): boolean {
  const { integrity, confidentiality, mutualAuthentication } = requirements;
  const required = integrity || confidentiality || mutualAuthentication || isActing(requirements);
  return allowInsecure === true && !required;
}

/** What the settings may say for a provider with these grants: those that weaken count only where nothing is required. */
export function settingsGrant(
  grants: SocketGrants,
  requirements: ResolvedRequirements,
  identity: SettingsIdentity,
): SettingsGrant {
  const allowInsecure = isClearGranted(grants, requirements);
  return {
    ...identity,
    encryption: requirements.confidentiality,
    allowInsecure,
    firstPacketInClear: allowInsecure && grants.firstPacketInClear === true,
    optionalPeerName: grants.optionalPeerName === true,
    rawPeerName: grants.rawPeerName === true,
    skipFilters: grants.skipFilters === true,
    mainModePolicies: grants.mainModePolicies ?? [],
    quickModePolicies: grants.quickModePolicies ?? [],
  };
}

/** Refuses, before anything is opened, what no socket can be given. */
export function refuseForSocket({ settings, selection }: SocketChosen): void {
  const { name } = selection.provider;
  if (settings.channelBindings !== undefined) {
    throw new SecurityRequirementError(
      "channelBindings",
      "not offered",
      `"${name}" secures the packets below the connection and knows of no outer channel: leave channelBindings out`,
    );
  }
  if (settings.side.role === "server" && settings.side.acceptedTargets !== undefined) {
    throw new SecurityRequirementError(
      "acceptedTargets",
      "not offered",
      `"${name}" does not tell which name a client asked for: leave acceptedTargets out`,
    );
  }
  const { requirements } = selection;
  if (requirements.delegation || requirements.impersonation === "delegate") {
    throw new SecurityRequirementError(
      "delegation",
      "not offered",
      `"${name}" secures packets and hands no credentials on: leave delegation out, or use negotiate()`,
    );
  }
  if (settings.side.role === "client") refuseAnonymous(requirements, name);
  const { credentials } = settings;
  if (credentials !== undefined && !("password" in credentials)) {
    throw new TypeError(
      `credentials for "${name}" must have a username and a password; leave them out to be whoever runs the process`,
    );
  }
  if (credentials !== undefined) passwordUnits(credentials.password).fill(0);
}

/** Refuses, before anything is opened, what datagrams cannot be given. */
export function refuseForDatagrams(chosen: SocketChosen): void {
  const { name, abortOnAssociationChange, skipFilters } = chosen.selection.provider;
  refuseAnonymous(chosen.selection.requirements, name);
  if (abortOnAssociationChange !== undefined) {
    throw new SecurityRequirementError(
      "abortOnAssociationChange",
      "not offered",
      `Datagrams have no connection that could be aborted: leave abortOnAssociationChange out of "${name}"`,
    );
  }
  if (skipFilters && !mayBeClear(chosen)) {
    throw new SecurityRequirementError(
      "integrity",
      "not known",
      "Settings without filters of the socket's own leave the first datagram to filters that nobody has told of; " +
        `nothing was sent. Leave skipFilters out of "${name}"`,
    );
  }
}

/** Sets a socket's security, before it is bound or connected: what the codec wrote, and the password behind it. */
export function applySettings(
  chosen: SocketChosen,
  codec: SocketCodec,
  secure: SecureSockets,
  socket: OverlappedSocket,
): void {
  const { requirements } = chosen.selection;
  const provider = chosen.selection.provider;
  const credentials = passwordIdentity(chosen.settings.credentials);
  const units = passwordUnits(credentials?.password ?? "");
  try {
    const password = units.subarray(0, units.length - TERMINATOR);
    const { username = "", domain = "" } = credentials ?? {};
    const identity = { username, domain, passwordBytes: password.length };
    const grant = settingsGrant(provider, requirements, identity);
    const { bytes, keys } = readSettings(codec.settings(requirements, identity), grant);
    if (socket instanceof UdpSocket || chosen.settings.side.role === "client") {
      refuseBeyond(provider, keys, requirements);
    }
    withPassword(bytes, password, (settings) => secure.setSecurity(socket, settings));
  } finally {
    units.fill(0);
  }
}

/** Hands the settings and the password behind them to `apply`, and overwrites both when that has returned. */
function withPassword(bytes: Uint8Array, password: Uint8Array, apply: (settings: Uint8Array) => void): void {
  // The system takes no less than the structure with its padding; the lengths inside say what counts.
  const settings = new Uint8Array(Math.ceil((bytes.length + password.length) / 8) * 8);
  try {
    settings.set(bytes);
    settings.set(password, bytes.length);
    apply(settings);
  } finally {
    settings.fill(0);
  }
}

function passwordIdentity(
  credentials: CheckedCredentials | undefined,
): CheckedPassword | null {
  return credentials !== undefined && "password" in credentials ? credentials : null;
}
