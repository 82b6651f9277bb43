/**
 * Listens as a service whose registration in the directory is verified when it starts.
 *
 * @module
 */

import { checkKeys, checkTimeout } from "../contexts/check.ts";
import { DirectoryError } from "../errors.ts";
import { Deadline } from "../sockets/deadline.ts";
import { listen, type ListenOptions, type SecureListener } from "../sockets/mod.ts";
import { quietly } from "../sockets/transport.ts";
import { checkText, equalText, isHostName } from "./check.ts";
import { withDirectory } from "./connect_service.ts";
import { checkForm, serviceSpn, type ServiceSpnForm } from "./install.ts";
import type { DirectoryOptions } from "./options.ts";
import { publishServicePoint } from "./publish.ts";
import { quoted } from "./results.ts";
import { checkGuid, findServicePoints, type ServicePoint } from "./service_points.ts";
import { verifySpns } from "./spns.ts";
import type { Directory } from "./types.ts";

/** The service that listens, as it was installed. */
export interface InstalledServiceOptions {
  /** Its class. */
  readonly serviceClass: string;
  /** The DNS name of this host: `web1.example.test`. */
  readonly dnsName: string;
  /** The account that it runs as, and whose SPNs are verified. */
  readonly account: string;
  /** The `objectGUID` of its connection point, which is then verified too. Needed for `spn: "replicable"`. */
  readonly guid?: string;
  /** What its SPN is composed of. Default `host`. */
  readonly spn?: ServiceSpnForm;
  /**
   * Whether the connection point is corrected where it names another host or port, which takes the right to write it.
   * Default `false`: the service does not start then.
   */
  readonly update?: boolean;
}

/** Options of {@linkcode listenService}: those of `listen`, with a service in the place of the accepted names. */
export interface ListenServiceOptions extends Omit<ListenOptions, "acceptedTargets"> {
  /** The service. */
  readonly service: InstalledServiceOptions;
  /** The directory; stays open. Or how to open one, which is closed once the registration is verified. */
  readonly directory: Directory | DirectoryOptions;
  /** How long verifying may take, in milliseconds. Default 30,000. */
  readonly verifyTimeoutMs?: number;
}

const SERVICE_KEYS = ["serviceClass", "dnsName", "account", "guid", "spn", "update"];
const DEFAULT_VERIFY_MS = 30_000;

/**
 * Verifies that the service's account has its SPN, that no other account has it, and that its connection point leads here;
 * then listens, and accepts clients that ask for that SPN. Where something is missing it does not listen, and says which
 * command puts it right.
 *
 * @example
 * ```ts
 * import { listenService } from "@winsock/secure-sockets/directory";
 *
 * async function serve(guid: string): Promise<void> {
 *   await using listener = await listenService({
 *     service: { serviceClass: "ADSockAuth", dnsName: "web1.example.test", account: "WEB1$", guid },
 *     directory: { domain: "example.test" },
 *     port: 7777,
 *   });
 *   for await (const conn of listener) await conn.close();
 * }
 * console.log(typeof serve);
 * ```
 * @throws TypeError or RangeError where an option is wrong; nothing was sent.
 * @throws DirectoryError where the registration is incomplete; the message has the commands that complete it.
 * @throws otherwise as `listen` and {@linkcode openDirectory}.
 * @see https://learn.microsoft.com/windows/win32/ad/updating-a-service-connection-point
 */
export async function listenService(options: ListenServiceOptions): Promise<SecureListener> {
  const { service, directory, verifyTimeoutMs, ...common } = options ?? {};
  const { serviceClass, dnsName, account, guid, form, update } = readService(service);
  if (typeof directory !== "object" || directory === null) {
    throw new TypeError("options.directory must be an open directory, or the options of openDirectory");
  }
  if ("acceptedTargets" in common) {
    throw new TypeError("options.acceptedTargets is not known: the SPN of options.service is accepted");
  }
  const timeoutMs = checkTimeout(verifyTimeoutMs, "options.verifyTimeoutMs", DEFAULT_VERIFY_MS);
  const deadline = new Deadline(common.signal, "Verifying the service's registration", timeoutMs);
  try {
    deadline.signal.throwIfAborted();
    return await withDirectory(directory, deadline, async (open) => {
      const { signal } = deadline;
      const point = guid === undefined ? undefined : await readPoint(open, guid, serviceClass, signal);
      const target = serviceSpn(form, serviceClass, dnsName, point?.dn ?? "");
      const { ok, missing, advice } = await verifySpns(open, account, [target], { signal });
      if (!ok) throw unregistered(`${target}`, account, missing.length > 0, advice);
      const wrong = (port: number) => point === undefined ? null : whatIsWrong(point, dnsName, port);
      // Before the port is opened, where it is known.
      if (common.port > 0 && update !== true) refuse(wrong(common.port), serviceClass);
      const listener = await listen({ ...common, acceptedTargets: [`${target}`] });
      try {
        const { port } = listener.addr;
        if (update === true && wrong(port) !== null) await correct(open, point!, dnsName, port, signal);
        else refuse(wrong(port), serviceClass);
      } catch (error) {
        await quietly(() => listener.close());
        throw error;
      }
      return listener;
    }, (late) => late.close());
  } finally {
    deadline.end();
  }
}

