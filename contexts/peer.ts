/**
 * Who the peer of a connection is, and whether it belongs to a group.
 *
 * @module
 */

import type { PeerIdentity, ProviderContext } from "../contract.ts";
import { AuthenticationError } from "../errors.ts";
import { downLevelPeer, kerberosPeer } from "../ffi/security/peer_name.ts";
import { formatSid, parseSid } from "../ffi/windows/sid.ts";
import { provesServer } from "../plugins/requirements.ts";

/**
 * Who the peer of a context is that is done; `undefined` where it did not prove it.
 *
 * The name of a provider that reports nothing else is split as its mechanism writes names; a name of a mechanism that
 * is not known here stays whole.
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
 * Whether a peer is the account, or is in the group, that has a SID.
 *
 * @param peer `conn.peer`.
 * @param sid `S-1-5-21-…-1104`; a name is refused, for it would never match.
 * @throws TypeError where `sid` is not a SID.
 * @throws AuthenticationError where there is no peer, or its groups are not known: neither yes nor no would be true.
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
