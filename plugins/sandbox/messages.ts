/**
 * The messages of the provider ABI as `abi.md` beside this file defines them: requests are written, responses read.
 *
 * Writing checks nothing: arguments were checked before. Reading checks everything: a guest is not trusted.
 *
 * @module
 */

import type { ContextAttributes, PeerIdentity, ResolvedRequirements } from "../../contract.ts";
import {
  AttributeFlag,
  FieldLimit,
  IMPERSONATION,
  PEER_KINDS,
  RECORD_ENCRYPTED,
  RequirementFlag,
  Status,
} from "./abi.ts";
import { expectOk, readStatus } from "./status.ts";
import { printable, type Reader, type Writer } from "./wire.ts";

/** One option's value in wire form; `choice` is an index into the declared values. */
export type OptionValue =
  | { readonly type: "absent" }
  | { readonly type: "boolean"; readonly value: boolean }
  | { readonly type: "integer"; readonly value: number }
  | { readonly type: "text"; readonly value: string }
  | { readonly type: "choice"; readonly value: number };

/** The fields of `acquire`. */
export interface AcquireRequest {
  /** The end this process is. */
  readonly role: "client" | "server";
  /** What the context must be. */
  readonly requirements: ResolvedRequirements;
  /** The server's principal; left out on a server. */
  readonly target?: string;
  /** Channel bindings. */
  readonly channelBindings?: Uint8Array;
  /** Whether a client without any is served; what version 1 cannot say. */
  readonly allowMissingBindings?: boolean;
  /** One value for each declared option, in their order. */
  readonly options: readonly OptionValue[];
  /** Who to be; `null`: nobody in particular. The password is UTF-8. */
  readonly credentials:
    | { readonly username: string; readonly domain: string; readonly password: Uint8Array }
    | null;
}

/** What a leg came to: a token and perhaps the end, or a question only the application can answer. */
export type LegAnswer =
  | { readonly kind: "leg"; readonly done: boolean; readonly token: Uint8Array | null }
  | { readonly kind: "needs"; readonly question: number; readonly fields: readonly Uint8Array[] };

/** What `query` reports about a finished context. */
export interface Attributes {
  /** What the contract calls attributes. */
  readonly agreed: ContextAttributes;
  /** Who the peer is; may be empty. */
  readonly peerName: string;
  /** The name the client asked for. */
  readonly requestedTarget?: string;
  /** When the context ends; left out: never. */
  readonly expiresAt?: Date;
  /** The most `wrap` adds. */
  readonly maxOverhead: number;
}

/** Writes the fields of `acquire` in version `abi`. */
export function writeAcquire(out: Writer, request: AcquireRequest, abi: number): void {
  out.u8(request.role === "client" ? 1 : 2);
  writeRequirements(out, request.requirements);
  out.optionalText(request.target).optionalBytes(request.channelBindings);
  writeOptions(out, request.options);
  const { credentials } = request;
  if (!credentials) out.u8(0);
  else out.u8(1).text(credentials.username).text(credentials.domain).bytes(credentials.password);
  if (abi >= 2) out.flag(request.allowMissingBindings ?? false);
}

/** Writes requirements: flags, then the impersonation level. */
export function writeRequirements(out: Writer, requirements: ResolvedRequirements): void {
  let flags = 0;
  for (const [name, bit] of Object.entries(RequirementFlag)) {
    if (requirements[name as keyof typeof RequirementFlag]) flags |= bit;
  }
  out.u32(flags).u8(IMPERSONATION.indexOf(requirements.impersonation));
}

/** Writes the values of the declared options. */
export function writeOptions(out: Writer, options: readonly OptionValue[]): void {
  out.u32(options.length);
  for (const option of options) {
    if (option.type === "absent") out.u8(0);
    else if (option.type === "boolean") out.u8(1).flag(option.value);
    else if (option.type === "integer") out.u8(2).i64(option.value);
    else if (option.type === "text") out.u8(3).text(option.value);
    else out.u8(4).u32(option.value);
  }
}

/** Writes the fields of `resume`; `null`: the application knows no answer. */
export function writeResume(out: Writer, answers: readonly Uint8Array[] | null): void {
  out.flag(answers !== null);
  if (answers === null) return;
  out.u32(answers.length);
  for (const answer of answers) out.bytes(answer);
}

/** Reads the answer to `step` and `resume`; tokens and fields are copies. */
export function readLeg(input: Reader, provider: string): LegAnswer {
  if (readStatus(input, provider) === Status.needs) {
    const question = input.u32();
    const count = input.u32();
    const fields: Uint8Array[] = [];
    for (let i = 0; i < count; i++) fields.push(input.bytes().slice());
    input.end();
    return { kind: "needs", question, fields };
  }
  const done = input.flag();
  const token = input.flag() ? input.bytes().slice() : null;
  input.end();
  if (!done && token === null) input.refuse("the leg is neither done nor has it a token to send");
  return { kind: "leg", done, token };
}

