/**
 * A TCP relay between the demo's client and its server: records what passes, and can tamper with the client's next
 * bytes as an attacker on the network might.
 *
 * @module
 */

import { connect as connectTcp, createServer, type Server, type Socket } from "node:net";

/** What the relay passes on instead of some bytes of the client. */
export type Tampering = (bytes: Uint8Array) => readonly Uint8Array[];

/** Passes the bytes on with one bit of the last of them changed. */
export function flipBit(bytes: Uint8Array): Uint8Array[] {
  const changed = bytes.slice();

  changed[changed.length - 1] ^= 1;
  return [changed];
}

/** Passes the bytes on twice. */
export function replay(bytes: Uint8Array): Uint8Array[] {
  return [bytes, bytes];
}

/** A running relay. One owner. */
export class Relay implements AsyncDisposable {
  /** What clients have sent, in the pieces in which it arrived. */
  readonly fromClient: Uint8Array[] = [];
  /** What the server has sent. */
  readonly fromServer: Uint8Array[] = [];
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #tampering: Tampering | null = null;

  private constructor(target: number) {
    this.#server = createServer({ noDelay: true, allowHalfOpen: true }, (client) => {
      const server = connectTcp({ host: "127.0.0.1", port: target, noDelay: true, allowHalfOpen: true });
      this.#join(client, server, (bytes) => {
        this.fromClient.push(bytes);
        const tampering = this.#tampering;
        this.#tampering = null;
        return tampering === null ? [bytes] : tampering(bytes);
      });
      this.#join(server, client, (bytes) => {
        this.fromServer.push(bytes);
        return [bytes];
      });
    });
  }

  /** Starts one in front of the port `target` of 127.0.0.1. */
  static async start(target: number): Promise<Relay> {
    const relay = new Relay(target);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    relay.#server.once("error", reject).listen(0, "127.0.0.1", resolve);
    await promise;
    return relay;
  }

  /** Where clients connect to. */
  get port(): number {
    return (this.#server.address() as { port: number }).port;
  }

  /** Does `tampering` to what the client sends next. */
  tamper(tampering: Tampering): void {
    this.#tampering = tampering;
  }

  /** Forgets what was recorded. */
  forget(): void {
    this.fromClient.length = this.fromServer.length = 0;
  }

  #join(from: Socket, to: Socket, pass: Tampering): void {
    this.#sockets.add(from);
    from.on("data", (bytes: Uint8Array) => {
      for (const part of pass(Uint8Array.from(bytes))) to.write(part);
    });
    from.on("end", () => to.end());
    // Closing either end closes both; that is not a failure of the relay.
    from.on("error", () => to.destroy());
    from.on("close", () => {
      this.#sockets.delete(from);
      to.destroy();
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#server.close(() => resolve());
    for (const socket of this.#sockets) socket.destroy();
    await promise;
  }
}
