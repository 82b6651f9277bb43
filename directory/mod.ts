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

export { openDirectory } from "./open.ts";
export type { DirectoryOptions, SimpleBind } from "./options.ts";
export { dnsResolver } from "./locate.ts";
export type { DirectoryResolver, ServiceRecord } from "./locate.ts";
export { domainDn, domainOf, escapeDn, parseDn } from "./names.ts";
export type { NamePart } from "./names.ts";
export type * from "./types.ts";
