/**
 * A provider for tests: a shared key, HMAC, and a key stream that is not secure. The test sets its faults. Never use
 * it for anything else.
 */

import { Buffer } from "node:buffer";
import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import { AuthenticationError, ProtocolError, StateError } from "../../errors.ts";
import type {
  AcquireOptions,
  Capabilities,
  ContextAttributes,
  ContextOptions,
  ContextProvider,
  Offers,
  ProviderContext,
  ProviderCredentials,
  ProviderSystem,
  StepResult,
} from "../../contract.ts";

/** How it differs from a correct provider. */
export interface ToyFaults {
  /** The name; default `toy`. */
  name?: string;
  /** The secret both ends share. */
  key?: string;
  /** How many tokens the exchange takes in all, the client's first included. Default 2. */
  tokens?: number;
  /** `none` passes data through between 16 bytes, to measure what the rest costs. */
  cipher?: "xor" | "none";
  /** What the context claims in the end. */
  attributes?: Partial<ContextAttributes>;
  /** What the provider claims to offer. */
  offers?: Partial<Offers>;
  /** Whether the server's context reports the target that the client requested. Default true. */
  tellsTarget?: boolean;
  /** Called with the step, from 0, before each step: may throw, or return a promise that is awaited. */
  onStep?: (role: "client" | "server", step: number) => void | Promise<void>;
  /** Replaces the result of a step. */
  changeStep?: (role: "client" | "server", step: number, result: StepResult) => StepResult;
  /** Called before credentials are acquired. */
  onAcquire?: (options: AcquireOptions) => void | Promise<void>;
  /** The number of records in each direction after which the context has expired. */
  expireAfter?: number;
  /** The record, from 0, whose wrap fails, leaving plain text in the buffer. */
  failWrapAt?: number;
  /** The context's `expiresAt`. */
  expiresAt?: Date;
  /** What impersonate does; left out: the context cannot. */
  impersonate?: <T>(fn: () => T) => T;
  /** What the context's close does in addition; may throw, or return a promise. */
  closeContext?: () => unknown;
  /** What the credentials' close does, once; may throw, or return a promise. */
  closeCredentials?: () => unknown;
}

/** Counts what was opened and not closed. */
export class Ledger {
  /** Contexts made. */
  contexts = 0;
  /** Times close was called on each context, in the order of their making. */
  readonly contextCloses: number[] = [];
  /** Credentials acquired. */
  credentials = 0;
  /** Credentials closed. */
  credentialCloses = 0;

  /** Contexts and credentials that are still open. */
  get live(): number {
    return this.contextCloses.filter((closes) => closes === 0).length + this.credentials -
      this.credentialCloses;
  }
}

/** Returns a toy provider with a ledger of its credentials and contexts. */
export function toyProvider(faults: ToyFaults = {}): ContextProvider & { readonly ledger: Ledger } {
  const name = faults.name ?? "toy";
  const ledger = new Ledger();
  return {
    ledger,
    layer: "context",
    name,
    description: {
      name,
      layer: "context",
      isolation: "native",
      offers: {
        integrity: true,
        confidentiality: true,
        mutualAuthentication: true,
        impersonation: "delegate",
        delegation: true,
        ...faults.offers,
      },
    },
    available: () => ({ available: true }),
    async acquire(options): Promise<ProviderCredentials> {
      await faults.onAcquire?.(options);
      ledger.credentials++;
      let open = true;
      const close = () => {
        if (!open) return;
        open = false;
        ledger.credentialCloses++;
        return faults.closeCredentials?.() as void;
      };
      const make = (role: "client" | "server", contextOptions: ContextOptions) => {
        if (!open) throw new StateError("The credentials were closed");
        return new ToyContext(role, contextOptions, options, faults, ledger);
      };
      return {
        client: (contextOptions) => make("client", contextOptions),
        server: (contextOptions) => make("server", contextOptions),
        close,
        [Symbol.dispose]: close,
      };
    },
  };
}

