/**
 * What decides whether an account may write SPNs: rights, the rules of validated writes, and classes that `host` covers.
 *
 * @module
 */

import { DirectoryError } from "../errors.ts";
import { Spn } from "../spn.ts";
import { printable, quoted, resultName } from "./results.ts";
import { SPN, type SpnAccount } from "./spn_accounts.ts";
import type { Directory, DirectoryEntry } from "./types.ts";

/** What the rules are decided by, besides the account's SPNs. */
export const RULE_ATTRIBUTES: readonly string[] = [
  "allowedAttributesEffective",
  "objectSid",
  "dNSHostName",
  "userAccountControl",
  "msDS-AdditionalDnsHostName",
  "msDS-AdditionalSamAccountName",
];
/** What no shell of Windows or Unix changes: a dollar sign at the end only. */
const PLAIN = /^[\p{L}\p{N}_./:@=, -]+\$?$/u;
/** A class of services. */
const CLASS = /^[^\s/\\@:\p{Cc}](?:[^/\\@:\p{Cc}]*[^\s/\\@:\p{Cc}])?$/u;
/** `userAccountControl`: a domain controller's account. */
const SERVER_TRUST_ACCOUNT = 0x2000;

/** What the bound account may do with the SPNs of an account. */
export type SpnRight =
  /** It may write any (`RIGHT_DS_WRITE_PROPERTY`). */
  | "write"
  /** It is the account itself, whose writes are validated. */
  | "validated"
  /** Nothing that can be read says so; the server decides. */
  | "unknown";

/** Finds out what the bound account may do ([MS-ADTS] 3.1.1.4.5.7). */
export async function rightOn(
  directory: Directory,
  entry: DirectoryEntry,
  signal?: AbortSignal,
): Promise<SpnRight> {
  const writable = entry.texts("allowedAttributesEffective").map((name) => name.toLowerCase());
  if (writable.includes(SPN.toLowerCase())) return "write";
  const [sid] = entry.bytes("objectSid");
  if (sid === undefined) return "unknown";
  const root = await directory.read("", { attributes: ["tokenGroups"], signal });
  const own = root?.bytes("tokenGroups").some((each) => `${each}` === `${sid}`);
  return own ? "validated" : "unknown";
}

/**
 * Why an account may not write this SPN to itself, as the end of a sentence; `null` where it may ([MS-ADTS]
 * 3.1.1.5.3.1.1.4).
 */
export function againstValidatedWrite(
  spn: Spn,
  entry: DirectoryEntry,
  { kind, name }: SpnAccount,
): string | null {
  // A managed service account's hosts are other objects, and a controller's names are of the forest: the server decides.
  if (kind === "managed service account") return null;
  if (kind !== "computer") return `${name} is not a computer, and only computers may write their own SPNs`;
  if ((Number(entry.text("userAccountControl")) & SERVER_TRUST_ACCOUNT) !== 0) return null;
  if (spn.serviceName !== undefined) return "it has three parts, which only controllers may write";
  if (spn.port !== undefined) return "it has a port or an instance name";
  const bare = (account: string): string => account.replace(/\$$/, "");
  const hosts = [
    ...entry.texts("dNSHostName"),
    bare(name),
    ...entry.texts("msDS-AdditionalDnsHostName"),
    ...entry.texts("msDS-AdditionalSamAccountName").map(bare),
  ];
  if (hosts.some((host) => host.toLowerCase() === spn.instanceName.toLowerCase())) return null;
  return `its host is not a name of ${name}, which are ${printable(hosts.join(", "))}`;
}

/** Which class covers others: `HTTP/web1` is served by the account of `host/web1` where none has it itself. */
export async function readMappings(
  directory: Directory,
  signal?: AbortSignal,
): Promise<ReadonlyMap<string, string>> {
  const { configurationNamingContext } = directory.rootDse;
  const dn = `CN=Directory Service,CN=Windows NT,CN=Services,${configurationNamingContext}`;
  const entry = await directory.read(dn, { attributes: ["sPNMappings"], signal });
  const mappings = new Map<string, string>();
  for (const value of entry?.texts("sPNMappings") ?? []) {
    const [to, from = ""] = value.toLowerCase().split("=");
    for (const serviceClass of from.split(",")) {
      // What is not a class covers nothing.
      if (CLASS.test(serviceClass.trim()) && CLASS.test(to.trim())) {
        mappings.set(serviceClass.trim(), to.trim());
      }
    }
  }
  return mappings;
}

/** The SPN that covers another one; `null` where none does. */
export function covering(spn: Spn, mappings: ReadonlyMap<string, string>): Spn | null {
  const serviceClass = mappings.get(spn.serviceClass.toLowerCase());
  if (serviceClass === undefined || serviceClass === spn.serviceClass.toLowerCase()) return null;
  const { instanceName, port, serviceName } = spn;
  return Spn.make({ serviceClass, instanceName, port, serviceName });
}

/**
 * The command that adds or deletes an SPN. Who may name an account decides what its name is, and a name may mean something
 * to a shell: then it is words, and not a command.
 */
export function setspn(how: "add" | "delete", spn: Spn | string, name: string): string {
  const [one, other] = [`${spn}`, name].map((word) => /[ ,=]/.test(word) ? `"${word}"` : word);
  return PLAIN.test(`${spn}`) && PLAIN.test(name)
    ? `setspn ${how === "add" ? "-S" : "-D"} ${one} ${other}`
    : `${how} the SPN ${quoted(`${spn}`)} of the account ${
      quoted(name)
    } by hand: one of them means something to a shell`;
}

/** Who may write, and how: for messages. */
function whoMay({ name }: SpnAccount, [spn]: readonly Spn[]): string {
  return `An account with the right to write ${SPN} of ${
    printable(name)
  } may, such as a domain administrator: ` +
    setspn("add", spn, name);
}

/** The error for SPNs that the rules refuse. Nothing was sent. */
export function refusedByRules(
  account: SpnAccount,
  refused: readonly (readonly [Spn, string])[],
): DirectoryError {
  const each = refused.map(([spn, why]) => `\n  ${spn}: ${why}`).join("");
  return new DirectoryError(
    19,
    resultName(19),
    `Cannot register SPNs for ${printable(account.name)} as itself; nothing was changed:${each}\n` +
      whoMay(account, refused.map(([spn]) => spn)),
  );
}

/** Says what a server's refusal of SPNs means, and who may do it. */
export function explainRefusal(
  error: unknown,
  doing: "register" | "unregister",
  account: SpnAccount,
  spns: readonly Spn[],
): unknown {
  if (!(error instanceof DirectoryError)) return error;
  const meaning: { readonly [code: number]: string } = {
    16: "another change has removed one of them meanwhile. Run it again",
    19:
      `a value violates a rule: another account of the forest has it, or ${
        printable(account.name)
      } may not write it. ` +
      whoMay(account, spns),
    20: "another change has added one of them meanwhile. Run it again",
    32: "the account was deleted or moved meanwhile. Name it again",
    50: `this account may not. ${whoMay(account, spns)}`,
    53: `the directory's policy forbids it for this account. ${whoMay(account, spns)}`,
  };
  const { resultCode, resultName: name } = error;
  const text = meaning[resultCode];
  if (text === undefined) return error;
  const list = spns.length <= 3 ? spns.join(", ") : `${spns.length} SPNs`;
  return new DirectoryError(
    resultCode,
    name,
    `Cannot ${doing} ${list} for ${
      printable(account.name)
    }: the directory answered ${name} (${resultCode}): ${text}`,
    { cause: error },
  );
}
