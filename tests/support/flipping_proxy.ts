/** A proxy on loopback that forwards bytes, and changes one byte of the server's that the test selects. */

import { connect, createServer, type Socket } from "node:net";

/** A running proxy. */
export interface FlippingProxy extends AsyncDisposable {
  /** Its port on 127.0.0.1. */
  readonly port: number;
  /** Flips one bit of the server's byte at this offset from the bytes forwarded so far. */
  flipAfter(bytes: number): void;
}

/** Starts a proxy to a port of 127.0.0.1. */
export async function flippingProxy(to: number): Promise<FlippingProxy> {
  let at = -1;
  let passed = 0;
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    const upstream = connect(to, "127.0.0.1");
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on("error", () => {}).on("close", () => sockets.delete(socket));
    }
    client.on("data", (chunk: Uint8Array) => upstream.write(chunk));
    upstream.on("data", (chunk: Uint8Array) => {
      if (at >= passed && at < passed + chunk.length) chunk[at - passed] ^= 1;
      passed += chunk.length;
      client.write(chunk);
    });
    upstream.on("close", () => client.destroy());
    client.on("close", () => upstream.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as { port: number }).port,
    flipAfter: (bytes) => at = passed + bytes,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
