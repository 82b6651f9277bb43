/**
 * Installs and uninstalls a service: its connection point and its SPNs, both or neither.
 *
 * @module
 */

import { checkKeys, checkSignal, checkTarget } from "../contexts/check.ts";
import { DirectoryError } from "../errors.ts";
import { Spn } from "../spn.ts";
import { checkText } from "./check.ts";
import {
  PUBLISH_KEYS,
  type PublishedServicePoint,
  publishServicePoint,
  removeServicePoint,
} from "./publish.ts";
import type { PublishOptions } from "./publish.ts";
import { quoted, takeBack } from "./results.ts";
import { checkGuid, type ServicePoint } from "./service_points.ts";
import { registerSpns, unregisterSpns, verifySpns } from "./spns.ts";
import type { Directory } from "./types.ts";

/** What the SPN of a service is composed of. */
export type ServiceSpnForm = "host" | "replicable";

/** Options of {@linkcode installService}: those of `publishServicePoint`, and the account. */
export interface InstallServiceOptions extends PublishOptions {
  /** The account that the service runs as: `svcweb`, `WEB1$`, or its distinguished name. */
  readonly account: string;
  /**
   * What its SPN is composed of. `host` (the default): the class and `dnsName`. `replicable`: also the name of the
   * service, as Microsoft's sample does: the distinguished name of the connection point. Clients must ask for the same.
   */
  readonly spn?: ServiceSpnForm;
}

/** What was installed. */
export interface InstalledService {
  /** The connection point. Keep its `guid`. */
  readonly point: ServicePoint;
  /** What publishing it took. */
  readonly change: PublishedServicePoint["change"];
  /** The SPN, which the account has. */
  readonly target: string;
  /** Whether it was registered now, and not before. */
  readonly registered: boolean;
}

/** Options of {@linkcode uninstallService}. */
export interface UninstallServiceOptions {
  /** The `objectGUID` of the connection point. */
  readonly guid: string;
  /** The account that the service ran as. */
  readonly account: string;
  /**
   * The SPN that `installService` has returned. What the connection point says by now is not asked: the accounts that may
   * write it would choose which SPN of the account is unregistered.
   */
  readonly target: string;
  /** Ends the wait; its reason is rethrown unchanged. */
  readonly signal?: AbortSignal;
}

/** What was uninstalled. */
export interface UninstalledService {
  /** Whether there was a connection point. */
  readonly removed: boolean;
  /** The SPNs that were unregistered. */
  readonly unregistered: readonly string[];
}

/** The SPN of a service on a host, in the form that both ends have agreed on. */
export function serviceSpn(form: ServiceSpnForm, serviceClass: string, host: string, service: string): Spn {
  return form === "host"
    ? Spn.compose({ serviceClass, serviceName: host })
    : Spn.compose({ serviceClass, serviceName: service, instanceName: host });
}

/** @throws TypeError where it is neither of the forms. */
export function checkForm(value: unknown, name: string): ServiceSpnForm {
  if (value === undefined) return "host";
  if (value === "host" || value === "replicable") return value;
  throw new TypeError(`${name} must be "host" or "replicable"`);
}

/**
 * Installs a service: publishes its connection point, registers its SPN for the account that it runs as, and verifies
 * that no other account of the forest has it. If a step fails, the steps before it are taken back.
 *
 * @example
 * ```ts
 * import { installService, openDirectory } from "@winsock/secure-sockets/directory";
 *
 * async function install(): Promise<string> {
 *   await using directory = await openDirectory({ domain: "example.test" });
 *   const { point, target } = await installService(directory, {
 *     account: "WEB1$",
 *     under: "CN=WEB1,CN=Computers,DC=example,DC=test",
 *     name: "ADSockAuth",
 *     serviceClass: "ADSockAuth",
 *     keywords: ["a762885a-aa44-11d2-81f1-00c04fb9624e"],
 *     dnsName: "web1.example.test",
 *     bindingInformation: 7777,
 *   });
 *   console.log(`${target} is registered`);
 *   return point.guid;
 * }
 * console.log(typeof install);
 * ```
 * @throws TypeError or RangeError where an argument is wrong; nothing was sent.
 * @throws DirectoryError where the directory refuses, or another account has the SPN; the message names it.
 * @throws AggregateError where taking back failed too; its message says what is left.
 * @see https://learn.microsoft.com/windows/win32/ad/composing-and-registering-spns-for-an-scp-based-windows-sockets-service
 */
export async function installService(
  directory: Directory,
  options: InstallServiceOptions,
): Promise<InstalledService> {
  checkKeys(options, [...PUBLISH_KEYS, "account", "spn"], "options");
  const { account, spn, ...publish } = options;
  const form = checkForm(spn, "options.spn");
  checkText(account, "options.account");
  if (form === "host" && publish.dnsNameType === "SRV") {
    throw new TypeError(
      'options.dnsNameType "SRV" names many hosts: register the SPN of each by registerSpns(), and publish by ' +
        "publishServicePoint()",
    );
  }
  const { signal } = publish;
  const published = await publishServicePoint(directory, publish);
  const { point, change } = published;
  let added: readonly string[] = [];
  try {
    const target = serviceSpn(form, publish.serviceClass, publish.dnsName, point.dn);
    added = (await registerSpns(directory, account, [target], { signal })).changed;
    const { ok, advice } = await verifySpns(directory, account, [target], { signal });
    if (!ok) {
      throw new DirectoryError(
        0,
        "success",
        `Cannot install ${target}: it is not registered for ${account} alone. Run: ${advice.join("; ")}`,
      );
    }
    return { point, change, target: `${target}`, registered: added.length > 0 };
  } catch (error) {
    await takeBack(
      error,
      [`the SPN ${added.join(", ")} of ${account}`, async () => {
        if (added.length > 0) await unregisterSpns(directory, account, added);
      }],
      [`the connection point ${quoted(point.dn)}`, () => published.undo()],
    );
    throw error;
  }
}

/**
 * Uninstalls a service: unregisters its SPN and removes its connection point, as far as they are there. The SPN is
 * registered again if removing fails.
 *
 * @throws TypeError where an argument is wrong; nothing was sent. DirectoryError where the directory refuses.
 * @throws AggregateError where taking back failed too; its message says what is left.
 */
export async function uninstallService(
  directory: Directory,
  options: UninstallServiceOptions,
): Promise<UninstalledService> {
  checkKeys(options, ["guid", "account", "target", "signal"], "options");
  const guid = checkGuid(options.guid, "options.guid");
  const account = checkText(options.account, "options.account");
  const target = checkTarget(options.target, "options.target");
  const signal = checkSignal(options.signal, "options.signal");
  const { changed } = await unregisterSpns(directory, account, [target], { signal });
  try {
    return { removed: await removeServicePoint(directory, { guid, signal }), unregistered: changed };
  } catch (error) {
    await takeBack(error, [`the SPN ${changed.join(", ")} of ${account}`, async () => {
      if (changed.length > 0) await registerSpns(directory, account, changed);
    }]);
    throw error;
  }
}
