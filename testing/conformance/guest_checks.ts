/**
 * What every guest of layer `context` must do, as checks with a sentence each.
 *
 * @module
 */

import { ProtocolError } from "../../errors.ts";
import type { AlsoName } from "../../plugins/sandbox/abi.ts";
import type { Attributes } from "../../plugins/sandbox/messages.ts";
import { refuseMoreThanOffered, shownMechanism } from "../../plugins/sandbox/claims.ts";
import type { LoadedModule } from "../../plugins/sandbox/context.ts";
import type { Answers } from "../../plugins/sandbox/questions.ts";
import { type Check, contains, fail, mustFail, pattern as bytes, same } from "./checks.ts";
import { type FuelUse, type Identity, Peer } from "./guest_peer.ts";

/** What the checks work with. */
export interface Subject {
  /** The module, loaded with the options of each end. */
  readonly client: LoadedModule | null;
  /** The same for the other end. */
  readonly server: LoadedModule | null;
  /** Who the ends are. */
  readonly identity: Identity;
  /** Answers to the guest's questions. */
  readonly answers: Answers;
  /** Where fuel is noted. */
  readonly fuel: FuelUse;
}

interface Pair {
  client: Peer;
  server: Peer;
}

const MOST_LEGS = 16;
const NO_PAIR = "it does not play both ends";
const SIZES = [0, 1, 15, 16, 17, 1000, 65_536];

function eachEnd({ client, server, fuel }: Subject): Peer[] {
  const ends: Peer[] = [];
  if (client) ends.push(new Peer(client, "client", fuel));
  if (server) ends.push(new Peer(server, "server", fuel));
  return ends;
}

/** A client and a server that have finished their exchange; `null` where the guest cannot be both. */
async function pair(subject: Subject): Promise<Pair | null> {
  if (!subject.client || !subject.server) return null;
  const client = new Peer(subject.client, "client", subject.fuel);
  const server = new Peer(subject.server, "server", subject.fuel);
  client.acquire(subject.identity);
  server.acquire(subject.identity);
  let token: Uint8Array | null = null;
  let finished = 0;
  for (let leg = 0; finished < 2; leg++) {
    if (leg === MOST_LEGS) fail(`the ends are not done after ${MOST_LEGS} legs`);
    const end: Peer = leg % 2 === 0 ? client : server;
    const result: { done: boolean; token: Uint8Array | null } = await end.step(token, subject.answers);
    if (result.done) finished++;
    if (finished < 2 && result.token === null) {
      if (!result.done) fail(`the ${end.role} is not done and sends nothing`);
      if (leg % 2 === 0) fail("the client is done, sends nothing, and the server is not done");
    }
    token = result.token;
  }
  return { client, server };
}

/** Runs `work` on a fresh pair. */
function onPair(
  work: (pair: Pair, subject: Subject) => Promise<string | void> | string | void,
): Check<Subject>["run"] {
  return async (subject) => {
    const ends = await pair(subject);
    if (!ends) return NO_PAIR;
    return await work(ends, subject);
  };
}

/** What a guest that offers no integrity need not do. */
function unlessProtected({ client, server }: Subject): string | null {
  return (client ?? server)!.description.offers.integrity ? null : "it offers no integrity";
}

/** Why a check of what a guest may do besides does not apply; `null` where it does. */
function unlessAlso(name: AlsoName, { client, server }: Subject): string | null {
  return (client ?? server)!.description.also.includes(name) ? null : `it does not say ${name} under also`;
}

/** A record that is only signed comes out as such, by `unwrapAny` alone, and no altered one does. */
async function carriesUnencrypted(subject: Subject): Promise<string | void> {
  const skip = unlessAlso("wrapUnencrypted", subject);
  if (skip) return skip;
  const ends = await pair(subject);
  if (!ends) return NO_PAIR;
  const { agreed, maxOverhead } = ends.client.attributes();
  for (const size of SIZES) {
    for (const [from, to] of [[ends.client, ends.server], [ends.server, ends.client]]) {
      const plain = bytes(size);
      const signed = from.wrapUnencrypted(plain);
      if (signed.length === 0 || signed.length > size + maxOverhead) {
        fail(`a signed record of ${size} bytes has ${signed.length}`);
      }
      const first = to.open("unwrapAny", signed);
      if (first.encrypted || !same(first.plain, plain)) {
        fail(`${size} bytes that were signed came out otherwise`);
      }
      const second = to.open("unwrapAny", from.wrap(plain));
      // Of an empty record nothing can be told.
      if ((second.encrypted !== agreed.confidentiality && size > 0) || !same(second.plain, plain)) {
        fail(`${size} bytes that were wrapped came out of unwrapAny otherwise`);
      }
    }
  }
  if (!agreed.integrity) return;
  const { length } = ends.client.wrapUnencrypted(bytes(40));
  for (let at = 0; at < length; at++) {
    const { client, server } = (await pair(subject))!;
    const record = client.wrapUnencrypted(bytes(40));
    record[at] ^= 1 << (at % 8);
    await mustFail(
      `byte ${at} of a signed record altered`,
      "ProtocolError",
      () => server.open("unwrapAny", record),
    );
  }
  if (!agreed.confidentiality) return;
  const { client, server } = (await pair(subject))!;
  let encrypted = false;
  try {
    encrypted = server.open("unwrap", client.wrapUnencrypted(bytes(40))).encrypted;
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
  }
  if (encrypted) fail("unwrap says that a record was encrypted which was only signed");
}

