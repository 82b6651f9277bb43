/**
 * The shell commands of the documentation: blocks marked `sh` hold commands, blocks marked `console` commands after
 * `$ ` with what they print.
 *
 * @module
 */

/** A block of shell commands. */
export interface ShellBlock {
  /** The line of its first command, counted from 1. */
  readonly line: number;
  /** Its commands, in their order. */
  readonly commands: readonly ShellCommand[];
}

/** One command line. */
export interface ShellCommand {
  /** The command, with comments, as the page shows it. */
  readonly text: string;
  /** What it prints; `null` where the page does not show it. */
  readonly prints: string | null;
}

/** Returns the shell blocks of a Markdown page. */
export function shellBlocks(page: string): ShellBlock[] {
  const blocks: ShellBlock[] = [];
  for (const { index, 1: language, 2: text } of page.matchAll(/^```(sh|console)\n([^]*?)^```$/gm)) {
    const commands = language === "sh"
      ? text.replaceAll("\\\n", " ").split("\n").filter((line) => /^[^#\s]/.test(line)).map((line) => ({
        text: line,
        prints: null,
      }))
      : text.split(/^\$ /m).filter(Boolean).map((part) => {
        const [line, ...prints] = part.trimEnd().split("\n");
        return { text: line, prints: prints.join("\n") };
      });
    blocks.push({ line: page.slice(0, index).split("\n").length + 1, commands });
  }
  return blocks;
}

/** Whether a command printed what its page shows: `…` stands for any text, and alone on a line for any lines. */
export function printsAsShown(shown: string, printed: string): boolean {
  const pattern = shown.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")
    .replace(/^…(\n|$)/gm, "(?:.*(?:\n|$))*")
    .replaceAll("…", ".*");
  return new RegExp(`^${pattern}$`).test(printed.trimEnd());
}
