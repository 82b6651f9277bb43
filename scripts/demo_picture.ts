/**
 * Writes docs/images/demo.svg: what `deno task demo` prints, as a picture of a terminal.
 *
 *     deno run -A scripts/demo_picture.ts
 *
 * @module
 */

import { mustRun } from "./process.ts";
import { ROOT } from "./root.ts";

const FILE = `${ROOT}docs/images/demo.svg`;
const [LEFT, TOP, LINE, CHARACTER] = [16, 44, 17, 7.83];
/** The parts that are shown, by their titles; the whole demo would fill three screens. */
const PARTS = [/A connection over TCP/, /HTTP sign-on/, /^\d+\. What is refused/];
const MOST_LINES = 64;

function escape(text: string): string {
  return text.replace(/[&<>]/g, (character) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;" })[character]!);
}

/** The lines of the chosen parts, without numbers that differ each time. */
export function chosenLines(output: string): string[] {
  const parts = output.trim().split(/\n\n(?=\d+\. )/);
  const chosen = parts.filter((part) => PARTS.some((title) => title.test(part.split("\n")[0])));
  return chosen.flatMap((part) => [...part.split("\n"), ""])
    .map((line) => line.replace(/\/tmp\/secure-sockets-\S+?\//g, "/tmp/realm/").replace(/:\d{5}\b/g, ":8080"))
    .slice(0, MOST_LINES);
}

function textOf(line: string, index: number): string {
  const style = /^\d+\. /.test(line)
    ? 'font-weight="bold" fill="#ffffff"'
    : /^ {3}ok /.test(line)
    ? 'fill="#b8e6b8"'
    : 'fill="#c9d1d9"';
  return `<text x="${LEFT}" y="${TOP + index * LINE}" xml:space="preserve" ${style}>${escape(line)}</text>`;
}

/** The picture of these lines. */
export function picture(lines: readonly string[]): string {
  const width = Math.round(2 * LEFT + 84 * CHARACTER);
  const height = TOP + lines.length * LINE;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" font-family="ui-monospace, monospace" font-size="13" role="img" aria-label="What deno task demo prints">
<rect width="${width}" height="${height}" rx="8" fill="#0d1117"/>
<text x="${LEFT}" y="22" fill="#8b949e">$ deno task demo</text>
${lines.map(textOf).join("\n")}
</svg>
`;
}

if (import.meta.main) {
  const { stdout } = await mustRun(Deno.execPath(), ["run", "-A", "scripts/demo.ts"], {
    cwd: ROOT,
    env: { NO_COLOR: "1" },
  });
  await Deno.writeTextFile(FILE, picture(chosenLines(stdout)));
  console.log(FILE);
}
