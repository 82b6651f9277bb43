/**
 * One SSPI context: the token exchange and the context's attributes. Its records are in `records.ts`.
 *
 * @module
 */

import type { PeerIdentity, StepResult } from "../../../contract.ts";
import { AuthenticationError, SecurityRequirementError, UnsupportedPlatformError } from "../../../errors.ts";
import type { PooledBuffer } from "../../winsock/buffers.ts";
import { pinned, wideString } from "../../memory/memory.ts";
import { MemoryBlock } from "../../memory/block.ts";
import { holdsKerberos, holdsNtlm, otherMechanismAdvice } from "../other_mechanism.ts";
import {
  ASC,
  ISC,
  SEC_CHANNEL_BINDINGS,
  SEC_I,
  SECBUFFER,
  SecHandle,
  SECPKG_ATTR,
  SecPkgContext_ClientSpecifiedTarget,
  SecPkgContext_NamesW,
  SecPkgContext_NativeNamesW,
  SecPkgContext_NegotiationInfoW,
  SECURITY_NATIVE_DREP,
} from "../../raw/secur32.ts";
import { ContextBase, type ContextRequest, mayOnlyIdentify } from "../context.ts";
import { type Clients, readToken, sspiPeer } from "./peer.ts";
import { SspiRecords } from "./records.ts";
import { Buffers, isError, type Sspi } from "./sspi.ts";

/** Options of {@linkcode SspiContext}. */
export interface SspiContextOptions {
  /** Which end this is. */
  readonly role: "client" | "server";
  /** What the context must provide. */
  readonly request: ContextRequest;
  /** The credentials' handle, which outlives the context. */
  readonly credentials: Uint8Array;
  /** The longest token that the package makes: the size of the output buffer. */
  readonly maxToken: number;
  /** Whether NTLM was excluded when the credentials were acquired. */
  readonly excludeNtlm: boolean;
  /** Whether Kerberos was excluded then. */
  readonly excludeKerberos: boolean;
  /** What the grant `impersonation` allows with clients; `null` without it. */
  readonly clients: Clients | null;
  /** Called once when the context no longer uses the credentials. */
  readonly release: () => void;
}

/** A `TimeStamp`, and a ULONG of flags. */
const TIME_BYTES = 8;
const FLAGS_BYTES = 4;
/** The parts of a context's memory, in order. */
const PARTS = [
  SecHandle.size,
  TIME_BYTES,
  FLAGS_BYTES,
  Buffers.size(2),
  Buffers.size(1),
  ...SspiRecords.parts,
];

/** A context of secur32.dll. */
export class SspiContext extends ContextBase {
  readonly #sspi: Sspi;
  readonly #options: SspiContextOptions;
  /** The context's memory; the records use the part behind the context's own. */
  readonly #block: MemoryBlock;
  readonly #handle: Uint8Array;
  readonly #expiry: Uint8Array;
  readonly #flags: Uint8Array;
  readonly #input: Buffers;
  readonly #output: Buffers;
  readonly #target: Uint8Array | null;
  readonly #bindings: Uint8Array | null;
  #held = false;

  constructor(sspi: Sspi, options: SspiContextOptions) {
    super(options.role);
    this.#sspi = sspi;
    this.#options = options;
    this.#target = options.request.target === undefined ? null : wideString(options.request.target);
    this.#bindings = bindingsOf(options.request.channelBindings);
    const block = this.#block = new MemoryBlock(sspi.memory, PARTS);
    this.#handle = block.take(SecHandle.size).bytes;
    this.#expiry = block.take(TIME_BYTES).bytes;
    this.#flags = block.take(FLAGS_BYTES).bytes;
    this.#input = new Buffers(block, 2);
    this.#output = new Buffers(block, 1);
  }

  protected override async nativeStep(token: Uint8Array | null): Promise<StepResult> {
    const room = this.#sspi.buffers.take(this.#options.maxToken);
    try {
      return await this.#runStep(token, room);
    } finally {
      room.release();
    }
  }

