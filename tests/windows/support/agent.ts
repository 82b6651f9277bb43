/**
 * Talks to the Linux end of the tests across systems (peers/agent.ts), on either runtime.
 */

import { connect } from "node:net";
import type { Outcome, Request } from "../peers/agent.ts";
import { machine } from "./machine.ts";

/** Why the tests across systems cannot run here. */
export const noAgent: string | null = machine.agentPort === null
  ? "there is no Linux beside this machine"
  : null;

/** A conversation with the agent. */
export interface Conversation extends Disposable {
  /** Sends a further request. */
  send(request: Request): void;
  /** The next answer. */
  next(): Promise<Outcome & { port?: number }>;
}

/** Begins a conversation with one request. */
export function ask(request: Request): Conversation {
  const socket = connect({ host: "127.0.0.1", port: machine.agentPort! });
  socket.setEncoding("utf8");
  const send = (each: Request) => void socket.write(JSON.stringify(each));
  send(request);
  const lines = (async function* () {
    let text = "";
    for await (const part of socket) {
      text += part;
      for (let end = text.indexOf("\n"); end >= 0; end = text.indexOf("\n")) {
        yield JSON.parse(text.slice(0, end));
        text = text.slice(end + 1);
      }
    }
  })();
  return {
    send,
    next: async () => (await lines.next()).value,
    [Symbol.dispose]: () => void socket.destroy(),
  };
}
