/**
 * The outcomes of a connection between two ends, from the documentation: tables, independent of the simulator's code.
 *
 * The sentences of the documentation:
 *
 * - `SOCKET_SECURITY_SETTINGS`, SOCKET_SETTINGS_GUARANTEE_ENCRYPTION: "If this flag is set and encryption is not
 *   possible for any reason, no packets will be sent and a connection will not be established."
 * - SOCKET_SETTINGS_ALLOW_INSECURE: "clear text connections are allowed. If this flag is set, some or all of the sent
 *   packets will be sent in clear text, especially if security with the peer could not be negotiated. If this flag is
 *   not set, it is guaranteed that packets will never be sent in clear text, even if security negotiation fails."
 * - WSASetSocketSecurity: turns security on "for a socket if it is not already enabled by administrative policy";
 *   "some type of authentication credential must be present for IPsec to succeed with a default policy"; the first
 *   proposals of the default policy protect without encrypting.
 * - WSASetSocketPeerTargetName: "identify the peer that should be authenticated".
 *
 * @see https://learn.microsoft.com/windows/win32/api/mstcpip/ns-mstcpip-socket_security_settings
 * @see https://learn.microsoft.com/windows/win32/api/ws2tcpip/nf-ws2tcpip-wsasetsocketsecurity
 */

/** What an end requires of its traffic. */
export type Stance = "silent" | "prefers" | "insists" | "encrypts";

/** The outcome of a connection between two ends. */
export type Result = "failed" | "clear" | "secured" | "encrypted";

/** The administrator's policy of a computer. */
export type Policy = "none" | "requested" | "required";

/** The settings of a socket: none; NULL; flags; or "no filters", with any flags. */
export type Asked = "nothing" | "default" | "0" | "encrypt" | "insecure" | "encrypt, insecure" | "no filters";

/** Every policy. */
export const POLICIES: readonly Policy[] = ["none", "requested", "required"];

/** An end's stance, from its socket's settings and its administrator's policy. */
export const STANCES: { readonly [asked in Asked]: { readonly [policy in Policy]: Stance } } = {
  "nothing": { none: "silent", requested: "prefers", required: "insists" },
  "default": { none: "insists", requested: "insists", required: "insists" },
  "0": { none: "insists", requested: "insists", required: "insists" },
  "encrypt": { none: "encrypts", requested: "encrypts", required: "encrypts" },
  "insecure": { none: "prefers", requested: "prefers", required: "insists" },
  "encrypt, insecure": { none: "encrypts", requested: "encrypts", required: "encrypts" },
  // "IPsec filter instantiation is omitted for the socket": in the worst case nothing enforces its flags.
  "no filters": { none: "silent", requested: "prefers", required: "insists" },
};

/** What prevents protection between the two. */
export type Circumstance = "nothing" | "authentication" | "encryption";

type Table = { readonly [a in Stance]: { readonly [b in Stance]: Result } };

/** The outcome, by what prevents protection, and the stances of both ends. */
export const OUTCOMES: { readonly [circumstance in Circumstance]: Table } = {
  nothing: {
    silent: { silent: "clear", prefers: "clear", insists: "failed", encrypts: "failed" },
    prefers: { silent: "clear", prefers: "secured", insists: "secured", encrypts: "encrypted" },
    insists: { silent: "failed", prefers: "secured", insists: "secured", encrypts: "encrypted" },
    encrypts: { silent: "failed", prefers: "encrypted", insists: "encrypted", encrypts: "encrypted" },
  },
  /** An end has no credentials, the two have no method in common, or the peer does not have the name that was set. */
  authentication: {
    silent: { silent: "clear", prefers: "clear", insists: "failed", encrypts: "failed" },
    prefers: { silent: "clear", prefers: "clear", insists: "failed", encrypts: "failed" },
    insists: { silent: "failed", prefers: "failed", insists: "failed", encrypts: "failed" },
    encrypts: { silent: "failed", prefers: "failed", insists: "failed", encrypts: "failed" },
  },
  /** An end cannot encrypt. */
  encryption: {
    silent: { silent: "clear", prefers: "clear", insists: "failed", encrypts: "failed" },
    prefers: { silent: "clear", prefers: "secured", insists: "secured", encrypts: "failed" },
    insists: { silent: "failed", prefers: "secured", insists: "secured", encrypts: "failed" },
    encrypts: { silent: "failed", prefers: "failed", insists: "failed", encrypts: "failed" },
  },
};

/** Every stance. */
export const ALL_STANCES: readonly Stance[] = ["silent", "prefers", "insists", "encrypts"];

/** Every combination of one value of each list. */
export function combinations<T extends { readonly [key: string]: unknown }>(
  lists: { readonly [key in keyof T]: readonly T[key][] },
): T[] {
  return (Object.keys(lists) as (keyof T & string)[]).reduce<Partial<T>[]>(
    (all, key) => all.flatMap((one) => lists[key].map((value) => ({ ...one, [key]: value } as Partial<T>))),
    [{}],
  ) as T[];
}
