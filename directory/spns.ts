/**
 * Registers SPNs for an account over LDAP, and verifies what is registered.
 *
 * @module
 */

import { checkKeys, checkSignal } from "../contexts/check.ts";
import { DirectoryError } from "../errors.ts";
import { Spn } from "../spn.ts";
import { changing, printable, takeBack, type Undo } from "./results.ts";
import {
  accountOf,
  findAccount,
  findOwners,
  keyOf,
  type Owners,
  readSpns,
  sameDn,
  SPN,
  type SpnAccount,
  type SpnScope,
} from "./spn_accounts.ts";
import {
  againstValidatedWrite,
  covering,
  explainRefusal,
  readMappings,
  refusedByRules,
  rightOn,
  RULE_ATTRIBUTES,
  setspn,
} from "./spn_rules.ts";
import type { Directory, DirectoryChange, OperationOptions } from "./types.ts";

/** How many values one change has: servers limit the size of a request. */
const CHUNK = 500;

/** What {@linkcode registerSpns} and {@linkcode unregisterSpns} have done. */
export interface SpnChange {
  /** The account. */
  readonly account: SpnAccount;
  /** The SPNs that were added or removed. */
  readonly changed: readonly string[];
  /** Those that were there already, or were not there to be removed. */
  readonly unchanged: readonly string[];
  /** Where other owners were searched for before. */
  readonly searched: SpnScope;
}

/** An SPN of an account. */
export interface RegisteredSpn {
  /** The value, as the directory holds it. */
  readonly text: string;
  /** The same, parsed; `null` where it is not an SPN. */
  readonly spn: Spn | null;
}

/** What {@linkcode listSpns} returns. */
export interface SpnList {
  /** The account. */
  readonly account: SpnAccount;
  /** Its SPNs, sorted. */
  readonly spns: readonly RegisteredSpn[];
}

/** An SPN that another account has. */
export interface SpnConflict {
  /** The SPN that was asked for. */
  readonly spn: string;
  /** The SPN that the other account has: the same, or the one of class `host` that covers it. */
  readonly registered: string;
  /** Who has it. */
  readonly owners: readonly SpnAccount[];
}

/** What {@linkcode verifySpns} has found. */
export interface SpnVerification {
  /** True where the account has every SPN, and no other account has one of them. */
  readonly ok: boolean;
  /** The account. */
  readonly account: SpnAccount;
  /** The SPNs that it has. */
  readonly registered: readonly string[];
  /** Those that it does not have. */
  readonly missing: readonly string[];
  /** Those that other accounts have. Kerberos cannot tell which account is meant, or means the other one. */
  readonly conflicts: readonly SpnConflict[];
  /** Where other owners were searched for. */
  readonly searched: SpnScope;
  /** The commands that put it right, for a person with the right to run them; empty where it is right. */
  readonly advice: readonly string[];
}

/**
 * Registers SPNs for an account: adds those that it does not have, and changes nothing else.
 *
 * First the forest is searched for other owners, through a global catalog; where none can be reached the domain, and
 * `searched` says so. Where the account writes its own SPNs, the rules for that are checked before the server is asked.
 * If something fails, what was added is removed again.
 *
 * @param account its name as in `sAMAccountName` (`svcweb`, `WEB1$`, `EXAMPLE\svcweb`), or its distinguished name.
 * @param spns SPNs without a realm.
 * @throws TypeError where an argument is wrong; nothing was sent.
 * @throws DirectoryError `constraintViolation` where another account has an SPN, which the message names, or the rules
 * refuse one; `noSuchObject` where there is no such account; `insufficientAccessRights`, with who may do it.
 *
 * @example
 * ```ts
 * import { openDirectory, registerSpns } from "@winsock/secure-sockets/directory";
 *
 * async function install(): Promise<void> {
 *   await using directory = await openDirectory({ domain: "example.test" });
 *   const { changed } = await registerSpns(directory, "svcweb", ["HTTP/web.example.test", "HTTP/WEB"]);
 *   console.log(`registered ${changed.join(", ")}`);
 * }
 * console.log(typeof install);
 * ```
 *
 * @see https://learn.microsoft.com/windows/win32/ad/how-a-service-registers-its-spns
 */
