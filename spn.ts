/**
 * Service principal names (SPNs): `class/host`, `class/host:port`, `class/instance[:port]/service`, each with an
 * optional `@REALM`.
 *
 * @see https://learn.microsoft.com/openspecs/windows_protocols/ms-adts/cd328386-4d97-4666-be33-056545c1cad2
 * @see https://learn.microsoft.com/windows/win32/ad/name-formats-for-unique-spns
 * @module
 */

/** The parts of a service principal name. */
export interface SpnParts {
  /** The kind of service: `HTTP`, `host`, `MSSQLSvc`, `Hyper-V Replica Service`. */
  serviceClass: string;
  /** The host that runs it: a DNS name as the service registered it, without a trailing dot, or an IPv4 address. */
  instanceName: string;
  /** The port it listens on (1 to 65535), or the instance name that SQL Server writes instead. */
  port?: number | string;
  /** The name of a replicated service, where it differs from the host's: a DNS name or a distinguished name. */
  serviceName?: string;
  /** The Kerberos realm. Left out: the default realm. */
  realm?: string;
}

/** What `DsMakeSpn` composes an SPN of, and what `DsCrackSpn` takes it apart into. */
export interface SpnComponents {
  /** The class of the service: `HTTP`, `ldap`, the string form of a GUID. */
  serviceClass: string;
  /**
   * The DNS or NetBIOS name of the host where `instanceName` is left out. With `instanceName` the name of what is
   * served: the DNS name of a domain or of an SRV record, or a distinguished name such as that of a service connection
   * point.
   */
  serviceName: string;
  /** The DNS or NetBIOS name, or the address, of the host of one instance. */
  instanceName?: string;
  /** The port of the instance, 1 to 65535; 0 or left out: the SPN has no port. */
  instancePort?: number;
  /**
   * The DNS name of the host that referred to `serviceName` where that is an IP address; ignored where it is not, as
   * `DsMakeSpn` does.
   */
  referrer?: string;
}

/** How `DsGetSpn` names a service, by the names of `DS_SPN_NAME_TYPE`. */
export type SpnNameType =
  | "DS_SPN_DNS_HOST"
  | "DS_SPN_DN_HOST"
  | "DS_SPN_NB_HOST"
  | "DS_SPN_DOMAIN"
  | "DS_SPN_NB_DOMAIN"
  | "DS_SPN_SERVICE";

/** The names of the host that a service runs on. `DsGetSpn` asks the system for them; here they are given. */
export interface SpnHost {
  /** Its DNS name: `web.example.test`. For DNS_HOST, DOMAIN and SERVICE. */
  dnsName?: string;
  /** Its NetBIOS name: `WEB`. For NB_HOST and NB_DOMAIN. */
  netbiosName?: string;
  /** The distinguished name of its account: `CN=WEB,CN=Computers,DC=example,DC=test`. For DN_HOST. */
  distinguishedName?: string;
}

/** What `DsGetSpn` makes SPNs of. */
export interface SpnGeneration {
  /** The class of the service. */
  serviceClass: string;
  /**
   * What is served: the DNS name or distinguished name of a domain for DOMAIN and NB_DOMAIN; the DNS name of an SRV
   * record or the distinguished name of a service connection point for SERVICE. Not given for the types of hosts.
   */
  serviceName?: string;
  /** The port of the instance on `host`; 0 or left out: no port. Not used where there are `instances`. */
  instancePort?: number;
  /** The host of the only instance. Not used where there are `instances`. */
  host?: SpnHost;
  /** One SPN is made for each, in this order: its host's name and its port. Left out or empty: the one on `host`. */
  instances?: readonly { readonly name: string; readonly port?: number }[];
}

/** Which name of the host each type takes, and whether it takes a service name. */
const NAME_TYPES: {
  readonly [type in SpnNameType]: readonly [host: keyof SpnHost, service: boolean];
} = {
  DS_SPN_DNS_HOST: ["dnsName", false],
  DS_SPN_DN_HOST: ["distinguishedName", false],
  DS_SPN_NB_HOST: ["netbiosName", false],
  DS_SPN_DOMAIN: ["dnsName", true],
  DS_SPN_NB_DOMAIN: ["netbiosName", true],
  DS_SPN_SERVICE: ["dnsName", true],
};

