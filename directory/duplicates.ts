/**
 * Finds SPNs that more than one account has.
 *
 * @module
 */

import { checkFunction, checkKeys, checkSignal } from "../contexts/check.ts";
import { fold } from "./check.ts";
import {
  ACCOUNT_ATTRIBUTES,
  accountOf,
  inForest,
  keyOf,
  sameDn,
  SPN,
  type SpnAccount,
  type SpnScope,
} from "./spn_accounts.ts";
import type { Directory, OperationOptions } from "./types.ts";

/** An SPN that several accounts have. */
export interface DuplicateSpn {
  /** The SPN, as the first of them has it. */
  readonly spn: string;
  /** The accounts. */
  readonly owners: readonly SpnAccount[];
}

/** What {@linkcode findDuplicateSpns} has found. */
export interface DuplicateSpns {
  /** The duplicates, sorted by SPN. */
  readonly duplicates: readonly DuplicateSpn[];
  /** How many accounts with SPNs were read. */
  readonly accounts: number;
  /** Where they were searched for. */
  readonly searched: SpnScope;
}

/** Options of {@linkcode findDuplicateSpns}. */
export interface DuplicateOptions extends OperationOptions {
  /** Called with the number of accounts read so far, after each hundred. */
  readonly onProgress?: (accounts: number) => void;
}

/**
 * Finds every SPN of the forest that more than one account has: Kerberos refuses such a service, or reaches the wrong
 * account. Reads all accounts with SPNs through a global catalog; where none can be reached those of the domain, and
 * `searched` says so.
 *
 * @throws DirectoryError where the directory refuses the search; TransportError where the connection ends.
 */
export async function findDuplicateSpns(
  directory: Directory,
  options: DuplicateOptions = {},
): Promise<DuplicateSpns> {
  checkKeys(options, ["signal", "onProgress"], "options");
  checkSignal(options.signal, "options.signal");
  checkFunction(options.onProgress, "options.onProgress");
  const { signal, onProgress } = options;
  const accounts = new Map<string, SpnAccount>();
  const first = new Map<string, SpnAccount>();
  const duplicates = new Map<string, { spn: string; owners: SpnAccount[] }>();
  const searched = await inForest(directory, async (from, base) => {
    const filter = { attribute: SPN, present: true } as const;
    for await (
      const entry of from.search({ base, filter, attributes: [...ACCOUNT_ATTRIBUTES, SPN], signal })
    ) {
      const dn = fold(entry.dn);
      if (accounts.has(dn)) continue;
      const account = accountOf(entry);
      accounts.set(dn, account);
      if (accounts.size % 100 === 0) onProgress?.(accounts.size);
      for (const text of entry.texts(SPN)) {
        const key = keyOf(text);
        const owner = first.get(key);
        if (owner === undefined) {
          first.set(key, account);
          continue;
        }
        if (sameDn(owner.dn, account.dn)) continue;
        const known = duplicates.get(key);
        if (known === undefined) duplicates.set(key, { spn: text, owners: [owner, account] });
        else if (!known.owners.includes(account)) known.owners.push(account);
      }
    }
  }, signal);
  return {
    duplicates: [...duplicates.values()].toSorted((a, b) => a.spn < b.spn ? -1 : 1),
    accounts: accounts.size,
    searched,
  };
}
