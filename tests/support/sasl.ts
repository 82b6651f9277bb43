/** Both ends of SASL exchanges in one process, and streams for security layers. */

import { Duplex } from "node:stream";
import type { SecurityContext } from "../../contract.ts";
import { ProtocolError } from "../../errors.ts";
import { openAcceptor, openInitiator } from "../../contexts/open.ts";
import type { System } from "../../mod.ts";
import { kerberos } from "../../plugins/negotiate/mod.ts";
import { createRegistry } from "../../plugins/registry.ts";
import {
  type SaslClient,
  saslClient,
  type SaslClientOptions,
  type SaslServer,
  saslServer,
  type SaslServerOptions,
} from "../../sasl/mod.ts";
import { TARGET } from "./gss.ts";

/**
 * Exchanges messages until the server is done, and reports that to the client. Resolves to the number of responses.
 */
export async function converse(client: SaslClient, server: SaslServer): Promise<number> {
  let response = await client.start();
  for (let count = 1;; count++) {
    const { challenge, done } = await server.next(response);
    if (done) {
      await client.finish(challenge);
      return count;
    }
    response = await client.next(challenge!);
  }
}

/** Options of both ends. */
export interface PairOptions {
  /** The client's, where they are not the mechanism and the realm's target. */
  client?: Partial<SaslClientOptions>;
  /** The server's, where they are not the mechanism and the realm's target. */
  server?: Partial<SaslServerOptions>;
}

/** Runs `body` with both ends before their first message, and closes them. */
export async function withPair(
  mechanism: SaslClientOptions["mechanism"],
  system: System,
  { client, server }: PairOptions,
  body: (client: SaslClient, server: SaslServer) => unknown,
): Promise<void> {
  using one = await saslClient({ mechanism, target: TARGET, system, ...client });
  using other = await saslServer({ mechanism, acceptedTargets: [TARGET], system, ...server });
  await body(one, other);
}

/** A client of GSSAPI that waits for the server's offer, and the context of a hostile server. */
export async function atOffer(
  system: System,
  options: Partial<SaslClientOptions>,
  body: (client: SaslClient, server: SecurityContext) => unknown,
): Promise<void> {
  using client = await saslClient({ mechanism: "GSSAPI", target: TARGET, system, ...options });
  const registry = createRegistry([kerberos()]);
  using acceptor = await openAcceptor({ system, registry });
  using server = acceptor.accept();
  const { token } = await server.step(await client.start());
  await client.next(token!);
  await body(client, server);
}

/** A server of GSSAPI that has made its offer, and the context of a client. */
export async function atChoice(
  system: System,
  options: Partial<SaslServerOptions>,
  body: (server: SaslServer, client: SecurityContext, offer: Uint8Array) => unknown,
): Promise<void> {
  using server = await saslServer({
    mechanism: "GSSAPI",
    acceptedTargets: [TARGET],
    system,
    ...options,
  });
  const registry = createRegistry([kerberos()]);
  using initiator = await openInitiator({ system, registry, requirements: { confidentiality: true } });
  using client = initiator.initiate({ target: TARGET });
  const { challenge } = await server.next((await client.step()).token!);
  await client.step(challenge!);
  const offered = await server.next(new Uint8Array());
  const { data } = client.unwrap(offered.challenge!.slice(), { allowUnencrypted: true });
  await body(server, client, data.slice());
}

/** Two ends of a connection in memory; what one writes the other reads. */
export function duplexPair(highWaterMark = 16_384): [Duplex, Duplex] {
  const ends: Duplex[] = [];
  const waiting: (((error?: Error | null) => void) | null)[] = [null, null];
  for (const [here, there] of [[0, 1], [1, 0]]) {
    ends.push(
      new Duplex({
        highWaterMark,
        read() {
          const callback = waiting[there];
          waiting[there] = null;
          callback?.();
        },
        write(chunk, _encoding, callback) {
          // Waits until the other end reads more, as in a full pipe.
          if (ends[there].push(chunk)) callback();
          else waiting[here] = callback;
        },
        final(callback) {
          ends[there].push(null);
          callback();
        },
        destroy(error, callback) {
          if (!ends[there].readableEnded) ends[there].push(null);
          callback(error);
        },
      }),
    );
  }
  return ends as [Duplex, Duplex];
}

/**
 * A context whose records are a mark, a checksum and the data, so that changes are detected. Counts how often it was
 * closed.
 */
export function toyContext(confidentiality = true): SecurityContext & { closed: number } {
  const OVERHEAD = 2;
  const sum = (bytes: Uint8Array): number => bytes.reduce((total, byte) => (total * 31 + byte) & 0xff, 7);
  const context = {
    closed: 0,
    done: true,
    maxOverhead: OVERHEAD,
    security: { confidentiality, integrity: true },
    wrap(plain: Uint8Array, { encrypt = true, into }: { encrypt?: boolean; into: Uint8Array }) {
      into.set([encrypt ? 0xc0 : 0x50, sum(plain)]);
      into.set(plain, OVERHEAD);
      return into.subarray(0, plain.length + OVERHEAD);
    },
    unwrap(record: Uint8Array, { allowUnencrypted = false } = {}) {
      const data = record.subarray(OVERHEAD);
      const known = record[0] === 0xc0 || record[0] === 0x50;
      if (!known || record[1] !== sum(data)) throw new ProtocolError("altered", "changed");
      const encrypted = record[0] === 0xc0;
      if (!encrypted && !allowUnencrypted) throw new ProtocolError("not-encrypted", "not encrypted");
      return { data, encrypted };
    },
    wrapSizeLimit: (bytes: number) => Math.max(0, bytes - OVERHEAD),
    close: () => void context.closed++,
  };
  return context as unknown as SecurityContext & { closed: number };
}
