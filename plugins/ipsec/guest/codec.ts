/** Between requirements and the structures of the Winsock secure socket extensions. No state between calls. */

import {
  failArgument,
  failRequirement,
  Impersonation,
  input,
  Options,
  output,
  Requirement,
  RequirementReason,
  Slice,
} from "../../sdk/assembly/index";
import { writeGuid } from "./guid";
import {
  ADDRESS_SIZE,
  FieldMask,
  Info,
  InfoFlag,
  IpsecFlag,
  Protocol,
  QueryFlag,
  Settings,
  SettingsFlag,
  Target,
  Template,
} from "./layouts";

/** Indices of the options in the description. */
enum Option {
  AllowInsecure,
  MainModePolicy,
  QuickModePolicy,
  OptionalPeerName,
  RawPeerName,
  SkipFilters,
  FirstPacketInClear,
}

/** No name of a principal is longer. */
const LONGEST_NAME: u32 = 2048;
const MUTUAL_UNKNOWN: u32 = 2;

const KEY_SIZE: u32 = 16;
const MAIN_MODE: usize = memory.data(16, 4);
const QUICK_MODE: usize = memory.data(16, 4);

/** Zeroed room in the response. */
function room(size: u32): usize {
  const place = output.reserve(size);
  memory.fill(place, 0, size);
  return place;
}

/** Text as UTF-16, which the host has checked to be UTF-8. */
function units(text: Slice): string {
  return String.UTF8.decodeUnsafe(text.ptr, text.len);
}

function writeUnits(text: string, place: usize): void {
  memory.copy(place, changetype<usize>(text), <usize> text.length << 1);
}

/** Answers with a SOCKET_SECURITY_SETTINGS_IPSEC, complete but for the password. */
export function settings(): void {
  const requirements = input.word();
  // A policy gives the level, not the settings.
  const level = input.byte();
  const options = new Options();
  options.read();
  const username = input.bytes(), domain = input.bytes();
  const passwordBytes = input.word();
  if ((requirements & Requirement.Delegation) != 0) {
    return failRequirement(RequirementReason.Delegation, "IPsec hands no credentials on; use Kerberos");
  }
  if (username.len > LONGEST_NAME || domain.len > LONGEST_NAME) {
    return failArgument("a name is longer than 2048 bytes");
  }
  if (!readKey(options.text(Option.MainModePolicy), MAIN_MODE)) return;
  if (!readKey(options.text(Option.QuickModePolicy), QUICK_MODE)) return;
  const user = units(username), realm = units(domain);
  const strings = <u32> (user.length + realm.length) << 1;
  const bare = strings + passwordBytes == 0;
  const place = room(bare ? <u32> Settings.size : <u32> Settings.AllStrings + strings);
  store<u32>(place + Settings.SecurityProtocol, Protocol.IPSEC);
  const clear = mayBeClear(requirements, level, options);
  store<u32>(place + Settings.SecurityFlags, securityFlags(requirements, clear));
  store<u32>(place + Settings.IpsecFlags, ipsecFlags(options, clear));
  store<u32>(place + Settings.UserNameStringLen, <u32> user.length << 1);
  store<u32>(place + Settings.DomainNameStringLen, <u32> realm.length << 1);
  store<u32>(place + Settings.PasswordStringLen, passwordBytes);
  writeUnits(user, place + Settings.AllStrings);
  writeUnits(realm, place + Settings.AllStrings + (<usize> user.length << 1));
  memory.copy(place + Settings.AuthipMMPolicyKey, MAIN_MODE, KEY_SIZE);
  memory.copy(place + Settings.AuthipQMPolicyKey, QUICK_MODE, KEY_SIZE);
}

/** Clear text is allowed only where nothing at all is required: neither of the bytes, nor of whoever sends them. */
function mayBeClear(requirements: u32, level: u32, options: Options): bool {
  const required = requirements &
    (Requirement.Confidentiality | Requirement.Integrity | Requirement.MutualAuthentication);
  return required == 0 && level <= <u32> Impersonation.Identify &&
    options.boolean(Option.AllowInsecure, false);
}

function securityFlags(requirements: u32, clear: bool): u32 {
  const encrypted = (requirements & Requirement.Confidentiality) != 0;
  return (encrypted ? <u32> SettingsFlag.GUARANTEE_ENCRYPTION : 0) |
    (clear ? <u32> SettingsFlag.ALLOW_INSECURE : 0);
}

