/**
 * The security of a connection that the system protects: asked of the system, never assumed.
 *
 * @module
 */

import { SecurityRequirementError, UnsupportedPlatformError } from "../errors.ts";
import { nativeError } from "../ffi/status.ts";
import type { SecurityAnswer } from "../ffi/socket_answer.ts";
import { Filtering } from "../ffi/filtering_engine.ts";
import { readAssociation } from "../ffi/security_association.ts";
import type { NativeSystem } from "../ffi/system.ts";
import { PeerToken, runAs, TOKEN_ACCESS } from "../ffi/token.ts";
import type { JsonValue, SecurityInfo } from "../plugins/provider.ts";
import { associationDetails, unprotectedBy } from "./association_details.ts";
import { AssociationWatch } from "./association_watch.ts";
import type { ConnectionSecurity } from "./connection_security.ts";
import { type Chosen, originOf } from "./establish.ts";
import { runAsClient } from "./impersonation.ts";
import type { PeerTokens } from "./secure_conn.ts";
import { type QueryMeans, SocketQuery } from "./socket_query.ts";
import { socketProvider } from "./socket_terms.ts";

/** What the security of a socket is asked with; it stays the caller's. */
export interface SocketSecurityMeans extends QueryMeans {
  /** The system they are functions of. */
  readonly system: NativeSystem;
  /** Called once, when the connection is over. */
  readonly release: () => void;
}

/** Security that the system gives a socket towards one peer. */
export class SocketSecurity implements ConnectionSecurity {
  readonly info: SecurityInfo;
  readonly #chosen: Chosen;
  readonly #means: SocketSecurityMeans;
  readonly #query: SocketQuery;
  readonly #watch: AssociationWatch;
  readonly #filtering: Filtering;
  readonly #tokens = new Set<PeerToken>();
  /** The latest that was told in full, and of which associations. */
  #latest: { readonly info: SecurityInfo; readonly mainModeSa: bigint; readonly quickModeSa: bigint } | null =
    null;

  /** Asks the system, and throws where what it tells is not what is required: before the first byte. */
  constructor(chosen: Chosen, means: SocketSecurityMeans) {
    this.#chosen = chosen;
    this.#means = means;
    this.#query = new SocketQuery(means);
    this.#watch = new AssociationWatch(socketProvider(chosen).abortOnAssociationChange ?? [], this.#query);
    this.#filtering = new Filtering(means.system, "ipsec");
    this.info = this.check();
  }

  check(): SecurityInfo {
    try {
      return this.#check(this.#query.ask());
    } catch (error) {
      throw this.explain(error);
    }
  }

  #check(answer: SecurityAnswer): SecurityInfo {
    const info = this.#describe(answer);
    this.#verify(info);
    this.#watch.arm(answer);
    const { mainModeSa, quickModeSa } = answer;
    this.#latest = { info, mainModeSa, quickModeSa };
    return info;
  }

  /**
   * Asks whether the packets are still secured as they were, and for everything only where that is by another
   * association: then the peer may be another, too. Throws where they are not.
   */
  checkPackets(): SecurityInfo {
    const answer = this.#query.ask();
    const { info, mainModeSa, quickModeSa } = this.#latest!;
    const { secured, encrypted } = answer;
    const same = answer.mainModeSa === mainModeSa && answer.quickModeSa === quickModeSa;
    if (!same || secured !== info.secured || encrypted !== info.encrypted) return this.#check(answer);
    return info;
  }

  /** The error to tell for one that ended reading or writing. */
  explain(error: unknown): unknown {
    return this.#watch.explain(error);
  }

  #describe(answer: SecurityAnswer): SecurityInfo {
    const { secured, encrypted } = answer;
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
    const { negotiationError } = info.details;
    const cause = typeof negotiationError === "number"
      ? nativeError("IPsec's negotiation", negotiationError)
      : undefined;
    const refuse = (required: string, got: string, fix: string): never => {
      throw new SecurityRequirementError(
        required,
        got,
        `The connection's ${required} is ${got}, and it was required; no data was sent. ` +
          `${cause ? `${cause.message}. ` : ""}${fix}`,
        { cause },
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
    const { userToken, machineToken } = this.#query.tokens(TOKEN_ACCESS.act);
    this.#means.secure.closeTokens(userToken, machineToken);
    return userToken !== 0n;
  }

  tokens(): PeerTokens {
    const { system, secure } = this.#means;
    const { userToken, machineToken } = this.#query.tokens(TOKEN_ACCESS.tell);
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
    const answer = this.#query.tokens(TOKEN_ACCESS.act);
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

  takeDelegated(): null {
    return null;
  }

  release(): void {
    for (const token of this.#tokens) token.close();
    this.#means.release();
  }
}
