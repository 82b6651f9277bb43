/**
 * Checks names and values that go to a directory, before anything is sent.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { describe, isIpAddress } from "../contexts/check.ts";
import { checkWellFormed } from "../ffi/memory/text.ts";

/** An object identifier, as text. */
export const OBJECT_IDENTIFIER = /^[0-2](\.(0|[1-9][0-9]*))+$/;
/** RFC 4512, 2.5: a name or an object identifier, and options. */
const ATTRIBUTE = /^([A-Za-z][A-Za-z0-9-]*|[0-2](\.(0|[1-9][0-9]*))+)(;[A-Za-z0-9-]+)*$/;

const HOST_NAME =
  /^(?=.{1,253}$)(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?)(?:\.[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?)*$/i;

/** The DNS name of a host: letters, digits, hyphens and underscores, no address and no dot at the end. */
export function isHostName(value: string): boolean {
  return HOST_NAME.test(value) && !isIpAddress(value);
}

/** Lower case for A to Z only: letters that Unicode folds together, as K and the Kelvin sign, are different names. */
export function fold(text: string): string {
  return text.replace(/[A-Z]/g, (letter) => letter.toLowerCase());
}

/** Whether texts are equal without regard to the case of A to Z. */
export function equalText(one: string, other: string): boolean {
  return fold(one) === fold(other);
}

/** The name of an attribute. */
export function checkAttribute(value: unknown, name: string): string {
  if (typeof value === "string" && ATTRIBUTE.test(value)) return value;
  throw new TypeError(
    `${name} must be the name of an attribute, such as cn, not ${describe(value)}`,
  );
}

/** Text that is not changed by UTF-8. */
export function checkText(value: unknown, name: string): string {
  if (typeof value !== "string") throw new TypeError(`${name} must be a string, not ${describe(value)}`);
  checkWellFormed(value, name);
  return value;
}

/** A distinguished name, whose form the server judges. */
export function checkDn(value: unknown, name: string): string {
  const dn = checkText(value, name);
  if (!dn.includes("\0")) return dn;
  throw new TypeError(`${name} contains a NUL: escape the values of a distinguished name with escapeDn()`);
}

/** A value of an attribute as the bytes to send; copied. The text of a value is in no message: it may be a secret. */
export function toBuffer(value: unknown, name: string): Buffer {
  if (value instanceof Uint8Array) return Buffer.from(value);
  if (typeof value !== "string") {
    throw new TypeError(`${name} must be a string or a Uint8Array, not ${describe(value)}`);
  }
  checkWellFormed(value, name);
  return Buffer.from(value);
}
