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

/** Characters that end a part or need escapes in a principal name, and control characters. */
// deno-lint-ignore no-control-regex
const FORBIDDEN = /[\u0000-\u001f\u007f/\\@]/;
const PARTS = ["serviceClass", "instanceName", "port", "serviceName", "realm"];

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
    if (typeof parts !== "object" || parts === null) {
      throw new TypeError("Spn.make takes an object of an SPN's parts");
    }
    for (const key of Object.keys(parts)) {
      if (!PARTS.includes(key)) throw new TypeError(`Unknown part ${key} of an SPN; use ${PARTS.join(", ")}`);
    }
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
   * Returns whether both name the same service. Ignores the case of A to Z, and the realm where one of them has none.
   */
  equals(other: Spn): boolean {
    const realms = this.realm === undefined || other.realm === undefined ||
      fold(this.realm) === fold(other.realm);
    return realms && this.#service() === other.#service();
  }

  /** Returns the SPN as text, in the case in which it was given. */
  toString(): string {
    const port = this.port === undefined ? "" : `:${this.port}`;
    const service = this.serviceName === undefined ? "" : `/${this.serviceName}`;
    const realm = this.realm === undefined ? "" : `@${this.realm}`;
    return `${this.serviceClass}/${this.instanceName}${port}${service}${realm}`;
  }

  #service(): string {
    const service = this.serviceName ?? this.instanceName;
    return fold(`${this.serviceClass}/${this.instanceName}:${this.port ?? ""}/${service}`);
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
