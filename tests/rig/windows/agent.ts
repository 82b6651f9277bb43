/**
 * Starts the Linux end of the tests across systems, beside Wine in the same namespaces.
 *
 * @module
 */

/** Where it accepts requests, on 127.0.0.1 of the rig's own network. */
export const AGENT_PORT = 18099;

/** Starts it; it ends with the namespaces. */
export async function startAgent(
  repository: string,
  env: { readonly [name: string]: string },
): Promise<void> {
  const child = new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--quiet",
      "--allow-all",
      "--no-config",
      "--no-lock",
      `${repository}tests/windows/peers/agent.ts`,
      String(AGENT_PORT),
    ],
    env: { ...env },
    stdin: "null",
    stdout: "piped",
  }).spawn();
  const reader = child.stdout.getReader();
  const { done } = await reader.read();
  if (done) throw new Error("the Linux end of the tests across systems did not start");
  reader.releaseLock();
}
