/**
 * What `openDirectory` takes, checked before anything is opened.
 *
 * @module
 */

import {
  checkHostname,
  checkKeys,
  checkMethod,
  checkSignal,
  checkTarget,
  checkTimeout,
  describe,
  isIpAddress,
} from "../contexts/check.ts";
import type { Credentials, ProviderSystem } from "../contract.ts";
import { checkCredentials } from "../credentials.ts";
import type { Registry } from "../plugins/registry.ts";
import { checkText } from "./check.ts";
import { type DirectoryResolver, dnsResolver } from "./locate.ts";
import type { DirectoryProtection, DirectoryServer } from "./types.ts";

/** A name and a password that the server reads. */
export interface SimpleBind {
  /** A distinguished name, or for Active Directory also `user@example.test` or `EXAMPLE\user`. */
  readonly name: string;
  /** The password; not empty, since an empty one binds nobody. A `Uint8Array` stays the caller's, who zeroes it. */
  readonly password: string | Uint8Array;
}

/** Options of {@linkcode openDirectory}. Give `domain`, `servers` or both. */
export interface DirectoryOptions {
  /**
   * The DNS name of the domain: `example.test`. Its controllers are found by SRV records, and prove that they are
   * controllers of this domain.
   */
  readonly domain?: string;
  /** The Active Directory site whose controllers are tried first. */
  readonly site?: string;
  /** Servers to try in this order instead of those of the SRV records: `dc1.example.test`. */
  readonly servers?: readonly (string | DirectoryServer)[];
  /** Finds servers and addresses; left out: that of the runtime, as the machine is configured. */
  readonly resolver?: DirectoryResolver;
  /** Connects to global catalogs, which hold a part of every object of the forest. `domain` is the forest's root domain. */
  readonly globalCatalog?: boolean;
  /**
   * How the bytes are protected. `seal` (the default) encrypts by the security context of the bind, and `sign` signs,
   * both on port 389. `ldaps` and `starttls` encrypt by TLS, whose certificate is checked, and to which the bind is
   * bound.
   */
  readonly security?: DirectoryProtection;
  /**
   * The server's SPN. Left out: `ldap/HOST/DOMAIN`, or `GC/HOST/FOREST`, which only controllers have; `ldap/HOST` where
   * `domain` is left out.
   */
  readonly target?: string;
  /** Who to be; left out: the user of the process. */
  readonly credentials?: Credentials;
  /** Binds by name and password, which the server reads, instead of Negotiate. Only with `ldaps` or `starttls`. */
  readonly simple?: SimpleBind;
  /** The certificates of authorities to trust, in PEM; left out: those that the runtime trusts. */
  readonly ca?: string | readonly string[];
  /** The providers to choose from; left out: `[negotiate()]`. */
  readonly registry?: Registry;
  /** The system to work on; left out: one for the whole process. */
  readonly system?: ProviderSystem;
  /** How long opening may take, all servers together, and each answer afterwards, in milliseconds. Default 30,000. */
  readonly timeoutMs?: number;
  /** Abandons the opening; its reason is rethrown unchanged. The directory that was opened does not depend on it. */
  readonly signal?: AbortSignal;
}

/** Options, checked and complete. */
export interface Terms extends Omit<DirectoryOptions, "servers" | "ca"> {
  /** Servers to try; left out: they are to be found. */
  readonly servers?: readonly DirectoryServer[];
  /** Finds servers. */
  readonly resolver: DirectoryResolver;
  /** See {@linkcode DirectoryOptions.security}. */
  readonly security: DirectoryProtection;
  /** See {@linkcode DirectoryOptions.globalCatalog}. */
  readonly globalCatalog: boolean;
  /** See {@linkcode DirectoryOptions.timeoutMs}. */
  readonly timeoutMs: number;
  /** Certificates in PEM. */
  readonly ca?: string[];
}

const KEYS = [
  ...[
    "domain",
    "site",
    "servers",
    "resolver",
    "globalCatalog",
    "security",
    "target",
    "credentials",
    "simple",
  ],
  ...["ca", "registry", "system", "timeoutMs", "signal"],
];
const PROTECTIONS: readonly DirectoryProtection[] = ["seal", "sign", "ldaps", "starttls"];
const DEFAULT_TIMEOUT_MS = 30_000;
const PEM = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/;

/** Whether TLS protects the bytes. */
export function overTls(security: DirectoryProtection): boolean {
  return security === "ldaps" || security === "starttls";
}

