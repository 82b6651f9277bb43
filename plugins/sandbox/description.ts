/**
 * A module's description of itself, the answer to `describe`: parsed strictly, with unknown keys refused.
 *
 * @module
 */

import type { ImpersonationLevel, Offers } from "../../contract.ts";
import { ABI_VERSION, IMPERSONATION } from "./abi.ts";
import { reject } from "./bytes.ts";
import { JsonNode } from "./json.ts";

/** One option of the module. */
export type OptionDescription =
  & { readonly name: string; readonly required: boolean; readonly doc: string }
  & (
    | { readonly type: "boolean" }
    | { readonly type: "integer"; readonly min: number; readonly max: number }
    | { readonly type: "text"; readonly maxLength: number }
    | { readonly type: "choice"; readonly values: readonly string[] }
  );

/** One field of a question, or of its answer. */
export interface FieldDescription {
  /** Its name. */
  readonly name: string;
  /** UTF-8 text, or bytes. */
  readonly type: "text" | "bytes";
  /** Its exact length in bytes; left out: any. */
  readonly length?: number;
}

/** One question the module may ask the application. */
export interface QuestionDescription {
  /** Its name: the key under `answers` of the manifest. */
  readonly name: string;
  /** The ends that ask it. */
  readonly roles: readonly Role[];
  /** The fields that the application is given. */
  readonly fields: readonly FieldDescription[];
  /** The fields that the application answers with. */
  readonly answers: readonly FieldDescription[];
  /** Its purpose. */
  readonly doc: string;
}

/** An end of a connection. */
export type Role = "client" | "server";
/** A kind of credentials that a sandboxed provider can use. */
export type CredentialKind = "password" | "none";

/** A module's description of itself. */
export interface ModuleDescription {
  /** Its name. */
  readonly name: string;
  /** Its version. */
  readonly version: string;
  /** Its layer. */
  readonly layer: "context" | "socket";
  /** The most it can provide. */
  readonly offers: Offers;
  /** The host functions it imports. */
  readonly imports: readonly string[];
  /** Its options. */
  readonly options: readonly OptionDescription[];
  /** The credentials it uses, for each end that it supports. */
  readonly credentials: { readonly [role in Role]?: readonly CredentialKind[] };
  /** The questions it may ask. */
  readonly questions: readonly QuestionDescription[];
}

const NAME = /^[a-z][a-z0-9-]{0,31}$/;
const IDENTIFIER = /^[a-z][A-Za-z0-9]{0,31}$/;
const ROLES: readonly Role[] = ["client", "server"];
const KINDS: readonly CredentialKind[] = ["password", "none"];

/**
 * Parses the answer to `describe`.
 *
 * @throws ProviderRejectedError that names the first invalid key.
 */
export function parseDescription(text: string): ModuleDescription {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    refuse("", "is not JSON");
  }
  const root = new JsonNode(json, "", refuse).object([
    ...["abi", "name", "version", "layer", "offers", "imports", "options", "credentials", "questions"],
  ]);
  const abi = root.get("abi").integer(0, 0xffff);
  if (abi !== ABI_VERSION) {
    reject("abi-version", -1, `its description says ABI ${abi}, this host supports ${ABI_VERSION}`);
  }
  const layer = root.get("layer").choice(["context", "socket"] as const);
  const description: ModuleDescription = {
    name: root.get("name").match(NAME),
    version: root.get("version").match(/^[\x21-\x7e]{1,32}$/),
    layer,
    offers: parseOffers(root.get("offers")),
    imports: root.get("imports").list(8, (node) => node.match(IDENTIFIER)),
    options: root.optional("options")?.list(32, parseOption) ?? [],
    credentials: parseCredentials(root.optional("credentials")),
    questions: root.optional("questions")?.list(8, parseQuestion) ?? [],
  };
  refuseDuplicates(description.options, "options");
  refuseDuplicates(description.questions, "questions");
  checkLayer(description);
  return description;
}

