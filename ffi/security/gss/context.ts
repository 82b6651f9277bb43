/**
 * One GSS-API context: the token exchange and the context's attributes. Its records are in `records.ts`.
 *
 * @module
 */

import type { PeerIdentity, ProviderCredentials, StepResult } from "../../../contract.ts";
import { AuthenticationError, type NativeError, SecurityRequirementError } from "../../../errors.ts";
import {
  holdsKerberos,
  holdsNtlm,
  KERBEROS_DENIED,
  KERBEROS_WITHOUT_KEY,
  NTLM_USER,
  otherMechanismAdvice,
} from "../other_mechanism.ts";
import { GSS_C, GSS_ERROR_MASK, GSS_S } from "../../raw/gssapi.ts";
import { ContextBase, type ContextRequest, mayOnlyIdentify } from "../context.ts";
import { type Gss, type Hints, Slots } from "./gss.ts";
import type { HeldTickets, Lease } from "./held_tickets.ts";
import type { KeySource } from "./key_table.ts";
import { gssPeer } from "./peer.ts";
import { GssRecords } from "./records.ts";
import { requestedTarget } from "./requested_target.ts";
import { INDEFINITE } from "./structs.ts";
import type { TargetNames } from "./target_names.ts";
import { TicketName } from "./ticket_name.ts";

/** Options of {@linkcode GssContext}. */
export interface GssContextOptions {
  /** Which end this is. */
  readonly role: "client" | "server";
  /** What the context must provide. */
  readonly request: ContextRequest;
  /** The credentials' handle, which outlives the context. */
  readonly handle: bigint;
  /** The cache of target names; outlives the context. */
  readonly names: TargetNames;
  /** The tickets in memory; `null`: another mechanism than Kerberos may be used. Outlives the context. */
  readonly tickets: HeldTickets | null;
  /** The mechanism to run. */
  readonly mechanism: "kerberos" | "spnego";
  /** True where Kerberos is the only possible mechanism. */
  readonly kerberosOnly: boolean;
  /** What messages about failed steps add. */
  readonly hints: Hints;
  /** Where a server's keys are. */
  readonly keys: KeySource;
  /** True where Kerberos was excluded when the credentials were acquired. */
  readonly excludeKerberos: boolean;
  /** Makes an owner for the handle of delegated credentials. */
  readonly adopt: (handle: bigint) => ProviderCredentials;
  /** Called once when the context no longer uses the credentials. */
  readonly release: () => void;
}

/** Offsets in the context's slots. */
const AT = {
  minor: 0,
  context: 8,
  input: 16,
  output: 32,
  flags: 48,
  lifetime: 52,
  mechanism: 56,
  source: 64,
  delegated: 72,
  length: 80,
} as const;

/** A context of libgssapi. */
export class GssContext extends ContextBase {
  readonly #gss: Gss;
  readonly #options: GssContextOptions;
  readonly #slots = new Slots(AT.length);
  readonly #input: Uint8Array;
  readonly #output: Uint8Array;
  readonly #bindings: Uint8Array | null;
  readonly #target: bigint;
  readonly #ticketName = new TicketName();
  /** The handle with tickets in memory, during an exchange that uses one. */
  #lease: Lease | null = null;
  /** `null` where there is none to report; undefined until it is first read. */
  #requestedTarget?: string | null;
  #records?: GssRecords;

  /** @throws AuthenticationError where the target is not a principal name. */
  constructor(gss: Gss, options: GssContextOptions) {
    const { channelBindings, target } = options.request;
    const bindings = channelBindings === undefined ? null : gss.build.channelBindings(channelBindings);
    // Borrowed before anything else is acquired, so that a refusal has nothing to release.
    const name = options.role === "client" ? options.names.acquire(target!) : 0n;
    super(options.role);
    this.#gss = gss;
    this.#options = options;
    this.#target = name;
    this.#bindings = bindings;
    this.#input = this.#slots.slice(AT.input, 16);
    this.#output = this.#slots.slice(AT.output, 16);
  }

