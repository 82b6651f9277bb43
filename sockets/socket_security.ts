/**
 * The security of a connection that the system protects: asked of the system, never assumed.
 *
 * @module
 */

import { ProviderTrapError, SecurityRequirementError, UnsupportedPlatformError } from "../errors.ts";
import type { SecureSockets } from "../ffi/secure_sockets.ts";
import type { OverlappedSocket } from "../ffi/overlapped_socket.ts";
import { readAnswer, type SecurityAnswer } from "../ffi/socket_answer.ts";
import { Filtering } from "../ffi/filtering_engine.ts";
import { readAssociation } from "../ffi/security_association.ts";
import type { NativeSystem } from "../ffi/system.ts";
import { PeerToken, runAs, TOKEN_ACCESS } from "../ffi/token.ts";
import type { JsonValue, SecurityInfo, SocketAnswer, SocketCodec } from "../plugins/provider.ts";
import { associationDetails, unprotectedBy } from "./association_details.ts";
import type { ConnectionSecurity } from "./connection_security.ts";
import { type Chosen, originOf } from "./establish.ts";
import { runAsClient } from "./impersonation.ts";
import type { PeerTokens } from "./secure_conn.ts";
import { socketProvider } from "./socket_terms.ts";

const NO_ADDRESS = new Uint8Array();

/** What the security of a socket is asked with; it stays the caller's. */
export interface SocketSecurityMeans {
  /** The system they are functions of. */
  readonly system: NativeSystem;
  /** The functions. */
  readonly secure: SecureSockets;
  /** The socket: connected with its context updated, or for datagrams. */
  readonly socket: OverlappedSocket;
  /** The peer of datagrams, as the system's structure; left out: the one a socket is connected to. */
  readonly peer?: Uint8Array;
  /** Reads answers. */
  readonly codec: SocketCodec;
  /** Called once, when the connection is over. */
  readonly release: () => void;
}

/** Security that the system gives a socket towards one peer. */
export class SocketSecurity implements ConnectionSecurity {
  readonly info: SecurityInfo;
  readonly #chosen: Chosen;
  readonly #means: SocketSecurityMeans;
  readonly #filtering: Filtering;
  readonly #tokens = new Set<PeerToken>();

  /** Asks the system, and throws where what it tells is not what is required: before the first byte. */
  constructor(chosen: Chosen, means: SocketSecurityMeans) {
    this.#chosen = chosen;
    this.#means = means;
    this.#filtering = new Filtering(means.system, "ipsec");
    this.info = this.check();
  }

  check(): SecurityInfo {
    const { answer, read } = this.#query();
    const info = this.#describe(read.secured, read.encrypted, answer);
    this.#verify(info);
    return info;
  }

  /** Asks for no more than whether the packets are still secured as they were; throws where they are not. */
  checkPackets(): void {
    const { read } = this.#query();
    this.#verify({ ...this.info, secured: read.secured, encrypted: read.encrypted });
  }

