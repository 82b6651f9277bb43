/**
 * What the daemons of the rig share.
 *
 * @module
 */

import { connect } from "node:net";

const READY_MS = 20_000;

/** Resolves once something answers on `port` of 127.0.0.1. */
export async function untilAnswers(port: number, what: string): Promise<void> {
  for (const until = Date.now() + READY_MS; Date.now() < until;) {
    if (await answers(port)) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error(`${what} did not answer on port ${port} within ${READY_MS / 1000} s`);
}

function answers(port: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const socket = connect(port, "127.0.0.1");
  socket.once("connect", () => resolve(true));
  socket.once("error", () => resolve(false));
  return promise.finally(() => socket.destroy());
}
