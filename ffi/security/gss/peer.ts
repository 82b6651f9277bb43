/**
 * Who the peer of a GSS-API context is: its name, what the PAC of its ticket says, and the account it is mapped to.
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
 * Who a name of an established context is; `undefined` where it is nobody in particular.
 *
 * @param mechanism what authenticated it.
 * @param role which end this is: a client's peer is the service whose key it proved to have.
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

/** What the PAC says, or why it is not believed; nothing where there is none. */
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
