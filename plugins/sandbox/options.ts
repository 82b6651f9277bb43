/**
 * A provider's options: checked against the module's description, and encoded for the wire.
 *
 * @module
 */

import type { OptionDescription } from "./description.ts";
import type { OptionValue } from "./messages.ts";
import { isEncodable } from "./wire.ts";

/**
 * Checks `given` against `declared` and returns one wire value for each declared option, in order.
 *
 * @throws TypeError or RangeError that names the option, the problem and the valid values.
 */
export function resolveOptions(
  provider: string,
  declared: readonly OptionDescription[],
  given: object = {},
): OptionValue[] {
  if (typeof given !== "object" || given === null) throw new TypeError("options must be an object");
  for (const key of Object.keys(given)) {
    if (!declared.some((option) => option.name === key)) {
      const names = declared.map((option) => option.name).join(", ") || "no option";
      throw new TypeError(`options.${key} is not an option of the provider ${provider}; it has ${names}`);
    }
  }
  return declared.map((option) => {
    const value = Object.hasOwn(given, option.name)
      ? (given as Record<string, unknown>)[option.name]
      : undefined;
    if (value !== undefined) return resolveOption(option, value);
    if (option.required) {
      throw new TypeError(`options.${option.name} is required by the provider ${provider}: ${option.doc}`);
    }
    return { type: "absent" };
  });
}

function resolveOption(option: OptionDescription, value: unknown): OptionValue {
  const refuse = (ErrorType: typeof TypeError | typeof RangeError, takes: string): never => {
    throw new ErrorType(`options.${option.name} must be ${takes}, not ${show(value)}: ${option.doc}`);
  };
  switch (option.type) {
    case "boolean":
      return typeof value === "boolean" ? { type: "boolean", value } : refuse(TypeError, "true or false");
    case "integer": {
      const takes = `a whole number from ${option.min} to ${option.max}`;
      if (typeof value !== "number") return refuse(TypeError, takes);
      const good = Number.isSafeInteger(value) && value >= option.min && value <= option.max;
      return good ? { type: "integer", value } : refuse(RangeError, takes);
    }
    case "text": {
      const takes = `text of at most ${option.maxLength} characters`;
      if (typeof value !== "string") return refuse(TypeError, takes);
      if (!isEncodable(value)) return refuse(TypeError, `${takes}, without half of a surrogate pair`);
      return value.length <= option.maxLength ? { type: "text", value } : refuse(RangeError, takes);
    }
    case "choice": {
      const index = option.values.findIndex((one) => one === value);
      if (index < 0) {
        refuse(
          TypeError,
          `one of ${option.values.map((one) => JSON.stringify(one)).join(", ")}`,
        );
      }
      return { type: "choice", value: index };
    }
  }
}

function show(value: unknown): string {
  if (typeof value === "number" || typeof value === "boolean" || value === null) return String(value);
  // An option may be a secret: its text is never shown.
  return typeof value === "string" ? `text of ${value.length} characters` : `a ${typeof value}`;
}
