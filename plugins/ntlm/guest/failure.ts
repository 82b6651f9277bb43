/**
 * Why the exchange cannot go on. AssemblyScript has no exceptions: the function which finds a fault notes it here and returns
 * null or false; the answer to the host reports it.
 */

import {
  AuthenticationReason,
  ErrorClass,
  failArgument,
  failAuthentication,
  failRequirement,
  failState,
  Slice,
} from "../../sdk/assembly/index";

let kind: ErrorClass = ErrorClass.State;
let reason: u32 = 0;
let message: string = "";

/** Notes a failed authentication. */
export function deny(why: AuthenticationReason, text: string): void {
  kind = ErrorClass.Authentication;
  reason = why;
  message = text;
}

/** Notes a token that is not what the protocol allows. */
export function distrust(text: string): void {
  deny(AuthenticationReason.BadToken, text);
}

/** Notes a requirement (one of `RequirementReason`) that cannot be met. */
export function fallShort(requirement: u32, text: string): void {
  kind = ErrorClass.Requirement;
  reason = requirement;
  message = text;
}

/** Notes an argument that cannot be worked with. */
export function misuse(text: string): void {
  kind = ErrorClass.Argument;
  message = text;
}

/** Reports what was noted; `token` reports a failed authentication to the peer. */
export function report(token: Slice | null): void {
  if (kind == ErrorClass.Authentication) failAuthentication(reason, message, token);
  else if (kind == ErrorClass.Requirement) failRequirement(reason, message);
  else if (kind == ErrorClass.Argument) failArgument(message);
  else failState("nothing has failed");
}
