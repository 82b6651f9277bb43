/**
 * A security context that reports nothing, and protects nothing, before all requirements have been verified.
 *
 * @module
 */

import type {
  ChannelBindings,
  Initiator,
  PeerIdentity,
  ProviderContext,
  ProviderCredentials,
  ResolvedRequirements,
  SecurityContext,
  SecurityInfo,
  StepResult,
  UnwrapOptions,
  Unwrapped,
  WrapOptions,
} from "../contract.ts";
import { ProtocolError, SecurityRequirementError, StateError } from "../errors.ts";
import { bindingBytes } from "./channel_bindings.ts";
import { type HandshakeObserver, observeHandshake } from "./diagnostics.ts";
import { runAsClient } from "./impersonation.ts";
import { peerOf } from "./peer.ts";
import { type ContextTerms, describeSecurity, type Origin, refuseExpired, verifyContext } from "./verify.ts";

/** The most tokens that one end may consume; Kerberos needs two, NTLM in SPNEGO four. */
const MAX_TOKENS = 16;

/** What a context is made with. */
export interface Served {
  /** The credentials; their owner keeps them open until the context is closed. */
  readonly credentials: ProviderCredentials;
  /** The application's requirements, raised by the floor of each policy. */
  readonly requirements: ResolvedRequirements;
  /** Which provider was selected, and by what rule. */
  readonly origin: Origin;
}

/** Options of a verified context. */
export interface VerifiedContextOptions extends Omit<ContextTerms, "requirements"> {
  /** On a client: the server's SPN. */
  readonly target?: string;
  /** The channel bindings to send, or to compare with. */
  readonly bindings?: ChannelBindings;
  /** Aborts every wait with its reason, unchanged. */
  readonly signal?: AbortSignal;
  /** Returns what the context is made with; a server selects it by the client's first token. */
  readonly serve: (first: Uint8Array | null) => Served | Promise<Served>;
  /** Returns what to use after a client's first step has failed; `null`: nothing. Called once. */
  readonly renew?: (failed: Served, error: unknown) => Promise<Served | null>;
  /** Makes an initiator of credentials that a client delegated, and owns them. */
  readonly delegate?: (credentials: ProviderCredentials, served: Served) => Initiator;
}

/** One end of one security context. It has one owner; closing it twice is harmless. */
export class VerifiedContext implements SecurityContext {
  /** Resolves once no call into the provider is running. After an abort a call may run for long. */
  idle: Promise<void> = Promise.resolve();
  /** Whether a call into the provider is running. */
  stepping = false;
  readonly #options: VerifiedContextOptions;
  #state: "ready" | "stepping" | "done" | "failed" | "closed" = "ready";
  #tokens = 0;
  #served: Served | null = null;
  #inner: ProviderContext | null = null;
  #security: SecurityInfo | null = null;
  #observer: HandshakeObserver | null = null;
  /** A client that is done before its peer's last token accepts that token, once, and does not use it. */
  #tookLast = false;
  /** While the client is impersonated its native context is in use: closing waits for the end of it. */
  #impersonating = false;

  /** Opens nothing and calls nothing. */
  constructor(options: VerifiedContextOptions) {
    this.#options = options;
  }

  get done(): boolean {
    return this.#state === "done";
  }

