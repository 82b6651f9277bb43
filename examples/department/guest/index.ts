/**
 * A provider of layer `socket` for one organisation: applications say how their data is classified, and this module knows
 * by which of the organisation's IPsec policies such data travels. It imports nothing.
 */

import {
  failRequirement,
  option,
  Requirement,
  RequirementReason,
  serveSocket,
  SettingsFlag,
  SocketGuest,
  SocketSettings,
} from "../../../plugins/sdk/assembly/socket";

export { abi_version, alloc } from "../../../plugins/sdk/assembly/index";
export { call } from "../../../plugins/sdk/assembly/socket";

const DESCRIPTION = `{
  "abi": 2,
  "name": "department",
  "version": "1.0.0",
  "layer": "socket",
  "offers": {
    "integrity": true,
    "confidentiality": true,
    "mutualAuthentication": true,
    "impersonation": "impersonate",
    "delegation": false
  },
  "imports": [],
  "options": [
    {
      "name": "classification", "type": "choice", "values": ["internal", "restricted"], "required": true,
      "doc": "How the data is classified: restricted data is always encrypted."
    },
    {
      "name": "identityPolicy", "type": "text", "maxLength": 36, "required": true,
      "doc": "The key of the main-mode policy by which computers prove themselves."
    },
    { "name": "internalPolicy", "type": "text", "maxLength": 36, "doc": "The quick-mode policy of internal data." },
    {
      "name": "restrictedPolicy", "type": "text", "maxLength": 36,
      "doc": "The quick-mode policy of restricted data, and of all that has to be encrypted."
    }
  ]
}`;

/** Indices of the options in the description. */
enum Option {
  Classification,
  IdentityPolicy,
  InternalPolicy,
  RestrictedPolicy,
}

const RESTRICTED: u32 = 1;

class Department extends SocketGuest {
  describe(): string {
    return DESCRIPTION;
  }

  settings(requirements: u32, _level: u32, settings: SocketSettings): void {
    const restricted = option.choice(Option.Classification, RESTRICTED) == RESTRICTED;
    if (restricted && (requirements & Requirement.MutualAuthentication) == 0) {
      return failRequirement(
        RequirementReason.MutualAuthentication,
        "restricted data goes to proven computers only: leave mutualAuthentication at its default, true",
      );
    }
    const encrypted = restricted || (requirements & Requirement.Confidentiality) != 0;
    settings.securityFlags = encrypted ? <u32> SettingsFlag.GUARANTEE_ENCRYPTION : 0;
    option.text(Option.IdentityPolicy, settings.mainModePolicy);
    const policy = encrypted ? Option.RestrictedPolicy : Option.InternalPolicy;
    if (!option.text(policy, settings.quickModePolicy)) {
      failRequirement(
        encrypted ? RequirementReason.Confidentiality : RequirementReason.Integrity,
        "no policy was given for such data: set the option with the key of its policy",
      );
    }
  }
}

serveSocket(new Department());