export async function registerSpns(
  directory: Directory,
  account: string,
  spns: readonly (string | Spn)[],
  options: OperationOptions = {},
): Promise<SpnChange> {
  const wanted = readSpns(spns);
  const { signal } = readOperation(options);
  const entry = await findAccount(directory, account, [SPN, ...RULE_ATTRIBUTES], signal);
  const owner = accountOf(entry);
  const has = new Set(entry.texts(SPN).map(keyOf));
  const missing = wanted.filter((spn) => !has.has(spn.canonical));
  const unchanged = wanted.filter((spn) => has.has(spn.canonical)).map(String);
  const { conflicts, searched } = await findConflicts(directory, owner, wanted, signal);
  if (conflicts.length > 0) throw conflict(owner, conflicts);
  if (missing.length > 0) {
    if (await rightOn(directory, entry, signal) === "validated") {
      const refused = missing.flatMap((spn) => {
        const why = againstValidatedWrite(spn, entry, owner);
        return why === null ? [] : [[spn, why] as const];
      });
      if (refused.length > 0) throw refusedByRules(owner, refused);
    }
    const values = missing.map((spn) => ({ spn, text: `${spn}` }));
    await change(directory, owner, "add", values, signal);
    try {
      // Somebody else may have registered one of them since the search, at another controller.
      const { conflicts } = await findConflicts(directory, owner, missing, undefined);
      if (conflicts.length > 0) throw conflict(owner, conflicts);
    } catch (error) {
      const added = printable(`${missing.join(", ")} of ${owner.name}`);
      await takeBack(error, [added, () => change(directory, owner, "delete", values, undefined)]);
      throw error;
    }
  }
  return { account: owner, changed: missing.map(String), unchanged, searched };
}

/**
 * Unregisters SPNs of an account: removes those that it has, and changes nothing else. If something fails, what was removed
 * is added again.
 *
 * @param account as for {@linkcode registerSpns}.
 * @throws TypeError and DirectoryError as {@linkcode registerSpns}.
 */
export async function unregisterSpns(
  directory: Directory,
  account: string,
  spns: readonly (string | Spn)[],
  options: OperationOptions = {},
): Promise<Omit<SpnChange, "searched">> {
  const wanted = readSpns(spns);
  const { signal } = readOperation(options);
  const entry = await findAccount(directory, account, [SPN], signal);
  const owner = accountOf(entry);
  const has = new Map(entry.texts(SPN).map((text) => [keyOf(text), text]));
  const removed = wanted.flatMap((spn) => {
    const text = has.get(spn.canonical);
    return text === undefined ? [] : [{ spn, text }];
  });
  const unchanged = wanted.filter((spn) => !has.has(spn.canonical)).map(String);
  if (removed.length > 0) await change(directory, owner, "delete", removed, signal);
  return { account: owner, changed: removed.map(({ text }) => text), unchanged };
}

/**
 * Returns all SPNs of an account, however many.
 *
 * @param account as for {@linkcode registerSpns}.
 * @throws DirectoryError `noSuchObject` where there is no such account.
 */
export async function listSpns(
  directory: Directory,
  account: string,
  options: OperationOptions = {},
): Promise<SpnList> {
  const entry = await findAccount(directory, account, [SPN], readOperation(options).signal);
  const spns = entry.texts(SPN).toSorted().map((text) => ({ text, spn: parsed(text) }));
  return { account: accountOf(entry), spns };
}

/**
 * Verifies that an account has SPNs, and that no other account of the forest has one of them: what a service checks when
 * it starts.
 *
 * @param account as for {@linkcode registerSpns}.
 * @returns what was found; what is not right is a result, and not an error.
 * @throws TypeError where an argument is wrong; DirectoryError where there is no such account.
 */