/** A system without native parts. */
export function toySystem(changes: Partial<Capabilities> = {}): ProviderSystem {
  return {
    capabilities: () => ({
      os: "other",
      runtime: "Deno" in globalThis ? "deno" : "node",
      simulated: false,
      securityContexts: { available: false, reason: "not in this test" },
      ipsec: { available: false, reason: "not in this test" },
      machinePolicy: { state: "absent", path: "/nowhere" },
      ...changes,
    }),
  };
}

const MAC_SIZE = 16;
const HEADER_SIZE = 4 + 1 + MAC_SIZE;

class ToyContext implements ProviderContext {
  done = false;
  readonly maxOverhead: number;
  readonly impersonate?: <T>(fn: () => T) => T;
  readonly #role: "client" | "server";
  readonly #options: ContextOptions;
  readonly #acquired: AcquireOptions;
  readonly #faults: ToyFaults;
  readonly #close: () => void;
  #secret: Uint8Array;
  #closed = false;
  #steps = 0;
  #tokensSeen = 0;
  #sent = 0;
  #received = 0;
  #peer: { target?: string; bindings?: string; confidential?: boolean } = {};

  constructor(
    role: "client" | "server",
    options: ContextOptions,
    acquired: AcquireOptions,
    faults: ToyFaults,
    ledger: Ledger,
  ) {
    this.#role = role;
    this.#options = options;
    this.#acquired = acquired;
    this.#faults = faults;
    this.#secret = createHmac("sha256", faults.key ?? "secret").digest();
    this.maxOverhead = faults.cipher === "none" ? 16 : HEADER_SIZE;
    if (faults.impersonate) this.impersonate = faults.impersonate;
    const index = ledger.contexts++;
    ledger.contextCloses.push(0);
    this.#close = () => void ledger.contextCloses[index]++;
  }

  async step(token: Uint8Array | null): Promise<StepResult> {
    if (this.done || this.#closed) throw new StateError("The context is done or closed");
    const step = this.#steps++;
    await this.#faults.onStep?.(this.#role, step);
    if (token) this.#consume(token);
    const tokens = this.#faults.tokens ?? 2;
    const made = this.#tokensSeen < tokens ? this.#produce() : null;
    this.done = this.#tokensSeen === tokens;
    const result = { token: made, done: this.done };
    return this.#faults.changeStep?.(this.#role, step, result) ?? result;
  }

  #produce(): Uint8Array {
    const { target, channelBindings } = this.#options;
    const body = Buffer.from(JSON.stringify({
      nonce: randomBytes(8).toString("hex"),
      index: this.#tokensSeen,
      role: this.#role,
      target,
      bindings: channelBindings && Buffer.from(channelBindings).toString("hex"),
      confidential: this.#acquired.requirements.confidentiality,
    }));
    const mac = createHmac("sha256", this.#secret).update(body).digest();
    this.#advance(body);
    return Uint8Array.from(Buffer.concat([mac, body]));
  }

  #consume(token: Uint8Array): void {
    const [mac, body] = [token.subarray(0, 32), token.subarray(32)];
    const expected = createHmac("sha256", this.#secret).update(body).digest();
    if (mac.length !== 32 || !timingSafeEqual(mac, expected)) {
      throw new AuthenticationError("bad-token", "The token was not made with the shared key");
    }
    const told = JSON.parse(new TextDecoder().decode(body));
    if (told.role === this.#role || told.index !== this.#tokensSeen) {
      throw new AuthenticationError("bad-token", "The token is from another step");
    }
    this.#peer = told;
    this.#advance(body);
  }

  #advance(body: Uint8Array): void {
    this.#tokensSeen++;
    this.#secret = createHmac("sha256", this.#secret).update("next").update(body).digest();
  }

  get attributes(): ContextAttributes {
    const { channelBindings } = this.#options;
    const { requirements } = this.#acquired;
    return {
      mechanism: "toy",
      mutualAuthentication: true,
      integrity: true,
      confidentiality: requirements.confidentiality && this.#peer.confidential !== false,
      replayDetection: true,
      sequenceDetection: true,
      delegation: requirements.delegation,
      channelBound: channelBindings !== undefined &&
        this.#peer.bindings === Buffer.from(channelBindings).toString("hex"),
      impersonation: "delegate",
      ...this.#faults.attributes,
    };
  }