  #query(): { readonly answer: SecurityAnswer; readonly read: SocketAnswer } {
    const { secure, socket, codec, peer = NO_ADDRESS } = this.#means;
    const bytes = secure.query(socket, codec.queryTemplate(peer, 0));
    const answer = readAnswer(bytes);
    const read = codec.queryAnswer(bytes.slice());
    if (read.secured && !answer.secured || read.encrypted && !answer.encrypted) {
      throw new ProviderTrapError(
        "The provider says more of the connection than the system told it; the connection was closed",
      );
    }
    return { answer, read };
  }

  #describe(secured: boolean, encrypted: boolean, answer: SecurityAnswer): SecurityInfo {
    const { provider, simulated, machinePolicy } = originOf(this.#chosen);
    const read = secured ? readAssociation(this.#filtering, answer) : null;
    const association = typeof read === "string" ? null : read;
    const hole = unprotectedBy(read);
    const details: { readonly [key: string]: JsonValue } = Object.freeze({
      machinePolicy,
      association: associationDetails(read),
      ...(hole === null ? {} : { unprotectedBy: hole }),
      ...(answer.mainModeSa === 0n ? {} : { mainModeSa: String(answer.mainModeSa) }),
      ...(answer.quickModeSa === 0n ? {} : { quickModeSa: String(answer.quickModeSa) }),
      ...(answer.negotiationError === 0 ? {} : { negotiationError: answer.negotiationError }),
    } as { [key: string]: JsonValue });
    return Object.freeze({
      provider,
      secured: secured && hole === null,
      encrypted: secured && encrypted && hole === null,
      // The query tells of packets, not of people: only the association's credentials prove an identity.
      mutual: association === null ? "unknown" : association.mutual,
      peer: association?.mutual ? association.peer : "",
      impersonation: this.#mayImpersonate() ? "impersonate" : "anonymous",
      simulated,
      details,
    });
  }

  #verify(info: SecurityInfo): void {
    const { requirements } = this.#chosen.selection;
    const { allowInsecure, name } = socketProvider(this.#chosen);
    const refuse = (required: string, got: string, fix: string): never => {
      throw new SecurityRequirementError(
        required,
        got,
        `The connection's ${required} is ${got}, and it was required; no data was sent. ${fix}`,
      );
    };
    if (!info.secured && (requirements.integrity || !allowInsecure)) {
      const { unprotectedBy: hole } = info.details;
      if (typeof hole === "string") {
        refuse(
          "integrity",
          hole,
          "Use a quick-mode policy that proposes ESP or AH with integrity on every packet.",
        );
      }
      refuse("integrity", "none", `Give both computers credentials, and have both ends use "${name}".`);
    }
    if (requirements.confidentiality && !info.encrypted) {
      refuse("confidentiality", "none", "Have the policy of both ends offer encryption.");
    }
    if (requirements.mutualAuthentication && info.mutual !== true) {
      refuse(
        "mutualAuthentication",
        String(info.mutual),
        "The system tells it only of associations whose credentials may be read: use a main-mode policy by " +
          "Kerberos or certificates, and an account that is an administrator or a Network Configuration Operator. " +
          "Where the policy of the domain ensures it, say mutualAuthentication: false",
      );
    }
    const { impersonation } = requirements;
    const asked = impersonation === "impersonate" || impersonation === "delegate";
    if (this.#chosen.settings.side.role === "server" && asked && info.impersonation !== "impersonate") {
      refuse(
        "impersonation",
        info.impersonation,
        "Use an extended-mode policy that lets the server impersonate.",
      );
    }
  }

  /** Whether the system has a token of the client to act with; asked only where that is required. */
  #mayImpersonate(): boolean {
    const { impersonation } = this.#chosen.selection.requirements;
    const asked = impersonation === "impersonate" || impersonation === "delegate";
    if (this.#chosen.settings.side.role === "client" || !asked) return false;
    const { userToken, machineToken } = this.#ask(TOKEN_ACCESS.act);
    this.#means.secure.closeTokens(userToken, machineToken);
    return userToken !== 0n;
  }

  tokens(): PeerTokens {
    const { system, secure } = this.#means;
    const { userToken, machineToken } = this.#ask(TOKEN_ACCESS.tell);
    const open: PeerToken[] = [];
    try {
      const [user, computer] = [userToken, machineToken].map((handle) => {
        if (handle === 0n) return null;
        open.push(new PeerToken(system, handle));
        return open[open.length - 1];
      });
      for (const token of open) this.#tokens.add(token);
      return Object.freeze({ user, computer });
    } catch (error) {
      // The one that could not be taken over: those before it are closed by their owners.
      secure.closeTokens(open.length === 0 && userToken !== 0n ? userToken : 0n, machineToken);
      for (const token of open) token.close();
      throw error;
    }
  }

  impersonate<T>(fn: () => T): T {
    const { role } = this.#chosen.settings.side;
    return runAsClient({ impersonate: (inner) => this.#impersonate(inner) }, role, fn);
  }

  #impersonate<T>(fn: () => T): T {
    const { system, secure } = this.#means;
    const answer = this.#ask(TOKEN_ACCESS.act);
    try {
      if (answer.userToken === 0n) {
        throw new UnsupportedPlatformError("The system has no token of this connection's client", {
          instead: "Use an extended-mode policy that lets the server impersonate, on both ends",
        });
      }
      return runAs(system, answer.userToken, this.#chosen.selection.requirements.impersonation, fn);
    } finally {
      secure.closeTokens(answer.userToken, answer.machineToken);
    }
  }

  /** Asks with access to tokens; those in the answer are the caller's to close. */
  #ask(access: number): SecurityAnswer {
    const { secure, socket, codec, peer = NO_ADDRESS } = this.#means;
    return readAnswer(secure.query(socket, codec.queryTemplate(peer, access)));
  }

  takeDelegated(): null {
    return null;
  }

  release(): void {
    for (const token of this.#tokens) token.close();
    this.#means.release();
  }
}
