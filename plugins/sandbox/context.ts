/**
 * A {@linkcode ProviderContext} served by one instance of a guest: keeps the order of calls and believes nothing.
 *
 * @module
 */

import { AuthenticationError, ProtocolError, StateError } from "../../errors.ts";
import type {
  ContextAttributes,
  ContextOptions,
  PeerIdentity,
  ProviderContext,
  ResolvedRequirements,
  StepResult,
  Unwrapped,
} from "../../contract.ts";
import { provesServer, verifyAttributes } from "../requirements.ts";
import { type AlsoName, FieldLimit, Query } from "./abi.ts";
import type { ModuleDescription, Role } from "./description.ts";
import { holdsPlainText, refuseMoreThanOffered, shownMechanism } from "./claims.ts";
import { type CompiledModule, GuestInstance } from "./instance.ts";
import {
  type AcquireRequest,
  type Attributes,
  type LegAnswer,
  type OptionValue,
  readAttributes,
  readEmpty,
  readLeg,
  readPeer,
  readRest,
  readSessionKey,
  readSizeLimit,
  readUnwrap,
  writeAcquire,
  writeResume,
} from "./messages.ts";
import { type Answers, ask } from "./questions.ts";
import { breach, type Reader, Writer } from "./wire.ts";

/** A loaded provider: what every context of it is made from. */
export interface LoadedModule {
  /** The compiled module. */
  readonly compiled: CompiledModule;
  /** What it says about itself. */
  readonly description: ModuleDescription;
  /** The options it was loaded with. */
  readonly options: readonly OptionValue[];
  /** The application's answers. */
  readonly answers: Answers;
  /** Whether it is a part of this package, which alone may bear a built-in name: the host's word, not the module's. */
  readonly builtIn: boolean;
}

/** Who a context is, and what it must become. */
export interface Purpose {
  /** The end this process is. */
  readonly role: Role;
  /** What the context must be. */
  readonly requirements: ResolvedRequirements;
  /** Who to be; copied into the instance. */
  readonly credentials: AcquireRequest["credentials"];
}

const EMPTY = new Uint8Array(0);
// The operation before a request's fields, the status before an answer's.
const HEADER = 4;
// What a request has around a token or record.
const HEADROOM = 16;

/**
 * One end of one conversation, in an instance of its own. What a provider's context need not have is there where the
 * module's description says that it can do it.
 */
export class SandboxedContext implements ProviderContext {
  declare readonly wrapUnencrypted?: (plain: Uint8Array, out: Uint8Array) => Uint8Array;
  declare readonly unwrapAny?: (record: Uint8Array) => Unwrapped;
  declare readonly wrapSizeLimit?: (recordBytes: number, encrypt: boolean) => number;
  declare readonly peerIdentity?: PeerIdentity;
  readonly #loaded: LoadedModule;
  readonly #purpose: Purpose;
  /** Whether proof of channel bindings is required. */
  readonly #mustBeBound: boolean;
  readonly #instance: GuestInstance;
  #state: "stepping" | "busy" | "done" | "closed" = "stepping";
  #attributes: Attributes | null = null;
  #peer: PeerIdentity | undefined;

