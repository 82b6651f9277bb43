/**
 * What every guest of layer `socket` has in common: the export `call`, the dispatch, and the writer of the structures
 * of the Winsock secure socket extensions.
 *
 * A guest extends `SocketGuest`, calls `serveSocket` once at top level, and re-exports `call` of this file and
 * `abi_version` and `alloc` of `./index`. One instance answers for many connections, so a call allocates nothing.
 */

import { Op, Requirement, RequirementReason, Status } from "./abi";
import { failArgument, failRequirement } from "./guest";
import { writeGuid } from "./guid";
import * as input from "./input";
import * as output from "./output";
import { Slice } from "./memory";
import { ADDRESS_SIZE, FieldMask, Protocol, QueryFlag, Settings, Target, Template } from "./socket_layouts";

export { Impersonation, Requirement, RequirementReason } from "./abi";
export { failArgument, failRequirement } from "./guest";
export { Slice } from "./memory";
export { IpsecFlag, SettingsFlag } from "./socket_layouts";

/** Operations of the socket layer, as plugins/sandbox/abi.md numbers them. */
enum SocketOp {
  Settings = 32,
  Target = 33,
  Query = 34,
}

/** Identifiers of an association, as plugins/sandbox/abi.md numbers them. */
enum Watched {
  MainModeSa = 1,
  QuickModeSa = 2,
}

/** No name of a principal is longer. */
const LONGEST_NAME: u32 = 2048;
/** The most options that a description can declare. */
const MOST_OPTIONS: u32 = 32;

const types = memory.data(32 * 4, 4);
const lengths = memory.data(32 * 4, 4);
const numbers = memory.data(32 * 8, 8);

/** The options of one call by their index in the description; one that was left out gives the default. */
export namespace option {
  export function boolean(index: u32, absent: bool): bool {
    return typeOf(index) == 0 ? absent : number(index) != 0;
  }

  export function integer(index: u32, absent: i64): i64 {
    return typeOf(index) == 0 ? absent : number(index);
  }

  /** The index of the value that was chosen. */
  export function choice(index: u32, absent: u32): u32 {
    return typeOf(index) == 0 ? absent : <u32> number(index);
  }

  /** Points `into` at the text, which is valid during this call only; false where it was left out. */
  export function text(index: u32, into: Slice): bool {
    if (typeOf(index) == 0) return false;
    into.ptr = <usize> number(index);
    into.len = load<u32>(lengths + (<usize> index << 2));
    return true;
  }

  function typeOf(index: u32): u32 {
    return load<u32>(types + (<usize> index << 2));
  }

  function number(index: u32): i64 {
    return load<i64>(numbers + (<usize> index << 3));
  }
}

/** What the settings of one socket say beyond what the SDK writes by itself. */
export class SocketSettings {
  /** Sum of `SettingsFlag`. */
  securityFlags: u32 = 0;
  /** Sum of `IpsecFlag`: the host takes those the application granted, and no others. */
  ipsecFlags: u32 = 0;
  /** The keys of the policies, as text; empty: the system's policy. */
  readonly mainModePolicy: Slice = new Slice();
  readonly quickModePolicy: Slice = new Slice();
}

/** One provider of layer `socket`. */
export abstract class SocketGuest {
  /** The JSON of `describe`. */
  abstract describe(): string;
  /**
   * Says by what settings the requirements are met, or calls one of the `fail` functions.
   *
   * @param requirements sum of `Requirement`.
   * @param level one of `Impersonation`.
   * @param settings all zero, to be filled in.
   */
  abstract settings(requirements: u32, level: u32, settings: SocketSettings): void;
}

let guest: SocketGuest | null = null;
const settings = new SocketSettings();
const username = new Slice(), domain = new Slice(), text = new Slice();

/** Names the guest that answers. */
export function serveSocket(instance: SocketGuest): void {
  guest = instance;
}

/** The export of that name. */
export function call(ptr: usize, len: u32): u64 {
  input.begin(ptr, len);
  output.begin();
  dispatch(guest!, input.word());
  return output.finish();
}

function dispatch(g: SocketGuest, operation: u32): void {
  if (operation == Op.Describe) return output.restText(g.describe());
  if (operation == Op.Release) return;
  if (operation == <u32> SocketOp.Settings) return answerSettings(g);
  if (operation == <u32> SocketOp.Target) return answerTarget();
  if (operation == <u32> SocketOp.Query) return answerQuery();
  failArgument("this operation is not known");
}

/** Reads a length and that many bytes into `slice`. */
function take(slice: Slice): void {
  slice.len = input.word();
  slice.ptr = input.skip(slice.len);
}

function readOptions(): void {
  const count = input.word();
  if (count > MOST_OPTIONS) unreachable();
  memory.fill(types, 0, <usize> MOST_OPTIONS << 2);
  for (let i: u32 = 0; i < count; i++) {
    const type = input.byte();
    store<u32>(types + (<usize> i << 2), type);
    let value: i64 = 0;
    if (type == 1) value = <i64> input.byte();
    else if (type == 2) value = input.long();
    else if (type == 4) value = <i64> input.word();
    else if (type == 3) {
      take(text);
      value = <i64> text.ptr;
      store<u32>(lengths + (<usize> i << 2), text.len);
    }
    store<i64>(numbers + (<usize> i << 3), value);
  }
}

