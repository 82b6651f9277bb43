/**
 * What every guest of layer `context` has in common: the exports, the dispatch, the order of calls.
 *
 * A guest extends `Guest`, calls `serve` once at top level and re-exports `abi_version`, `alloc` and `call`.
 */

import {
  ABI_VERSION,
  AuthenticationReason,
  ErrorClass,
  Op,
  PeerKind,
  ProtocolReason,
  Query,
  Role,
  Status,
} from "./abi";
import * as input from "./input";
import { Buffer, Slice } from "./memory";
import * as output from "./output";

/** The fields of `acquire`. Slices are valid during the call only: copy what is kept, wipe what was secret. */
export class Acquire {
  role: Role = Role.Client;
  /** Bits of `Requirement`. */
  requirements: u32 = 0;
  /** One of `Impersonation`. */
  impersonation: u32 = 0;
  target: Slice | null = null;
  channelBindings: Slice | null = null;
  /** On a server: a client without channel bindings is served; one with others is not. */
  allowMissingBindings: bool = false;
  options: Options = new Options();
  /** Whether there are credentials; where not, the next three are empty. */
  hasCredentials: bool = false;
  username: Slice = new Slice();
  domain: Slice = new Slice();
  password: Slice = new Slice();
}

/** Option values by their index in the description; one that was left out gives the default. */
export class Options {
  private types: u32[] = [];
  private numbers: i64[] = [];
  private texts: (Slice | null)[] = [];

  read(): void {
    const count = input.word();
    for (let i: u32 = 0; i < count; i++) {
      const type = input.byte();
      this.types.push(type);
      this.numbers.push(
        type == 1 ? <i64> input.byte() : type == 2 ? input.long() : type == 4 ? <i64> input.word() : 0,
      );
      this.texts.push(type == 3 ? input.bytes() : null);
    }
  }

  boolean(index: i32, absent: bool): bool {
    return this.types[index] == 0 ? absent : this.numbers[index] != 0;
  }

  integer(index: i32, absent: i64): i64 {
    return this.types[index] == 0 ? absent : this.numbers[index];
  }

  /** The index of the value that was chosen. */
  choice(index: i32, absent: u32): u32 {
    return this.types[index] == 0 ? absent : <u32> this.numbers[index];
  }

  text(index: i32): Slice | null {
    return this.texts[index];
  }
}

/**
 * One provider. Methods write their answer with `output` (status `ok` is already there), or call one of the `fail`
 * functions and return. Records come as pointer and length, so that a record allocates nothing.
 */
export abstract class Guest {
  /** The JSON of `describe`. */
  abstract describe(): string;
  abstract acquire(request: Acquire): void;
  /** Answers with `leg` or `needs`, or fails. */
  abstract step(token: Slice | null): void;
  /** The answers to the open question, or null where the application knows none. */
  resume(_answers: Slice[] | null): void {
    failState("nothing was asked");
  }
  /** Writes the attributes with `attributes`. */
  abstract attributes(): void;
  /** Writes the session key with `output.bytes`. */
  abstract sessionKey(): void;
  abstract wrap(plain: usize, len: u32): void;
  /** Writes `output.word(1)` where the record was encrypted, else `output.word(0)`, then the plain text. */
  abstract unwrap(record: usize, len: u32): void;
  abstract sign(message: usize, len: u32): void;
  abstract verify(signature: usize, signatureLen: u32, message: usize, len: u32): void;
  /** As `wrap`, without encrypting. This and `unwrapAny` only where `also` has `wrapUnencrypted`. */
  wrapUnencrypted(_plain: usize, _len: u32): void {
    failArgument("this operation is not known");
  }
  /** As `unwrap`, for records that need not be encrypted. */
  unwrapAny(_record: usize, _len: u32): void {
    failArgument("this operation is not known");
  }
  /** Writes with `output.word` how many bytes fit a record of `recordLen`; where `also` has `wrapSizeLimit`. */
  wrapSizeLimit(_recordLen: u32, _encrypt: bool): void {
    failArgument("this operation is not known");
  }
  /** Answers with `peer` or `nobody`; only where `also` has `peerIdentity`. */
  peerIdentity(): void {
    failArgument("this query is not known");
  }
  /** Overwrites every secret. */
  abstract release(): void;
}

enum State {
  New,
  Stepping,
  Asking,
  Done,
  Over,
}

let guest: Guest | null = null;
let state: State = State.New;
let failed: bool = false;
const request = new Buffer(4096);

/** Names the guest that answers. */
export function serve(instance: Guest): void {
  guest = instance;
}

/** The export of that name. */
export function abi_version(): i32 {
  return ABI_VERSION;
}

/** The export of that name. */
export function alloc(len: u32): usize {
  request.ensure(len, 0);
  return request.ptr;
}

/** The export of that name. */
export function call(ptr: usize, len: u32): u64 {
  input.begin(ptr, len);
  output.begin();
  failed = false;
  dispatch(guest!, input.word());
  return output.finish();
}

/** Answers `step` or `resume`: the token to send, if any, and whether this end is satisfied. */
export function leg(done: bool, token: Slice | null): void {
  output.flag(done);
  output.optional(token);
  state = done ? State.Done : State.Stepping;
}

