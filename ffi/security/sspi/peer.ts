/**
 * Who the peer of an SSPI context is: its name, and what its access token says.
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

/** What a system with the grant `impersonation` can do with the clients of its servers. */
export class Clients {
  /** Runs functions as a client. Its libraries are open before anybody is impersonated. */
  readonly impersonator: Impersonator;
  readonly #system: NativeSystem;

  constructor(system: NativeSystem) {
    this.impersonator = new Impersonator(system);
    this.#system = system;
  }

  /** The owner of a client's access token. */
  token(handle: bigint): PeerToken {
    return new PeerToken(this.#system, handle);
  }
}

/** What is known of a peer besides its name. */
type Known = Pick<PeerIdentity, "kind" | "sid" | "groups" | "incomplete">;

/** Who a name is; `undefined` where the package reports none, or the name is nobody's in particular. */
export function sspiPeer(name: string, mechanism: string, known: Known): PeerIdentity | undefined {
  if (name === "" || isAnonymous(name)) return undefined;
  const principal = mechanism === "kerberos" ? kerberosPeer(name) : null;
  // Windows writes accounts in the down-level form too, whichever package authenticated them.
  return Object.freeze({ ...(principal?.realm ? principal : downLevelPeer(name)), ...known });
}

/** SID and groups of a client, by the access token that the system made of it; else why they are not known. */
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