  get peerName(): string {
    return this.#role === "client" ? "server@TOY" : "client@TOY";
  }

  get requestedTarget(): string | undefined {
    return this.#role === "server" && this.#faults.tellsTarget !== false ? this.#peer.target : undefined;
  }

  get expiresAt(): Date | undefined {
    return this.#faults.expiresAt;
  }

  sessionKey(): Uint8Array {
    this.#ready();
    return Uint8Array.from(this.#secret);
  }

  wrap(plain: Uint8Array, out: Uint8Array): Uint8Array {
    this.#ready(this.#sent);
    const size = this.#faults.cipher === "none" ? 16 : HEADER_SIZE;
    if (out.length < plain.length + size) throw new RangeError("out is too small");
    const record = out.subarray(0, plain.length + size);
    const data = record.subarray(size);
    data.set(plain);
    if (this.#faults.failWrapAt === this.#sent) throw new ProtocolError("sequence-exhausted", "Made to fail");
    if (this.#faults.cipher !== "none") {
      const sealed = this.attributes.confidentiality;
      new DataView(record.buffer, record.byteOffset).setUint32(0, this.#sent);
      record[4] = sealed ? 1 : 0;
      if (sealed) this.#mask(data, this.#role, this.#sent);
      record.set(this.#mac(this.#role, record), 5);
    }
    this.#sent++;
    return record;
  }

  unwrap(record: Uint8Array): Uint8Array {
    this.#ready(this.#received);
    if (this.#faults.cipher === "none") {
      this.#received++;
      return record.subarray(16);
    }
    const sender = this.#role === "client" ? "server" : "client";
    if (record.length < HEADER_SIZE) throw new ProtocolError("malformed", "The record is too short");
    const mac = record.slice(5, HEADER_SIZE);
    if (!timingSafeEqual(mac, this.#mac(sender, record))) {
      throw new ProtocolError("altered", "The record was altered in transit");
    }
    const number = new DataView(record.buffer, record.byteOffset).getUint32(0);
    if (number < this.#received) throw new ProtocolError("replayed", "The record was seen before");
    if (number > this.#received) throw new ProtocolError("gap", "A record is missing before this one");
    if (this.attributes.confidentiality && record[4] !== 1) {
      throw new ProtocolError("not-encrypted", "The record is not encrypted");
    }
    const data = record.subarray(HEADER_SIZE);
    if (record[4] === 1) this.#mask(data, sender, number);
    this.#received++;
    return data;
  }

  #mac(sender: string, record: Uint8Array): Uint8Array {
    const mac = createHmac("sha256", this.#secret).update(sender).update(record.subarray(0, 5));
    return mac.update(record.subarray(HEADER_SIZE)).digest().subarray(0, MAC_SIZE);
  }

  #mask(data: Uint8Array, sender: string, number: number): void {
    const seed = createHmac("sha256", this.#secret).update(`${sender} ${number}`).digest();
    let state = seed.readUInt32LE() | 1;
    for (let index = 0; index < data.length; index++) {
      state ^= state << 13;
      state ^= state >>> 17;
      state ^= state << 5;
      data[index] ^= state;
    }
  }

  sign(message: Uint8Array): Uint8Array {
    this.#ready();
    return createHmac("sha256", this.#secret).update(this.#role).update(message).digest();
  }

  verify(message: Uint8Array, signature: Uint8Array): void {
    this.#ready();
    const sender = this.#role === "client" ? "server" : "client";
    const expected = createHmac("sha256", this.#secret).update(sender).update(message).digest();
    if (signature.length !== 32 || !timingSafeEqual(signature, expected)) {
      throw new ProtocolError("altered", "The signature is not the peer's");
    }
  }

  #ready(records = 0): void {
    if (!this.done || this.#closed) throw new StateError("The context is not done, or closed");
    if (records >= (this.#faults.expireAfter ?? Infinity)) {
      throw new AuthenticationError("context-expired", "The context has expired; connect again");
    }
  }

  close(): void {
    this.#closed = true;
    this.#close();
    return this.#faults.closeContext?.() as void;
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