  async step(token: Uint8Array | null = null): Promise<StepResult> {
    if (this.#state === "stepping") throw new StateError("A step is under way; await it before the next");
    if (this.#state === "done") return this.#last(token);
    this.#requireOpen("step");
    const opening = this.#options.role === "client" && this.#tokens === 0;
    if (!opening && !(token instanceof Uint8Array)) {
      throw new TypeError("token must be a Uint8Array; only a client's first step takes none");
    }
    if (++this.#tokens > MAX_TOKENS) {
      this.#fail();
      throw new ProtocolError(
        "unexpected-message",
        `The exchange was not complete after ${MAX_TOKENS} tokens`,
      );
    }
    this.#state = "stepping";
    if (this.#tokens === 1) this.#observer = observeHandshake(this.#options.role, this.#options.target);
    try {
      // A copy: the caller may change it while the credentials are awaited.
      const advancing = this.#advance(opening ? token : new Uint8Array(token!));
      const result = await (this.#observer?.step(advancing) ?? advancing);
      this.#requireOpen("step");
      if (result.done) this.#establish();
      else if (result.token === null || result.token.length === 0) {
        throw new ProtocolError(
          "empty",
          "The provider made no token although it is not done; report this to its author",
        );
      }
      this.#state = result.done ? "done" : "ready";
      return result;
    } catch (error) {
      this.#observer?.fail(error, this.#served?.origin.provider.name);
      this.#fail();
      throw error;
    }
  }

  #last(token: Uint8Array | null): StepResult {
    if (this.#options.role === "client" && token instanceof Uint8Array && !this.#tookLast) {
      this.#tookLast = true;
      return { token: null, done: true };
    }
    throw new StateError("The exchange is complete; step() takes no further token");
  }

  async #advance(token: Uint8Array | null): Promise<StepResult> {
    const { signal } = this.#options;
    signal?.throwIfAborted();
    if (this.#inner !== null) return await this.#race(this.#inner.step(token));
    const serving = this.#options.serve(token);
    const served = serving instanceof Promise ? await this.#race(serving) : serving;
    const opening = this.#open(served);
    if (opening !== undefined) await opening;
    try {
      return await this.#race(this.#inner!.step(token));
    } catch (error) {
      signal?.throwIfAborted();
      const renewing = this.#options.renew?.(served, error);
      const renewed = renewing === undefined ? null : await this.#race(renewing);
      if (renewed === null) throw error;
      this.#inner!.close();
      await this.#open(renewed);
      return await this.#race(this.#inner!.step(token));
    }
  }

  /** Makes the provider's context; waits only if the channel bindings must be hashed first. */
  #open(served: Served): void | Promise<void> {
    const { bindings } = this.#options;
    if (bindings === undefined || bindings instanceof Uint8Array) return this.#make(served, bindings);
    return this.#race(bindingBytes(bindings)).then((bytes) => this.#make(served, bytes));
  }

  #make(served: Served, bindings: Uint8Array | undefined): void {
    const { role, target, channelBindings } = this.#options;
    // Closed during the wait: nothing would close a new context.
    this.#requireOpen("step");
    this.#served = served;
    this.#inner = role === "client"
      ? served.credentials.client({ target: target!, channelBindings: bindings })
      : served.credentials.server({
        channelBindings: bindings,
        ...(channelBindings === "optional" ? { allowMissingBindings: true } : {}),
      });
  }

  /** Settles with a call into the provider, or rejects with the reason of an abort that comes first. */
  async #race<T>(pending: Promise<T>): Promise<T> {
    this.stepping = true;
    const settled = (): void => void (this.stepping = false);
    this.idle = pending.then(settled, settled);
    const { signal } = this.#options;
    if (signal === undefined) return await pending;
    const { promise: aborted, reject: abort } = Promise.withResolvers<never>();
    const onAbort = (): void => abort(signal.reason);
    signal.addEventListener("abort", onAbort, { once: true });
    try {
      signal.throwIfAborted();
      return await Promise.race([pending, aborted]);
    } finally {
      signal.removeEventListener("abort", onAbort);
    }
  }

  #establish(): void {
    const terms = this.#terms();
    verifyContext(this.#inner!, terms, this.#served!.origin);
    this.#security = describeSecurity(this.#inner!, terms, this.#served!.origin);
    this.#observer?.end(this.#security.provider, this.#security.mechanism);
  }

  #terms(): ContextTerms {
    return { ...this.#options, requirements: this.#served!.requirements };
  }

  /** Closes the provider's context after a pending call, which still uses it. */
  #fail(): void {
    // Closed during a step: already released.
    if (this.#state === "closed") return;
    this.#state = "failed";
    this.#releaseWhenIdle();
  }

  #releaseWhenIdle(): void {
    // If closing fails too, the earlier failure is the one to report.
    this.idle = this.idle.then(() => this.#inner?.close()).catch(() => {});
  }

