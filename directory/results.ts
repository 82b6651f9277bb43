/**
 * LDAP result codes (RFC 4511, appendix A) as errors.
 *
 * @module
 */

import { DirectoryError, StateError, TransportError } from "../errors.ts";

/** The result code of what was done. */
export const SUCCESS = 0;

const NAMES: { readonly [code: number]: string } = {
  0: "success",
  1: "operationsError",
  2: "protocolError",
  3: "timeLimitExceeded",
  4: "sizeLimitExceeded",
  7: "authMethodNotSupported",
  8: "strongerAuthRequired",
  10: "referral",
  11: "adminLimitExceeded",
  12: "unavailableCriticalExtension",
  13: "confidentialityRequired",
  16: "noSuchAttribute",
  17: "undefinedAttributeType",
  18: "inappropriateMatching",
  19: "constraintViolation",
  20: "attributeOrValueExists",
  21: "invalidAttributeSyntax",
  32: "noSuchObject",
  34: "invalidDNSyntax",
  48: "inappropriateAuthentication",
  49: "invalidCredentials",
  50: "insufficientAccessRights",
  51: "busy",
  52: "unavailable",
  53: "unwillingToPerform",
  54: "loopDetect",
  64: "namingViolation",
  65: "objectClassViolation",
  66: "notAllowedOnNonLeaf",
  67: "notAllowedOnRDN",
  68: "entryAlreadyExists",
  69: "objectClassModsProhibited",
  71: "affectsMultipleDSAs",
  80: "other",
};

/** What to do, where that is the same for every operation. */
const ADVICE: { readonly [code: number]: string } = {
  1: "Bind first: the server answers anonymous clients with little",
  3: "Narrow the search, or search below another base",
  4: "Narrow the search",
  8: 'Use security: "seal" or "ldaps": the server accepts only protected connections',
  10: "Another domain holds the object: connect to a controller of that domain",
  11: "Narrow the search: the server's limits are set by its administrator",
  13: 'Use security: "seal" or "ldaps"',
  16: "The object does not have the value: read it again, somebody else may have changed it",
  17: "The schema does not have the attribute: check its spelling",
  19: "The value violates a rule of the directory: check its form",
  20: "The value is there already",
  21: "The value does not have the attribute's form",
  32: "Check the distinguished name; objects may have been moved or deleted",
  34: "Check the distinguished name, and escape the values in it with escapeDn()",
  50: "Use an account that may do this, or have an administrator delegate the right",
  51: "Try again later, or another server",
  52: "Try again later, or another server",
  53: "The server's policy forbids it",
  64: "Objects of this class cannot lie under this parent: choose another",
  65: "Attributes that the class requires are missing, or it does not allow one that was given",
  66: "Delete what lies below it first",
  68: "An object of this name exists: choose another name, or change that object",
};

/** A result, as a server sends it. */
export interface Result {
  /** The result code. */
  readonly status: number;
  /** The server's own words. */
  readonly errorMessage: string;
}

/** The name of a result code. */
export function resultName(status: number): string {
  return NAMES[status] ?? `result ${status}`;
}

/** The error for a result that is not success. `doing` completes "Cannot"; `advice` replaces the general one. */
export function directoryError(
  { status, errorMessage }: Result,
  doing: string,
  advice: string = ADVICE[status] ?? "See the server's log",
): DirectoryError {
  const name = resultName(status);
  const words = printable(errorMessage);
  const said = words === "" ? "" : `: ${words}`;
  return new DirectoryError(
    status,
    name,
    `Cannot ${doing}: the directory answered ${name} (${status})${said}. ${advice}`,
  );
}

/**
 * Does one change, which is not given up once it is begun: an abort leaves open whether it was made.
 *
 * @throws TransportError where the answer is lost; the message ends with `what`.
 */
export async function changing(what: string, body: () => Promise<void>): Promise<void> {
  try {
    await body();
  } catch (cause) {
    // The directory has answered, or was not asked.
    if (cause instanceof DirectoryError || cause instanceof StateError || cause instanceof TypeError) {
      throw cause;
    }
    const { message } = cause as Error;
    throw new TransportError(
      cause instanceof TransportError ? cause.codeName : "unknown",
      `${message}. Whether the directory has done this is not known: ${what}. Open it again and look`,
      { cause },
    );
  }
}

/** A step to take back: what it is about, and how. */
export type Undo = readonly [what: string, undo: () => Promise<unknown>];

/** Takes steps back, all of them, whatever happens. @throws AggregateError that names what is left. */
export async function takeBack(error: unknown, ...steps: readonly Undo[]): Promise<void> {
  const left: string[] = [];
  const failures: unknown[] = [];
  for (const [what, undo] of steps) {
    try {
      await undo();
    } catch (failure) {
      left.push(what);
      failures.push(failure);
    }
  }
  if (failures.length === 0) return;
  throw new AggregateError(
    [error, ...failures],
    `Cannot take back what was done: put ${left.join(" and ")} right by hand. It failed first because: ${
      (error as Error).message
    }`,
  );
}

const MAX_QUOTED = 160;

/** A value of a directory for a message: in quotes, short, without what would change a terminal or a log. */
export function quoted(value: string): string {
  const clean = value.replace(/[\p{Cf}\p{Zl}\p{Zp}\u007f-\u009f]+/gu, " ");
  return JSON.stringify(clean.length > MAX_QUOTED ? `${clean.slice(0, MAX_QUOTED)}…` : clean);
}

/** What a directory wrote, without what would change a terminal or a log. */
export function printable(text: string): string {
  const clean = text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, " ").trim().replace(/\.$/, "");
  return clean.length > 300 ? `${clean.slice(0, 300)}…` : clean;
}
