import { assertEquals, assertThrows } from "@std/assert";
import { test } from "@test";
import type { ContextAttributes, ImpersonationLevel, Requirements } from "../../contract.ts";
import { SecurityRequirementError } from "../../errors.ts";
import { IMPERSONATION_LEVELS, resolveRequirements, verifyAttributes } from "../../plugins/requirements.ts";

const STRONG: ContextAttributes = {
  mechanism: "kerberos",
  mutualAuthentication: true,
  integrity: true,
  confidentiality: true,
  replayDetection: true,
  sequenceDetection: true,
  delegation: true,
  channelBound: true,
  impersonation: "delegate",
};
const NOTHING: Requirements = { integrity: false, confidentiality: false, mutualAuthentication: false };

const SHORTFALLS: readonly (readonly [required: string, Partial<ContextAttributes>, Requirements])[] = [
  ["mutualAuthentication", { mutualAuthentication: false }, { ...NOTHING, mutualAuthentication: true }],
  ["mutualAuthentication", { mechanism: "ntlm" }, { ...NOTHING, mutualAuthentication: true }],
  ["integrity", { integrity: false }, { ...NOTHING, integrity: true }],
  ["sequenceDetection", { sequenceDetection: false }, { ...NOTHING, integrity: true }],
  ["sequenceDetection", { replayDetection: false }, { ...NOTHING, integrity: true }],
  ["confidentiality", { confidentiality: false }, { ...NOTHING, integrity: true, confidentiality: true }],
  ["delegation", { delegation: false }, { ...NOTHING, delegation: true }],
];

for (const [required, lacks, requirements] of SHORTFALLS) {
  test(`verifyAttributes() refuses ${JSON.stringify(lacks)} where ${required} is required, and only there`, () => {
    const attributes = { ...STRONG, ...lacks };
    const error = assertThrows(
      () => verifyAttributes(attributes, resolveRequirements(requirements), "client", false),
      SecurityRequirementError,
    );
    assertEquals(error.required, required);
    verifyAttributes(attributes, resolveRequirements(NOTHING), "client", false);
    verifyAttributes(STRONG, resolveRequirements(requirements), "client", false);
  });
}

test("verifyAttributes() requires delegation of a client only: a server has what it was given", () => {
  const required = resolveRequirements({ delegation: true });
  const attributes = { ...STRONG, delegation: false };
  verifyAttributes(attributes, required, "server", false);
  const error = assertThrows(
    () => verifyAttributes(attributes, required, "client", false),
    SecurityRequirementError,
  );
  assertEquals(error.required, "delegation");
});

test("verifyAttributes() requires proof of channel bindings that were given", () => {
  const required = resolveRequirements(NOTHING);
  const attributes = { ...STRONG, channelBound: false };
  verifyAttributes(attributes, required, "server", false);
  const error = assertThrows(
    () => verifyAttributes(attributes, required, "server", true),
    SecurityRequirementError,
  );
  assertEquals(error.required, "channelBindings");
});

test("verifyAttributes() gives a server the level that it requires or a higher one, and refuses each lower one", () => {
  const requiring = (impersonation: ImpersonationLevel) =>
    resolveRequirements({ impersonation, delegation: impersonation === "delegate" });
  for (const [least, required] of IMPERSONATION_LEVELS.entries()) {
    for (const [level, impersonation] of IMPERSONATION_LEVELS.entries()) {
      const verify = () =>
        verifyAttributes({ ...STRONG, impersonation }, requiring(required), "server", false);
      if (level >= least) verify();
      else assertEquals(assertThrows(verify, SecurityRequirementError).required, "impersonation");
    }
  }
});

test("verifyAttributes() refuses a client that wants to be anonymous and is not, and no other client's level", () => {
  for (const impersonation of IMPERSONATION_LEVELS) {
    const attributes = { ...STRONG, impersonation };
    verifyAttributes(attributes, resolveRequirements({ impersonation: "identify" }), "client", false);
    const verify = () =>
      verifyAttributes(attributes, resolveRequirements({ impersonation: "anonymous" }), "client", false);
    if (impersonation === "anonymous") verify();
    else assertEquals(assertThrows(verify, SecurityRequirementError).required, "impersonation");
  }
});

const WRONG: readonly (readonly [requirements: unknown, problem: string])[] = [
  [null, "requirements must be an object"],
  ["integrity", "requirements must be an object"],
  [{ integrty: true }, "requirements.integrty is not known"],
  [{ integrity: 1 }, "requirements.integrity must be true or false, not a number"],
  [{ delegation: null }, "requirements.delegation must be true or false, not null"],
  [{ provider: "" }, 'requirements.provider must be a provider\'s name, not ""'],
  [{ provider: 7 }, "requirements.provider must be a provider's name, not a number"],
  [{ impersonation: "all" }, "requirements.impersonation must be one of"],
  [{ integrity: false }, "contradict each other: integrity is false"],
  [{ delegation: true, impersonation: "identify" }, "contradict each other: delegation is true"],
  [{ impersonation: "delegate" }, "contradict each other: delegation is false"],
];

for (const [requirements, problem] of WRONG) {
  test(`resolveRequirements(${JSON.stringify(requirements)}) is a TypeError that says why`, () => {
    assertThrows(() => resolveRequirements(requirements as Requirements), TypeError, problem);
  });
}
