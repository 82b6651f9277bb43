/** The module that ships, without the sandbox around it: its randomness and its clock are the test's. */

import { guestModule } from "../../../plugins/ntlm/guest_wasm.ts";
import { Operation, type OperationName } from "../../../plugins/sandbox/abi.ts";
import * as messages from "../../../plugins/sandbox/messages.ts";
import { Reader, Writer } from "../../../plugins/sandbox/wire.ts";
import { resolveRequirements } from "../../../plugins/requirements.ts";

interface Exports {
  memory: WebAssembly.Memory;
  _initialize(): void;
  alloc(length: number): number;
  call(pointer: number, length: number): bigint;
}

/** What a raw guest is told. */
export interface RawGuestOptions {
  role: "client" | "server";
  username?: string;
  domain?: string;
  password?: string;
  target?: string;
  channelBindings?: Uint8Array;
  spnego?: boolean;
  workstation?: string;
  /** Fills each request for randomness; left out: real randomness. */
  random?: (bytes: Uint8Array) => void;
  /** Milliseconds since 1970. */
  clock?: () => number;
}

const module = new WebAssembly.Module(guestModule() as Uint8Array<ArrayBuffer>);

/** One instance, already told who it is. */
export class RawGuest {
  readonly #exports: Exports;

  constructor(options: RawGuestOptions) {
    const {
      random = (bytes) => void crypto.getRandomValues(bytes as Uint8Array<ArrayBuffer>),
      clock = Date.now,
    } = options;
    const memory = () => this.#exports.memory.buffer;
    const host = {
      random: (at: number, length: number) => random(new Uint8Array(memory(), at >>> 0, length >>> 0)),
      clock: () => BigInt(clock()),
    };
    this.#exports = new WebAssembly.Instance(module, { host }).exports as unknown as Exports;
    this.#exports._initialize();
    const { role, username, domain = "", password = "", target, channelBindings, spnego, workstation } =
      options;
    const option = (value: string | undefined): messages.OptionValue =>
      value === undefined ? { type: "absent" } : { type: "text", value };
    this.#call("acquire", (out) =>
      messages.writeAcquire(out, {
        role,
        requirements: resolveRequirements({ mutualAuthentication: false }),
        ...(target === undefined ? {} : { target }),
        ...(channelBindings === undefined ? {} : { channelBindings }),
        options: [
          { type: "boolean", value: spnego ?? false },
          option(workstation),
          option(undefined),
          option(undefined),
        ],
        credentials: username === undefined
          ? null
          : { username, domain, password: new TextEncoder().encode(password) },
      }, 2), messages.readEmpty);
  }

  step(token: Uint8Array | null): messages.LegAnswer {
    return this.#call("step", (out) => out.optionalBytes(token), messages.readLeg);
  }

  resume(hash: Uint8Array | null): messages.LegAnswer {
    return this.#call("resume", (out) => messages.writeResume(out, hash && [hash]), messages.readLeg);
  }

  attributes(): messages.Attributes {
    return this.#call("query", (out) => out.u32(1), messages.readAttributes);
  }

  sessionKey(): Uint8Array {
    return this.#call("query", (out) => out.u32(2), messages.readSessionKey);
  }

  wrap(plain: Uint8Array): Uint8Array {
    return this.#call(
      "wrap",
      (out) => out.rest(plain),
      (input, name) => messages.readRest(input, name).slice(),
    );
  }

  unwrap(record: Uint8Array): Uint8Array {
    return this.#call(
      "unwrap",
      (out) => out.rest(record),
      (input, name) => messages.readUnwrap(input, name).plain.slice(),
    );
  }

  sign(message: Uint8Array): Uint8Array {
    return this.#call(
      "sign",
      (out) => out.rest(message),
      (input, name) => messages.readRest(input, name).slice(),
    );
  }

  verify(signature: Uint8Array, message: Uint8Array): void {
    this.#call("verify", (out) => out.bytes(signature).rest(message), messages.readEmpty);
  }

  release(): void {
    this.#call("release", () => {}, messages.readEmpty);
  }

  /** Whether `secret` stands anywhere in the memory. */
  holds(secret: Uint8Array): boolean {
    const memory = new Uint8Array(this.#exports.memory.buffer);
    for (let at = memory.indexOf(secret[0]); at >= 0; at = memory.indexOf(secret[0], at + 1)) {
      if (secret.every((byte, i) => memory[at + i] === byte)) return true;
    }
    return false;
  }

  #call<T>(
    operation: OperationName,
    write: (out: Writer) => void,
    read: (input: Reader, name: string) => T,
  ): T {
    const out = new Writer().u32(Operation[operation]);
    write(out);
    const length = out.written.length, at = this.#exports.alloc(length) >>> 0;
    new Uint8Array(this.#exports.memory.buffer, at, length).set(out.written);
    const place = this.#exports.call(at, length);
    const start = Number(place >> 32n & 0xffffffffn), size = Number(place & 0xffffffffn);
    const answer = new Uint8Array(this.#exports.memory.buffer, start, size);
    try {
      return read(new Reader(answer.slice(), operation), "ntlm");
    } finally {
      answer.fill(0);
      new Uint8Array(this.#exports.memory.buffer, at, length).fill(0);
    }
  }
}
