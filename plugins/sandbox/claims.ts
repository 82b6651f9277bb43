/**
 * Checks of a provider's claims that need no knowledge of its cryptography.
 *
 * @module
 */

import type { ContextAttributes } from "../../contract.ts";
import { builtInName } from "../names.ts";
import { IMPERSONATION } from "./abi.ts";
import type { ModuleDescription } from "./description.ts";
import { breach } from "./wire.ts";

// A shorter record may contain the same bytes as its plain text by chance, or in its header.
const LEAST_BYTES = 16;
// So many equal bytes are not chance, and a hostile record cannot make the search long.
const MOST_BYTES = 1_024;

/**
 * Whether `record` contains `plain` unchanged, which an encrypted record must not.
 *
 * Finds a provider that forgot to encrypt, not one that wants to deceive. A record is only a little longer than its
 * plain text, so there are few offsets to search.
 */
export function holdsPlainText(record: Uint8Array, plain: Uint8Array): boolean {
  if (plain.length < LEAST_BYTES) return false;
  const length = Math.min(plain.length, MOST_BYTES);
  for (let shift = 0; shift <= record.length - plain.length; shift++) {
    let at = 0;
    while (at < length && record[shift + at] === plain[at]) at++;
    if (at === length) return true;
  }
  return false;
}

/**
 * Refuses a context that claims more than the module's description offers: the application selected it by the
 * description.
 *
 * @throws ProviderTrapError that names the claim.
 */
export function refuseMoreThanOffered(claimed: ContextAttributes, { offers }: ModuleDescription): void {
  const claims = {
    integrity: claimed.integrity,
    confidentiality: claimed.confidentiality,
    mutualAuthentication: claimed.mutualAuthentication,
    delegation: claimed.delegation,
  };
  for (const key of Object.keys(claims) as (keyof typeof claims)[]) {
    if (claims[key] && !offers[key]) throw breach(`it claims ${key}, which it does not offer`);
  }
  if (IMPERSONATION.indexOf(claimed.impersonation) > IMPERSONATION.indexOf(offers.impersonation)) {
    throw breach(`it claims the level ${claimed.impersonation}, it offers ${offers.impersonation}`);
  }
}

/**
 * The mechanism's name as it is shown: the module's own name, then its claim. A module can thus name only itself,
 * and can neither be denied as a built-in mechanism nor evade such a denial.
 *
 * @throws ProviderTrapError if it claims a built-in provider's mechanism and is not built in.
 */
export function shownMechanism(claimed: string, name: string, builtIn: boolean): string {
  if (claimed === name) return name;
  const owner = builtInName(claimed);
  if (builtIn || owner !== null) {
    throw breach(
      `it claims the mechanism ${claimed}, which ${owner ? `belongs to ${owner}` : "does not belong to it"}`,
    );
  }
  return `${name}/${claimed}`;
}
