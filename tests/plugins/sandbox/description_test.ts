import { assert, assertEquals, assertThrows } from "@std/assert";
import { test } from "@test";
import fc from "fast-check";
import { ProviderRejectedError } from "../../../errors.ts";
import { parseDescription } from "../../../plugins/sandbox/description.ts";
import { resolveOptions } from "../../../plugins/sandbox/options.ts";

const OFFERS = {
  integrity: true,
  confidentiality: true,
  mutualAuthentication: false,
  impersonation: "identify",
  delegation: false,
};
const OPTIONS = [
  { name: "strict", type: "boolean", doc: "Whether." },
  { name: "level", type: "integer", min: 0, max: 3, required: true, doc: "How much." },
  { name: "workstation", type: "text", maxLength: 5, doc: "Who." },
  { name: "mode", type: "choice", values: ["a", "b"], doc: "Which." },
];
const FULL = {
  abi: 1,
  name: "example",
  version: "1.0.0",
  layer: "context",
  offers: OFFERS,
  imports: ["random"],
  options: OPTIONS,
  credentials: { client: ["password"], server: ["none"] },
  questions: [{
    name: "account",
    roles: ["server"],
    fields: [{ name: "username", type: "text" }],
    answers: [{ name: "ntHash", type: "bytes", length: 16 }],
    doc: "The hash.",
  }],
};

function refused(change: object, part: string): void {
  const error = assertThrows(
    () => parseDescription(JSON.stringify({ ...FULL, ...change })),
    ProviderRejectedError,
  );
  assertEquals(error.rule, "abi" in change ? "abi-version" : "description");
  assert(error.message.includes(part), error.message);
}

test("parseDescription() reads the example of the document, and fills in defaults", () => {
  const { options, questions, credentials, imports, layer } = parseDescription(JSON.stringify(FULL));
  assertEquals(options.map(({ name, required }) => [name, required]), [
    ["strict", false],
    ["level", true],
    ["workstation", false],
    ["mode", false],
  ]);
  assertEquals(questions[0].answers, [{ name: "ntHash", type: "bytes", length: 16 }]);
  assertEquals([credentials, imports, layer], [FULL.credentials, ["random"], "context"]);
});

test("parseDescription() accepts a description without its optional members", () => {
  const { options: _o, questions: _q, ...rest } = FULL;
  assertEquals(parseDescription(JSON.stringify(rest)).options, []);
});

test("parseDescription() refuses an invalid description with the path of the problem", () => {
  refused({ abi: 2 }, "says ABI 2");
  refused({ name: "Example" }, "(name) must match");
  refused({ name: "x".repeat(33) }, "(name) must match");
  refused({ name: undefined }, "lacks the key name");
  refused({ version: "1 0" }, "(version)");
  refused({ layer: "transport" }, "(layer) must be one of context, socket");
  refused({ trusted: true }, 'unknown key "trusted"');
  refused({ offers: { ...OFFERS, integrity: 1 } }, "(offers.integrity) must be true or false");
  refused({ offers: { ...OFFERS, impersonation: "all" } }, "(offers.impersonation) must be one of anonymous");
  refused({ imports: "random" }, "(imports) must be a list");
  refused({ imports: new Array(9).fill("a") }, "more than 8");
  refused({ options: [{ ...OPTIONS[0], min: 1 }] }, '(options[0]) has the unknown key "min"');
  refused({ options: [{ ...OPTIONS[1], min: 4 }] }, "min above its max");
  refused({ options: [{ ...OPTIONS[1], max: 1e300 }] }, "(options[0].max) must be a whole number");
  refused({ options: [{ ...OPTIONS[3], values: [""] }] }, "(options[0].values[0]) must be text");
  refused({ options: [OPTIONS[0], OPTIONS[0]] }, "names strict twice");
  refused({ options: [{ ...OPTIONS[0], doc: "a\nb" }] }, "without control characters");
  refused({ credentials: {} }, "names no role");
  refused({ credentials: { client: ["certificate"] } }, "must be one of password, none");
  refused({ credentials: { peer: ["none"] } }, 'unknown key "peer"');
  refused({ questions: [{ ...FULL.questions[0], roles: ["both"] }] }, "(questions[0].roles[0])");
  refused({ questions: [FULL.questions[0], FULL.questions[0]] }, "names account twice");
  refused({ layer: "socket" }, "(imports) must be empty");
  refused({ layer: "socket", imports: [] }, "(credentials) must be left out");
  refused({ layer: "socket", imports: [], credentials: undefined }, "(questions) must be left out");
});

test("parseDescription() of any JSON returns a description or refuses it", () => {
  const values = fc.oneof(
    fc.json(),
    fc.jsonValue().map((value) => JSON.stringify({ ...FULL, options: value })),
  );
  fc.assert(fc.property(values, (text) => {
    try {
      parseDescription(text);
    } catch (error) {
      assert(error instanceof ProviderRejectedError, String(error));
    }
  }));
});

const declared = parseDescription(JSON.stringify(FULL)).options;
const resolve = (given?: object) => resolveOptions("example", declared, given);

test("resolveOptions() passes options to the guest in the declared order, those left out as absent", () => {
  assertEquals(resolve({ mode: "b", level: 2 }), [
    { type: "absent" },
    { type: "integer", value: 2 },
    { type: "absent" },
    { type: "choice", value: 1 },
  ]);
  assertEquals(resolve({ level: 0, strict: false, workstation: "", mode: undefined }), [
    { type: "boolean", value: false },
    { type: "integer", value: 0 },
    { type: "text", value: "" },
    { type: "absent" },
  ]);
});

test("resolveOptions() refuses an invalid option with its name, its valid values and its purpose", () => {
  const refuse = (given: object, type: typeof TypeError | typeof RangeError, part: string) => {
    const error = assertThrows(() => resolve(given), type);
    assert(error.message.includes(part), error.message);
  };
  refuse({}, TypeError, "options.level is required by the provider example: How much.");
  refuse({ level: 4 }, RangeError, "options.level must be a whole number from 0 to 3, not 4");
  refuse({ level: 1.5 }, RangeError, "not 1.5");
  refuse({ level: "1" }, TypeError, "not text of 1 characters");
  refuse({ level: 1, strict: "yes" }, TypeError, "options.strict must be true or false");
  refuse({ level: 1, workstation: "sixsix" }, RangeError, "at most 5 characters, not text of 6");
  refuse({ level: 1, mode: "c" }, TypeError, 'one of "a", "b"');
  refuse(
    { level: 1, colour: 1 },
    TypeError,
    "options.colour is not an option of the provider example; it has strict",
  );
  refuse({ level: 1, toString: 1 }, TypeError, "options.toString is not an option");
});
