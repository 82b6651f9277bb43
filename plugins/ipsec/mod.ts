/**
 * IPsec at the socket, through the Winsock secure socket extensions. A sandboxed module that is part of this
 * package (a codec) writes the system's structures; the library reads what it wrote and makes the calls.
 *
 * It works on Windows, or on a simulated host, and is used only where it is listed in a registry. Read
 * `docs/ipsec.md` before using it.
 *
 * @module
 */

import type {
  AssociationField,
  ProviderDescription,
  SocketCodec,
  SocketGrants,
  SocketProvider,
} from "../../contract.ts";
import { loadModule } from "../sandbox/load_provider.ts";
import type { LoadedModule } from "../sandbox/context.ts";
import { checkSocketGrants, isPolicyKey } from "../sandbox/socket_grants.ts";
import { SandboxedCodec, socketSecurityAvailable } from "../sandbox/socket_provider.ts";
import { GUEST_SHA256, guestModule } from "./guest_wasm.ts";

/** Options of {@linkcode ipsec}. */
export interface IpsecOptions {
  /**
   * Allows clear text if the requirements ask for nothing (no integrity, confidentiality or mutual authentication,
   * and at most the level `"identify"`) and nothing better can be negotiated. Default `false`: a socket then sends
   * nothing unsecured, whatever the requirements are.
   */
  readonly allowInsecure?: boolean;
  /**
   * The key (a GUID) of a main-mode policy that was added to the Windows Filtering Platform. Default: the system's
   * policy.
   */
  readonly mainModePolicy?: string;
  /** The key (a GUID) of a quick-mode policy that was added in the same way. Default: the system's policy. */
  readonly quickModePolicy?: string;
  /**
   * Accepts a peer that does not prove to be the named computer; for a client and for datagrams only without
   * `mutualAuthentication`. Default `false`.
   */
  readonly optionalPeerName?: boolean;
  /**
   * The computer's name is not an SPN but a name in the form that the policy's authentication method uses. Default
   * `false`.
   */
  readonly rawPeerName?: boolean;
  /**
   * Makes no filters for the socket; only the administrator's filters apply. A connection is still queried before
   * its first byte; datagrams are not, so they then need `allowInsecure` and requirements that ask for nothing.
   * Default `false`.
   */
  readonly skipFilters?: boolean;
  /** Accepts a peer's first packet in clear text; only where `allowInsecure` has an effect. Default `false`. */
  readonly firstPacketInClear?: boolean;
  /**
   * Has the system abort a connection when one of these changes: `"mainModeSa"` when the computers authenticate
   * again, `"quickModeSa"` when the keys are renewed, which happens by time and by traffic. Reading and writing
   * then fail with an error that says so. Cannot be combined with `allowInsecure` or `openDatagrams()`. Default:
   * nothing is watched.
   */
  readonly abortOnAssociationChange?: readonly AssociationField[];
}

const OPTIONS: readonly string[] = [
  "allowInsecure",
  "mainModePolicy",
  "quickModePolicy",
  "optionalPeerName",
  "rawPeerName",
  "skipFilters",
  "firstPacketInClear",
  "abortOnAssociationChange",
];

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
 * Only the security association shows whether each computer proved its identity to the other, and not every account
 * may read it. If it cannot be read, `mutualAuthentication` is not met.
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
 * @throws TypeError if an option is unknown, has the wrong type, or weakens the connection without `allowInsecure`.
 * @see https://learn.microsoft.com/windows/win32/winsock/winsock-secure-socket-extensions
 */
export function ipsec(options: IpsecOptions = {}): SocketProvider {
  const grants = grantsOf(options);
  const { abortOnAssociationChange: _, ...given } = options;
  let loaded: Promise<LoadedModule> | null = null;
  const load = (): Promise<LoadedModule> => {
    loaded ??= loadModule(guestModule(), { sha256: GUEST_SHA256, name: "ipsec-codec", options: given }, true);
    loaded.catch(() => loaded = null);
    return loaded;
  };
  return Object.freeze<SocketProvider>({
    ...grants,
    layer: "socket",
    name: "ipsec",
    description: DESCRIPTION,
    available: socketSecurityAvailable,
    // One instance for one connection or listener, of a module that is compiled once.
    codec: async (): Promise<SocketCodec> => new SandboxedCodec(await load()),
  });
}

/** The grants that correspond to the options. */
function grantsOf(options: IpsecOptions): SocketGrants {
  if (typeof options !== "object" || options === null) {
    throw new TypeError("ipsec()'s options must be an object");
  }
  for (const key of Object.keys(options)) {
    if (!OPTIONS.includes(key)) {
      throw new TypeError(`ipsec() has no option ${key}; it has ${OPTIONS.join(", ")}`);
    }
  }
  const { mainModePolicy, quickModePolicy, ...grants } = options;
  for (const [name, key] of Object.entries({ mainModePolicy, quickModePolicy })) {
    if (key !== undefined && !isPolicyKey(key)) {
      throw new TypeError(
        `ipsec()'s ${name} must be a policy's key, such as 00000000-0000-0000-0000-000000000000`,
      );
    }
  }
  return checkSocketGrants({
    ...grants,
    ...(mainModePolicy === undefined ? {} : { mainModePolicies: [mainModePolicy] }),
    ...(quickModePolicy === undefined ? {} : { quickModePolicies: [quickModePolicy] }),
  }, "ipsec()'s ");
}
