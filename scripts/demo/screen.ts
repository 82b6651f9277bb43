/**
 * What the demo writes: short lines for a terminal of 80 columns, in colour where that is wanted.
 *
 * @module
 */

import process from "node:process";

const WIDTH = 80;
const colored = !process.env.NO_COLOR && process.stdout.isTTY === true;

/** The colours there are, as SGR codes. */
const CODES = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33, cyan: 36 } as const;

/** `text` in a colour, or as it is where colour is not wanted. */
export function paint(color: keyof typeof CODES, text: string): string {
  return colored ? `\x1b[${CODES[color]}m${text}\x1b[0m` : text;
}

/** Breaks a text at spaces into lines of at most `width` characters; a word that is longer, wherever it has to. */
export function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = "";
  const words = text.split(/\s+/).flatMap((word) => word.match(new RegExp(`.{1,${width}}`, "g")) ?? [word]);
  for (const word of words) {
    if (line !== "" && line.length + 1 + word.length > width) {
      lines.push(line);
      line = "";
    }
    line += line === "" ? word : ` ${word}`;
  }
  return [...lines, line];
}

let sections = 0;

/** Begins a part of the demo. */
export function section(title: string): void {
  console.log(`\n${paint("bold", `${++sections}. ${title}`)}`);
}

/** A line or several, indented; for text that is laid out already. */
export function show(text: string): void {
  for (const line of text.split("\n")) console.log(`   ${line}`);
}

/** A label and its text, broken into lines below each other. */
export function say(label: string, text: string, width = 10): void {
  wrap(text, WIDTH - 4 - width).forEach((line, index) =>
    console.log(`   ${paint("dim", (index === 0 ? label : "").padEnd(width))} ${line}`)
  );
}

/** Whether every step so far has ended as it should. */
let fine = true;

/** True while every step has ended as it should. */
export function allFine(): boolean {
  return fine;
}

/**
 * A step with a known result: prints whether it had that result.
 *
 * @param got the actual result, in a sentence.
 */
export function expect(what: string, holds: boolean, got: string): void {
  fine &&= holds;
  console.log(`   ${holds ? paint("green", "ok") : paint("red", "NO")}  ${what}`);
  for (const line of wrap(got, WIDTH - 8)) console.log(`       ${paint(holds ? "dim" : "red", line)}`);
}
