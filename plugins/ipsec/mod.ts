/**
 * IPsec at the socket, through the Winsock secure socket extensions. The codec that knows the system's structures is
 * a sandboxed module that is part of this package; the calls themselves are the library's.
 *
 * It serves on Windows, or on a simulated host, and only where it is listed. Read `docs/ipsec.md` before using it.
 *
 * @module
 */

import { UnsupportedPlatformError } from "../../errors.ts";
import type {
  AssociationField,
  Availability,
  Capabilities,
  ProviderDescription,
  SocketCodec,
  SocketProvider,
} from "../../contract.ts";
import { loadSocketCodec } from "../sandbox/socket_codec.ts";
import { GUEST_SHA256, guestModule } from "./guest_wasm.ts";

/** Options of {@linkcode ipsec}. */
export interface IpsecOptions {
  /**
   * Lets traffic go in clear text where the requirements ask for nothing (no integrity, confidentiality or mutual
   * authentication, and at most the level `"identify"`) and nothing better can be negotiated. Default `false`: then a
   * socket sends nothing that is not secured, whatever is required.
   */
  readonly allowInsecure?: boolean;
  /** The key (a GUID) of a main-mode policy that was added to the Windows Filtering Platform. Default: the system's. */
  readonly mainModePolicy?: string;
  /** The key (a GUID) of a quick-mode policy, likewise. Default: the system's. */
  readonly quickModePolicy?: string;
  /**
   * Accepts a peer that does not prove to be the computer that was named; on a client and for datagrams only without
   * `mutualAuthentication`. Default `false`.
   */
  readonly optionalPeerName?: boolean;
  /** The computer's name is not a service principal name but what the policy's authentication method uses. */
  readonly rawPeerName?: boolean;
  /**
   * Makes no filters for the socket: those of the administrator must do. A connection is asked about before its first
   * byte all the same; datagrams, which are not, then need `allowInsecure` and requirements that ask for nothing.
   * Default `false`.
   */
  readonly skipFilters?: boolean;
  /** Accepts a peer's first packet in clear text; only where `allowInsecure` has an effect. Default `false`. */
  readonly firstPacketInClear?: boolean;
  /**
   * Has the system abort a connection when one of these changes: `"mainModeSa"` when the computers authenticate anew,
   * `"quickModeSa"` when the keys are renewed, which they are by time and by traffic. Reading and writing then end in
   * an error that says so. Goes with neither `allowInsecure` nor `openDatagrams()`. Default: nothing is watched.
   */
  readonly abortOnAssociationChange?: readonly AssociationField[];
}

const FLAGS = [
  "allowInsecure",
  "optionalPeerName",
  "rawPeerName",
  "skipFilters",
  "firstPacketInClear",
] as const;
const POLICIES = ["mainModePolicy", "quickModePolicy"] as const;
const FIELDS: readonly AssociationField[] = ["mainModeSa", "quickModeSa"];
const KEYS: readonly string[] = [...FLAGS, ...POLICIES, "abortOnAssociationChange"];
const GUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

const DESCRIPTION: ProviderDescription = Object.freeze<ProviderDescription>({
  name: "ipsec",
  layer: "socket",
  isolation: "sandboxed",
  sha256: GUEST_SHA256,
  imports: Object.freeze([]),
  offers: Object.freeze({
    integrity: true,
    confidentiality: true,
    mutualAuthentication: true,
    impersonation: "impersonate",
    delegation: false,
  }),
});

/**
 * IPsec for the sockets that `connect()` and `listen()` open. Both ends must list it, or the administrator of a
 * computer must have a policy that answers.
 *
 * Whether each computer proved its identity to the other is told only by the security association, which not every
 * account may read: where it is unknown, `mutualAuthentication` is not met.
 *
 * @example
 * ```ts
 * import { connect, createRegistry, ipsec, openSystem } from "@winsock/secure-sockets";
 *
 * using system = openSystem({ grants: ["ipsec"] });
 * await using conn = await connect({
 *   hostname: "files.example.test",
 *   port: 7777,
 *   registry: createRegistry([ipsec()]),
 *   requirements: { mutualAuthentication: false },
 *   system,
 * });
 * console.log(conn.security.integrity, conn.security.confidentiality);
 * ```
 * @throws TypeError where an option is unknown, has the wrong type, or weakens without `allowInsecure`.
 * @see https://learn.microsoft.com/windows/win32/winsock/winsock-secure-socket-extensions
 */
export function ipsec(options: IpsecOptions = {}): SocketProvider {
  checkOptions(options);
  const { abortOnAssociationChange, ...given } = options;
  return Object.freeze<SocketProvider>({
    layer: "socket",
    name: "ipsec",
    description: DESCRIPTION,
    ...given,
    allowInsecure: given.allowInsecure ?? false,
    ...(abortOnAssociationChange === undefined
      ? {}
      : { abortOnAssociationChange: Object.freeze([...abortOnAssociationChange]) }),
    available,
    // One module for one connection or listener: nothing that one brings about reaches another.
    codec: (): Promise<SocketCodec> =>
      loadSocketCodec(guestModule(), { sha256: GUEST_SHA256, name: "ipsec-codec", options: given }, true),
  });
}

function available({ ipsec, os }: Capabilities): Availability {
  if (ipsec.available || os === "windows") return ipsec;
  const cause = new UnsupportedPlatformError(`IPsec at the socket is part of Windows, and this is ${os}`, {
    dll: "fwpuclnt.dll",
    instead: "Use negotiate() here; to try a program out, use simulate() of ./testing",
  });
  return { available: false, reason: cause.message, cause };
}

function checkOptions(options: IpsecOptions): void {
  if (typeof options !== "object" || options === null) {
    throw new TypeError("ipsec()'s options must be an object");
  }
  for (const key of Object.keys(options)) {
    if (!KEYS.includes(key)) throw new TypeError(`ipsec() has no option ${key}; it has ${KEYS.join(", ")}`);
  }
  for (const key of FLAGS) {
    const value: unknown = options[key];
    if (value !== undefined && typeof value !== "boolean") {
      throw new TypeError(`ipsec()'s ${key} must be true or false`);
    }
  }
  for (const key of POLICIES) {
    const value: unknown = options[key];
    if (value !== undefined && (typeof value !== "string" || !GUID.test(value))) {
      throw new TypeError(
        `ipsec()'s ${key} must be a policy's key, such as 00000000-0000-0000-0000-000000000000`,
      );
    }
  }
  if (options.abortOnAssociationChange !== undefined) checkWatched(options.abortOnAssociationChange, options);
  if (options.firstPacketInClear && !options.allowInsecure) {
    throw new TypeError(
      "ipsec()'s firstPacketInClear weakens the connection: it goes with allowInsecure: true",
    );
  }
}

function checkWatched(fields: unknown, { allowInsecure }: IpsecOptions): void {
  const name = "ipsec()'s abortOnAssociationChange";
  if (
    !Array.isArray(fields) || fields.length === 0 || fields.some((field) => !FIELDS.includes(field)) ||
    new Set(fields).size !== fields.length
  ) {
    throw new TypeError(
      `${name} must be a list of ${FIELDS.join(" and ")}, each once; to watch nothing leave it out`,
    );
  }
  if (allowInsecure) {
    throw new TypeError(
      `${name} watches an association, and by allowInsecure: true there may be none: leave one of the two out`,
    );
  }
}
