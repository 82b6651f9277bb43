/**
 * Active Directory over LDAP: connections that are authenticated on both ends and sealed, as the user of the process or
 * with other credentials, without a password and without TLS.
 *
 * ```ts
 * import { openDirectory } from "@winsock/secure-sockets/directory";
 *
 * async function whereIs(account: string): Promise<string | undefined> {
 *   await using directory = await openDirectory({ domain: "example.test" });
 *   const filter = { attribute: "sAMAccountName", equals: account };
 *   for await (const { dn } of directory.search({ filter, attributes: [] })) return dn;
 * }
 * console.log(typeof whereIs);
 * ```
 *
 * Importing this opens nothing, loads no LDAP library and needs no permission.
 *
 * @module
 */

export type * from "../contract.ts";
export type { RejectedProvider } from "../errors.ts";
export type { UnknownNames } from "../plugins/names.ts";
export type {
  ContextSelection,
  Registry,
  Selection,
  SelectionDetails,
  SocketSelection,
} from "../plugins/registry.ts";
export type {
  ClientOptions,
  CommonOptions,
  ConnectOptions,
  HandshakeOrigin,
  ListenOptions,
  NetAddress,
  PeerAccount,
  PeerToken,
  PeerTokens,
  QueriedSecurity,
  QuerySecurityOptions,
  SecureConn,
  SecureListener,
  ServerOptions,
} from "../sockets/mod.ts";
export { Spn } from "../spn.ts";
export type { SpnComponents, SpnGeneration, SpnHost, SpnNameType, SpnParts } from "../spn.ts";
export { openDirectory } from "./open.ts";
export type { DirectoryOptions, SimpleBind } from "./options.ts";
export { dnsResolver } from "./locate.ts";
export type { DirectoryResolver, ServiceRecord } from "./locate.ts";
export { domainDn, domainOf, escapeDn, parseDn } from "./names.ts";
export type { NamePart } from "./names.ts";
export { listSpns, registerSpns, unregisterSpns, verifySpns } from "./spns.ts";
export type { RegisteredSpn, SpnChange, SpnConflict, SpnList, SpnVerification } from "./spns.ts";
export { findDuplicateSpns } from "./duplicates.ts";
export type { DuplicateOptions, DuplicateSpn, DuplicateSpns } from "./duplicates.ts";
export type { SpnAccount, SpnScope } from "./spn_accounts.ts";
export type * from "./types.ts";
export { connectService } from "./connect_service.ts";
export type { ConnectServiceOptions } from "./connect_service.ts";
export type { ServiceAttempt, WantedService } from "./service_attempts.ts";
export { publishServicePoint, removeServicePoint } from "./publish.ts";
export type { PublishedServicePoint, PublishOptions, RemoveOptions } from "./publish.ts";
export { findServicePoints, searchServicePoints } from "./service_points.ts";
export type { FindServicePointsOptions, ServicePoint, ServicePointQuery } from "./service_points.ts";
export { installService, uninstallService } from "./install.ts";
export type {
  InstalledService,
  InstallServiceOptions,
  ServiceSpnForm,
  UninstalledService,
  UninstallServiceOptions,
} from "./install.ts";
export { listenService } from "./listen_service.ts";
export type { InstalledServiceOptions, ListenServiceOptions } from "./listen_service.ts";
export { registerHostSpns, writeAccountSpns } from "./ntdsapi.ts";
export type { RegisterHostSpnsOptions, SpnOperation, WriteAccountSpnsOptions } from "./ntdsapi.ts";
