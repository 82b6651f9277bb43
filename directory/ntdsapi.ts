/**
 * Registers SPNs on Windows through ntdsapi.dll, as Windows' own services do. Elsewhere, and for anything but a write:
 * `registerSpns`.
 *
 * @module
 */

import { checkKeys } from "../contexts/check.ts";
import type { ProviderSystem } from "../contract.ts";
import { type NativeSystem, nativeSystem, openSystem } from "../ffi/system.ts";
import {
  DirectoryBinding,
  registerHostSpns as registerHost,
  type SpnOperation,
} from "../ffi/windows/account_spns.ts";
import { Spn } from "../spn.ts";
import { checkText } from "./check.ts";
import { parseDn } from "./names.ts";

export type { SpnOperation } from "../ffi/windows/account_spns.ts";

/** What {@linkcode writeAccountSpns} writes. */
export interface WriteAccountSpnsOptions {
  /** `add`, `remove`, or `replace`: these in the place of all that the account has. */
  readonly operation: SpnOperation;
  /** The distinguished name of the account. */
  readonly account: string;
  /** The SPNs, without a realm. Only `replace` takes an empty list. */
  readonly spns: readonly (string | Spn)[];
  /** The domain controller to bind to; left out: one of `domain`, else a global catalog of this computer's forest. */
  readonly domainController?: string;
  /** The DNS name of the domain. */
  readonly domain?: string;
  /** A system with the grant `directory`; stays open. Left out: one is opened for this call. */
  readonly system?: ProviderSystem;
}

/** What {@linkcode registerHostSpns} registers. */
export interface RegisterHostSpnsOptions {
  /** `add`, `remove`, or `replace`: these in the place of all that the account has. */
  readonly operation: SpnOperation;
  /** The service's class. */
  readonly serviceClass: string;
  /** The distinguished name of the account; left out: the process's own, and for LocalSystem the computer's. */
  readonly account?: string;
  /** A system with the grant `directory`; stays open. Left out: one is opened for this call. */
  readonly system?: ProviderSystem;
}

const OPERATIONS: readonly SpnOperation[] = ["add", "remove", "replace"];

/**
 * Writes SPNs of an account by `DsWriteAccountSpn`, as the account that runs the process: a domain controller does it over
 * RPC, for all of them or for none, and applies its rules. Windows only. `registerSpns` says more where it is refused, and
 * searches for other owners first.
 *
 * @example
 * ```ts
 * import { writeAccountSpns } from "@winsock/secure-sockets/directory";
 *
 * async function register(): Promise<void> {
 *   await writeAccountSpns({
 *     operation: "add",
 *     account: "CN=WEB1,CN=Computers,DC=example,DC=test",
 *     spns: ["ADSockAuth/web1.example.test"],
 *     domain: "example.test",
 *   });
 * }
 * console.log(typeof register);
 * ```
 * @throws TypeError where an option is wrong; nothing was sent.
 * @throws UnsupportedPlatformError elsewhere than on Windows; PermissionError where the process may not open ntdsapi.dll,
 * or its account may not write them; TransportError for other failures, with the code and what to do.
 * @see https://learn.microsoft.com/windows/win32/api/ntdsapi/nf-ntdsapi-dswriteaccountspnw
 */
export async function writeAccountSpns(options: WriteAccountSpnsOptions): Promise<void> {
  checkKeys(options, ["operation", "account", "spns", "domainController", "domain", "system"], "options");
  const { operation, account, spns, domainController, domain } = options;
  checkOperation(operation);
  checkAccount(account);
  if (!Array.isArray(spns) || (spns.length === 0 && operation !== "replace")) {
    throw new TypeError("options.spns must be a list of at least one SPN");
  }
  const texts = spns.map((given: string | Spn, index) => {
    const spn = typeof given === "string" ? Spn.parse(given) : given;
    if (spn.realm === undefined) return `${spn}`;
    throw new TypeError(`options.spns[${index}] must not have a realm: the directory holds SPNs without it`);
  });
  for (const [name, value] of Object.entries({ domainController, domain })) {
    if (value !== undefined && checkText(value, `options.${name}`) === "") {
      throw new TypeError(`options.${name} must not be empty`);
    }
  }
  using system = systemOf(options.system);
  await using binding = await DirectoryBinding.open(system.native, domainController, domain);
  await binding.write(operation, account, texts);
}

/**
 * Registers `serviceClass/host` for the DNS name and the NetBIOS name of this computer, by `DsServerRegisterSpn`. Windows
 * only. A service that runs as LocalSystem may register these itself.
 *
 * @throws as {@linkcode writeAccountSpns}.
 * @see https://learn.microsoft.com/windows/win32/api/ntdsapi/nf-ntdsapi-dsserverregisterspnw
 */
export async function registerHostSpns(options: RegisterHostSpnsOptions): Promise<void> {
  checkKeys(options, ["operation", "serviceClass", "account", "system"], "options");
  const { operation, serviceClass, account } = options;
  checkOperation(operation);
  // Throws what is wrong with the class.
  Spn.make({ serviceClass, instanceName: "host" });
  if (account !== undefined) checkAccount(account);
  using system = systemOf(options.system);
  await registerHost(system.native, operation, serviceClass, account);
}

function checkOperation(operation: SpnOperation): void {
  if (!OPERATIONS.includes(operation)) {
    throw new TypeError("options.operation must be add, remove or replace");
  }
}

function checkAccount(account: string): void {
  if (checkText(account, "options.account") === "" || parseDn(account).length === 0) {
    throw new TypeError("options.account must be a distinguished name");
  }
}

/** The caller's system, which stays open, or one that is closed with the call. */
function systemOf(given: ProviderSystem | undefined): Disposable & { readonly native: NativeSystem } {
  const native = nativeSystem(given ?? openSystem({ grants: ["directory"] }));
  return { native, [Symbol.dispose]: () => given === undefined ? native.close() : undefined };
}
