/**
 * The security of a connection that the system protects: asked of the system, never assumed.
 *
 * @module
 */

import { UnsupportedPlatformError } from "../../errors.ts";
import type { SecurityAnswer } from "../../ffi/ipsec/query.ts";
import { Filtering } from "../../ffi/ipsec/filtering_engine.ts";
import { type Association, readAssociation } from "../../ffi/ipsec/associations.ts";
import type { NativeSystem } from "../../ffi/system.ts";
import { PeerToken, runAs, TOKEN_ACCESS } from "../../ffi/windows/token.ts";
import type { JsonValue, SecurityInfo } from "../../contract.ts";
import { associationDetails, type InfoTerms, unprotectedBy, verifyInfo } from "./verify.ts";
import { AssociationWatch } from "./watch.ts";
import type { ConnectionSecurity } from "../connection_security.ts";
import type { SocketChosen } from "../establish.ts";
import { runAsClient } from "../../contexts/impersonation.ts";
import type { PeerTokens } from "../secure_conn.ts";
import { type QueryMeans, SocketQuery } from "./query.ts";
import { isActing } from "./settings_bounds.ts";
import { mayBeClear } from "./terms.ts";

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
  readonly #chosen: SocketChosen;
  readonly #means: SocketSecurityMeans;
  readonly #query: SocketQuery;
  readonly #watch: AssociationWatch;
  readonly #filtering: Filtering;
  readonly #tokens = new Set<PeerToken>();
  /** The latest that was told in full, and of which associations. */
  #latest: { readonly info: SecurityInfo; readonly answer: SecurityAnswer } | null = null;

  /** Asks the system, and throws where what it tells is not what is required: before the first byte. */
  constructor(chosen: SocketChosen, means: SocketSecurityMeans) {
    this.#chosen = chosen;
    this.#means = means;
    this.#query = new SocketQuery(means);
    this.#watch = new AssociationWatch(chosen.selection.provider.abortOnAssociationChange ?? [], this.#query);
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
    verifyInfo(info, this.#terms());
    this.#watch.arm(answer);
    this.#latest = { info, answer };
    return info;
  }

  /**
   * Asks whether the packets are still secured as they were, and for everything only where that is by another
   * association: then the peer may be another, too. Throws where they are not.
   */
  checkPackets(): SecurityInfo {
    const answer = this.#query.ask();
    const { info, answer: before } = this.#latest!;
    const same = answer.mainModeSa === before.mainModeSa && answer.quickModeSa === before.quickModeSa &&
      answer.impersonated === before.impersonated;
    if (!same || answer.secured !== info.integrity || answer.encrypted !== info.confidentiality) {
      return this.#check(answer);
    }
    return info;
  }

  /** The error to tell for one that ended reading or writing. */
  explain(error: unknown): unknown {
    return this.#watch.explain(error);
  }

  #describe(answer: SecurityAnswer): SecurityInfo {
    const { secured, encrypted } = answer;
    const { provider: { name: provider }, simulated, machinePolicy } = this.#chosen.origin;
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
      mechanism: "ipsec",
      integrity: secured && hole === null,
      confidentiality: encrypted && hole === null,
      // The query reports packets, not people: only the association's credentials prove an identity.
      mutualAuthentication: association === null ? "unknown" : association.mutual,
      channelBindings: "none",
      peer: association?.mutual ? association.peer : "",
      impersonation: this.#impersonationOf(answer, association),
      simulated,
      details,
    });
  }

  /** What the connection is held to, and what its failing then means for the bytes. */
  #terms(): InfoTerms {
    return {
      provider: this.#chosen.selection.provider.name,
      requirements: this.#chosen.selection.requirements,
      mayBeClear: mayBeClear(this.#chosen),
      bounds: this.#bounds(),
      identified: () => this.#identified(),
      consequence: this.#means.peer !== undefined
        ? "what was sent to this peer left only as the socket's settings protect it, what came from it is dropped"
        : this.#latest === null
        ? "no data was sent"
        : "the connection no longer is what it was, and is closed",
    };
  }

  /** Whether the level of impersonation is the most the peer may do: for a client, and for datagrams. */
  #bounds(): boolean {
    return this.#chosen.settings.side.role === "client" || this.#means.peer !== undefined;
  }

  /** What the server may do in the client's name, as far as anything tells. */
  #impersonationOf(answer: SecurityAnswer, association: Association | null): SecurityInfo["impersonation"] {
    const acting = isActing(this.#chosen.selection.requirements);
    // A server that requires it is not content with a flag.
    if (acting && !this.#bounds() ? this.#has(TOKEN_ACCESS.act, "user") : answer.impersonated) {
      return "impersonate";
    }
    // An association is one even where the packets do not count as secured.
    if (!answer.secured && answer.mainModeSa === 0n) return "anonymous";
    // A client that allows it cannot know what its policy comes to.
    if (association === null || (acting && this.#bounds())) return "unknown";
    if (association.mutual) return "identify";
    return association.authentication.every((method) => method === "anonymous") ? "anonymous" : "unknown";
  }

  /** Whether the system has a token of the client's user, or of that or its computer; asked only where required. */
  #has(access: number, whose: "user" | "either"): boolean {
    const { userToken, machineToken } = this.#query.tokens(access);
    this.#means.secure.closeTokens(userToken, machineToken);
    return userToken !== 0n || whose === "either" && machineToken !== 0n;
  }

  /** Whether a server knows its client where its application says that it must, or gave up nothing. */
  #identified(): boolean {
    const { levelSaid } = this.#chosen.settings;
    if (!levelSaid && !this.#chosen.selection.requirements.mutualAuthentication) return true;
    return this.#has(TOKEN_ACCESS.know, "either");
  }

  tokens(): PeerTokens {
    const { system, secure } = this.#means;
    const { userToken, machineToken } = this.#query.tokens(TOKEN_ACCESS.tell);
    const open: PeerToken[] = [];
    try {
      const [user, computer] = [userToken, machineToken].map((handle) => {
        if (handle === 0n) return null;
        const token: PeerToken = new PeerToken(system, handle, () => this.#tokens.delete(token));
        open.push(token);
        return token;
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