/** An IPv4 address, or something that only an IPv6 address looks like. */
const ADDRESS = /^\d{1,3}(\.\d{1,3}){3}$|^[0-9a-f:.]*:[0-9a-f:.]*:[0-9a-f:.]*$/i;

/** Characters that end a part or need escapes in a principal name, and control characters. */
// deno-lint-ignore no-control-regex
const FORBIDDEN = /[\u0000-\u001f\u007f/\\@]/;
const PARTS = ["serviceClass", "instanceName", "port", "serviceName", "realm"];
const COMPONENTS = ["serviceClass", "serviceName", "instanceName", "instancePort", "referrer"];
const GENERATION = ["serviceClass", "serviceName", "instancePort", "host", "instances"];

/** A service principal name (SPN). Immutable; comparison ignores the case of A to Z. */
export class Spn {
  /** The kind of service. */
  readonly serviceClass: string;
  /** The host that runs it. */
  readonly instanceName: string;
  /** The port, or SQL Server's instance name. */
  readonly port?: number | string;
  /** The replicated service's name. */
  readonly serviceName?: string;
  /** The Kerberos realm. */
  readonly realm?: string;

  private constructor(parts: SpnParts) {
    this.serviceClass = parts.serviceClass;
    this.instanceName = parts.instanceName;
    if (parts.port !== undefined) this.port = parts.port;
    if (parts.serviceName !== undefined) this.serviceName = parts.serviceName;
    if (parts.realm !== undefined) this.realm = parts.realm;
    Object.freeze(this);
  }

  /**
   * Makes an SPN from its parts.
   *
   * @example
   * ```ts
   * import { Spn } from "@winsock/secure-sockets";
   *
   * console.log(`${Spn.make({ serviceClass: "HTTP", instanceName: "web.example.test", port: 8080 })}`);
   * // => HTTP/web.example.test:8080
   * ```
   * @throws TypeError where a part is missing, unknown, empty or contains a character that an SPN must not contain.
   * @throws RangeError where the port is not from 1 to 65535.
   */
  static make(parts: SpnParts): Spn {
    checkKeys("Spn.make", parts, PARTS);
    checkPart("serviceClass", parts.serviceClass, ":");
    checkPart("instanceName", parts.instanceName, ":");
    checkRelative("instanceName", parts.instanceName);
    checkPort(parts.port);
    if (parts.serviceName !== undefined) {
      checkPart("serviceName", parts.serviceName, "");
      checkRelative("serviceName", parts.serviceName);
    }
    if (parts.realm !== undefined) checkPart("realm", parts.realm, ":");
    return new Spn(parts);
  }

  /**
   * Parses an SPN.
   *
   * @throws TypeError that names the invalid part and shows the valid forms.
   */
  static parse(text: string): Spn {
    if (typeof text !== "string") throw new TypeError(`An SPN must be a string, not ${typeof text}`);
    try {
      return Spn.make(split(text));
    } catch (error) {
      throw new TypeError(
        `Invalid SPN ${JSON.stringify(text)}: ${
          (error as Error).message
        }; expected class/host, class/host:port or ` +
          "class/instance:port/service",
      );
    }
  }

  /**
   * Composes an SPN as `DsMakeSpn` does: of a host-based service from `serviceName`, the host, alone; of a replicable
   * or domain-based service from its name and the host in `instanceName`.
   *
   * @example
   * ```ts
   * import { Spn } from "@winsock/secure-sockets";
   *
   * const host = Spn.compose({ serviceClass: "ADSockAuth", serviceName: "web.example.test" });
   * console.log(`${host}`); // => ADSockAuth/web.example.test
   * const serviceName = "CN=hrdb,OU=mktg,DC=example,DC=test";
   * const instanceName = "host1.example.test";
   * console.log(`${Spn.compose({ serviceClass: "MyDBService", serviceName, instanceName, instancePort: 7 })}`);
   * // => MyDBService/host1.example.test:7/CN=hrdb,OU=mktg,DC=example,DC=test
   * ```
   * @throws TypeError where a component is missing, unknown, empty or contains a character that an SPN must not contain.
   * @throws RangeError where the port is not from 0 to 65535.
   * @see https://learn.microsoft.com/windows/win32/api/dsparse/nf-dsparse-dsmakespnw
   */
  static compose(components: SpnComponents): Spn {
    checkKeys("Spn.compose", components, COMPONENTS);
    const { serviceClass, serviceName, instanceName, instancePort, referrer } = components;
    if (typeof serviceName !== "string" || serviceName === "") {
      throw new TypeError("serviceName must be a non-empty string");
    }
    const referred = referrer !== undefined && ADDRESS.test(serviceName);
    const service = referred ? referrer : instanceName === undefined ? undefined : serviceName;
    return Spn.make({
      serviceClass,
      instanceName: instanceName ?? serviceName,
      ...portOf("instancePort", instancePort),
      ...(service === undefined ? {} : { serviceName: service }),
    });
  }

