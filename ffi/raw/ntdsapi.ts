/**
 * ntdsapi.dll: service principal names and their registration in the directory. No logic.
 *
 * @see https://learn.microsoft.com/windows/win32/api/ntdsapi/
 * @see https://learn.microsoft.com/windows/win32/api/dsparse/
 * @module
 */

import type { LibrarySpec } from "../abi.ts";

/** Service principal names. */
export const NTDSAPI = {
  name: "ntdsapi.dll",
  instead: "It is part of Windows",
  files: { windows: ["ntdsapi.dll"] },
  fns: {
    DsMakeSpnW: {
      params: [
        ["ServiceClass", "buf"],
        ["ServiceName", "buf"],
        ["InstanceName", "buf"],
        ["InstancePort", "u32"],
        ["Referrer", "buf"],
        ["pcSpnLength", "buf"],
        ["pszSpn", "buf"],
      ],
      result: "u32",
    },
    DsCrackSpnW: {
      params: [
        ["pszSpn", "buf"],
        ["pcServiceClass", "buf"],
        ["ServiceClass", "buf"],
        ["pcServiceName", "buf"],
        ["ServiceName", "buf"],
        ["pcInstanceName", "buf"],
        ["InstanceName", "buf"],
        ["pInstancePort", "buf"],
      ],
      result: "u32",
      optional: true,
    },
    DsGetSpnW: {
      params: [
        ["ServiceType", "i32"],
        ["ServiceClass", "buf"],
        ["ServiceName", "buf"],
        ["InstancePort", "u32"],
        ["cInstanceNames", "u32"],
        ["pInstanceNames", "buf"],
        ["pInstancePorts", "buf"],
        ["pcSpn", "buf"],
        ["prpszSPN", "buf"],
      ],
      result: "u32",
      optional: true,
    },
    DsFreeSpnArrayW: { params: [["cSpn", "u32"], ["rpszSpn", "usize"]], result: "void", optional: true },
    DsBindW: {
      params: [["DomainControllerName", "buf"], ["DnsDomainName", "buf"], ["phDS", "buf"]],
      result: "u32",
      threaded: true,
    },
    DsUnBindW: { params: [["phDS", "buf"]], result: "u32", threaded: true },
    DsWriteAccountSpnW: {
      params: [
        ["hDS", "usize"],
        ["Operation", "i32"],
        ["pszAccount", "buf"],
        ["cSpn", "u32"],
        ["rpszSpn", "buf"],
      ],
      result: "u32",
      threaded: true,
    },
    DsServerRegisterSpnW: {
      params: [["Operation", "i32"], ["ServiceClass", "buf"], ["UserObjectDN", "buf"]],
      result: "u32",
      threaded: true,
    },
  },
} as const satisfies LibrarySpec;

/** `DS_SPN_NAME_TYPE` */
export const DS_SPN = {
  DNS_HOST: 0,
  DN_HOST: 1,
  NB_HOST: 2,
  DOMAIN: 3,
  NB_DOMAIN: 4,
  SERVICE: 5,
  /** `DS_SPN_WRITE_OP` */
  ADD_SPN_OP: 0,
  REPLACE_SPN_OP: 1,
  DELETE_SPN_OP: 2,
} as const;

/** Win32 codes of these functions: the name of each, and what to do. */
export const DS_STATUS: {
  readonly [code: number]: { readonly name: string; readonly advice: string };
} = {
  5: {
    name: "ERROR_ACCESS_DENIED",
    advice:
      "Ask a domain administrator to register it (setspn -S SPN ACCOUNT), or run as LocalSystem, which may " +
      "register class/host names of its own computer",
  },
  87: { name: "ERROR_INVALID_PARAMETER", advice: "Check the SPNs and the account's distinguished name" },
  1311: {
    name: "ERROR_NO_LOGON_SERVERS",
    advice: "Check that a domain controller can be reached (nltest /dsgetdc:DOMAIN)",
  },
  1355: {
    name: "ERROR_NO_SUCH_DOMAIN",
    advice: "Check the domain's name, and that the computer is joined to a domain (nltest /dsgetdc:DOMAIN)",
  },
  1722: {
    name: "RPC_S_SERVER_UNAVAILABLE",
    advice: "Check the domain controller's name, and that TCP 135 and its dynamic RPC ports can be reached",
  },
  8240: {
    name: "ERROR_DS_NO_SUCH_OBJECT",
    advice: "Check the account's distinguished name (dsquery user, dsquery computer)",
  },
  8333: {
    name: "ERROR_DS_OBJ_NOT_FOUND",
    advice: "Check the account's distinguished name (dsquery user, dsquery computer)",
  },
  8344: {
    name: "ERROR_DS_INSUFF_ACCESS_RIGHTS",
    advice: "Ask a domain administrator to register it (setspn -S SPN ACCOUNT)",
  },
  8647: {
    name: "ERROR_DS_SPN_VALUE_NOT_UNIQUE_IN_FOREST",
    advice: "Another account has it: find it with setspn -Q SPN, and remove it there first",
  },
};
