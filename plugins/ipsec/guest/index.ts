/** The codec of `ipsec()`: writes the socket settings for its options and the requirements. It imports nothing. */

import {
  Impersonation,
  IpsecFlag,
  option,
  Requirement,
  serveSocket,
  SettingsFlag,
  SocketGuest,
  SocketSettings,
} from "../../sdk/assembly/socket";
import { DESCRIPTION } from "./description";

export { abi_version, alloc } from "../../sdk/assembly/index";
export { call } from "../../sdk/assembly/socket";

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

class Ipsec extends SocketGuest {
  describe(): string {
    return DESCRIPTION;
  }

  settings(requirements: u32, level: u32, settings: SocketSettings): void {
    const clear = mayBeClear(requirements, level);
    const encrypted = (requirements & Requirement.Confidentiality) != 0;
    settings.securityFlags = (encrypted ? <u32> SettingsFlag.GUARANTEE_ENCRYPTION : 0) |
      (clear ? <u32> SettingsFlag.ALLOW_INSECURE : 0);
    settings.ipsecFlags = bit(Option.SkipFilters, IpsecFlag.SKIP_FILTER_INSTANTIATION) |
      bit(Option.OptionalPeerName, IpsecFlag.OPTIONAL_PEER_NAME_VERIFICATION) |
      (clear ? bit(Option.FirstPacketInClear, IpsecFlag.ALLOW_FIRST_INBOUND_PKT_UNENCRYPTED) : 0) |
      bit(Option.RawPeerName, IpsecFlag.PEER_NAME_IS_RAW_FORMAT);
    option.text(Option.MainModePolicy, settings.mainModePolicy);
    option.text(Option.QuickModePolicy, settings.quickModePolicy);
  }
}

/**
 * Clear text is allowed only if nothing is required: no protection of the data, and no proof of the peer's
 * identity.
 */
function mayBeClear(requirements: u32, level: u32): bool {
  const required = requirements &
    (Requirement.Confidentiality | Requirement.Integrity | Requirement.MutualAuthentication);
  return required == 0 && level <= <u32> Impersonation.Identify &&
    option.boolean(Option.AllowInsecure, false);
}

function bit(index: Option, flag: IpsecFlag): u32 {
  return option.boolean(index, false) ? <u32> flag : 0;
}

serveSocket(new Ipsec());