/** Answers with a SOCKET_SECURITY_SETTINGS_IPSEC, complete but for the password. */
function answerSettings(g: SocketGuest): void {
  const requirements = input.word(), level = input.byte();
  readOptions();
  take(username);
  take(domain);
  const passwordBytes = input.word();
  if ((requirements & Requirement.Delegation) != 0) {
    return failRequirement(RequirementReason.Delegation, "IPsec hands no credentials on; use Kerberos");
  }
  if (username.len > LONGEST_NAME || domain.len > LONGEST_NAME) {
    return failArgument("a name is longer than 2048 bytes");
  }
  settings.securityFlags = settings.ipsecFlags = 0;
  settings.mainModePolicy.len = settings.quickModePolicy.len = 0;
  g.settings(requirements, level, settings);
  if (output.status() != Status.Ok) return;
  const userBytes = unitsOf(username) << 1, domainBytes = unitsOf(domain) << 1;
  const strings = userBytes + domainBytes;
  const place = room(
    strings + passwordBytes == 0 ? <u32> Settings.size : <u32> Settings.AllStrings + strings,
  );
  if (
    !writeKey(settings.mainModePolicy, place + Settings.AuthipMMPolicyKey) ||
    !writeKey(settings.quickModePolicy, place + Settings.AuthipQMPolicyKey)
  ) return failArgument("a policy's key is not a GUID such as 00000000-0000-0000-0000-000000000000");
  store<u32>(place + Settings.SecurityProtocol, Protocol.IPSEC);
  store<u32>(place + Settings.SecurityFlags, settings.securityFlags);
  store<u32>(place + Settings.IpsecFlags, settings.ipsecFlags);
  store<u32>(place + Settings.UserNameStringLen, userBytes);
  store<u32>(place + Settings.DomainNameStringLen, domainBytes);
  store<u32>(place + Settings.PasswordStringLen, passwordBytes);
  writeUnits(username, place + Settings.AllStrings);
  writeUnits(domain, place + Settings.AllStrings + userBytes);
}

function writeKey(key: Slice, place: usize): bool {
  return key.len == 0 || writeGuid(key, place);
}

/** Answers with a SOCKET_PEER_TARGET_NAME. */
function answerTarget(): void {
  const len = input.word(), address = input.skip(len);
  take(text);
  if (len > ADDRESS_SIZE) return failArgument("a peer's address is longer than any can be");
  if (text.len == 0 || text.len > LONGEST_NAME) return failArgument("a peer's name has 1 to 2048 bytes");
  // The structure's page counts bytes; the sample of "Using Secure Socket Extensions" counts characters.
  const bytes = unitsOf(text) << 1;
  const place = room(max<u32>(<u32> Target.AllStrings + bytes, <u32> Target.size));
  store<u32>(place + Target.SecurityProtocol, Protocol.IPSEC);
  memory.copy(place + Target.PeerAddress, address, len);
  store<u32>(place + Target.PeerTargetNameStringLen, bytes);
  writeUnits(text, place + Target.AllStrings);
}

/** Answers with a SOCKET_SECURITY_QUERY_TEMPLATE_IPSEC2. */
function answerQuery(): void {
  const len = input.word(), address = input.skip(len);
  const access = input.word(), watched = input.word();
  const all = <u32> Watched.MainModeSa | <u32> Watched.QuickModeSa;
  if (watched > all) return failArgument("an association has no such field");
  if (len > ADDRESS_SIZE) return failArgument("a peer's address is longer than any can be");
  const fields = watched == 0 ? all : watched;
  const place = room(<u32> Template.size);
  store<u32>(place + Template.SecurityProtocol, Protocol.IPSEC2);
  memory.copy(place + Template.PeerAddress, address, len);
  store<u32>(place + Template.PeerTokenAccessMask, access);
  store<u32>(place + Template.Flags, watched == 0 ? 0 : <u32> QueryFlag.ABORT_CONNECTION_ON_FIELD_CHANGE);
  store<u32>(
    place + Template.FieldMask,
    ((fields & Watched.MainModeSa) != 0 ? <u32> FieldMask.MM_SA_ID : 0) |
      ((fields & Watched.QuickModeSa) != 0 ? <u32> FieldMask.QM_SA_ID : 0),
  );
}

/** Zeroed room in the response. */
function room(size: u32): usize {
  const place = output.reserve(size);
  memory.fill(place, 0, size);
  return place;
}

/** How many units of UTF-16 a text has, which the host has checked to be UTF-8. */
function unitsOf(text: Slice): u32 {
  let units: u32 = 0;
  for (let i: u32 = 0; i < text.len; i++) {
    const byte = text.at(i);
    if ((byte & 0xc0) != 0x80) units += byte < 0xf0 ? 1 : 2;
  }
  return units;
}

/** Writes a text as UTF-16. */
function writeUnits(text: Slice, place: usize): void {
  for (let i: u32 = 0; i < text.len;) {
    const lead: u32 = text.at(i++);
    const more: u32 = lead < 0x80 ? 0 : lead < 0xe0 ? 1 : lead < 0xf0 ? 2 : 3;
    let point = more == 0 ? lead : lead & (0x3f >> more);
    for (let left = more; left > 0; left--) point = point << 6 | (text.at(i++) & 0x3f);
    if (point < 0x10000) {
      store<u16>(place, <u16> point);
      place += 2;
    } else {
      store<u16>(place, <u16> (0xd7c0 + (point >> 10)));
      store<u16>(place + 2, <u16> (0xdc00 | (point & 0x3ff)));
      place += 4;
    }
  }
}
