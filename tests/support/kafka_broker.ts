/** The part of a Kafka broker that authenticates with SASL and describes a cluster of one broker. */

import { Buffer } from "node:buffer";
import { createServer, type Socket } from "node:net";
import { type SaslServer, saslServer, type SaslServerOptions } from "../../sasl/mod.ts";

/** A running broker. */
export interface Broker extends AsyncDisposable {
  /** `localhost:PORT`. */
  readonly address: string;
  /** The peer that each exchange authenticated, in order. */
  readonly peers: readonly string[];
  /** The error of each failed exchange. */
  readonly errors: readonly Error[];
}

const [METADATA, SASL_HANDSHAKE, API_VERSIONS, SASL_AUTHENTICATE] = [3, 17, 18, 36];
const SASL_AUTHENTICATION_FAILED = 58;

const i16 = (value: number): Buffer => {
  const bytes = Buffer.alloc(2);
  bytes.writeInt16BE(value);
  return bytes;
};
const i32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
};
const i64 = (value: number): Buffer => Buffer.concat([i32(0), i32(value)]);
const text = (value: string | null): Buffer =>
  value === null ? i16(-1) : Buffer.concat([i16(value.length), Buffer.from(value)]);
const bytes = (value: Uint8Array): Buffer => Buffer.concat([i32(value.length), value]);

/** Starts a broker whose sessions last `lifetimeMs`; 0: without limit. */
export async function startBroker(options: SaslServerOptions, lifetimeMs = 0): Promise<Broker> {
  const peers: string[] = [];
  const errors: Error[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    let sasl: SaslServer | null = null;
    let authenticated = false;
    socket.on("error", () => {});
    socket.once("close", () => {
      sockets.delete(socket);
      sasl?.close();
    });
    const authenticate = async (token: Uint8Array): Promise<Buffer> => {
      try {
        sasl ??= await saslServer(options);
        const { challenge, done } = await sasl.next(token);
        if (done) {
          peers.push(sasl.peer.name);
          authenticated = true;
          sasl.close();
          sasl = null;
        }
        return Buffer.concat([i16(0), text(null), bytes(challenge ?? new Uint8Array()), i64(lifetimeMs)]);
      } catch (error) {
        errors.push(error as Error);
        sasl?.close();
        sasl = null;
        return Buffer.concat([
          i16(SASL_AUTHENTICATION_FAILED),
          text("refused"),
          bytes(new Uint8Array()),
          i64(0),
        ]);
      }
    };
    const { port } = server.address() as { port: number };
    const answer = async (key: number, body: Buffer): Promise<Buffer | null> => {
      if (key === API_VERSIONS) {
        const versions = [[API_VERSIONS, 0, 0], [SASL_HANDSHAKE, 0, 1], [SASL_AUTHENTICATE, 0, 1], [
          METADATA,
          0,
          1,
        ]];
        return Buffer.concat([i16(0), i32(versions.length), ...versions.flat().map(i16)]);
      }
      if (key === SASL_HANDSHAKE) return Buffer.concat([i16(0), i32(1), text("GSSAPI")]);
      if (key === SASL_AUTHENTICATE) return await authenticate(body.subarray(4, 4 + body.readInt32BE(0)));
      if (key !== METADATA || !authenticated) return null;
      const broker = Buffer.concat([i32(1), text("localhost"), i32(port), text(null)]);
      return Buffer.concat([i32(1), broker, i32(1), i32(0)]);
    };
    let buffered: Uint8Array = new Uint8Array();
    let turn = Promise.resolve();
    socket.on("data", (chunk: Uint8Array) => {
      const held = Buffer.concat([buffered, chunk]);
      let at = 0;
      for (; at + 4 <= held.length && at + 4 + held.readInt32BE(at) <= held.length;) {
        const message = held.subarray(at + 4, at + 4 + held.readInt32BE(at));
        at += 4 + message.length;
        const body = message.subarray(10 + Math.max(0, message.readInt16BE(8)));
        turn = turn.then(async () => {
          const reply = await answer(message.readInt16BE(0), body);
          if (reply === null) socket.destroy();
          else socket.write(Buffer.concat([i32(4 + reply.length), message.subarray(4, 8), reply]));
        });
      }
      buffered = held.subarray(at);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    address: `localhost:${(server.address() as { port: number }).port}`,
    peers,
    errors,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
