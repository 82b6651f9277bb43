/**
 * One end of a conversation with the guest spoken to directly, message by message, as the host does it but without the
 * host's order of calls, so that a check can also do what a host never does.
 *
 * @module
 */

import { type OperationName, Query, Status } from "../../plugins/sandbox/abi.ts";
import type { Role } from "../../plugins/sandbox/description.ts";
import { GuestInstance } from "../../plugins/sandbox/instance.ts";
import type { LoadedModule } from "../../plugins/sandbox/context.ts";
import {
  type Attributes,
  type LegAnswer,
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
} from "../../plugins/sandbox/messages.ts";
import { type Answers, ask } from "../../plugins/sandbox/questions.ts";
import { type Reader, Writer } from "../../plugins/sandbox/wire.ts";
import type { PeerIdentity, ResolvedRequirements } from "../../contract.ts";

/** The arguments of `acquire` for a peer. */
export interface Identity {
  /** What the context must be. */
  readonly requirements: ResolvedRequirements;
  /** The server's principal. */
  readonly target: string;
  /** Who a client is. */
  readonly credentials: { readonly username: string; readonly domain: string; readonly password: Uint8Array };
}

/** The fuel an operation took, at most, by its name. */
export type FuelUse = Map<string, number>;

/** One end. */
export class Peer {
  /** The instance behind it. */
  readonly instance: GuestInstance;
  /** Its end. */
  readonly role: Role;
  readonly #loaded: LoadedModule;
  readonly #fuel: FuelUse;

  /** Makes an instance of `loaded`; what it uses is noted in `fuel`. */
  constructor(loaded: LoadedModule, role: Role, fuel: FuelUse) {
    this.#loaded = loaded;
    this.role = role;
    this.#fuel = fuel;
    this.instance = new GuestInstance(loaded.compiled);
  }

  acquire({ requirements, target, credentials }: Identity): void {
    const kinds = this.#loaded.description.credentials[this.role] ?? [];
    const request = new Writer();
    writeAcquire(request, {
      role: this.role,
      requirements,
      ...(this.role === "client" ? { target } : {}),
      options: this.#loaded.options,
      credentials: kinds.includes("password") ? credentials : null,
    }, this.instance.abi);
    this.call("acquire", request.written, (answer) => readEmpty(answer, "guest"));
  }

  /** One step, with questions answered. */
  async step(
    token: Uint8Array | null,
    answers: Answers,
  ): Promise<{ done: boolean; token: Uint8Array | null }> {
    let result = this.ask(token);
    while (result.kind === "needs") {
      const found = await ask(this.#loaded.description.questions, answers, this.role, result);
      const request = new Writer();
      writeResume(request, found);
      result = this.call("resume", request.written, (answer) => readLeg(answer, "guest"));
    }
    return result;
  }

  /** One step up to the first question. */
  ask(token: Uint8Array | null): LegAnswer {
    return this.call("step", new Writer().optionalBytes(token).written, (answer) => readLeg(answer, "guest"));
  }

  attributes(): Attributes {
    const request = new Writer().u32(Query.attributes).written;
    return this.call("query", request, (answer) => readAttributes(answer, "guest"));
  }

  sessionKey(): Uint8Array {
    const request = new Writer().u32(Query.sessionKey).written;
    return this.call("query", request, (answer) => readSessionKey(answer, "guest"));
  }

  wrap(plain: Uint8Array, label = "wrap"): Uint8Array {
    return this.call("wrap", plain, (answer) => readRest(answer, "guest").slice(), label);
  }

  unwrap(record: Uint8Array, label = "unwrap"): Uint8Array {
    return this.call("unwrap", record, (answer) => readUnwrap(answer, "guest").plain.slice(), label);
  }

  wrapUnencrypted(plain: Uint8Array): Uint8Array {
    return this.call("wrapUnencrypted", plain, (answer) => readRest(answer, "guest").slice());
  }

  /** Opens a record by either operation, and reports whether it was encrypted. */
  open(operation: "unwrap" | "unwrapAny", record: Uint8Array): { encrypted: boolean; plain: Uint8Array } {
    return this.call(operation, record, (answer) => {
      const { encrypted, plain } = readUnwrap(answer, "guest");
      return { encrypted, plain: plain.slice() };
    });
  }

  wrapSizeLimit(recordBytes: number, encrypt: boolean): number {
    const request = new Writer().u32(recordBytes).flag(encrypt).written;
    return this.call("wrapSizeLimit", request, (answer) => readSizeLimit(answer, "guest"));
  }

  peerIdentity(name: string): PeerIdentity | undefined {
    const request = new Writer().u32(Query.peerIdentity).written;
    return this.call("query", request, (answer) => readPeer(answer, "guest", name));
  }

  sign(message: Uint8Array): Uint8Array {
    return this.call("sign", message, (answer) => readRest(answer, "guest").slice());
  }

  verify(message: Uint8Array, signature: Uint8Array): void {
    const request = new Writer().bytes(signature).rest(message).written;
    this.call("verify", request, (answer) => readEmpty(answer, "guest"));
  }

  release(): void {
    this.call("release", new Uint8Array(0), (answer) => readEmpty(answer, "guest"));
  }

  describe(): string {
    return this.call("describe", new Uint8Array(0), (answer) => {
      if (answer.u32() !== Status.ok) answer.refuse("describe did not succeed");
      return answer.restText(Infinity);
    });
  }

  /** Calls an operation and notes the fuel under `label`. */
  call<T>(
    operation: OperationName,
    body: Uint8Array,
    read: (answer: Reader) => T,
    label: string = operation,
  ): T {
    try {
      return this.instance.call(operation, body, read);
    } finally {
      this.#fuel.set(label, Math.max(this.#fuel.get(label) ?? 0, this.instance.fuelUsed));
    }
  }
}