export async function verifySpns(
  directory: Directory,
  account: string,
  spns: readonly (string | Spn)[],
  options: OperationOptions = {},
): Promise<SpnVerification> {
  const wanted = readSpns(spns);
  const { signal } = readOperation(options);
  const entry = await findAccount(directory, account, [SPN], signal);
  const owner = accountOf(entry);
  const has = new Set(entry.texts(SPN).map(keyOf));
  const missing = wanted.filter((spn) => !has.has(spn.canonical)).map(String);
  const { conflicts, searched } = await findConflicts(directory, owner, wanted, signal);
  const advice = [
    ...conflicts.flatMap(({ registered, owners }) =>
      owners.map(({ name }) => setspn("delete", registered, name))
    ),
    ...missing.map((spn) => setspn("add", spn, owner.name)),
  ];
  return {
    ok: missing.length === 0 && conflicts.length === 0,
    account: owner,
    registered: wanted.filter((spn) => has.has(spn.canonical)).map(String),
    missing,
    conflicts,
    searched,
    advice,
  };
}

/** Other accounts that have SPNs, or those that cover them. */
async function findConflicts(
  directory: Directory,
  owner: SpnAccount,
  spns: readonly Spn[],
  signal: AbortSignal | undefined,
): Promise<{ conflicts: SpnConflict[]; searched: SpnScope }> {
  const mappings = await readMappings(directory, signal);
  const pairs = spns.flatMap((spn) => {
    const cover = covering(spn, mappings);
    return cover === null ? [[spn, spn]] : [[spn, spn], [spn, cover]];
  });
  const { byKey, scope }: Owners = await findOwners(
    directory,
    pairs.map(([, registered]) => registered),
    signal,
  );
  const conflicts = pairs.flatMap(([spn, registered]) => {
    const others = (byKey.get(registered.canonical) ?? []).filter(({ dn }) => !sameDn(dn, owner.dn));
    return others.length === 0 ? [] : [{ spn: `${spn}`, registered: `${registered}`, owners: others }];
  });
  return { conflicts, searched: scope };
}

function conflict(owner: SpnAccount, conflicts: readonly SpnConflict[]): DirectoryError {
  const each = conflicts.map(({ spn, registered, owners }) => {
    const names = printable(owners.map(({ name, dn }) => `${name} (${dn})`).join(" and "));
    return `\n  ${spn}: ${names} has ${registered === spn ? "it" : `${registered}, which covers it`}`;
  }).join("");
  const [{ registered, owners: [first] }] = conflicts;
  return new DirectoryError(
    19,
    "constraintViolation",
    `Cannot register SPNs for ${
      printable(owner.name)
    }: other accounts have them; nothing was changed:${each}\n` +
      `Run the service as that account, or remove the SPN from it: ${
        setspn("delete", registered, first.name)
      }`,
  );
}

interface Value {
  readonly spn: Spn;
  readonly text: string;
}

/** Changes values in parts; what was done is undone where a later part fails. */
async function change(
  directory: Directory,
  owner: SpnAccount,
  operation: "add" | "delete",
  values: readonly Value[],
  signal: AbortSignal | undefined,
): Promise<void> {
  const apply = (how: "add" | "delete", part: readonly Value[]): Promise<void> => {
    const texts = part.map(({ text }) => text);
    const changes: DirectoryChange[] = [{ operation: how, attribute: SPN, values: texts }];
    return changing(
      `${how} ${printable(`${texts.join(", ")} of ${owner.name}`)}`,
      () => directory.modify(owner.dn, changes),
    );
  };
  const done: (readonly Value[])[] = [];
  try {
    for (let at = 0; at < values.length; at += CHUNK) {
      const part = values.slice(at, at + CHUNK);
      signal?.throwIfAborted();
      await apply(operation, part);
      done.push(part);
    }
  } catch (error) {
    const verb = operation === "add" ? "register" : "unregister";
    const explained = explainRefusal(error, verb, owner, values.map(({ spn }) => spn));
    const undo = operation === "add" ? "delete" : "add";
    await takeBack(
      explained,
      ...done.reverse().map((part): Undo => [
        printable(`${part.map(({ text }) => text).join(", ")} of ${owner.name}`),
        () => apply(undo, part),
      ]),
    );
    throw explained;
  }
}

function readOperation(options: OperationOptions): OperationOptions {
  checkKeys(options, ["signal"], "options");
  checkSignal(options.signal, "options.signal");
  return options;
}

function parsed(text: string): Spn | null {
  try {
    return Spn.parse(text);
  } catch {
    return null;
  }
}
