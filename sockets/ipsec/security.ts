/**
 * The security of a connection that the operating system protects: queried from the system, never assumed.
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
import { associationDetails, type ExpectedSecurity, unprotectedBy, verifyInfo } from "./verify.ts";
import { AssociationWatch } from "./watch.ts";
import type { ConnectionSecurity } from "../connection_security.ts";
import type { SocketChosen } from "../establish.ts";
import { runAsClient } from "../../contexts/impersonation.ts";
import type { PeerTokens } from "../secure_conn.ts";
import { type QueryOptions, SocketQuery } from "./query.ts";
import { isActing, mayBeClear } from "./terms.ts";

/** What the security of a socket is queried with. The caller owns all of it. */
export interface SocketSecurityOptions extends QueryOptions {
  /** The system that provides the functions. */
  readonly system: NativeSystem;
  /** Called once, when the connection is closed. */
  readonly release: () => void;
}

/** The security that the system gives a socket for one peer. */
export class SocketSecurity implements ConnectionSecurity {
  readonly info: SecurityInfo;
  readonly #chosen: SocketChosen;
  readonly #options: SocketSecurityOptions;
  readonly #query: SocketQuery;
  readonly #watch: AssociationWatch;
  readonly #filtering: Filtering;
  readonly #tokens = new Set<PeerToken>();
  /** The latest complete information, and the answer it was read from. */
  #latest: { readonly info: SecurityInfo; readonly answer: SecurityAnswer } | null = null;

  /** Queries the system. Throws if the answer falls short of the requirements; no byte was sent then. */
  constructor(chosen: SocketChosen, options: SocketSecurityOptions) {
    this.#chosen = chosen;
    this.#options = options;
    this.#query = new SocketQuery(options);
    this.#watch = new AssociationWatch(chosen.selection.provider.abortOnAssociationChange ?? [], this.#query);
    this.#filtering = new Filtering(options.system, "ipsec");
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
    verifyInfo(info, this.#expected());
    this.#watch.arm(answer);
    this.#latest = { info, answer };
    return info;
  }

  /**
   * Checks that packets are still secured as before. If the association is another one, everything is checked
   * again, because the peer may be another one too. Throws if it falls short of the requirements.
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

  /** The error to report when `error` ended reading or writing. */
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
      // The query reports how packets are protected, not who sent them: only the association's credentials prove an
      // identity.
      mutualAuthentication: association === null ? "unknown" : association.mutual,
      channelBindings: "none",
      peer: association?.mutual ? association.peer : "",
      impersonation: this.#impersonationOf(answer, association),
      simulated,
      details,
    });
  }

  /** What the connection must be, and what a failure means for its data. */
  #expected(): ExpectedSecurity {
    return {
      provider: this.#chosen.selection.provider.name,
      requirements: this.#chosen.selection.requirements,
      mayBeClear: mayBeClear(this.#chosen),
      bounds: this.#bounds(),
      identified: () => this.#identified(),
      consequence: this.#options.peer !== undefined
        ? "what was sent to this peer had only the protection of the socket's settings, and what it " +
          "sent is dropped"
        : this.#latest === null
        ? "no data was sent"
        : "the connection is not what it was, and is closed",
    };
  }

  /** Whether the impersonation level is an upper limit for the peer: for a client, and for datagrams. */
  #bounds(): boolean {
    return this.#chosen.settings.side.role === "client" || this.#options.peer !== undefined;
  }

  /** What the server may do as the client, as far as the system reports it. */
  #impersonationOf(answer: SecurityAnswer, association: Association | null): SecurityInfo["impersonation"] {
    const acting = isActing(this.#chosen.selection.requirements);
    // A server that requires impersonation needs a token, not only the flag.
    if (acting && !this.#bounds() ? this.#has(TOKEN_ACCESS.impersonate, "user") : answer.impersonated) {
      return "impersonate";
    }
    // There may be an association although the packets do not count as secured.
    if (!answer.secured && answer.mainModeSa === 0n) return "anonymous";
    // A client that allows impersonation cannot know what the policy lets the server do.
    if (association === null || (acting && this.#bounds())) return "unknown";
    if (association.mutual) return "identify";
    return association.authentication.every((method) => method === "anonymous") ? "anonymous" : "unknown";
  }

  /**
   * Whether the system has a token of the client's user, or of its user or computer. Call it only where that is
   * required.
   */
  #has(access: number, whose: "user" | "either"): boolean {
    const { userToken, machineToken } = this.#query.tokens(access);
    this.#options.secure.closeTokens(userToken, machineToken);
    return userToken !== 0n || whose === "either" && machineToken !== 0n;
  }

  /** Whether a server knows its client's identity, or does not have to. */
  #identified(): boolean {
    const { levelGiven } = this.#chosen.settings;
    if (!levelGiven && !this.#chosen.selection.requirements.mutualAuthentication) return true;
    return this.#has(TOKEN_ACCESS.query, "either");
  }

  tokens(): PeerTokens {
    const { system, secure } = this.#options;
    const { userToken, machineToken } = this.#query.tokens(TOKEN_ACCESS.identify);
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
      // The handle without an owner; the tokens opened before it are closed by their owners.
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
    const { system, secure } = this.#options;
    const answer = this.#query.tokens(TOKEN_ACCESS.impersonate);
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
    this.#options.release();
  }
}