async function readPoint(
  directory: Directory,
  guid: string,
  serviceClass: string,
  signal: AbortSignal,
): Promise<ServicePoint> {
  const [point] = await findServicePoints(directory, { guid, limit: 1, signal });
  if (point !== undefined && equalText(point.serviceClass ?? "", serviceClass)) return point;
  throw new DirectoryError(
    point === undefined ? 32 : 0,
    point === undefined ? "noSuchObject" : "success",
    `Cannot listen as ${serviceClass}: ${
      point === undefined
        ? `there is no connection point with the GUID ${guid}`
        : `its connection point is of the class ${quoted(point.serviceClass ?? "")}`
    }. Run: secure-sockets service publish --help, and give the service the GUID that it prints`,
  );
}

function unregistered(
  target: string,
  account: string,
  missing: boolean,
  advice: readonly string[],
): DirectoryError {
  return new DirectoryError(
    0,
    "success",
    `Cannot listen as ${target}: ${
      missing ? `${account} does not have that SPN` : "another account has that SPN too"
    }. Run, as a domain administrator: ${advice.join("; ")}`,
  );
}

/** What is wrong with a connection point, and the command that corrects it; `null` where it leads here. */
function whatIsWrong(point: ServicePoint, dnsName: string, port: number): string | null {
  const host = equalText(point.dnsName ?? "", dnsName);
  const reached = point.bindingInformation.length === 1 && point.bindingInformation[0] === String(port);
  if (host && reached && point.problems.length === 0) return null;
  return `the connection point ${quoted(point.dn)} leads to ${quoted(point.dnsName ?? "")} ` +
    `${
      point.bindingInformation.slice(0, 5).map(quoted).join(", ")
    }, and not to ${dnsName}:${port}. Run: secure-sockets service ` +
    `publish --guid ${point.guid} --host ${dnsName} --port ${port}, or give service.update: true`;
}

function refuse(wrong: string | null, serviceClass: string): void {
  if (wrong === null) return;
  throw new DirectoryError(0, "success", `Cannot listen as ${serviceClass}: ${wrong}`);
}

async function correct(
  directory: Directory,
  point: ServicePoint,
  dnsName: string,
  port: number,
  signal: AbortSignal,
): Promise<void> {
  const { guid, name = "", serviceClass = "", keywords } = point;
  await publishServicePoint(directory, {
    ...{ guid, name, serviceClass, keywords, dnsName, signal },
    // Not used: the object exists.
    under: point.dn,
    bindingInformation: port,
  });
}

function readService(service: InstalledServiceOptions): InstalledServiceOptions & { form: ServiceSpnForm } {
  checkKeys(service, SERVICE_KEYS, "options.service");
  const { serviceClass, dnsName, account, update } = service;
  const form = checkForm(service.spn, "options.service.spn");
  if (typeof dnsName !== "string" || !isHostName(dnsName)) {
    throw new TypeError(
      "options.service.dnsName must be the DNS name of this host, such as web1.example.test",
    );
  }
  // Throws what is wrong with the class.
  serviceSpn("host", serviceClass, dnsName, dnsName);
  if (checkText(account, "options.service.account") === "") {
    throw new TypeError(
      "options.service.account must be the account that the service runs as, such as WEB1$",
    );
  }
  if (update !== undefined && typeof update !== "boolean") {
    throw new TypeError("options.service.update must be true or false");
  }
  const guid = service.guid === undefined ? undefined : checkGuid(service.guid, "options.service.guid");
  if (guid === undefined && (form === "replicable" || update === true)) {
    throw new TypeError(
      "options.service.guid must be given: the connection point is read by it",
    );
  }
  return { serviceClass, dnsName, account, guid, form, update };
}
