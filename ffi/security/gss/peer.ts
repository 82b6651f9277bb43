/**
 * The identity of a GSS-API context's peer: its name, the account in its ticket's PAC, and the local account.
 *
 * @module
 */

import type { PeerIdentity } from "../../../contract.ts";
import { AuthenticationError, ProtocolError } from "../../../errors.ts";
import { NAME_ATTRIBUTES } from "../../raw/gssapi.ts";
import { downLevelPeer, isAnonymous, kerberosPeer } from "../peer_name.ts";
import type { Gss } from "./gss.ts";
import { type PacAccount, readPac } from "./pac.ts";

/**
 * Returns the identity for a name of an established context; `undefined` for an anonymous one.
 *
 * @param mechanism the mechanism that authenticated it.
 * @param role which end this is: a client's peer is the service that proved to have its key.
 */
export function gssPeer(
  gss: Gss,
  handle: bigint,
  mechanism: string,
  role: "client" | "server",
): PeerIdentity | undefined {
  const name = gss.displayName(handle);
  if (mechanism !== "kerberos") {
    const named = mechanism === "ntlm" ? downLevelPeer(name) : { name, user: name, realm: "" };
    return name === "" ? undefined : Object.freeze({ ...named, kind: "unknown" });
  }
  const named = kerberosPeer(name);
  if (role === "client") return Object.freeze({ ...named, kind: "service" });
  if (isAnonymous(name)) return undefined;
  const localName = gss.localName(handle);
  return Object.freeze({
    ...named,
    kind: "unknown" as const,
    ...pacOf(gss, handle),
    ...(localName === undefined ? {} : { localName }),
  });
}

/** Returns the account in the PAC, or why it is refused; an empty object where there is no PAC. */
function pacOf(gss: Gss, handle: bigint): PacAccount | { readonly incomplete?: string } {
  try {
    const logonInfo = gss.nameAttribute(handle, NAME_ATTRIBUTES.logonInfo);
    return logonInfo === null
      ? {}
      : readPac(logonInfo, gss.nameAttribute(handle, NAME_ATTRIBUTES.upnDnsInfo));
  } catch (error) {
    if (!(error instanceof ProtocolError || error instanceof AuthenticationError)) throw error;
    return { incomplete: error.message };
  }
}
