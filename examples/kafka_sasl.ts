/**
 * Connects npm's kafkajs to a broker as the user who runs it, by SASL GSSAPI, and prints the cluster's brokers. kafkajs calls
 * the provider again when the broker's session runs out (KIP-368).
 *
 * ```sh
 * deno run --allow-net --allow-ffi --allow-env --allow-sys examples/kafka_sasl.ts broker1.example.test:9092
 * ```
 *
 * @module
 */

import { Buffer } from "node:buffer";
import process from "node:process";
import kafkajs from "kafkajs";
import type { AuthenticationProviderArgs, Authenticator, Kafka as KafkaClient, KafkaConfig } from "kafkajs";
import { saslClient, type SaslClientOptions } from "@winsock/secure-sockets/sasl";

/** The `sasl` option of kafkajs. The target is `kafka/` and the broker's host, unless `options` has another. */
export function gssapi(options: Partial<Omit<SaslClientOptions, "mechanism">> = {}) {
  const authenticationProvider = ({ host, saslAuthenticate }: AuthenticationProviderArgs): Authenticator => ({
    async authenticate() {
      // Kafka knows no security layer; TLS protects what follows.
      const given = { target: `kafka/${host}`, layers: ["none"] as const, ...options };
      using sasl = await saslClient({ ...given, mechanism: "GSSAPI" });
      const send = async (token: Uint8Array): Promise<Uint8Array> =>
        withoutLength(
          await saslAuthenticate({ request: framed(token), response: AS_IT_IS }) ?? new Uint8Array(),
        );
      let challenge = await send(await sasl.start());
      while (!sasl.done) challenge = await send(await sasl.next(challenge));
      await sasl.finish(challenge); // throws unless the broker has proved who it is
    },
  });
  return { mechanism: "GSSAPI", authenticationProvider };
}

/** A client of kafkajs; its types and its module do not agree on Deno. */
export function kafka(config: KafkaConfig): KafkaClient {
  return new (kafkajs as unknown as { Kafka: new (config: KafkaConfig) => KafkaClient }).Kafka(config);
}

const AS_IT_IS = { decode: (bytes: Buffer) => bytes, parse: (bytes: Buffer) => bytes };

/** kafkajs wants the request with its length in front. */
function framed(token: Uint8Array) {
  const length = Buffer.alloc(4);
  length.writeInt32BE(token.length);
  return { encode: () => Buffer.concat([length, token]) };
}

/** kafkajs gives the answer with its length in front where it came in a SaslAuthenticate response. */
function withoutLength(bytes: Uint8Array): Uint8Array {
  const length = bytes.length < 4 ? -1 : new DataView(bytes.buffer, bytes.byteOffset).getInt32(0);
  return length === bytes.length - 4 ? bytes.subarray(4) : bytes;
}

if (import.meta.main) {
  const [first, ...rest] = process.argv.slice(2);
  const ssl = first !== "--without-tls";
  const admin = kafka({ brokers: ssl ? [first, ...rest] : rest, sasl: gssapi(), ssl }).admin();
  await admin.connect();
  for (const { host, port } of (await admin.describeCluster()).brokers) console.log(`${host}:${port}`);
  await admin.disconnect();
}