  /** Makes the instance and gives it the credentials. @throws what the guest answers to `acquire`. */
  constructor(loaded: LoadedModule, purpose: Purpose, options: ContextOptions) {
    this.#loaded = loaded;
    this.#purpose = purpose;
    this.#instance = new GuestInstance(loaded.compiled);
    // A guest of version 1 is not told that a client may come without, and refuses it.
    const optional = options.allowMissingBindings === true && this.#instance.abi >= 2;
    this.#mustBeBound = options.channelBindings !== undefined && !optional;
    this.#extend();
    const request = new Writer();
    try {
      writeAcquire(request, { ...purpose, ...options, options: loaded.options }, this.#instance.abi);
      this.#instance.call("acquire", request.written, (answer) => readEmpty(answer, this.#name));
    } catch (error) {
      this.close();
      throw error;
    } finally {
      request.wipe();
    }
  }

  get done(): boolean {
    return this.#state === "done";
  }

  get attributes(): ContextAttributes {
    return this.#established().agreed;
  }

  get peerName(): string {
    return this.#established().peerName;
  }

  get requestedTarget(): string | undefined {
    return this.#established().requestedTarget;
  }

  get expiresAt(): Date | undefined {
    return this.#established().expiresAt;
  }

  get maxOverhead(): number {
    return this.#established().maxOverhead;
  }

  async step(token: Uint8Array | null): Promise<StepResult> {
    if (this.#state !== "stepping") throw this.#outOfTurn("step");
    if (token) this.#refuseOversized("token", token);
    this.#state = "busy";
    try {
      const leg = await this.#leg(token);
      if (leg.done) {
        this.#attributes = this.#settle();
        this.#peer = this.#askForPeer(this.#attributes);
      }
      this.#state = leg.done ? "done" : "stepping";
      return { token: leg.token, done: leg.done };
    } catch (error) {
      this.close();
      throw error;
    }
  }

  sessionKey(): Uint8Array {
    this.#established();
    return this.#call("query", word(Query.sessionKey), (answer) => readSessionKey(answer, this.#name));
  }

  wrap(plain: Uint8Array, out: Uint8Array): Uint8Array {
    return this.#wrap("wrap", plain, out);
  }

  #wrap(operation: "wrap" | "wrapUnencrypted", plain: Uint8Array, out: Uint8Array): Uint8Array {
    const { maxOverhead, agreed } = this.#usable();
    const most = plain.length + maxOverhead, room = this.#loaded.compiled.limits.messageBytes - HEADER;
    // The record has to come back as well: found out by the guest, this would end the context.
    if (most > room) {
      throw new RangeError(
        `plain has ${plain.length} bytes; at most ${
          room - maxOverhead
        } fit limits.messageBytes, so send less at once`,
      );
    }
    if (out.length < most) throw new RangeError(`out has ${out.length} bytes; it must have at least ${most}`);
    return this.#last(operation, plain, (answer) => {
      const record = readRest(answer, this.#name, most);
      if (record.length === 0) throw breach("a record is empty");
      if (operation === "wrap" && agreed.confidentiality && holdsPlainText(record, plain)) {
        throw breach("a sealed record holds its plain text");
      }
      out.set(record);
      return out.subarray(0, record.length);
    });
  }

  unwrap(record: Uint8Array): Uint8Array {
    return this.#unwrap("unwrap", record).data;
  }