/** Checks the options. */
export function readOptions(options: DirectoryOptions): Terms {
  checkKeys(options, KEYS, "options");
  const { security = "seal", domain, globalCatalog = false } = options;
  if (!PROTECTIONS.includes(security)) {
    throw new TypeError(
      `options.security must be one of ${PROTECTIONS.join(", ")}, not ${describe(security)}`,
    );
  }
  if (typeof globalCatalog !== "boolean") throw new TypeError("options.globalCatalog must be true or false");
  if (domain === undefined && options.servers === undefined) {
    throw new TypeError('Give options.domain, such as "example.test", or options.servers');
  }
  if (options.target !== undefined) checkTarget(options.target, "options.target");
  if (options.resolver !== undefined) checkMethod(options.resolver, "options.resolver", "records");
  if (options.registry !== undefined) checkMethod(options.registry, "options.registry", "select");
  if (options.system !== undefined) checkMethod(options.system, "options.system", "capabilities");
  return {
    domain: domain === undefined ? undefined : checkDomain(domain),
    site: options.site === undefined ? undefined : checkSite(options.site),
    servers: options.servers === undefined ? undefined : readServers(options.servers, options.target),
    resolver: options.resolver ?? dnsResolver(),
    globalCatalog,
    security,
    target: options.target,
    credentials: options.credentials === undefined
      ? undefined
      : checkCredentials(options.credentials, "options.credentials"),
    simple: options.simple === undefined ? undefined : readSimple(options, security),
    ca: options.ca === undefined ? undefined : readAuthorities(options.ca, security),
    registry: options.registry,
    system: options.system,
    timeoutMs: checkTimeout(options.timeoutMs, "options.timeoutMs", DEFAULT_TIMEOUT_MS),
    signal: checkSignal(options.signal, "options.signal"),
  };
}

function checkDomain(value: unknown): string {
  const domain = checkHostname(value, "options.domain").replace(/\.$/, "").toLowerCase();
  if (!isIpAddress(domain)) return domain;
  throw new TypeError(
    "options.domain must be a DNS name, such as example.test; give addresses in options.servers",
  );
}

function checkSite(value: unknown): string {
  const site = checkText(value, "options.site");
  if (/^[^\s./@\\\p{Cc}]+$/u.test(site)) return site;
  throw new TypeError(
    "options.site must be the name of an Active Directory site, such as Default-First-Site-Name",
  );
}

function readServers(value: unknown, target: string | undefined): DirectoryServer[] {
  if (!Array.isArray(value) || value.length === 0) {
    throw new TypeError("options.servers must be a list of at least one server; leave it out to find them");
  }
  return value.map((given, index) => {
    const name = `options.servers[${index}]`;
    const server = typeof given === "string" ? { hostname: given } : given as DirectoryServer;
    checkKeys(server, ["hostname", "port", "address"], name);
    const hostname = checkHostname(server.hostname, `${name}.hostname`).replace(/\.$/, "");
    if (isIpAddress(hostname) && target === undefined) {
      throw new TypeError(
        `${name}.hostname is an IP address, which a server cannot prove: give its DNS name as hostname, and the ` +
          "address as address",
      );
    }
    const { port, address } = server;
    if (port !== undefined && !(Number.isInteger(port) && port >= 1 && port <= 65535)) {
      throw new RangeError(`${name}.port must be a whole number from 1 to 65535, not ${describe(port)}`);
    }
    if (address !== undefined) checkHostname(address, `${name}.address`);
    return { hostname, port, address };
  });
}

function readSimple({ simple, credentials }: DirectoryOptions, security: DirectoryProtection): SimpleBind {
  checkKeys(simple, ["name", "password"], "options.simple");
  if (!overTls(security)) {
    throw new TypeError(
      'options.simple shows the password to the server: give security: "ldaps" or "starttls"',
    );
  }
  if (credentials !== undefined) throw new TypeError("Give options.simple or options.credentials, not both");
  const { name, password } = simple!;
  if (checkText(name, "options.simple.name") === "") {
    throw new TypeError("options.simple.name must not be empty");
  }
  const known = typeof password === "string" ? password.isWellFormed() : password instanceof Uint8Array;
  if (!known || password.length === 0) {
    throw new TypeError(
      "options.simple.password must be text or bytes that are not empty: servers take an empty one for a bind as " +
        "nobody",
    );
  }
  return { name, password };
}

function readAuthorities(value: unknown, security: DirectoryProtection): string[] {
  const list = Array.isArray(value) ? [...value] : [value];
  if (list.length === 0 || !list.every((pem) => typeof pem === "string" && PEM.test(pem))) {
    throw new TypeError("options.ca must be certificates in PEM: text with BEGIN CERTIFICATE");
  }
  if (!overTls(security)) throw new TypeError('options.ca needs security: "ldaps" or "starttls"');
  return list as string[];
}
