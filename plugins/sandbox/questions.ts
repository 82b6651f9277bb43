/**
 * Questions that a provider asks the application during a token exchange, and their answers.
 *
 * @module
 */

import type { FieldDescription, QuestionDescription, Role } from "./description.ts";
import type { LegAnswer } from "./messages.ts";
import { breach, isEncodable } from "./wire.ts";

/** A value of a question or an answer: text or bytes, as the provider's description says. */
export type AnswerValue = string | Uint8Array;

/**
 * Answers one question of a provider, possibly later; `null`: there is no answer (no such account).
 *
 * Returned bytes are copied; the application zeroes them.
 */
export type Answer = (
  fields: Readonly<Record<string, AnswerValue>>,
) => Promise<Readonly<Record<string, AnswerValue>> | null> | Readonly<Record<string, AnswerValue>> | null;

/** The application's answers, by the name of the question. */
export type Answers = Readonly<Record<string, Answer>>;

const ENCODER = new TextEncoder();
const DECODER = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * Refuses answers to questions that are not asked, and roles with a question that has no answer.
 *
 * @throws TypeError that names the question.
 */
export function checkAnswers(
  provider: string,
  questions: readonly QuestionDescription[],
  answers: Answers,
  role?: Role,
): void {
  for (const [name, answer] of Object.entries(answers)) {
    if (!questions.some((question) => question.name === name)) {
      const names = questions.map((question) => question.name).join(", ") || "nothing";
      throw new TypeError(`answers.${name} is not a question of the provider ${provider}; it asks ${names}`);
    }
    if (typeof answer !== "function") throw new TypeError(`answers.${name} must be a function`);
  }
  const missing = questions.find(({ name, roles }) =>
    role !== undefined && roles.includes(role) && !Object.hasOwn(answers, name)
  );
  if (missing) {
    throw new TypeError(
      `the provider ${provider} as a ${role} asks "${missing.name}" (${missing.doc}); ` +
        `give answers.${missing.name} when loading it`,
    );
  }
}

/**
 * Has the application answer one question. The bytes are in the declared order; the caller zeroes them.
 *
 * @throws ProviderTrapError if the provider did not declare the question; TypeError if the answer does not fit the
 * declaration.
 */
export async function ask(
  questions: readonly QuestionDescription[],
  answers: Answers,
  role: Role,
  asked: Extract<LegAnswer, { kind: "needs" }>,
): Promise<Uint8Array[] | null> {
  const question = questions[asked.question];
  if (!question?.roles.includes(role)) {
    throw breach(`it asked question ${asked.question}, which it did not declare`);
  }
  if (asked.fields.length !== question.fields.length) {
    throw breach(
      `its question ${question.name} has ${asked.fields.length} fields, not ${question.fields.length}`,
    );
  }
  const fields = question.fields.map((field, index) => [field.name, decode(field, asked.fields[index])]);
  const answer = await answers[question.name](Object.freeze(Object.fromEntries(fields)));
  if (answer === null) return null;
  if (typeof answer !== "object") {
    throw new TypeError(
      `answers.${question.name} must return an object or null, not ${
        answer === undefined ? "undefined" : `a ${typeof answer}`
      }`,
    );
  }
  const encoded: Uint8Array[] = [];
  try {
    for (const field of question.answers) {
      const value: unknown = answer[field.name];
      if (typeof value === "string" && !isEncodable(value)) {
        throw new TypeError(
          `answers.${question.name} must return ${field.name} without half of a surrogate pair`,
        );
      }
      encoded.push(encode(question.name, field, value));
    }
  } catch (error) {
    encoded.forEach((bytes) => bytes.fill(0));
    throw error;
  }
  return encoded;
}

function decode(field: FieldDescription, bytes: Uint8Array): AnswerValue {
  if (field.length !== undefined && bytes.length !== field.length) {
    throw breach(`the field ${field.name} of a question has ${bytes.length} bytes, not ${field.length}`);
  }
  if (field.type === "bytes") return bytes;
  try {
    return DECODER.decode(bytes);
  } catch {
    throw breach(`the field ${field.name} of a question is not UTF-8`);
  }
}

function encode(question: string, field: FieldDescription, value: unknown): Uint8Array {
  const label = `answers.${question} must return ${field.name} as `;
  if (field.type === "text" ? typeof value !== "string" : !(value instanceof Uint8Array)) {
    throw new TypeError(label + (field.type === "text" ? "text" : "a Uint8Array"));
  }
  const bytes = typeof value === "string" ? ENCODER.encode(value) : Uint8Array.from(value as Uint8Array);
  if (field.length === undefined || bytes.length === field.length) return bytes;
  bytes.fill(0);
  throw new TypeError(`${label}${field.length} bytes`);
}