  #unwrap(operation: "unwrap" | "unwrapAny", record: Uint8Array): Unwrapped {
    const { agreed } = this.#usable();
    this.#refuseOversized("record", record);
    return this.#last(operation, record, (answer) => {
      const { encrypted, plain } = readUnwrap(answer, this.#name);
      if (plain.length > record.length) throw breach("a plain text is longer than its record");
      if (operation === "unwrap" && agreed.confidentiality && !encrypted) {
        throw new ProtocolError(
          "not-encrypted",
          `${this.#name}: a record was only signed; encryption was agreed on`,
        );
      }
      record.set(plain);
      return { data: record.subarray(0, plain.length), encrypted };
    });
  }

  #wrapSizeLimit(recordBytes: number, encrypt: boolean): number {
    const { maxOverhead } = this.#usable();
    if (!Number.isInteger(recordBytes) || recordBytes < 0 || recordBytes > 0xffff_ffff) {
      throw new RangeError(`recordBytes must be a whole number from 0 to 4294967295, not ${recordBytes}`);
    }
    const request = new Writer().u32(recordBytes).flag(encrypt).written;
    return this.#call("wrapSizeLimit", request, (answer) => {
      const limit = readSizeLimit(answer, this.#name);
      // What wrap() may add at most always fits.
      if (limit > recordBytes || limit < recordBytes - maxOverhead) {
        throw breach(
          `it says that ${limit} bytes fit a record of ${recordBytes}, and adds ${maxOverhead} at most`,
        );
      }
      // More than one message holds, wrap() does not take.
      return Math.min(limit, Math.max(0, this.#loaded.compiled.limits.messageBytes - HEADER - maxOverhead));
    });
  }

  /** Gives it the members that the module's description says it can serve. */
  #extend(): void {
    const { also } = this.#loaded.description;
    const members: { readonly [name in AlsoName]: PropertyDescriptorMap } = {
      wrapUnencrypted: {
        wrapUnencrypted: {
          value: (plain: Uint8Array, out: Uint8Array) => this.#wrap("wrapUnencrypted", plain, out),
        },
        unwrapAny: { value: (record: Uint8Array) => this.#unwrap("unwrapAny", record) },
      },
      wrapSizeLimit: {
        wrapSizeLimit: { value: (bytes: number, encrypt: boolean) => this.#wrapSizeLimit(bytes, encrypt) },
      },
      peerIdentity: {
        peerIdentity: { get: () => this.#established() && this.#peer },
      },
    };
    for (const name of also) Object.defineProperties(this, members[name]);
  }

  sign(message: Uint8Array): Uint8Array {
    this.#usable();
    return this.#call("sign", message, (answer) => {
      const signature = readRest(answer, this.#name, FieldLimit.signature).slice();
      if (signature.length === 0) throw breach("a signature is empty");
      return signature;
    });
  }

  verify(message: Uint8Array, signature: Uint8Array): void {
    this.#usable();
    const request = new Writer().bytes(signature).rest(message);
    this.#call("verify", request.written, (answer) => readEmpty(answer, this.#name));
  }

  close(): void {
    if (this.#state === "closed") return;
    this.#state = "closed";
    try {
      if (this.#instance.alive) this.#instance.call("release", EMPTY, () => {});
    } catch {
      // A guest that fails to release is dropped like any other; its memory is still wiped.
    }
    this.#instance.drop();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  get #name(): string {
    return this.#loaded.description.name;
  }

  async #leg(token: Uint8Array | null): Promise<Extract<LegAnswer, { kind: "leg" }>> {
    const read = (answer: Reader) => readLeg(answer, this.#name);
    let result = this.#instance.call("step", new Writer().optionalBytes(token).written, read);
    for (let asked = 0; result.kind === "needs"; asked++) {
      if (asked === FieldLimit.questionsPerLeg) throw breach("it asks too many questions in one leg");
      const { questions } = this.#loaded.description;
      const answers = await ask(questions, this.#loaded.answers, this.#purpose.role, result);
      const request = new Writer();
      try {
        if (this.#state === "closed") throw this.#outOfTurn("step");
        writeResume(request, answers);
        result = this.#instance.call("resume", request.written, read);
      } finally {
        request.wipe();
        answers?.forEach((answer) => answer.fill(0));
      }
    }
    return result;
  }

  /** Reads what was agreed on, and refuses what is more than was offered or less than was required. */
  #settle(): Attributes {
    const attributes = this.#instance.call(
      "query",
      word(Query.attributes),
      (answer) => readAttributes(answer, this.#name),
    );
    const { description, builtIn } = this.#loaded;
    const mechanism = shownMechanism(attributes.agreed.mechanism, description.name, builtIn);
    const agreed = Object.freeze({ ...attributes.agreed, mechanism });
    refuseMoreThanOffered(agreed, description);
    verifyAttributes(agreed, this.#purpose.requirements, this.#purpose.role, this.#mustBeBound);
    return { ...attributes, agreed };
  }

  /** Who the peer is, where the guest reports it; refuses an identity that nothing proved. */
  #askForPeer({ agreed, peerName }: Attributes): PeerIdentity | undefined {
    if (!this.#loaded.description.also.includes("peerIdentity")) return undefined;
    const read = (answer: Reader) => readPeer(answer, this.#name, peerName);
    const peer = this.#instance.call("query", word(Query.peerIdentity), read);
    const proved = this.#purpose.role === "client"
      ? provesServer(agreed)
      : agreed.impersonation !== "anonymous";
    if (peer && !proved) throw breach("it reports who its peer is, which nothing proved");
    return peer;
  }

  #established(): Attributes {
    if (this.#state !== "done" || !this.#attributes) throw this.#outOfTurn("this");
    return this.#attributes;
  }

  #usable(): Attributes {
    const established = this.#established();
    if (established.expiresAt && Date.now() >= established.expiresAt.getTime()) {
      this.close();
      throw new AuthenticationError(
        "context-expired",
        `${this.#name}: the context has expired; connect again`,
      );
    }
    return established;
  }

  #call<T>(
    operation: "query" | "sign" | "verify" | "wrapSizeLimit",
    body: Uint8Array,
    read: (answer: Reader) => T,
  ): T {
    try {
      return this.#instance.call(operation, body, read);
    } finally {
      if (!this.#instance.alive) this.close();
    }
  }

  /** Calls what ends the context when it fails: after a record that did not open, no other can be trusted. */
  #last<T>(
    operation: "wrap" | "unwrap" | "wrapUnencrypted" | "unwrapAny",
    body: Uint8Array,
    read: (answer: Reader) => T,
  ): T {
    try {
      return this.#instance.call(operation, body, read);
    } catch (error) {
      if (!(error instanceof RangeError)) this.close();
      throw error;
    }
  }

  /** What the peer sends is its fault, not the caller's: too much of it ends the context. */
  #refuseOversized(what: string, bytes: Uint8Array): void {
    const most = this.#loaded.compiled.limits.messageBytes - HEADROOM;
    if (bytes.length <= most) return;
    this.close();
    throw new ProtocolError(
      "oversized",
      `${this.#name}: the peer's ${what} of ${bytes.length} bytes is over ${most}; raise limits.messageBytes`,
    );
  }

  #outOfTurn(what: string): StateError {
    const why = {
      stepping: "the token exchange is not done; call step",
      busy: "a step is under way; wait for it",
      done: "the token exchange is done already",
      closed: "the context is closed",
    }[this.#state];
    return new StateError(`${this.#name}: ${what} is called in the wrong state: ${why}`);
  }
}

function word(value: number): Uint8Array {
  return new Writer().u32(value).written;
}
