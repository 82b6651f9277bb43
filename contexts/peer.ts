/**
 * The identity of a connection's peer, and its group memberships.
 *
 * @module
 */

import type { PeerIdentity, ProviderContext } from "../contract.ts";
import { AuthenticationError } from "../errors.ts";
import { downLevelPeer, kerberosPeer } from "../ffi/security/peer_name.ts";
import { formatSid, parseSid } from "../ffi/windows/sid.ts";
import { provesServer } from "../plugins/requirements.ts";

/**
 * The peer's identity, of an established context; `undefined` if the peer did not prove it.
 *
 * If a provider reports only a name, it is split in the form of its mechanism; a name of an unknown mechanism stays
 * whole.
 */
export function peerOf(context: ProviderContext, role: "client" | "server"): PeerIdentity | undefined {
  if ("peerIdentity" in context) return context.peerIdentity;
  const { attributes, peerName: name } = context;
  const proved = role === "client" ? provesServer(attributes) : attributes.impersonation !== "anonymous";
  if (name === "" || !proved) return undefined;
  const named = attributes.mechanism === "ntlm"
    ? downLevelPeer(name)
    : attributes.mechanism === "kerberos"
    ? kerberosPeer(name)
    : { name, user: name, realm: "" };
  return Object.freeze({ ...named, kind: role === "client" ? "service" : "unknown" });
}

/**
 * Whether a SID is that of the peer's account, or of a group it belongs to.
 *
 * @param peer `conn.peer`.
 * @param sid `S-1-5-21-…-1104`. Names are refused, because they never match.
 * @throws TypeError if `sid` is not a SID.
 * @throws AuthenticationError if there is no peer, or its groups are unknown: neither answer would be certain.
 * @example
 * ```ts
 * import { isMember, type PeerIdentity } from "@winsock/secure-sockets";
 *
 * const OPERATORS = "S-1-5-21-1-2-3-1604";
 * const name = { name: "alice@EXAMPLE.TEST", user: "alice", realm: "EXAMPLE.TEST" };
 * const peer: PeerIdentity = { ...name, kind: "user", sid: "S-1-5-21-1-2-3-1104", groups: [OPERATORS] };
 * console.log(isMember(peer, OPERATORS)); // => true
 * ```
 */
export function isMember(peer: PeerIdentity | undefined, sid: string): boolean {
  const bytes = typeof sid === "string" ? parseSid(sid) : null;
  if (bytes === null) {
    throw new TypeError(
      `sid must be a security identifier such as S-1-5-21-1-2-3-1104, not ${JSON.stringify(sid)}; ` +
        "find a group's with Get-ADGroup, or samba-tool group show",
    );
  }
  if (peer?.sid === undefined || peer.groups === undefined) {
    const why = peer === undefined
      ? "it did not prove its identity"
      : peer.incomplete ?? "nothing that authenticated it reports groups (no PAC)";
    throw new AuthenticationError(
      "other",
      `Cannot tell whether ${peer?.name ?? "the peer"} is a member of ${sid}: ${why}. ` +
        "Authorise this peer by its name and realm, or refuse it",
    );
  }
  const wanted = formatSid(bytes);
  return peer.sid === wanted || peer.groups.includes(wanted);
}