/** Answers `step` or `resume` with a question: its index in the description and its fields in their order. */
export function needs(question: u32, fields: Slice[]): void {
  output.restart(Status.Needs);
  output.word(question);
  output.word(<u32> fields.length);
  for (let i = 0; i < fields.length; i++) output.bytes(fields[i]);
  state = State.Asking;
}

/** Answers `query` with what was agreed on. */
export function attributes(
  flags: u32,
  impersonation: u32,
  mechanism: string,
  peerName: string,
  requestedTarget: Slice | null,
  expiresAtMs: u64,
  maxOverhead: u32,
): void {
  output.word(flags);
  output.byte(impersonation);
  output.text(mechanism);
  output.text(peerName);
  output.optional(requestedTarget);
  output.long(expiresAtMs);
  output.word(maxOverhead);
}

/** Answers `query` with who the peer is, as far as it proved it. SIDs, groups and names of a directory are left out. */
export function peer(kind: PeerKind, user: string, realm: string): void {
  output.flag(true);
  output.byte(kind);
  output.text(user);
  output.text(realm);
  for (let left = 0; left < 5; left++) output.flag(false);
}

/** Answers `query`: the peer did not prove who it is. */
export function nobody(): void {
  output.flag(false);
}

/** Answers with an error; `token` is the error token for the peer. */
export function failAuthentication(
  reason: AuthenticationReason,
  message: string,
  token: Slice | null = null,
): void {
  fail(ErrorClass.Authentication, reason, message, token);
}

/** Answers with an error of the peer's bytes. */
export function failProtocol(reason: ProtocolReason, message: string): void {
  fail(ErrorClass.Protocol, reason, message, null);
}

/** Answers that the call came in the wrong state. */
export function failState(message: string): void {
  fail(ErrorClass.State, 0, message, null);
}

/** Answers that an argument cannot be worked with. */
export function failArgument(message: string): void {
  fail(ErrorClass.Argument, 0, message, null);
}

/** Answers that a requirement (one of `RequirementReason`) cannot be met. */
export function failRequirement(requirement: u32, message: string): void {
  fail(ErrorClass.Requirement, requirement, message, null);
}

function fail(kind: ErrorClass, reason: u32, message: string, token: Slice | null): void {
  failed = true;
  output.restart(Status.Error);
  output.byte(kind);
  output.byte(reason);
  output.text(message);
  output.optional(token);
}

function dispatch(g: Guest, operation: u32): void {
  if (operation == Op.Describe) return output.restText(g.describe());
  if (operation == Op.Release) return release(g);
  if (operation == Op.Acquire) {
    if (!turn(State.New)) return;
    g.acquire(readAcquire());
    state = failed ? State.Over : State.Stepping;
    return;
  }
  if (operation == Op.Step || operation == Op.Resume) return exchange(g, operation);
  if (!turn(State.Done)) return;
  if (operation == Op.Query) return query(g);
  if (operation == Op.Wrap) {
    g.wrap(input.restPtr(), input.restLen());
    if (failed) state = State.Over;
  } else if (operation == Op.Unwrap) {
    g.unwrap(input.restPtr(), input.restLen());
    if (failed) state = State.Over;
  } else if (operation == Op.WrapUnencrypted) {
    g.wrapUnencrypted(input.restPtr(), input.restLen());
    if (failed) state = State.Over;
  } else if (operation == Op.UnwrapAny) {
    g.unwrapAny(input.restPtr(), input.restLen());
    if (failed) state = State.Over;
  } else if (operation == Op.WrapSizeLimit) {
    const recordLen = input.word();
    g.wrapSizeLimit(recordLen, input.flag());
  } else if (operation == Op.Sign) g.sign(input.restPtr(), input.restLen());
  else if (operation == Op.Verify) {
    const len = input.word();
    const signature = input.skip(len);
    g.verify(signature, len, input.restPtr(), input.restLen());
  } else failArgument("this operation is not known");
}

function exchange(g: Guest, operation: u32): void {
  if (!turn(operation == Op.Step ? State.Stepping : State.Asking)) return;
  if (operation == Op.Step) g.step(input.optional());
  else g.resume(readAnswers());
  if (failed) state = State.Over;
}

function query(g: Guest): void {
  const what = input.word();
  if (what == Query.Attributes) g.attributes();
  else if (what == Query.SessionKey) g.sessionKey();
  else if (what == Query.PeerIdentity) g.peerIdentity();
  else failArgument("this query is not known");
}

function release(g: Guest): void {
  g.release();
  state = State.Over;
}

function turn(expected: State): bool {
  if (state != expected) failState("this operation is called in the wrong state");
  return state == expected;
}

function readAcquire(): Acquire {
  const fields = new Acquire();
  fields.role = input.byte();
  fields.requirements = input.word();
  fields.impersonation = input.byte();
  fields.target = input.optional();
  fields.channelBindings = input.optional();
  fields.options.read();
  fields.hasCredentials = input.byte() == 1;
  if (fields.hasCredentials) {
    fields.username = input.bytes();
    fields.domain = input.bytes();
    fields.password = input.bytes();
  }
  fields.allowMissingBindings = input.flag();
  return fields;
}

function readAnswers(): Slice[] | null {
  if (!input.flag()) return null;
  const count = input.word();
  const answers: Slice[] = [];
  for (let i: u32 = 0; i < count; i++) answers.push(input.bytes());
  return answers;
}