  /** Runs one step; its output token is written to `room`. */
  async #runStep(token: Uint8Array | null, room: PooledBuffer): Promise<StepResult> {
    const client = this.#options.role === "client";
    const fn = client ? "InitializeSecurityContextW" : "AcceptSecurityContext";
    const [input, output] = [this.#inputOf(token), this.#output];
    output.set(0, SECBUFFER.TOKEN, room.bytes.length, room.address);
    // Every step may contact a domain controller, so every step runs on another thread; ADR 55 states why the last
    // one does.
    const status = await (client ? this.#initialize(input, output) : this.#accept(input, output));
    if (isError(status)) throw this.#refusal(this.#sspi.failure(fn, status, this.#doing()), token);
    this.#held = true;
    if (status === SEC_I.COMPLETE_NEEDED || status === SEC_I.COMPLETE_AND_CONTINUE) this.#complete(output);
    room.used = output.length(0);
    const made = room.bytes.slice(0, room.used);
    if (this.#options.excludeNtlm && holdsNtlm(made)) throw this.#ntlm();
    if (this.#options.excludeKerberos && holdsKerberos(made)) throw this.#kerberos();
    const done = status === SEC_I.OK || status === SEC_I.COMPLETE_NEEDED;
    if (done) this.#finish();
    return { token: made.length === 0 ? null : made, done };
  }

  /**
   * The package list already excludes NTLM. On a system that ignores package lists (such as Wine 10) an NTLM token
   * must still not be sent: the next one would be the response that a relay waits for.
   */
  #ntlm(): AuthenticationError {
    return new AuthenticationError(
      "mechanism",
      `Cannot ${this.#doing()}: only NTLM is left, which cannot authenticate the server; nothing was sent. ` +
        "Check that the target is registered in the directory and that there are Kerberos credentials",
    );
  }

  #kerberos(): AuthenticationError {
    return new AuthenticationError(
      "mechanism",
      `Cannot ${this.#doing()}: the system would use Kerberos, which a policy denies; nothing was sent. Remove ` +
        "kerberos from the policy's deny, or use ntlm()",
    );
  }

  /** Packages report an excluded NTLM with different statuses; the advice is the same for all of them. */
  #refusal(failure: AuthenticationError, token: Uint8Array | null): AuthenticationError {
    if (!this.#options.excludeNtlm || token === null || !holdsNtlm(token)) return failure;
    const { cause } = failure;
    return new AuthenticationError(
      "mechanism",
      `Cannot ${this.#doing()}: ${(cause as Error).message}. ${otherMechanismAdvice(token, "spnego")}`,
      { cause },
    );
  }

  #doing(): string {
    return this.#options.role === "client"
      ? `authenticate to ${this.#options.request.target}`
      : "authenticate the client";
  }

  /** The peer's token and, in every step, the channel bindings; `null` where there is neither. */
  #inputOf(token: Uint8Array | null): Buffers | null {
    const { memory } = this.#sspi;
    const parts: [number, Uint8Array][] = [];
    if (token !== null) parts.push([SECBUFFER.TOKEN, token]);
    if (this.#bindings !== null) parts.push([SECBUFFER.CHANNEL_BINDINGS, this.#bindings]);
    if (parts.length === 0) return null;
    const input = this.#input;
    input.use(parts.length);
    parts.forEach(([type, bytes], index) => input.set(index, type, bytes.length, memory.addressOf(bytes)));
    return input;
  }

