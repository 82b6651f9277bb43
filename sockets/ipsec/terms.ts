/**
 * Sets a socket's security before it is bound or connected.
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
import { mayAllowImpersonation } from "../../ffi/ipsec/policies.ts";

/** The size of the terminating zero in UTF-16, which the settings do not contain. */
const TERMINATOR = 2;

/** Whether clear text is allowed: the application allowed it, and requires nothing that clear text cannot provide. */
export function mayBeClear(chosen: SocketChosen): boolean {
  return isClearGranted(chosen.selection.provider, chosen.selection.requirements);
}

function isClearGranted({ allowInsecure }: SocketGrants, requirements: ResolvedRequirements): boolean {
  const { integrity, confidentiality, mutualAuthentication } = requirements;
  const required = integrity || confidentiality || mutualAuthentication || isActing(requirements);
  return allowInsecure === true && !required;
}

/**
 * What the settings of a provider with these grants may contain. Grants that weaken them apply only if nothing is
 * required.
 */
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

/** Refuses, before anything is opened, requirements that no socket can meet. */
export function refuseForSocket({ settings, selection }: SocketChosen): void {
  const { name } = selection.provider;
  if (settings.channelBindings !== undefined) {
    throw new SecurityRequirementError(
      "channelBindings",
      "not offered",
      `"${name}" secures the packets below the connection and does not support channel bindings: ` +
        "leave channelBindings out",
    );
  }
  if (settings.side.role === "server" && settings.side.acceptedTargets !== undefined) {
    throw new SecurityRequirementError(
      "acceptedTargets",
      "not offered",
      `"${name}" does not report which name a client requested: leave acceptedTargets out`,
    );
  }
  const { requirements } = selection;
  if (requirements.delegation || requirements.impersonation === "delegate") {
    throw new SecurityRequirementError(
      "delegation",
      "not offered",
      `"${name}" secures packets and does not delegate credentials: leave delegation out, or use ` +
        "negotiate()",
    );
  }
  if (settings.side.role === "client") refuseAnonymous(requirements, name);
  const { credentials } = settings;
  if (credentials !== undefined && !("password" in credentials)) {
    throw new TypeError(
      `credentials for "${name}" must have a username and a password; leave them out to use the ` +
        "account that runs the process",
    );
  }
  if (credentials !== undefined) passwordUnits(credentials.password).fill(0);
}

/** Refuses, before anything is opened, requirements that datagrams cannot meet. */
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
      "unknown",
      "Without filters of its own (skipFilters) a socket's first datagram is protected only by the " +
        "filters of this computer, which are unknown; nothing was sent. Leave skipFilters out of " +
        `"${name}"`,
    );
  }
}

/** Sets a socket's security before it is bound or connected: the codec's settings, followed by the password. */
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

/** Calls `apply` with the settings followed by the password, and overwrites both when it has returned. */
function withPassword(bytes: Uint8Array, password: Uint8Array, apply: (settings: Uint8Array) => void): void {
  // The system requires the structure's padding too; the lengths inside it say what counts.
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

/** Whether an impersonation level lets a server act as its client. */
export function isActing({ impersonation }: Pick<ResolvedRequirements, "impersonation">): boolean {
  return impersonation === "impersonate" || impersonation === "delegate";
}

/**
 * Refuses the level `anonymous`, which IPsec cannot enforce: the client's computer, or user, authenticates to the
 * server.
 *
 * @throws SecurityRequirementError
 */
export function refuseAnonymous({ impersonation }: ResolvedRequirements, provider: string): void {
  if (impersonation !== "anonymous") return;
  throw new SecurityRequirementError(
    "impersonation",
    "not offered",
    `"${provider}" authenticates this computer to its peer, so it is not anonymous; nothing was ` +
      'sent. Require "identify", the default, or "impersonate"',
  );
}

/**
 * For an end that names its peer (a client, or datagrams): refuses settings with which the peer could do more as
 * this end, or be another computer, than the requirements allow.
 *
 * @param policies The keys of the policies that the settings name.
 * @throws SecurityRequirementError
 */
export function refuseBeyond(
  grants: SocketGrants,
  policies: readonly string[],
  requirements: ResolvedRequirements,
): void {
  if (requirements.mutualAuthentication && grants.optionalPeerName) {
    throw new SecurityRequirementError(
      "mutualAuthentication",
      "of any computer",
      "With optionalPeerName any computer that can authenticate is accepted instead of the named " +
        "one; nothing was sent. Leave optionalPeerName out (rawPeerName is for names that are not " +
        "SPNs), or set mutualAuthentication: false",
    );
  }
  if (isActing(requirements) || !policies.some(mayAllowImpersonation)) return;
  throw new SecurityRequirementError(
    "impersonation",
    "impersonate",
    `"${requirements.impersonation}" is the most that a server may do, but the policy lets it ` +
      "impersonate, or was not added by ipsecPolicy() in this program, so that its level is unknown; " +
      "nothing was sent. Use a policy without extendedMode.impersonation, or require impersonation: " +
      '"impersonate"',
  );
}
