/**
 * The security of a connection that the system protects: asked of the system, never assumed.
 *
 * @module
 */

import { ProviderTrapError, SecurityRequirementError, UnsupportedPlatformError } from "../errors.ts";
import type { SecureSockets } from "../ffi/secure_sockets.ts";
import type { TcpSocket } from "../ffi/socket.ts";
import { readAnswer, type SecurityAnswer } from "../ffi/socket_answer.ts";
import type { JsonValue, SecurityInfo, SocketCodec } from "../plugins/provider.ts";
import type { ConnectionSecurity } from "./connection_security.ts";
import { type Chosen, originOf } from "./establish.ts";
import { socketProvider } from "./socket_terms.ts";

const NO_ADDRESS = new Uint8Array();

/** What the security of a socket is asked with; it stays the caller's. */
export interface SocketSecurityMeans {
  /** The functions. */
  readonly secure: SecureSockets;
  /** The socket: connected, its context updated. */
  readonly socket: TcpSocket;
  /** Reads answers. */
  readonly codec: SocketCodec;
  /** Called once, when the connection is over. */
  readonly release: () => void;
}

/** Security that the system gives a TCP socket. */
export class SocketSecurity implements ConnectionSecurity {
  readonly info: SecurityInfo;
  readonly #chosen: Chosen;
  readonly #means: SocketSecurityMeans;

  /** Asks the system, and throws where what it tells is not what is required: before the first byte. */
  constructor(chosen: Chosen, means: SocketSecurityMeans) {
    this.#chosen = chosen;
    this.#means = means;
    this.info = this.check();
  }

  check(): SecurityInfo {
    const { secure, socket, codec } = this.#means;
    const bytes = secure.query(socket, codec.queryTemplate(NO_ADDRESS, 0));
    const answer = readAnswer(bytes);
    const read = codec.queryAnswer(bytes.slice());
    if (read.secured && !answer.secured || read.encrypted && !answer.encrypted) {
      throw new ProviderTrapError(
        "The provider says more of the connection than the system told it; the connection was closed",
      );
    }
    const info = this.#describe(read.secured, read.encrypted, answer);
    this.#verify(info);
    return info;
  }

  #describe(secured: boolean, encrypted: boolean, answer: SecurityAnswer): SecurityInfo {
    const { provider, simulated, machinePolicy } = originOf(this.#chosen);
    const details: { readonly [key: string]: JsonValue } = Object.freeze({
      machinePolicy,
      mutual: "not told: the associations' credentials were not read",
      ...(answer.mainModeSa === 0n ? {} : { mainModeSa: String(answer.mainModeSa) }),
      ...(answer.quickModeSa === 0n ? {} : { quickModeSa: String(answer.quickModeSa) }),
      ...(answer.negotiationError === 0 ? {} : { negotiationError: answer.negotiationError }),
    });
    return Object.freeze({
      provider,
      secured,
      encrypted: secured && encrypted,
      // The query tells of packets, not of people.
      mutual: "unknown" as const,
      peer: "",
      impersonation: "anonymous" as const,
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
    const server = this.#chosen.settings.side.role === "server";
    if (server && (impersonation === "impersonate" || impersonation === "delegate")) {
      refuse(
        "impersonation",
        info.impersonation,
        "Use an extended-mode policy that lets the server impersonate.",
      );
    }
  }

  impersonate<T>(_fn: () => T): T {
    throw new UnsupportedPlatformError("This connection carries no token of its client", {
      instead: "Use an extended-mode policy that lets the server impersonate, on both ends",
    });
  }

  takeDelegated(): null {
    return null;
  }

  release(): void {
    this.#means.release();
  }
}
