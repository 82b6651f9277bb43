/**
 * Prints the progress of a run.
 *
 * @module
 */

/** When the whole run began, in milliseconds since 1970; handed on to the processes of the rig. */
export const startedMs: number = Number(Deno.env.get("RIG_STARTED_MS") ?? Date.now());

/** Prints a line with the seconds since the start before it. */
export function progress(text: string): void {
  const seconds = ((Date.now() - startedMs) / 1000).toFixed(0);
  console.log(`[${seconds.padStart(4)} s] ${text}`);
}

const EVERY_MS = 5000;

/**
 * Runs a command that writes thousands of lines, and shows one of them every five seconds.
 *
 * @throws Error with its last lines where its exit code is not 0.
 */
export async function runWatched(command: string, args: readonly string[]): Promise<void> {
  const child = new Deno.Command(command, {
    args: [...args],
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  })
    .spawn();
  const last: string[] = [];
  let shownMs = Date.now();
  const watch = async (stream: ReadableStream<Uint8Array<ArrayBuffer>>): Promise<void> => {
    for await (const text of stream.pipeThrough(new TextDecoderStream())) {
      last.push(...text.trimEnd().split("\n"));
      last.splice(0, last.length - 20);
      if (Date.now() - shownMs < EVERY_MS) continue;
      shownMs = Date.now();
      progress(`  ${last.at(-1)}`);
    }
  };
  const [, , status] = await Promise.all([watch(child.stdout), watch(child.stderr), child.status]);
  if (!status.success) throw new Error(`${command} ended with ${status.code}:\n${last.join("\n")}`);
}
