/**
 * The options of `negotiateFetch`.
 *
 * @module
 */

import type { Credentials, ProviderSystem, Requirements } from "../../contract.ts";
import { checkCredentials } from "../../credentials.ts";
import { checkKeys, checkMethod, describe } from "../../contexts/check.ts";
import { bareRequirements } from "../../contexts/initiator.ts";
import { defaultRegistry, type OpenOptions } from "../../contexts/options.ts";
import type { Registry } from "../../plugins/registry.ts";
import type { ConnectionTerms } from "./connection.ts";
import { Origins } from "./origins.ts";
import { type FetchProxy, ProxyRoute } from "./route.ts";

/** Options of {@linkcode negotiateFetch}. */
export interface NegotiateFetchOptions {
  /**
   * The origins to sign on to: exact (`https://intranet.example.test`, `http://web:8080`), or every host below a domain
   * (`https://*.example.test`). Requests to other origins are sent as they are, and their 401 is the caller's. An origin
   * of plain http is listed only where its network is trusted: nothing protects what is sent there.
   */
  readonly origins: readonly (string | URL)[];
  /**
   * The SPN of an origin's server. Left out: `HTTP/` and the host, without the port and without asking the DNS for
   * other names.
   */
  readonly target?: (url: URL) => string;
  /**
   * Channel bindings (`tls-server-end-point`) of the very connection that carries the token. `whenAvailable` (the
   * default): on https, where the certificate has them; `required`: no token without them; `never`.
   */
  readonly channelBindings?: "whenAvailable" | "required" | "never";
  /**
   * When a token is sent that the server has not asked for. `streams` (the default): with a body that cannot be sent
   * twice. `never`: such a request fails where the server asks for sign-on.
   */
  readonly preemptive?: "streams" | "never";
  /** Whether NTLM may be used on plain http, if the registry lists it. Default `false`. */
  readonly allowHttp?: boolean;
  /** Authorities of certificates to trust, in PEM, in place of the runtime's own. */
  readonly ca?: string | Uint8Array | readonly (string | Uint8Array)[];
  /**
   * A proxy to go through, which is signed on to with a token of its own each time: its URL, or
   * `{ url, target, ca }`. Requests of https go through a tunnel, and the server's sign-on is as without a proxy. Those
   * of plain http are forwarded, and such servers are signed on to only if the proxy says that it keeps its connections
   * apart (`Proxy-Support: Session-Based-Authentication`). The environment is not looked at.
   */
  readonly proxy?: string | URL | FetchProxy;
  /** The providers to select from; left out: `[negotiate()]`. */
  readonly registry?: Registry;
  /** Who to be; left out: the user of the process. */
  readonly credentials?: Credentials;
  /**
   * What each sign-on must provide; left out: mutual authentication. `{ delegation: true }` delegates credentials to
   * every listed origin that the realm permits.
   */
  readonly requirements?: Requirements;
  /** The system to use; left out: one for the whole process. */
  readonly system?: ProviderSystem;
}

/** The options, checked. */
export interface Terms extends ConnectionTerms {
  readonly origins: Origins;
  readonly channelBindings: "whenAvailable" | "required" | "never";
  readonly preemptive: "streams" | "never";
  readonly allowHttp: boolean;
  /** Whether a server that offers NTLM alone is answered. */
  readonly ntlm: boolean;
  readonly open: Pick<OpenOptions, "registry" | "credentials" | "requirements" | "system">;
}

const KEYS = [
  ...["origins", "target", "channelBindings", "preemptive", "allowHttp", "ca", "proxy"],
  ...["registry", "credentials", "requirements", "system"],
];
const BINDINGS = ["whenAvailable", "required", "never"] as const;
const PREEMPTIVE = ["streams", "never"] as const;

/** @throws TypeError if an option is wrong. */
export function readOptions(options: NegotiateFetchOptions): Terms {
  checkKeys(options, KEYS, "options");
  const { system, requirements, credentials, allowHttp = false } = options;
  const registry = options.registry ?? defaultRegistry();
  checkMethod(registry, "options.registry", "select");
  if (system !== undefined) checkMethod(system, "options.system", "capabilities");
  if (credentials !== undefined) checkCredentials(credentials, "options.credentials");
  // Contradictions are refused now, and not by the first request.
  bareRequirements(requirements);
  if (typeof allowHttp !== "boolean") {
    throw new TypeError(`options.allowHttp must be true or false, not ${describe(allowHttp)}`);
  }
  return {
    origins: new Origins(options.origins, options.target),
    channelBindings: oneOf(options.channelBindings ?? "whenAvailable", BINDINGS, "options.channelBindings"),
    preemptive: oneOf(options.preemptive ?? "streams", PREEMPTIVE, "options.preemptive"),
    allowHttp,
    ca: authorities(options.ca),
    proxy: options.proxy === undefined
      ? null
      : new ProxyRoute(options.proxy, { registry, credentials, system }),
    ntlm: registry.providers.some(({ name }) => name === "ntlm"),
    open: { registry, credentials, requirements, system },
  };
}

function oneOf<T extends string>(value: string, known: readonly T[], name: string): T {
  const found = known.find((one) => one === value);
  if (found !== undefined) return found;
  throw new TypeError(`${name} must be one of ${known.join(", ")}, not ${describe(value)}`);
}

function authorities(ca: unknown): readonly (string | Uint8Array)[] | undefined {
  if (ca === undefined) return undefined;
  const list: unknown[] = Array.isArray(ca) ? [...ca] : [ca];
  if (list.length > 0 && list.every((one) => typeof one === "string" || one instanceof Uint8Array)) {
    return list as (string | Uint8Array)[];
  }
  throw new TypeError("options.ca must be certificates in PEM, as text or bytes, or a list of such");
}