  /**
   * Verifies the context again and returns its current description.
   *
   * @throws as `step` does if it no longer meets the requirements, or has expired.
   */
  check(): SecurityInfo {
    const inner = this.inner("check");
    const terms = this.#terms();
    verifyContext(inner, terms, this.#served!.origin);
    refuseExpired(inner);
    return describeSecurity(inner, terms, this.#served!.origin);
  }

  /**
   * The provider's own context, for code that carries many records.
   *
   * @throws StateError before it is established.
   */
  inner(member: string): ProviderContext {
    if (this.#state === "done") return this.#inner!;
    this.#requireOpen(member);
    throw new StateError(`${member} may be used once step() has returned done`);
  }

  #requireOpen(member: string): void {
    if (this.#state !== "closed" && this.#state !== "failed") return;
    const how = this.#state === "closed" ? "is closed" : "has failed";
    throw new StateError(`The security context ${how}; ${member} cannot be used`);
  }

  #isClosed(): boolean {
    return this.#state === "closed";
  }

  get security(): SecurityInfo {
    this.inner("security");
    return this.#security!;
  }

  get peer(): PeerIdentity | undefined {
    return peerOf(this.inner("peer"), this.#options.role);
  }

  get maxOverhead(): number {
    return this.inner("maxOverhead").maxOverhead;
  }

  wrap(plain: Uint8Array, options: WrapOptions = {}): Uint8Array {
    const inner = this.inner("wrap");
    const { encrypt, into } = options;
    const { integrity, confidentiality } = inner.attributes;
    if (encrypt === true && !confidentiality) throw notAgreed("confidentiality", "encrypted");
    if (!integrity && !confidentiality) throw notAgreed("integrity", "protected");
    const out = into ?? new Uint8Array((plain?.length ?? 0) + inner.maxOverhead);
    if (encrypt !== false || !confidentiality) return inner.wrap(plain, out);
    if (inner.wrapUnencrypted) return inner.wrapUnencrypted(plain, out);
    throw this.#cannot("wrap without encrypting where confidentiality was agreed on");
  }

  unwrap(record: Uint8Array, { allowUnencrypted = false }: UnwrapOptions = {}): Unwrapped {
    const inner = this.inner("unwrap");
    const { confidentiality } = inner.attributes;
    if (confidentiality && !allowUnencrypted) return { data: inner.unwrap(record), encrypted: true };
    if (inner.unwrapAny) return inner.unwrapAny(record);
    if (!confidentiality) return { data: inner.unwrap(record), encrypted: false };
    throw this.#cannot("unwrap what is not encrypted where confidentiality was agreed on");
  }

  wrapSizeLimit(recordBytes: number, options: { readonly encrypt?: boolean } = {}): number {
    const inner = this.inner("wrapSizeLimit");
    const encrypt = options.encrypt ?? inner.attributes.confidentiality;
    if (inner.wrapSizeLimit) return inner.wrapSizeLimit(recordBytes, encrypt);
    if (!Number.isInteger(recordBytes) || recordBytes < 0) {
      throw new RangeError(`recordBytes must be a whole number of at least 0, not ${recordBytes}`);
    }
    return Math.max(0, recordBytes - inner.maxOverhead);
  }

  wrapDetached(data: Uint8Array): Uint8Array {
    const inner = this.inner("wrapDetached");
    // The data stays where it is: without encryption it would stay readable, and unwrapDetached() reports no such thing.
    if (!inner.attributes.confidentiality) throw notAgreed("confidentiality", "encrypted");
    if (!inner.wrapDetached) throw this.#cannot("wrap data in place, apart from its header");
    return inner.wrapDetached(data);
  }

  unwrapDetached(header: Uint8Array, data: Uint8Array): Uint8Array {
    const inner = this.inner("unwrapDetached");
    if (!inner.attributes.confidentiality) throw notAgreed("confidentiality", "encrypted");
    if (!inner.unwrapDetached) throw this.#cannot("unwrap data apart from its header");
    return inner.unwrapDetached(header, data);
  }

  sign(message: Uint8Array): Uint8Array {
    return this.inner("sign").sign(message);
  }

  verify(message: Uint8Array, signature: Uint8Array): void {
    this.inner("verify").verify(message, signature);
  }

  sessionKey(): Uint8Array {
    return this.inner("sessionKey").sessionKey();
  }

  takeDelegated(): Initiator | null {
    const taken = this.takeDelegatedCredentials();
    if (taken === null) return null;
    const { delegate } = this.#options;
    try {
      if (delegate) return delegate(taken, this.#served!);
      throw this.#cannot("make an initiator of delegated credentials");
    } catch (error) {
      taken.close();
      throw error;
    }
  }

  /** The provider's own form of the credentials that the client delegated, once. The caller closes them. */
  takeDelegatedCredentials(): ProviderCredentials | null {
    return this.inner("takeDelegated").takeDelegated?.() ?? null;
  }

  impersonate<T>(fn: () => T): T {
    const inner = this.inner("impersonate");
    const nested = this.#impersonating;
    this.#impersonating = true;
    try {
      return runAsClient(inner, this.#options.role, fn);
    } finally {
      this.#impersonating = nested;
      if (!nested && this.#isClosed()) inner.close();
    }
  }

  #cannot(what: string): StateError {
    return new StateError(`The provider "${this.#served!.origin.provider.name}" cannot ${what}`);
  }

  close(): void {
    this.release();
  }

  /** Like {@linkcode VerifiedContext.close}; returns what the provider's close returned. */
  release(): unknown {
    const before = this.#state;
    this.#state = "closed";
    if (before === "closed" || before === "failed" || this.#impersonating) return;
    if (this.stepping) return this.#releaseWhenIdle();
    return this.#inner?.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

function notAgreed(requirement: string, done: string): SecurityRequirementError {
  return new SecurityRequirementError(
    requirement,
    "none",
    `The message cannot be ${done}: the two ends did not agree on ${requirement}; nothing was sent. ` +
      "Require it on both ends",
  );
}