  /**
   * Makes the SPNs of a service as `DsGetSpn` does: one for each instance, or for the one on `host`.
   *
   * @example
   * ```ts
   * import { Spn } from "@winsock/secure-sockets";
   *
   * const host = { dnsName: "web.example.test", netbiosName: "WEB" };
   * const names = (["DS_SPN_DNS_HOST", "DS_SPN_NB_HOST"] as const)
   *   .flatMap((type) => Spn.generate(type, { serviceClass: "ADSockAuth", host }));
   * console.log(names.join(" ")); // => ADSockAuth/web.example.test ADSockAuth/WEB
   * ```
   * @throws TypeError where the type is unknown, a name that it needs is missing, or `serviceName` is given for a type of
   * hosts.
   * @throws RangeError where a port is not from 0 to 65535.
   * @see https://learn.microsoft.com/windows/win32/api/ntdsapi/nf-ntdsapi-dsgetspnw
   */
  static generate(type: SpnNameType, options: SpnGeneration): Spn[] {
    if (!Object.hasOwn(NAME_TYPES, type)) {
      throw new TypeError(`Unknown type ${String(type)}; use ${Object.keys(NAME_TYPES).join(", ")}`);
    }
    checkKeys("Spn.generate", options, GENERATION);
    const [host, takesService] = NAME_TYPES[type];
    const { serviceClass, serviceName, instancePort, instances = [] } = options;
    if (!takesService && serviceName !== undefined) {
      throw new TypeError(`serviceName must not be given for ${type}, which names a service by its host`);
    }
    if (takesService && serviceName === undefined) {
      throw new TypeError(`serviceName must be given for ${type}: the name of what is served`);
    }
    if (!Array.isArray(instances)) throw new TypeError("instances must be an array of { name, port }");
    const all = instances.length > 0 ? instances : [{ name: options.host?.[host], port: instancePort }];
    if (instances.length === 0 && all[0].name === undefined) {
      throw new TypeError(`host.${host} must be given for ${type} without instances`);
    }
    return all.map(({ name, port }) =>
      Spn.make({
        serviceClass,
        instanceName: name!,
        ...portOf("port", port),
        ...(serviceName === undefined ? {} : { serviceName }),
      })
    );
  }

  /**
   * Takes the SPN apart as `DsCrackSpn` does: without a service name it is the host's, without a port it is 0.
   *
   * @throws RangeError where the port is not a number, as with SQL Server's instance names.
   * @see https://learn.microsoft.com/windows/win32/api/dsparse/nf-dsparse-dscrackspnw
   */
  crack(): Required<Omit<SpnComponents, "referrer">> {
    const { serviceClass, instanceName, port = 0, serviceName = instanceName } = this;
    if (typeof port === "string") {
      throw new RangeError(`The port of ${this} is not a number: read its parts instead`);
    }
    return { serviceClass, serviceName, instanceName, instancePort: port };
  }

  /**
   * The text that is the same for all SPNs that name the same service, for keys of maps: A to Z in lower case, no service
   * name where it is the host's, no realm.
   */
  get canonical(): string {
    const { serviceClass, instanceName, port, serviceName } = this;
    const service = serviceName === undefined || fold(serviceName) === fold(instanceName)
      ? ""
      : `/${serviceName}`;
    return fold(`${serviceClass}/${instanceName}${port === undefined ? "" : `:${port}`}${service}`);
  }