/** Reads the answer to `query` for attributes. */
export function readAttributes(input: Reader, provider: string): Attributes {
  expectOk(input, provider);
  const flags = input.u32();
  const known = Object.values(AttributeFlag).reduce((sum, bit) => sum | bit, 0);
  if (flags & ~known) input.refuse(`attribute flags 0x${flags.toString(16)} are not all known`);
  const has = (name: keyof typeof AttributeFlag) => (flags & AttributeFlag[name]) !== 0;
  const impersonation = IMPERSONATION[input.index(input.u8(), IMPERSONATION.length, "impersonation level")];
  const mechanism = input.text(FieldLimit.mechanism);
  if (!/^[a-z0-9][a-z0-9 ._-]*$/.test(mechanism)) {
    input.refuse("the mechanism's name is not a lower-case word");
  }
  const peerName = plainName(input);
  const requestedTarget = input.flag() ? plainName(input) : undefined;
  const expires = input.u64();
  if (expires > 8_640_000_000_000_000n) input.refuse("expiresAt is beyond any date");
  const maxOverhead = input.u32();
  if (maxOverhead > FieldLimit.overhead) {
    input.refuse(`maxOverhead ${maxOverhead} is over ${FieldLimit.overhead}`);
  }
  input.end();
  const agreed = Object.freeze<ContextAttributes>({
    mechanism,
    mutualAuthentication: has("mutual"),
    integrity: has("integrity"),
    confidentiality: has("confidentiality"),
    replayDetection: has("replayDetection"),
    sequenceDetection: has("sequenceDetection"),
    delegation: has("delegation"),
    channelBound: has("channelBound"),
    impersonation,
  });
  return {
    agreed,
    peerName,
    ...(requestedTarget === undefined ? {} : { requestedTarget }),
    ...(expires === 0n ? {} : { expiresAt: new Date(Number(expires)) }),
    maxOverhead,
  };
}

/** Reads the answer to `query` for the session key: a copy. */
export function readSessionKey(input: Reader, provider: string): Uint8Array {
  expectOk(input, provider);
  const key = input.bytes(FieldLimit.sessionKey).slice();
  input.end();
  if (key.length === 0) input.refuse("the session key is empty");
  return key;
}

/** Reads the answer to `unwrap` and `unwrapAny`: whether the record was encrypted, and the plain text as a view. */
export function readUnwrap(input: Reader, provider: string): { encrypted: boolean; plain: Uint8Array } {
  expectOk(input, provider);
  const flags = input.u32();
  if (flags & ~RECORD_ENCRYPTED) input.refuse(`record flags 0x${flags.toString(16)} are not all known`);
  return { encrypted: flags === RECORD_ENCRYPTED, plain: input.rest() };
}

/** Reads the answer to `wrapSizeLimit`. */
export function readSizeLimit(input: Reader, provider: string): number {
  expectOk(input, provider);
  const limit = input.u32();
  input.end();
  return limit;
}

/** Reads the answer to `query` for the peer called `name`; `undefined`: it did not prove who it is. */
export function readPeer(input: Reader, provider: string, name: string): PeerIdentity | undefined {
  expectOk(input, provider);
  if (!input.flag()) return void input.end();
  const kind = PEER_KINDS[input.index(input.u8(), PEER_KINDS.length, "kind of peer")];
  const user = plainName(input), realm = plainName(input);
  const optional = <T>(key: string, read: () => T): { readonly [key: string]: T } =>
    input.flag() ? { [key]: read() } : {};
  const text = (key: string) => optional(key, () => plainName(input));
  const peer: PeerIdentity = {
    name,
    user,
    realm,
    kind,
    ...optional("sid", () => readSid(input)),
    ...optional("groups", () => readGroups(input)),
    ...text("upn"),
    ...text("displayName"),
    ...text("netbiosDomain"),
  };
  input.end();
  if (name === "" || user === "") input.refuse("a peer that proved who it is has no name");
  return Object.freeze(peer);
}

function readGroups(input: Reader): readonly string[] {
  const count = input.index(input.u32(), FieldLimit.groups + 1, "number of groups");
  return Object.freeze(Array.from({ length: count }, () => readSid(input)));
}

/** In the form that comparing as text is comparing SIDs. */
function readSid(input: Reader): string {
  const sid = input.text(FieldLimit.sid);
  const [authority, ...parts] = /^S-1(?:-(?:0|[1-9]\d{0,14})){2,16}$/.test(sid)
    ? sid.split("-").slice(2).map(Number)
    : [];
  const known = parts.length > 0 && authority < 2 ** 48 && parts.every((part) => part < 2 ** 32);
  return known ? sid : input.refuse("a SID is not written as S-1-5-21-1-2-3-1104 is");
}

/** Reads an answer that is bytes only (`wrap`, `sign`, the socket layer): a view. */
export function readRest(input: Reader, provider: string, limit?: number): Uint8Array {
  expectOk(input, provider);
  return input.rest(limit);
}

/** Reads an answer without fields. */
export function readEmpty(input: Reader, provider: string): void {
  expectOk(input, provider);
  input.end();
}

function plainName(input: Reader): string {
  const name = input.text(FieldLimit.name);
  if (printable(name) !== name) input.refuse("a name holds control characters");
  return name;
}