function ipsecFlags(options: Options, clear: bool): u32 {
  return bit(options, Option.SkipFilters, IpsecFlag.SKIP_FILTER_INSTANTIATION) |
    bit(options, Option.OptionalPeerName, IpsecFlag.OPTIONAL_PEER_NAME_VERIFICATION) |
    (clear ? bit(options, Option.FirstPacketInClear, IpsecFlag.ALLOW_FIRST_INBOUND_PKT_UNENCRYPTED) : 0) |
    bit(options, Option.RawPeerName, IpsecFlag.PEER_NAME_IS_RAW_FORMAT);
}

function bit(options: Options, option: Option, flag: IpsecFlag): u32 {
  return options.boolean(option, false) ? <u32> flag : 0;
}

/** Reads a policy's key to `place`; zeros where none was given. False where it is no key. */
function readKey(key: Slice | null, place: usize): bool {
  memory.fill(place, 0, KEY_SIZE);
  if (key === null || writeGuid(key, place)) return true;
  failArgument("a policy's key is no GUID such as 00000000-0000-0000-0000-000000000000");
  return false;
}

/** Answers with a SOCKET_PEER_TARGET_NAME. */
export function target(): void {
  const address = input.bytes(), text = input.bytes();
  if (address.len > ADDRESS_SIZE) return failArgument("a peer's address is longer than any can be");
  if (text.len == 0 || text.len > LONGEST_NAME) return failArgument("a peer's name has 1 to 2048 bytes");
  const name = units(text);
  // The structure's page counts bytes; the sample of "Using Secure Socket Extensions" counts characters.
  const bytes = <u32> name.length << 1;
  const place = room(max<u32>(<u32> Target.AllStrings + bytes, <u32> Target.size));
  store<u32>(place + Target.SecurityProtocol, Protocol.IPSEC);
  memory.copy(place + Target.PeerAddress, address.ptr, address.len);
  store<u32>(place + Target.PeerTargetNameStringLen, bytes);
  writeUnits(name, place + Target.AllStrings);
}

/** Answers with a SOCKET_SECURITY_QUERY_TEMPLATE_IPSEC2, or with what an answer to one says. */
export function query(): void {
  const what = input.byte();
  if (what == 1) return template(false);
  if (what == 2) return answer();
  if (what == 3) return template(true);
  failArgument("this query is not known");
}

/** Identifiers of an association, as plugins/sandbox/abi.md numbers them. */
enum Watched {
  MainModeSa = 1,
  QuickModeSa = 2,
}

function template(watching: bool): void {
  const address = input.bytes();
  const access = input.word();
  const watched = watching ? input.word() : 0;
  if (watching && (watched == 0 || watched > (<u32> Watched.MainModeSa | <u32> Watched.QuickModeSa))) {
    return failArgument("an association has no such field");
  }
  if (address.len > ADDRESS_SIZE) return failArgument("a peer's address is longer than any can be");
  const place = room(<u32> Template.size);
  store<u32>(place + Template.SecurityProtocol, Protocol.IPSEC2);
  memory.copy(place + Template.PeerAddress, address.ptr, address.len);
  store<u32>(place + Template.PeerTokenAccessMask, access);
  store<u32>(place + Template.Flags, watching ? <u32> QueryFlag.ABORT_CONNECTION_ON_FIELD_CHANGE : 0);
  const fields = watching ? watched : <u32> Watched.MainModeSa | <u32> Watched.QuickModeSa;
  store<u32>(
    place + Template.FieldMask,
    ((fields & Watched.MainModeSa) != 0 ? <u32> FieldMask.MM_SA_ID : 0) |
      ((fields & Watched.QuickModeSa) != 0 ? <u32> FieldMask.QM_SA_ID : 0),
  );
}

function answer(): void {
  if (input.restLen() < <u32> Info.size) return failArgument("the system's answer is too short");
  const flags = load<u32>(input.restPtr() + Info.Flags);
  const secured = (flags & InfoFlag.SECURED) != 0;
  output.flag(secured);
  // Encryption without protection against change is none.
  output.flag(secured && (flags & InfoFlag.ENCRYPTED) != 0);
  output.byte(MUTUAL_UNKNOWN);
}