  protected override async nativeStep(token: Uint8Array | null, first: boolean): Promise<StepResult> {
    this.#slots.bytes.fill(0, AT.input, AT.output + 16);
    const client = this.#options.role === "client";
    if (token !== null) {
      if (!client) this.#ticketName.add(token);
      const { length, value } = this.#gss.build.layouts.buffer.offsets;
      this.#slots.u64[(AT.input + length) / 8] = BigInt(token.length);
      this.#slots.u64[(AT.input + value) / 8] = this.#gss.memory.addressOf(token);
    }
    const major = await (client ? this.#init(token, first) : this.#accept());
    const output = this.#gss.takeBuffer(this.#output);
    if ((major & GSS_ERROR_MASK) !== 0) {
      const fn = client ? "gss_init_sec_context" : "gss_accept_sec_context";
      throw this.#refusal(
        this.#gss.failure(fn, major, this.#slots.u32[0], this.#doing(), this.#options.hints),
        token,
      );
    }
    // These bits are not error bits, but during the exchange they are fatal (RFC 2744, 5.1 and 5.19).
    if ((major & (GSS_S.DUPLICATE_TOKEN | GSS_S.OLD_TOKEN)) !== 0) {
      throw new AuthenticationError(
        "bad-token",
        `Cannot ${this.#doing()}: the token was used before: it is a replay`,
      );
    }
    if (client && first && this.#lease === null) {
      this.#options.tickets?.reached(this.#options.request.target!);
    }
    const done = (major & GSS_S.CONTINUE_NEEDED) === 0;
    if (done) {
      this.#endLease();
      this.#finish();
    }
    return { token: output.length === 0 ? null : output, done };
  }

  /**
   * Corrects misleading advice: a mechanism that was excluded when the credentials were acquired is reported like one
   * that is not installed, or like an account that has not logged in.
   */
  #refusal(failure: AuthenticationError, token: Uint8Array | null): AuthenticationError {
    const { cause } = failure;
    const { codeName, message } = cause as NativeError;
    const server = this.#options.role === "server";
    if (this.#options.excludeKerberos && token === null) {
      return new AuthenticationError(
        "no-credentials",
        `Cannot ${this.#doing()}: ${message}. A policy denies kerberos, and NTLM has no user. ${NTLM_USER}`,
        { cause },
      );
    }
    const other = codeName === "GSS_S_BAD_MECH" || (server && codeName === "GSS_S_NO_CRED");
    // NTLM that is allowed and still fails is not installed.
    if (!other || token === null || (!this.#options.kerberosOnly && holdsNtlm(token))) return failure;
    return new AuthenticationError(
      "mechanism",
      `Cannot ${this.#doing()}: ${message}. ${this.#adviceOnMechanism(token)}`,
      { cause },
    );
  }

  #adviceOnMechanism(token: Uint8Array): string {
    const { role, mechanism, kerberosOnly, excludeKerberos } = this.#options;
    if (!holdsKerberos(token)) return otherMechanismAdvice(token, mechanism);
    if (excludeKerberos) return KERBEROS_DENIED;
    // Where Kerberos alone may serve, acquiring fails without a key.
    return role === "server" && !kerberosOnly ? KERBEROS_WITHOUT_KEY : otherMechanismAdvice(token, mechanism);
  }