  /**
   * Returns whether both name the same service. Ignores the case of A to Z, and the realm where one of them has none.
   */
  equals(other: Spn): boolean {
    const realms = this.realm === undefined || other.realm === undefined ||
      fold(this.realm) === fold(other.realm);
    return realms && this.canonical === other.canonical;
  }

  /** Returns the SPN as text, in the case in which it was given. */
  toString(): string {
    const port = this.port === undefined ? "" : `:${this.port}`;
    const service = this.serviceName === undefined ? "" : `/${this.serviceName}`;
    const realm = this.realm === undefined ? "" : `@${this.realm}`;
    return `${this.serviceClass}/${this.instanceName}${port}${service}${realm}`;
  }
}

/** Lower case for A to Z only: characters that Unicode folds together (K and the Kelvin sign) are different names. */
function fold(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => letter.toLowerCase());
}

function split(text: string): SpnParts {
  const at = text.lastIndexOf("@");
  const realm = at < 0 ? undefined : text.slice(at + 1);
  const [serviceClass, instance, serviceName, ...rest] = (at < 0 ? text : text.slice(0, at)).split("/");
  if (instance === undefined && /[@\\]/.test(text)) {
    throw new TypeError(
      "it names an account, and an account is reached by an SPN that is registered for it: register " +
        "one (on Windows: setspn -S class/host account) and use that",
    );
  }
  if (instance === undefined || rest.length > 0) throw new TypeError("it does not have two or three parts");
  const [instanceName, port, ...colons] = instance.split(":");
  if (colons.length > 0) {
    throw new TypeError("the host contains two colons (use a name, not an IPv6 address)");
  }
  return {
    serviceClass,
    instanceName,
    ...(port === undefined ? {} : { port: /^[0-9]+$/.test(port) ? Number(port) : port }),
    ...(serviceName === undefined ? {} : { serviceName }),
    ...(realm === undefined ? {} : { realm }),
  };
}

function checkKeys(fn: string, given: unknown, known: readonly string[]): void {
  if (typeof given !== "object" || given === null) {
    throw new TypeError(`${fn} takes an object of an SPN's parts: ${known.join(", ")}`);
  }
  for (const key of Object.keys(given)) {
    if (!known.includes(key)) {
      throw new TypeError(`Unknown part ${key} of an SPN; ${fn} takes ${known.join(", ")}`);
    }
  }
}

/** The port as `Spn.make` takes it, of a number where 0 means none. */
function portOf(name: string, port: number | undefined): { port?: number } {
  if (port === undefined || port === 0) return {};
  if (typeof port !== "number" || !Number.isInteger(port) || port < 0 || port > 65535) {
    throw new RangeError(`${name} must be a whole number from 0 to 65535, not ${String(port)}`);
  }
  return { port };
}

function checkPart(name: string, value: unknown, alsoForbidden: string): void {
  if (typeof value !== "string" || value === "") {
    throw new TypeError(`${name} must be a non-empty string`);
  }
  if (!value.isWellFormed()) {
    throw new TypeError(
      `${name} contains a lone surrogate; check where it comes from`,
    );
  }
  const bad = FORBIDDEN.exec(value)?.[0] ?? [...alsoForbidden].find((character) => value.includes(character));
  if (bad !== undefined) throw new TypeError(`${name} must not contain ${JSON.stringify(bad)}`);
  if (value !== value.trim()) throw new TypeError(`${name} must not begin or end with a space`);
}

/** The trailing dot of an absolute DNS name is for resolvers: services are registered without it. */
function checkRelative(name: string, value: string): void {
  if (!value.endsWith(".")) return;
  throw new TypeError(`${name} must not end with a dot: write it as the service is registered`);
}

function checkPort(port: unknown): void {
  if (port === undefined) return;
  if (typeof port === "string" && !/^[0-9]+$/.test(port)) return checkPart("port", port, ":");
  if (typeof port !== "number" || !Number.isInteger(port) || port < 1 || port > 65535) {
    throw new RangeError(`port must be a whole number from 1 to 65535, not ${String(port)}`);
  }
}
