/**
 * The status at the start of every response, and the errors that a guest reports.
 *
 * @module
 */

import { AuthenticationError, ProtocolError, SecurityRequirementError, StateError } from "../../errors.ts";
import {
  AUTHENTICATION_REASONS,
  ErrorClass,
  FieldLimit,
  PROTOCOL_REASONS,
  REQUIREMENT_REASONS,
  Status,
} from "./abi.ts";
import { printable, type Reader } from "./wire.ts";

/**
 * Reads the status of a response and leaves the reader at its fields.
 *
 * @throws the error that the guest reports, if any.
 */
export function readStatus(input: Reader, provider: string): typeof Status.ok | typeof Status.needs {
  const status = input.u32();
  if (status === Status.error) throw readError(input, provider);
  if (status !== Status.ok && status !== Status.needs) input.refuse(`status ${status} is not known`);
  return status as typeof Status.ok | typeof Status.needs;
}

/** Reads the fields of status `error` into the error that the application receives. */
function readError(input: Reader, provider: string): Error {
  const kind = input.u8();
  const number = input.u8();
  const message = `${provider}: ${printable(input.text(FieldLimit.errorMessage))}`;
  const token = input.flag() ? input.bytes().slice() : undefined;
  input.end();
  const reason = <T>(table: readonly T[]): T => table[input.index(number, table.length, "error reason")];
  if (token && kind !== ErrorClass.authentication) input.refuse(`an error of class ${kind} has a token`);
  switch (kind) {
    case ErrorClass.authentication: {
      const error = new AuthenticationError(reason(AUTHENTICATION_REASONS), message);
      return token ? Object.assign(error, { token }) : error;
    }
    case ErrorClass.protocol:
      return new ProtocolError(reason(PROTOCOL_REASONS), message);
    case ErrorClass.state:
      reason([0]);
      return new StateError(message);
    case ErrorClass.argument:
      reason([0]);
      return new TypeError(message);
    case ErrorClass.requirement:
      return new SecurityRequirementError(reason(REQUIREMENT_REASONS), "not offered", message);
    default:
      return input.refuse(`error class ${kind} is not known`);
  }
}

/** Reads the status where only `ok` is allowed. */
export function expectOk(input: Reader, provider: string): void {
  if (readStatus(input, provider) !== Status.ok) {
    input.refuse("status needs is allowed in step and resume only");
  }
}
