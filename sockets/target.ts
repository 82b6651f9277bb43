/**
 * Which of its names a server lets a client ask for.
 *
 * @module
 */

/** Lower case of A to Z alone: other letters' cases differ between systems, and none is needed in a name. */
function fold(text: string): string {
  return text.replace(/[A-Z]/g, (letter) => letter.toLowerCase());
}

/** Whether `text` has the form `class/host`, `class/host:port` or `class/host/name`, with a realm or without. */
export function isTarget(text: unknown): text is string {
  return typeof text === "string" && /^[^/@\s]+\/[^/@\s]+(\/[^/@\p{Cc}]+)?(@[^/@\s]+)?$/u.test(text);
}

/** Whether one of `accepted` is `requested`; one without a realm is that name in any realm. */
export function acceptsTarget(accepted: readonly string[], requested: string): boolean {
  const full = fold(requested);
  const at = full.lastIndexOf("@");
  const bare = at < 0 ? full : full.slice(0, at);
  return accepted.some((target) => fold(target) === (target.includes("@") ? full : bare));
}