  #doing(): string {
    return this.#options.role === "client"
      ? `authenticate to ${this.#options.request.target}`
      : "authenticate the client";
  }

  /** Steps that may contact a KDC run on another thread; the others take a few microseconds. */
  #init(token: Uint8Array | null, first: boolean): number | Promise<number> {
    const { call, threaded } = this.#gss;
    const { tickets, request: { target, delegation } } = this.#options;
    if (tickets === null) return this.#initBy(threaded.gss_init_sec_context, token);
    if (!first) return this.#initBy(call.gss_init_sec_context, token);
    const begin = (lease: Lease | null): number | Promise<number> => {
      this.#lease = lease;
      return this.#initBy((lease === null ? threaded : call).gss_init_sec_context, token);
    };
    // Delegation gets a ticket for the server from the KDC.
    const lease = delegation ? null : tickets.find(target!);
    return lease instanceof Promise ? lease.then(begin) : begin(lease);
  }

  #initBy(
    init: Gss["call" | "threaded"]["gss_init_sec_context"],
    token: Uint8Array | null,
  ): number | Promise<number> {
    return init(
      this.#slots.slice(AT.minor, 4),
      this.#lease?.handle ?? this.#options.handle,
      this.#slots.slice(AT.context, 8),
      this.#target,
      this.#gss.oids[this.#options.mechanism],
      this.#requestFlags(),
      0,
      this.#bindings,
      token === null ? null : this.#input,
      this.#slots.slice(AT.mechanism, 8),
      this.#output,
      this.#slots.slice(AT.flags, 4),
      this.#slots.slice(AT.lifetime, 4),
    );
  }

  #endLease(): void {
    this.#lease?.release();
    this.#lease = null;
  }

  #accept(): number | Promise<number> {
    const { handle, kerberosOnly } = this.#options;
    const accept = kerberosOnly
      ? this.#gss.call.gss_accept_sec_context
      : this.#gss.threaded.gss_accept_sec_context;
    return accept(
      this.#slots.slice(AT.minor, 4),
      this.#slots.slice(AT.context, 8),
      handle,
      this.#input,
      this.#bindings,
      this.#slots.slice(AT.source, 8),
      this.#slots.slice(AT.mechanism, 8),
      this.#output,
      this.#slots.slice(AT.flags, 4),
      this.#slots.slice(AT.lifetime, 4),
      this.#slots.slice(AT.delegated, 8),
    );
  }

  #requestFlags(): number {
    const { request } = this.#options;
    return (request.mutualAuthentication ? GSS_C.MUTUAL_FLAG : 0) |
      (request.integrity ? GSS_C.INTEG_FLAG | GSS_C.REPLAY_FLAG | GSS_C.SEQUENCE_FLAG : 0) |
      (request.confidentiality ? GSS_C.CONF_FLAG : 0) |
      (request.delegation ? GSS_C.DELEG_FLAG : 0) |
      (mayOnlyIdentify(request) ? GSS_C.IDENTIFY_FLAG : 0) |
      (this.#bindings === null ? 0 : GSS_C.CHANNEL_BOUND_FLAG);
  }

  /** Reads what was agreed on, and refuses what is not safe. */
  #finish(): void {
    const flags = this.#slots.u32[AT.flags / 4];
    const lifetime = this.#slots.u32[AT.lifetime / 4];
    const server = this.#options.role === "server";
    const has = (flag: number): boolean => (flags & flag) !== 0;
    const mechanism = this.#gss.mechanism(this.#slots.u64[AT.mechanism / 8]);
    const optional = this.#options.request.allowMissingBindings ?? false;
    if (server && this.#bindings !== null && !optional && !has(GSS_C.CHANNEL_BOUND_FLAG)) {
      throw new AuthenticationError(
        "channel-bindings",
        "The client's channel bindings are missing or differ from this connection's; it was refused. Give the same channel bindings on the client",
      );
    }
    if (lifetime !== INDEFINITE) this.expireAt(Date.now() + lifetime * 1000);
    const records = new GssRecords(this.#gss, this.#slots.u64[AT.context / 8], {
      kerberos: mechanism === "kerberos",
      encrypts: has(GSS_C.CONF_FLAG),
      mustBeEncrypted: this.#options.request.confidentiality || has(GSS_C.CONF_FLAG),
      // gss-ntlmssp does not report these flags; it checks its own record count in every signature.
      sequence: mechanism === "ntlm" || (has(GSS_C.SEQUENCE_FLAG) && has(GSS_C.REPLAY_FLAG)),
      negotiated: this.#options.mechanism === "spnego",
      // DCE's style has other tokens.
      accelerate: !has(GSS_C.DCE_STYLE),
    });
    this.#records = records;
    const { ordered } = records;
    if (this.#options.request.integrity && has(GSS_C.INTEG_FLAG) && !ordered) {
      throw new SecurityRequirementError(
        "sequenceDetection",
        "none",
        `The peer did not request sequence detection, and ${mechanism} has no other way to check the order of records; ` +
          "set the peer to request replay and sequence detection",
      );
    }
    const delegation = has(GSS_C.DELEG_FLAG);
    const impersonation = delegation ? "delegate" : has(GSS_C.IDENTIFY_FLAG) ? "identify" : "impersonate";
    this.establish({
      mechanism,
      // NTLM authenticates only the client, even where its flags claim more.
      mutualAuthentication: mechanism === "kerberos" && has(GSS_C.MUTUAL_FLAG),
      integrity: has(GSS_C.INTEG_FLAG),
      confidentiality: has(GSS_C.CONF_FLAG),
      replayDetection: ordered,
      sequenceDetection: ordered,
      delegation,
      channelBound: this.#bindings !== null && !(server && optional && !has(GSS_C.CHANNEL_BOUND_FLAG)),
      impersonation: has(GSS_C.ANON_FLAG) ? "anonymous" : impersonation,
      records: records.accelerated ? "accelerated" : "system",
    }, records);
  }

  override get peerName(): string {
    this.requireDone("peerName");
    const { role, request } = this.#options;
    return role === "client" ? request.target! : this.#gss.displayName(this.#slots.u64[AT.source / 8]);
  }

  override get requestedTarget(): string | undefined {
    this.requireDone("requestedTarget");
    if (this.#options.role === "client" || this.attributes.mechanism !== "kerberos") return undefined;
    const { ticket } = this.#ticketName;
    if (this.#requestedTarget === undefined) {
      const context = this.#slots.u64[AT.context / 8];
      this.#requestedTarget = ticket && requestedTarget(this.#gss, context, this.#options.keys, ticket);
    }
    return this.#requestedTarget ?? undefined;
  }

  protected override nativePeer(): PeerIdentity | undefined {
    const { mechanism, mutualAuthentication, impersonation } = this.attributes;
    const of = (name: bigint): PeerIdentity | undefined =>
      name === 0n ? undefined : gssPeer(this.#gss, name, mechanism, this.#options.role);
    if (this.#options.role === "client") {
      // True for Kerberos only, whose library returns the name.
      return mutualAuthentication ? this.#gss.withTargetName(this.#slots.u64[AT.context / 8], of) : undefined;
    }
    return impersonation === "anonymous" ? undefined : of(this.#slots.u64[AT.source / 8]);
  }

  takeDelegated(): ProviderCredentials | null {
    this.requireDone("takeDelegated");
    const handle = this.#slots.u64[AT.delegated / 8];
    this.#slots.u64[AT.delegated / 8] = 0n;
    return handle === 0n ? null : this.#options.adopt(handle);
  }

  protected override nativeClose(): void {
    const { call } = this.#gss;
    const minor = this.#slots.slice(AT.minor, 4);
    this.#records?.close();
    if (this.#slots.u64[AT.context / 8] !== 0n) {
      call.gss_delete_sec_context(minor, this.#slots.slice(AT.context, 8), null);
    }
    if (this.#target !== 0n) this.#options.names.release(this.#options.request.target!);
    this.#gss.releaseName(this.#slots.u64[AT.source / 8]);
    if (this.#slots.u64[AT.delegated / 8] !== 0n) {
      call.gss_release_cred(minor, this.#slots.slice(AT.delegated, 8));
    }
    this.#slots.bytes.fill(0);
    this.#endLease();
    this.#options.release();
  }
}
