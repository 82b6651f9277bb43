/**
 * Which of its names a server lets a client ask for.
 *
 * @module
 */

import { Spn } from "../spn.ts";

/** Whether one of `accepted` is `requested`; one without a realm is that name in any realm. */
export function acceptsTarget(accepted: readonly string[], requested: string): boolean {
  let asked: Spn;
  try {
    asked = Spn.parse(requested);
  } catch {
    // No SPN at all, so none of those that are accepted.
    return false;
  }
  return accepted.some((target) => {
    const spn = Spn.parse(target);
    // Where a realm was asked for, not to tell one is not to have it.
    return spn.equals(asked) && (spn.realm === undefined || asked.realm !== undefined);
  });
}