/** The checks, in order. */
export const GUEST_CHECKS: readonly Check<Subject>[] = [
  {
    name: "guest: describes itself with the same bytes at any time",
    run: (subject) => {
      for (const peer of eachEnd(subject)) {
        const before = peer.describe();
        peer.acquire(subject.identity);
        if (peer.describe() !== before || peer.describe() !== before) fail("two descriptions differ");
      }
    },
  },
  {
    name: "guest: answers calls in the wrong state with an error of state",
    run: async (subject) => {
      for (const peer of eachEnd(subject)) {
        await mustFail("step before acquire", "StateError", () => peer.ask(null));
        await mustFail("wrap before acquire", "StateError", () => peer.wrap(bytes(1)));
        peer.acquire(subject.identity);
        await mustFail("acquire twice", "StateError", () => peer.acquire(subject.identity));
        await mustFail("wrap before done", "StateError", () => peer.wrap(bytes(1)));
        await mustFail("unwrap before done", "StateError", () => peer.unwrap(bytes(40)));
        await mustFail("query before done", "StateError", () => peer.attributes());
        await mustFail("session key before done", "StateError", () => peer.sessionKey());
      }
      const ends = await pair(subject);
      if (ends) await mustFail("step after done", "StateError", () => ends.client.ask(bytes(8)));
    },
  },
  {
    name: "guest: survives three hundred tokens of nonsense with an error each",
    run: (subject) => {
      for (let round = 0; round < 300; round++) {
        for (const peer of eachEnd(subject)) {
          peer.acquire(subject.identity);
          try {
            if (peer.role === "client") peer.ask(null);
            peer.ask(crypto.getRandomValues(new Uint8Array(round)));
          } catch (error) {
            if (!peer.instance.alive) fail(`a token of ${round} random bytes: ${error}`);
            const password = new TextDecoder().decode(subject.identity.credentials.password);
            if ((error as Error).message.includes(password)) {
              fail("the message of an error holds the password");
            }
          }
          peer.instance.drop();
        }
      }
    },
  },
  {
    name: "guest: agrees with itself, and claims no more than it offers",
    run: onPair(({ client, server }, subject) => {
      const found: Attributes[] = [client.attributes(), server.attributes()];
      const { description, builtIn } = subject.client!;
      for (const { agreed } of found) {
        refuseMoreThanOffered(agreed, description);
        shownMechanism(agreed.mechanism, description.name, builtIn);
      }
      for (const key of ["mechanism", "integrity", "confidentiality", "channelBound"] as const) {
        const [a, b] = found.map(({ agreed }) => agreed[key]);
        if (a !== b) fail(`the client says ${key} is ${a}, the server ${b}`);
      }
      if (subject.client!.description.offers.integrity && !same(client.sessionKey(), server.sessionKey())) {
        fail("the ends have different session keys");
      }
    }),
  },
  {
    name: "guest: carries records of any size both ways, none longer than announced",
    run: onPair(({ client, server }) => {
      const { maxOverhead } = client.attributes();
      for (const size of SIZES) {
        for (const [from, to] of [[client, server], [server, client]]) {
          const note = size >= 1000 ? ` ${size} bytes` : "";
          const record = from.wrap(bytes(size), `wrap${note}`);
          if (record.length === 0) fail("a record is empty");
          if (record.length > size + maxOverhead) {
            fail(`a record of ${size} bytes grew by over ${maxOverhead}`);
          }
          if (!same(to.unwrap(record, `unwrap${note}`), bytes(size))) {
            fail(`${size} bytes came out changed`);
          }
        }
      }
    }),
  },
  {
    name: "guest: wraps without encrypting, and distinguishes such records from others",
    run: carriesUnencrypted,
  },
  {
    name: "guest: says how much data fits a record, and keeps to it",
    run: onPair(({ client }, subject) => {
      const skip = unlessAlso("wrapSizeLimit", subject);
      if (skip) return skip;
      const { maxOverhead, agreed } = client.attributes();
      for (const room of [0, 1, maxOverhead, maxOverhead + 1, 100, 1000, 65_535]) {
        const limit = client.wrapSizeLimit(room, agreed.confidentiality);
        if (limit > room || limit < room - maxOverhead) fail(`${limit} bytes cannot be what fits ${room}`);
        if (limit === 0) continue;
        const { length } = client.wrap(bytes(limit));
        if (length > room) fail(`${limit} bytes make a record of ${length}, over ${room}`);
      }
    }),
  },
  {
    name: "guest: reports who a peer is that proved it, and no other",
    run: onPair(({ client, server }, subject) => {
      const skip = unlessAlso("peerIdentity", subject);
      if (skip) return skip;
      for (const end of [client, server]) {
        const { agreed, peerName } = end.attributes();
        const peer = end.peerIdentity(peerName);
        const proved = end.role === "client"
          ? agreed.mutualAuthentication
          : agreed.impersonation !== "anonymous";
        if (peer && !proved) fail(`the ${end.role} reports who its peer is, which nothing proved`);
      }
    }),
  },
  {
    name: "guest: signs and verifies messages",
    run: onPair(({ client, server }) => {
      for (const size of SIZES) server.verify(bytes(size), client.sign(bytes(size)));
    }),
  },
  {
    name: "guest: refuses a record that was altered anywhere",
    run: async (subject) => {
      const skip = unlessProtected(subject);
      if (skip) return skip;
      const probe = await pair(subject);
      if (!probe) return NO_PAIR;
      const { length } = probe.client.wrap(bytes(40));
      for (let at = 0; at < length; at++) {
        const { client, server } = (await pair(subject))!;
        const record = client.wrap(bytes(40));
        record[at] ^= 1 << (at % 8);
        await mustFail(`byte ${at} altered`, "ProtocolError", () => server.unwrap(record));
      }
    },
  },
  {
    name: "guest: refuses records that are cut off, replayed or out of order",
    run: async (subject) => {
      const skip = unlessProtected(subject);
      if (skip) return skip;
      for (const cut of [0, 1, 15, 16, 17]) {
        const ends = await pair(subject);
        if (!ends) return NO_PAIR;
        await mustFail(
          `cut to ${cut}`,
          "ProtocolError",
          () => ends.server.unwrap(ends.client.wrap(bytes(40)).slice(0, cut)),
        );
      }
      const replayed = (await pair(subject))!;
      const record = replayed.client.wrap(bytes(40));
      replayed.server.unwrap(record.slice());
      await mustFail("a replayed record", "ProtocolError", () => replayed.server.unwrap(record.slice()));
      const gap = (await pair(subject))!;
      gap.client.wrap(bytes(40));
      await mustFail(
        "a record after a gap",
        "ProtocolError",
        () => gap.server.unwrap(gap.client.wrap(bytes(40))),
      );
    },
  },
  {
    name: "guest: refuses a signature over something else",
    run: async (subject) => {
      const skip = unlessProtected(subject);
      if (skip) return skip;
      const ends = await pair(subject);
      if (!ends) return NO_PAIR;
      const signature = ends.client.sign(bytes(40));
      const other = bytes(40);
      other[0] ^= 1;
      await mustFail(
        "a signature over another message",
        "ProtocolError",
        () => ends.server.verify(other, signature),
      );
    },
  },
  {
    name: "guest: takes no more memory for the ten-thousandth record than for the hundredth",
    run: onPair(({ client, server }) => {
      const carry = (count: number): void => {
        for (let i = 0; i < count; i++) server.unwrap(client.wrap(bytes(1000)));
      };
      carry(100);
      const before = [client.instance.memoryPages, server.instance.memoryPages];
      carry(9_900);
      const after = [client.instance.memoryPages, server.instance.memoryPages];
      if (after.join() !== before.join()) fail(`memory grew from ${before} to ${after} pages`);
    }),
  },
  {
    name: "guest: leaves neither password nor session key in its memory after release",
    run: onPair(({ client, server }, { identity, client: loaded }) => {
      const { password } = identity.credentials;
      const secrets = new Map([["password", password], ["password in UTF-16", widen(password)]]);
      if (loaded!.description.offers.integrity) secrets.set("session key", client.sessionKey());
      for (const peer of [client, server]) {
        peer.release();
        const memory = peer.instance.region(0, peer.instance.memoryPages * 65_536, "all");
        for (const [name, secret] of secrets) {
          if (contains(memory, secret)) fail(`the ${peer.role}'s memory still holds the ${name}`);
        }
      }
    }),
  },
  {
    name: "guest: answers nothing but errors of state after release",
    run: onPair(async ({ client }) => {
      client.release();
      await mustFail("wrap after release", "StateError", () => client.wrap(bytes(1)));
      await mustFail("step after release", "StateError", () => client.ask(null));
    }),
  },
];

function widen(ascii: Uint8Array): Uint8Array {
  return Uint8Array.from({ length: ascii.length * 2 }, (_, index) => index % 2 === 0 ? ascii[index / 2] : 0);
}