function checkLayer({ layer, imports, credentials, questions, offers }: ModuleDescription): void {
  if (layer === "context") {
    if (Object.keys(credentials).length === 0) {
      refuse("credentials", "names no role; a provider of layer context needs one");
    }
    return;
  }
  if (imports.length > 0) refuse("imports", "must be empty: a socket codec is pure");
  if (offers.delegation || offers.impersonation === "delegate") {
    refuse("offers", "must not delegate: sockets do not delegate credentials");
  }
  if (Object.keys(credentials).length > 0) refuse("credentials", "must be left out of a socket codec");
  if (questions.length > 0) refuse("questions", "must be left out of a socket codec");
}

function parseOffers(node: JsonNode): Offers {
  const keys = ["integrity", "confidentiality", "mutualAuthentication", "impersonation", "delegation"];
  const offers = node.object(keys);
  return {
    integrity: offers.get("integrity").boolean(),
    confidentiality: offers.get("confidentiality").boolean(),
    mutualAuthentication: offers.get("mutualAuthentication").boolean(),
    impersonation: offers.get("impersonation").choice<ImpersonationLevel>(IMPERSONATION),
    delegation: offers.get("delegation").boolean(),
  };
}

function parseOption(node: JsonNode): OptionDescription {
  const type = node.get("type").choice(["boolean", "integer", "text", "choice"] as const);
  const extra = { boolean: [], integer: ["min", "max"], text: ["maxLength"], choice: ["values"] }[type];
  const option = node.object(["name", "type", "required", "doc", ...extra]);
  const common = {
    name: option.get("name").match(IDENTIFIER),
    required: option.optional("required")?.boolean() ?? false,
    doc: option.get("doc").text(200),
  };
  switch (type) {
    case "boolean":
      return { ...common, type };
    case "integer": {
      const range = { min: option.get("min").integer(), max: option.get("max").integer() };
      return range.min <= range.max
        ? { ...common, type, ...range }
        : option.refuse("has a min above its max");
    }
    case "text":
      return { ...common, type, maxLength: option.get("maxLength").integer(1, 4096) };
    case "choice":
      return { ...common, type, values: option.get("values").list(32, (value) => value.text(64)) };
  }
}

function parseCredentials(node: JsonNode | undefined): ModuleDescription["credentials"] {
  if (!node) return {};
  const credentials = node.object(ROLES);
  const entries = ROLES.map((role) => [
    role,
    credentials.optional(role)?.list(KINDS.length, (kind) => kind.choice(KINDS)),
  ]);
  return Object.fromEntries(entries.filter(([, kinds]) => kinds !== undefined));
}

function parseQuestion(node: JsonNode): QuestionDescription {
  const question = node.object(["name", "roles", "fields", "answers", "doc"]);
  const parsed = {
    name: question.get("name").match(IDENTIFIER),
    roles: question.get("roles").list(2, (role) => role.choice(ROLES)),
    fields: question.get("fields").list(16, parseField),
    answers: question.get("answers").list(16, parseField),
    doc: question.get("doc").text(200),
  };
  refuseDuplicates(parsed.fields, `questions ${parsed.name} fields`);
  refuseDuplicates(parsed.answers, `questions ${parsed.name} answers`);
  return parsed;
}

function parseField(node: JsonNode): FieldDescription {
  const field = node.object(["name", "type", "length"]);
  const length = field.optional("length")?.integer(1, 65_536);
  return {
    name: field.get("name").match(IDENTIFIER),
    type: field.get("type").choice(["text", "bytes"] as const),
    ...(length === undefined ? {} : { length }),
  };
}

function refuseDuplicates(entries: readonly { readonly name: string }[], where: string): void {
  const names = entries.map((entry) => entry.name);
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) refuse(where, `names ${twice} twice`);
}

function refuse(path: string, problem: string): never {
  return reject("description", -1, `its description${path && ` (${path})`} ${problem}; see abi.md, describe`);
}
