/**
 * The identity of an SSPI context's peer: its name, and the SIDs in its access token.
 *
 * @module
 */

import type { PeerIdentity } from "../../../contract.ts";
import { AuthenticationError, ProtocolError } from "../../../errors.ts";
import { pinned } from "../../memory/memory.ts";
import type { NativeSystem } from "../../system.ts";
import { Impersonator } from "../../windows/impersonation.ts";
import { PeerToken } from "../../windows/token.ts";
import { downLevelPeer, isAnonymous, kerberosPeer } from "../peer_name.ts";
import { isError, type Sspi } from "./sspi.ts";

/** What a system with the grant `impersonation` can do with clients. */
export class Clients {
  /** Runs functions as a client. Its libraries are opened before any impersonation. */
  readonly impersonator: Impersonator;
  readonly #system: NativeSystem;

  constructor(system: NativeSystem) {
    this.impersonator = new Impersonator(system);
    this.#system = system;
  }

  /** Becomes the owner of a client's access token. */
  token(handle: bigint): PeerToken {
    return new PeerToken(this.#system, handle);
  }
}

/** What is known of a peer in addition to its name. */
type Known = Pick<PeerIdentity, "kind" | "sid" | "groups" | "incomplete">;

/** Returns the identity for a name; `undefined` where the package reports none, or the name is anonymous. */
export function sspiPeer(name: string, mechanism: string, known: Known): PeerIdentity | undefined {
  if (name === "" || isAnonymous(name)) return undefined;
  const principal = mechanism === "kerberos" ? kerberosPeer(name) : null;
  // Windows writes accounts in the down-level form too, whichever package authenticated them.
  return Object.freeze({ ...(principal?.realm ? principal : downLevelPeer(name)), ...known });
}

/** Returns SID and groups from a client's access token, or why they are not known. */
export function readToken(
  sspi: Sspi,
  context: Uint8Array,
  clients: Clients | null,
): Pick<PeerIdentity, "sid" | "groups" | "incomplete"> {
  if (clients === null) {
    return {
      incomplete:
        'the access token was not read: open the system with openSystem({ grants: ["sspi", "impersonation"] })',
    };
  }
  try {
    const out = pinned(8);
    const status = sspi.call.QuerySecurityContextToken(context, out);
    if (isError(status)) {
      throw sspi.failure("QuerySecurityContextToken", status, "read the client's access token");
    }
    using token = clients.token(new DataView(out.buffer).getBigUint64(0, true));
    return { sid: token.sid, groups: Object.freeze(token.memberOf) };
  } catch (error) {
    if (!(error instanceof ProtocolError || error instanceof AuthenticationError)) throw error;
    return { incomplete: error.message };
  }
}
