/**
 * Filters, as ldapts writes them. Only {@link ./ldap_client.ts} loads this.
 *
 * @module
 */

import {
  AndFilter,
  EqualityFilter,
  ExtensibleFilter,
  type Filter,
  GreaterThanEqualsFilter,
  LessThanEqualsFilter,
  NotFilter,
  OrFilter,
  PresenceFilter,
  SubstringFilter,
} from "ldapts";
import { checkAttribute, checkText, OBJECT_IDENTIFIER, toBuffer } from "./check.ts";
import type { DirectoryFilter } from "./types.ts";

/** Filters are trees, and a caller's data decides how deep. */
const MAX_DEPTH = 64;
const FORMS =
  "and, or, not, or attribute with present, equals, atLeast, atMost, startsWith, contains, endsWith or " +
  "rule and matches";

/** Checks a filter and converts it. @throws TypeError that names the wrong part. */
export function toFilter(filter: DirectoryFilter, name = "search.filter", depth = 0): Filter {
  if (depth > MAX_DEPTH) throw new TypeError(`${name} is deeper than ${MAX_DEPTH} levels`);
  const wrong = (): TypeError => new TypeError(`${name} must be an object with ${FORMS}`);
  if (typeof filter !== "object" || filter === null) throw wrong();
  const {
    and,
    or,
    not,
    attribute,
    present,
    equals,
    atLeast,
    atMost,
    startsWith,
    contains,
    endsWith,
    rule,
    matches,
  } = filter as Partial<Record<string, unknown>>;
  const all = (list: unknown, key: string): Filter[] => {
    if (!Array.isArray(list) || list.length === 0) {
      throw new TypeError(`${name}.${key} must be a list of at least one condition`);
    }
    return list.map((each, index) => toFilter(each, `${name}.${key}[${index}]`, depth + 1));
  };
  const form = Object.keys(filter).sort().join(" ");
  if (form === "and") return new AndFilter({ filters: all(and, "and") });
  if (form === "or") return new OrFilter({ filters: all(or, "or") });
  if (form === "not") {
    return new NotFilter({ filter: toFilter(not as DirectoryFilter, `${name}.not`, depth + 1) });
  }
  const of = { attribute: checkAttribute(attribute, `${name}.attribute`) };
  if (form === "attribute present" && present === true) return new PresenceFilter(of);
  if (form === "attribute equals") {
    return new EqualityFilter({ ...of, value: toBuffer(equals, `${name}.equals`) });
  }
  const text = (from: unknown, key: string): string => checkText(from, `${name}.${key}`);
  if (form === "atLeast attribute") {
    return new GreaterThanEqualsFilter({ ...of, value: text(atLeast, "atLeast") });
  }
  if (form === "atMost attribute") return new LessThanEqualsFilter({ ...of, value: text(atMost, "atMost") });
  if (form === "attribute matches rule") {
    if (typeof rule !== "string" || !OBJECT_IDENTIFIER.test(rule)) {
      throw new TypeError(`${name}.rule must be an object identifier, such as 1.2.840.113556.1.4.803`);
    }
    return new ExtensibleFilter({ matchType: of.attribute, rule, value: text(matches, "matches") });
  }
  const given = Object.entries({ startsWith, contains, endsWith }).filter(([, part]) => part !== undefined);
  const keys = [...given.map(([key]) => key), "attribute"].sort().join(" ");
  if (given.length === 0 || keys !== form) throw wrong();
  for (const [key, part] of given) {
    if (checkText(part, `${name}.${key}`) === "") throw new TypeError(`${name}.${key} must not be empty`);
  }
  return new SubstringFilter({
    ...of,
    initial: startsWith as string | undefined,
    any: contains === undefined ? [] : [contains as string],
    final: endsWith as string | undefined,
  });
}