  #initialize(input: Buffers | null, output: Buffers): Promise<number> {
    return this.#sspi.threaded.InitializeSecurityContextW(
      this.#options.credentials,
      this.#held ? this.#handle : null,
      this.#target,
      this.#requestFlags(ISC),
      0,
      SECURITY_NATIVE_DREP,
      input?.desc ?? null,
      0,
      this.#handle,
      output.desc,
      this.#flags,
      this.#expiry,
    );
  }

  #accept(input: Buffers | null, output: Buffers): Promise<number> {
    return this.#sspi.threaded.AcceptSecurityContext(
      this.#options.credentials,
      this.#held ? this.#handle : null,
      input?.desc ?? null,
      // Channel bindings that were given must be matched, unless the application allows a client without them.
      this.#requestFlags(ASC) | (this.#options.request.allowMissingBindings ? ASC.ALLOW_MISSING_BINDINGS : 0),
      SECURITY_NATIVE_DREP,
      this.#handle,
      output.desc,
      this.#flags,
      this.#expiry,
    );
  }

  #complete(output: Buffers): void {
    const status = this.#sspi.call.CompleteAuthToken(this.#handle, output.desc);
    if (isError(status)) throw this.#sspi.failure("CompleteAuthToken", status, this.#doing());
  }

  #requestFlags(bits: typeof ISC | typeof ASC): number {
    const { request } = this.#options;
    return bits.CONNECTION |
      (request.mutualAuthentication ? bits.MUTUAL_AUTH : 0) |
      (request.integrity ? bits.INTEGRITY | bits.REPLAY_DETECT | bits.SEQUENCE_DETECT : 0) |
      (request.confidentiality ? bits.CONFIDENTIALITY : 0) |
      (request.delegation ? bits.DELEGATE : 0) |
      (mayOnlyIdentify(request) ? bits.IDENTIFY : 0);
  }

  /** Reads what was agreed on. */
  #finish(): void {
    const client = this.#options.role === "client";
    const bits = client ? ISC : ASC;
    const flags = viewOf(this.#flags).getUint32(0, true);
    const has = (flag: number): boolean => (flags & flag) !== 0;
    const mechanism = this.#mechanism();
    const endMs = this.#sspi.localTime.toMs(viewOf(this.#expiry).getBigInt64(0, true));
    if (endMs !== null) this.expireAt(endMs);
    const ordered = has(bits.SEQUENCE_DETECT) && has(bits.REPLAY_DETECT);
    if (this.#options.request.integrity && has(bits.INTEGRITY) && !ordered) {
      throw new SecurityRequirementError(
        "sequenceDetection",
        "none",
        "The peer did not request sequence detection, and Windows then does not check the order of records; set the peer " +
          "to request replay and sequence detection",
      );
    }
    const records = new SspiRecords(this.#sspi, this.#handle, {
      encrypts: has(bits.CONFIDENTIALITY),
      mustBeEncrypted: this.#options.request.confidentiality || has(bits.CONFIDENTIALITY),
    }, this.#block);
    const delegation = has(bits.DELEGATE);
    const impersonation = delegation ? "delegate" : has(bits.IDENTIFY) ? "identify" : "impersonate";
    this.establish({
      mechanism,
      // NTLM may set this flag too (dotnet/runtime #131192), but it authenticates only the client.
      mutualAuthentication: mechanism === "kerberos" && has(bits.MUTUAL_AUTH),
      integrity: has(bits.INTEGRITY),
      confidentiality: has(bits.CONFIDENTIALITY),
      replayDetection: ordered,
      sequenceDetection: ordered,
      delegation,
      // Where channel bindings may be missing, Windows does not report whether the client sent them.
      channelBound: this.#bindings !== null && !this.#options.request.allowMissingBindings,
      impersonation: has(bits.NULL_SESSION) ? "anonymous" : impersonation,
    }, records);
  }

  #mechanism(): string {
    const info = this.#sspi.attribute(
      this.#handle,
      SECPKG_ATTR.NEGOTIATION_INFO,
      SecPkgContext_NegotiationInfoW,
    );
    return info === null ? "unknown" : this.#sspi.takePackageName(info.PackageInfo).toLowerCase();
  }

  override get peerName(): string {
    this.requireDone("peerName");
    return this.#nativeName() ||
      (this.#options.role === "client" ? this.#options.request.target! : this.#userName());
  }

  protected override nativePeer(): PeerIdentity | undefined {
    const { mechanism, mutualAuthentication, impersonation } = this.attributes;
    if (this.#options.role === "client") {
      return mutualAuthentication ? sspiPeer(this.#nativeName(), mechanism, { kind: "service" }) : undefined;
    }
    if (impersonation === "anonymous") return undefined;
    const known = readToken(this.#sspi, this.#handle, this.#options.clients);
    return sspiPeer(this.peerName, mechanism, { kind: "unknown", ...known });
  }

  /** The peer's name as the package writes it; empty where it reports none. */
  #nativeName(): string {
    const native = this.#sspi.attribute(this.#handle, SECPKG_ATTR.NATIVE_NAMES, SecPkgContext_NativeNamesW);
    const [client, server] = [native?.sClientName ?? 0n, native?.sServerName ?? 0n].map((address) => {
      return this.#sspi.takeText(address);
    });
    return this.#options.role === "client" ? server : client;
  }

  #userName(): string {
    const names = this.#sspi.attribute(this.#handle, SECPKG_ATTR.NAMES, SecPkgContext_NamesW);
    // Wine 10 reports no name by any attribute. The empty string states that, and no account can be authorised by it.
    return this.#sspi.takeText(names?.sUserName ?? 0n);
  }

  /** Read from the client's authenticator, which is encrypted; a clear-text name is not used. */
  override get requestedTarget(): string | undefined {
    this.requireDone("requestedTarget");
    const target = this.#sspi.attribute(
      this.#handle,
      SECPKG_ATTR.CLIENT_SPECIFIED_TARGET,
      SecPkgContext_ClientSpecifiedTarget,
    );
    return this.#sspi.takeText(target?.sTargetName ?? 0n) || undefined;
  }

  impersonate<T>(fn: () => T): T {
    this.requireDone("impersonate");
    const { clients, request } = this.#options;
    if (clients === null) {
      throw new UnsupportedPlatformError("This system was opened without the grant impersonation", {
        instead: 'Open it with openSystem({ grants: ["sspi", "impersonation"] })',
      });
    }
    return clients.impersonator.run(
      () => {
        const status = this.#sspi.call.ImpersonateSecurityContext(this.#handle);
        if (isError(status)) {
          throw this.#sspi.failure("ImpersonateSecurityContext", status, "impersonate the client");
        }
      },
      () => !isError(this.#sspi.call.RevertSecurityContext(this.#handle)),
      request.impersonation,
      fn,
    );
  }

  protected override nativeClose(): void {
    if (this.#held) this.#sspi.call.DeleteSecurityContext(this.#handle);
    this.#held = false;
    this.#options.release();
  }
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}

/** Returns a `SEC_CHANNEL_BINDINGS` with application data only, as in RFC 5929. */
function bindingsOf(applicationData: Uint8Array | undefined): Uint8Array | null {
  if (applicationData === undefined) return null;
  const bytes = pinned(SEC_CHANNEL_BINDINGS.size + applicationData.length);
  SEC_CHANNEL_BINDINGS.write(new DataView(bytes.buffer), {
    cbApplicationDataLength: applicationData.length,
    dwApplicationDataOffset: SEC_CHANNEL_BINDINGS.size,
  });
  bytes.set(applicationData, SEC_CHANNEL_BINDINGS.size);
  return bytes;
}
