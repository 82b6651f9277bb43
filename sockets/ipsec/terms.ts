/**
 * What a connection must be, told to the system before it exists.
 *
 * @module
 */

import { SecurityRequirementError } from "../../errors.ts";
import { UdpSocket } from "../../ffi/winsock/udp.ts";
import type { OverlappedSocket } from "../../ffi/winsock/overlapped.ts";
import type { SecureSockets } from "../../ffi/ipsec/secure_sockets.ts";
import { passwordUnits } from "../../ffi/windows/password.ts";
import { withSettings } from "../../ffi/ipsec/settings.ts";
import type { Credentials, SocketCodec, SocketProvider } from "../../contract.ts";
import type { Chosen } from "../establish.ts";
import { isActing, refuseAnonymous, refuseBeyond } from "./settings_bounds.ts";

/** A zero in UTF-16, which the settings do without. */
const TERMINATOR = 2;

/** The provider of what was chosen. @throws TypeError where it is of another layer. */
export function socketProvider({ selection }: Chosen): SocketProvider {
  const { provider } = selection;
  if (provider.layer === "socket") return provider;
  throw new TypeError(`the provider "${provider.name}" is of layer ${provider.layer}`);
}

/** Whether clear text is allowed: the application said so, and requires nothing that clear text cannot give. */
export function mayBeClear(chosen: Chosen): boolean {
  const { requirements } = chosen.selection;
  const { integrity, confidentiality, mutualAuthentication } = requirements;
  const required = integrity || confidentiality || mutualAuthentication || isActing(requirements);
  return socketProvider(chosen).allowInsecure && !required;
}

/** Refuses, before anything is opened, what no socket can be given. */
export function refuseForSocket({ settings, selection }: Chosen): void {
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
  if (settings.side.role === "client") refuseAnonymous(selection.requirements, name);
  const { credentials } = settings;
  if (credentials !== undefined && !("password" in credentials)) {
    throw new TypeError(
      `credentials for "${name}" must have a username and a password; leave them out to be whoever runs the process`,
    );
  }
  if (credentials !== undefined) passwordUnits(credentials.password).fill(0);
}

/** Refuses, before anything is opened, what datagrams cannot be given. */
export function refuseForDatagrams(chosen: Chosen): void {
  const { name, abortOnAssociationChange, skipFilters } = socketProvider(chosen);
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

/** Sets a socket's security, before it is bound or connected. */
export function applySettings(
  chosen: Chosen,
  codec: SocketCodec,
  secure: SecureSockets,
  socket: OverlappedSocket,
): void {
  const { requirements } = chosen.selection;
  const datagrams = socket instanceof UdpSocket;
  const given = socketProvider(chosen);
  const identity = passwordIdentity(chosen.settings.credentials);
  const units = passwordUnits(identity?.password ?? "");
  try {
    const password = units.subarray(0, units.length - TERMINATOR);
    const names = { username: identity?.username ?? "", domain: identity?.domain ?? "" };
    const settings = codec.settings(requirements, { ...names, passwordBytes: password.length });
    const terms = {
      encryption: requirements.confidentiality,
      allowInsecure: mayBeClear(chosen),
      ...names,
      given,
    };
    const bounds = datagrams || chosen.settings.side.role === "client";
    withSettings(settings, password, terms, (whole) => {
      if (bounds) refuseBeyond(settings, requirements);
      secure.setSecurity(socket, whole);
    });
  } finally {
    units.fill(0);
  }
}

function passwordIdentity(
  credentials: Credentials | undefined,
): Extract<Credentials, { password: unknown }> | null {
  return credentials !== undefined && "password" in credentials ? credentials : null;
}
