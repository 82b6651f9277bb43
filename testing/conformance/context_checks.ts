/**
 * What every provider of layer `context` must do, seen through the contract alone.
 *
 * @module
 */

import type {
  ContextAttributes,
  ContextOptions,
  ContextProvider,
  Credentials,
  ProviderContext,
  ProviderCredentials,
  ProviderSystem,
  ResolvedRequirements,
} from "../../contract.ts";
import { liveHandles } from "../../ffi/handles.ts";
import { IMPERSONATION_LEVELS, resolveRequirements, verifyAttributes } from "../../plugins/requirements.ts";
import { Spn } from "../../spn.ts";
import { type Check, contains, fail, mustFail, pattern, same } from "./checks.ts";

/** One end of the conversations. */
export interface End {
  /** Its provider. */
  readonly provider: ContextProvider;
  /** Who it is; left out: the account that runs the process. */
  readonly credentials?: Credentials;
}

/** What the checks work with. */
export interface ContextSubject {
  /** The end that speaks first; `null` where the provider has none. */
  readonly client: End | null;
  /** The end that answers, likewise. */
  readonly server: End | null;
  /** The system that the provider works on. */
  readonly system: ProviderSystem;
  /** The server's principal. */
  readonly target: string;
}

type Role = "client" | "server";

/** Two contexts that have finished their exchange. */
interface Pair extends Disposable {
  readonly client: ProviderContext;
  readonly server: ProviderContext;
}

const MOST_LEGS = 16;
const NO_PAIR = "it does not play both ends";
const NO_INTEGRITY = "it offers no integrity";
const SIZES = [0, 1, 15, 16, 17, 1000, 60_000];
const BINDINGS = new TextEncoder().encode("tls-server-end-point:0123456789abcdef");
const OTHER_BINDINGS = new TextEncoder().encode("tls-server-end-point:0123456789abcdee");
const REFUSALS = ["AuthenticationError", "ProtocolError"];
const ROLES = ["client", "server"] as const;

function requirementsOf({ description: { offers } }: ContextProvider): ResolvedRequirements {
  const { integrity, confidentiality, mutualAuthentication } = offers;
  const impersonation = offers.impersonation === "anonymous" ? "anonymous" : "identify";
  return resolveRequirements({ integrity, confidentiality, mutualAuthentication, impersonation });
}

function acquire({ system, ...ends }: ContextSubject, role: Role): Promise<ProviderCredentials> {
  const { provider, credentials } = ends[role]!;
  const given = credentials === undefined ? {} : { credentials };
  return provider.acquire({ role, system, requirements: requirementsOf(provider), ...given });
}

/** Makes one context and runs `work` on it. */
async function onContext(
  subject: ContextSubject,
  role: Role,
  work: (context: ProviderContext) => Promise<void> | void,
): Promise<void> {
  using credentials = await acquire(subject, role);
  using context = role === "client" ? credentials.client({ target: subject.target }) : credentials.server({});
  await work(context);
}

async function makePair(
  subject: ContextSubject,
  clientOptions: ContextOptions = {},
  serverOptions: ContextOptions = {},
): Promise<Pair> {
  const made: Disposable[] = [];
  const close = (): void => {
    for (const each of made.splice(0).reverse()) each[Symbol.dispose]();
  };
  try {
    const [ours, theirs] = [await acquire(subject, "client"), await acquire(subject, "server")];
    made.push(ours, theirs);
    const client = ours.client({ target: subject.target, ...clientOptions });
    made.push(client);
    const server = theirs.server(serverOptions);
    made.push(server);
    await exchange(client, server);
    return { client, server, [Symbol.dispose]: close };
  } catch (error) {
    close();
    throw error;
  }
}

async function exchange(client: ProviderContext, server: ProviderContext): Promise<void> {
  let token: Uint8Array | null = null;
  for (let leg = 0; !(client.done && server.done); leg++) {
    if (leg === MOST_LEGS) fail(`the ends are not done after ${MOST_LEGS} legs`);
    const role: Role = ROLES[leg % 2];
    const context: ProviderContext = leg % 2 === 0 ? client : server;
    const result: { token: Uint8Array | null; done: boolean } = await context.step(token);
    if (result.done !== context.done) {
      fail(`the ${role}'s step returns done: ${result.done}, and its context has done: ${context.done}`);
    }
    const needed = !(client.done && server.done);
    if (needed && (result.token === null || result.token.length === 0)) {
      fail(`the ${role} sends nothing although the exchange is not complete`);
    }
    token = result.token;
  }
}

/** Runs `work` on a fresh pair. */
function onPair(work: (pair: Pair, subject: ContextSubject) => Promise<string | void> | string | void) {
  return async (subject: ContextSubject): Promise<string | void> => {
    if (!subject.client || !subject.server) return NO_PAIR;
    using pair = await makePair(subject);
    return await work(pair, subject);
  };
}

/** The same where the provider offers integrity. */
function onProtectedPair(work: (pair: Pair, subject: ContextSubject) => Promise<void> | void) {
  return (subject: ContextSubject): Promise<string | void> | string => {
    const { integrity } = (subject.client ?? subject.server)!.provider.description.offers;
    return integrity ? onPair(work)(subject) : NO_INTEGRITY;
  };
}

function wrap(context: ProviderContext, plain: Uint8Array): Uint8Array {
  const out = new Uint8Array(plain.length + context.maxOverhead);
  const given = new Uint8Array(plain);
  let record: Uint8Array;
  try {
    record = context.wrap(given, out);
  } catch (error) {
    if (plain.length >= 16 && contains(out, plain)) {
      fail(`a wrap that failed left plain text in out: ${error}`);
    }
    throw error;
  }
  if (!same(given, plain)) fail("wrap changed the plain text");
  if (record.length === 0) fail("a record is empty");
  if (record.buffer !== out.buffer) fail("the record is not a part of out");
  if (record.length > plain.length + context.maxOverhead) {
    fail(`a record of ${plain.length} bytes grew by over ${context.maxOverhead}`);
  }
  return new Uint8Array(record);
}

function unwrap(context: ProviderContext, record: Uint8Array): Uint8Array {
  const copy = new Uint8Array(record);
  const plain = context.unwrap(copy);
  if (plain.length > 0 && plain.buffer !== copy.buffer) {
    fail("what unwrap returns is not a part of the record");
  }
  return plain;
}

function bothWays({ client, server }: Pair): [from: ProviderContext, to: ProviderContext][] {
  return [[client, server], [server, client]];
}

async function mustBeUnusable(when: string, context: ProviderContext): Promise<void> {
  const size = 100;
  await mustFail(`wrap ${when}`, "StateError", () => context.wrap(pattern(1), new Uint8Array(size)));
  await mustFail(`unwrap ${when}`, "StateError", () => context.unwrap(pattern(size)));
  await mustFail(`sign ${when}`, "StateError", () => context.sign(pattern(1)));
  await mustFail(`verify ${when}`, "StateError", () => context.verify(pattern(1), pattern(size)));
  await mustFail(`sessionKey ${when}`, "StateError", () => context.sessionKey());
}

async function mayFail(names: readonly string[], action: () => Promise<unknown>): Promise<void> {
  await action().catch((error) => {
    if (!names.includes(error?.name)) throw error;
  });
}

function checkClaims(role: Role, attributes: ContextAttributes, { description }: ContextProvider): void {
  const { offers, mechanisms } = description;
  for (const key of ["integrity", "confidentiality", "mutualAuthentication", "delegation"] as const) {
    if (attributes[key] && !offers[key]) fail(`the ${role} claims ${key}, which is not offered`);
  }
  const [claimed, offered] = [attributes, offers].map(({ impersonation }) =>
    IMPERSONATION_LEVELS.indexOf(impersonation)
  );
  if (claimed < 0 || claimed > offered) {
    fail(`the ${role} claims the level ${attributes.impersonation}, ${offers.impersonation} is offered`);
  }
  if (mechanisms && !mechanisms.includes(attributes.mechanism)) {
    fail(`the ${role}'s mechanism ${attributes.mechanism} is not among those of the description`);
  }
}

/** The checks, in order. */
export const CONTEXT_CHECKS: readonly Check<ContextSubject>[] = [
  {
    name: "describes itself and its offers consistently",
    run(subject) {
      for (const role of ROLES) {
        const provider = subject[role]?.provider;
        if (!provider) continue;
        const { layer, name, description } = provider;
        const { offers } = description;
        if (layer !== "context" || description.layer !== layer) fail("layer is not context");
        if (typeof name !== "string" || name === "" || description.name !== name) {
          fail(`its name is ${name}, that of its description ${description.name}`);
        }
        for (const key of ["integrity", "confidentiality", "mutualAuthentication", "delegation"] as const) {
          if (typeof offers[key] !== "boolean") fail(`offers.${key} is not true or false`);
        }
        if (!IMPERSONATION_LEVELS.includes(offers.impersonation)) fail("offers.impersonation is not a level");
        if (offers.confidentiality && !offers.integrity) fail("it offers confidentiality without integrity");
        if (offers.delegation && offers.impersonation !== "delegate") {
          fail("it offers delegation without the impersonation level delegate");
        }
      }
    },
  },
  {
    name: "reports whether it is available, and why not, without throwing",
    run({ client, server, system }) {
      const { provider } = (client ?? server)!;
      const here = system.capabilities();
      const reason = "a check of ./testing";
      for (const os of ["windows", "linux", "darwin", "other"] as const) {
        for (const securityContexts of [here.securityContexts, { available: false, reason }] as const) {
          const found = provider.available({ ...here, os, securityContexts });
          if (found?.available === true) continue;
          if (found?.available !== false || !found.reason) fail(`on ${os} it gives no reason`);
        }
      }
    },
  },
  {
    name: "agrees with itself, and claims no more than it offers and no less",
    run: onPair(({ client, server }, subject) => {
      for (const [role, context] of [["client", client], ["server", server]] as const) {
        const { provider } = subject[role]!;
        checkClaims(role, context.attributes, provider);
        verifyAttributes(context.attributes, requirementsOf(provider), role, false);
      }
      for (const key of ["mechanism", "integrity", "confidentiality"] as const) {
        const [a, b] = [client.attributes[key], server.attributes[key]];
        if (a !== b) fail(`the client says ${key} is ${a}, the server ${b}`);
      }
    }),
  },
  {
    name: "reports peers, targets and expiry that can be used",
    run: onPair(({ client, server }, { target }) => {
      for (const context of [client, server]) {
        if (typeof context.peerName !== "string") fail("peerName is not text");
        const { peerIdentity, expiresAt } = context;
        if (peerIdentity && (!peerIdentity.name || !peerIdentity.user)) {
          fail("peerIdentity has an empty name");
        }
        if (expiresAt !== undefined && !(expiresAt.getTime() > Date.now())) {
          fail(`a fresh context has already expired: ${expiresAt}`);
        }
      }
      if (client.requestedTarget !== undefined) fail("the client's context has a requestedTarget");
      const { requestedTarget } = server;
      if (requestedTarget !== undefined && !Spn.parse(requestedTarget).equals(Spn.parse(target))) {
        fail(`the client asked for ${target}, the server's context reports ${requestedTarget}`);
      }
    }),
  },
  {
    name: "answers calls in the wrong state with a StateError",
    run: async (subject) => {
      for (const role of ROLES) {
        if (!subject[role]) continue;
        await onContext(subject, role, (context) => {
          if (context.done) fail(`the ${role} is done before its first step`);
          return mustBeUnusable("before done", context);
        });
      }
      if (!subject.client || !subject.server) return;
      using pair = await makePair(subject);
      for (const context of [pair.client, pair.server]) {
        await mustFail("step after done", "StateError", () => context.step(pattern(8)));
      }
    },
  },
  {
    name: "refuses tokens of nonsense with an AuthenticationError or ProtocolError",
    run: async (subject) => {
      for (let size = 1; size <= 100; size++) {
        for (const role of ROLES) {
          if (!subject[role]) continue;
          await onContext(subject, role, async (context) => {
            if (role === "client") await context.step(null);
            const token = crypto.getRandomValues(new Uint8Array(size));
            const { offers } = subject[role]!.provider.description;
            const step = () => context.step(token);
            // A provider that protects and proves nothing may accept anything.
            if (!offers.integrity && !offers.mutualAuthentication) return await mayFail(REFUSALS, step);
            await mustFail(`a token of ${size} random bytes`, REFUSALS, step);
            if (context.done) fail(`the ${role} is done after a token of random bytes`);
          });
        }
      }
    },
  },
  {
    name: "has one session key on both ends, and gives copies of it",
    run: onProtectedPair(({ client, server }) => {
      const key = client.sessionKey();
      if (key.length < 16) fail(`a session key of ${key.length} bytes is too short`);
      if (!same(key, server.sessionKey())) fail("the ends have different session keys");
      // Not by slice(), which of a Buffer gives no copy.
      const copy = new Uint8Array(key);
      key.fill(0);
      if (!same(copy, client.sessionKey())) {
        fail("changing what sessionKey returned changed the context's key");
      }
    }),
  },
  {
    name: "carries records of any size both ways, inside the caller's buffers",
    run: onPair((pair) => {
      for (const size of SIZES) {
        for (const [from, to] of bothWays(pair)) {
          if (!same(unwrap(to, wrap(from, pattern(size))), pattern(size))) {
            fail(`${size} bytes came out changed`);
          }
        }
      }
    }),
  },
  {
    name: "encrypts what it wraps where it claims confidentiality",
    run: onPair((pair) => {
      if (!pair.client.attributes.confidentiality) return "no confidentiality was agreed on";
      const plain = pattern(1000);
      for (const [from] of bothWays(pair)) {
        if (contains(wrap(from, plain), plain.subarray(100, 132))) fail("a record holds its plain text");
      }
    }),
  },
  {
    name: "leaves no plain text in a buffer that is too small for the record",
    run: onPair(async ({ client }) => {
      const plain = pattern(64);
      const out = new Uint8Array(plain.length - 1);
      await mustFail(
        "wrap into too small a buffer",
        ["RangeError", "TypeError"],
        () => client.wrap(plain, out),
      );
      if (contains(out, plain.subarray(0, 32))) fail("out holds plain text");
    }),
  },
  {
    name: "refuses a record that was altered anywhere",
    run: onProtectedPair(async ({ client }, subject) => {
      const { length } = wrap(client, pattern(40));
      for (let at = 0; at < length; at++) {
        using pair = await makePair(subject);
        const record = wrap(pair.client, pattern(40));
        record[at] ^= 1 << (at % 8);
        await mustFail(`byte ${at} altered`, "ProtocolError", () => pair.server.unwrap(record));
      }
    }),
  },
  {
    name: "refuses records that are cut off, replayed, out of order, reflected, or of another context",
    run: onProtectedPair(async ({ client, server }, subject) => {
      const refuse = (what: string, at: ProviderContext, record: Uint8Array) =>
        mustFail(what, "ProtocolError", () => at.unwrap(new Uint8Array(record)));
      const record = wrap(client, pattern(40));
      for (const cut of [0, 1, 15, 16, 17, record.length - 1]) {
        using pair = await makePair(subject);
        await refuse(`cut to ${cut} bytes`, pair.server, wrap(pair.client, pattern(40)).subarray(0, cut));
      }
      unwrap(server, record);
      await refuse("a replayed record", server, record);
      using gap = await makePair(subject);
      wrap(gap.client, pattern(40));
      await refuse("a record after a gap", gap.server, wrap(gap.client, pattern(40)));
      using mirror = await makePair(subject);
      await refuse("a record sent back to its sender", mirror.client, wrap(mirror.client, pattern(40)));
      using other = await makePair(subject);
      await refuse("a record of another context", other.server, record);
    }),
  },
  {
    name: "signs and verifies messages, and refuses a signature over another one",
    run: onPair(async (pair, { client }) => {
      for (const [from, to] of bothWays(pair)) {
        for (const size of SIZES) to.verify(pattern(size), from.sign(pattern(size)));
      }
      if (!client!.provider.description.offers.integrity) return;
      const signature = pair.client.sign(pattern(40));
      const other = pattern(40);
      other[0] ^= 1;
      await mustFail("a signature over another message", "ProtocolError", () => {
        pair.server.verify(other, signature);
      });
    }),
  },
  {
    name: "claims channel bindings only where both ends gave the same",
    run: onPair(async ({ client, server }, subject) => {
      if (client.attributes.channelBound || server.attributes.channelBound) {
        fail("a context without channel bindings claims to be bound");
      }
      const given = { channelBindings: BINDINGS };
      using pair = await makePair(subject, given, given).catch((error) => {
        // What loadProvider() makes of a module refuses at once what its module cannot do.
        if (error?.name !== "SecurityRequirementError") throw error;
        return null;
      });
      if (!pair?.server.attributes.channelBound) return "it binds no channel";
      if (!pair.client.attributes.channelBound) fail("the server claims to be bound, the client not");
      for (const theirs of [{}, { channelBindings: OTHER_BINDINGS }]) {
        const what = theirs.channelBindings === undefined ? "no" : "other";
        let bound = false;
        try {
          using different = await makePair(subject, theirs, given);
          bound = different.server.attributes.channelBound;
        } catch (error) {
          if ((error as Error).name !== "AuthenticationError") throw error;
        }
        if (bound) fail(`a server claims to be bound to a client that gave ${what} channel bindings`);
      }
    }),
  },
  {
    name: "has optional members that work together",
    run: onPair(async (pair, subject) => {
      const { client, server } = pair;
      const found = [
        unencryptedRecords(pair),
        await detachedRecords(pair, subject),
        sizeLimits(client),
      ].some(Boolean);
      if (client.wrapUnencrypted && server.attributes.confidentiality) {
        using strict = await makePair(subject);
        const record = strict.client.wrapUnencrypted!(pattern(40), new Uint8Array(40 + client.maxOverhead));
        await mustFail("unwrap of a record that is not encrypted", "ProtocolError", () => {
          strict.server.unwrap(record);
        });
      }
      return found ? undefined : "it has none";
    }),
  },
  {
    name: "keeps contexts when their credentials are closed, and closes everything twice without harm",
    run: async (subject) => {
      const before = JSON.stringify(liveHandles());
      for (const role of ROLES) {
        if (!subject[role]) continue;
        const credentials = await acquire(subject, role);
        const make = () =>
          role === "client" ? credentials.client({ target: subject.target }) : credentials.server({});
        using context = make();
        credentials.close();
        credentials.close();
        await mustFail("a context of closed credentials", "StateError", make);
        if (role === "client") await context.step(null);
      }
      if (subject.client && subject.server) {
        using pair = await makePair(subject);
        if (!same(unwrap(pair.server, wrap(pair.client, pattern(20))), pattern(20))) fail("a record changed");
        for (const context of [pair.client, pair.server]) {
          context.close();
          context.close();
          await mustBeUnusable("after close", context);
          await mustFail("step after close", "StateError", () => context.step(pattern(8)));
        }
      }
      const after = JSON.stringify(liveHandles());
      if (after !== before) fail(`handles were ${before} before and are ${after} now`);
    },
  },
];

function unencryptedRecords({ client, server }: Pair): boolean {
  const one = client.wrapUnencrypted !== undefined, other = server.unwrapAny !== undefined;
  if (one !== other) fail("it has one of wrapUnencrypted and unwrapAny, and not the other");
  if (!one) return false;
  const record = client.wrapUnencrypted!(pattern(40), new Uint8Array(40 + client.maxOverhead));
  const { data, encrypted } = server.unwrapAny!(record);
  if (!same(data, pattern(40))) fail("what wrapUnencrypted carries came out changed");
  if (encrypted) fail("unwrapAny says that a record of wrapUnencrypted is encrypted");
  return true;
}

async function detachedRecords({ client, server }: Pair, subject: ContextSubject): Promise<boolean> {
  const one = client.wrapDetached !== undefined, other = server.unwrapDetached !== undefined;
  if (one !== other) fail("it has one of wrapDetached and unwrapDetached, and not the other");
  if (!one) return false;
  const data = pattern(40);
  const header = client.wrapDetached!(data);
  if (!same(server.unwrapDetached!(header, data), pattern(40))) fail("what wrapDetached carries changed");
  using fresh = await makePair(subject);
  const altered = pattern(40);
  const itsHeader = fresh.client.wrapDetached!(altered);
  altered[0] ^= 1;
  await mustFail("detached data that was altered", "ProtocolError", () => {
    fresh.server.unwrapDetached!(itsHeader, altered);
  });
  if (altered.some((byte) => byte !== 0)) fail("unwrapDetached left altered data");
  return true;
}

function sizeLimits(context: ProviderContext): boolean {
  if (!context.wrapSizeLimit) return false;
  for (const recordBytes of [0, 50, 100, 1000, 60_000]) {
    const limit = context.wrapSizeLimit(recordBytes, context.attributes.confidentiality);
    if (limit > 0 && wrap(context, pattern(limit)).length > recordBytes) {
      fail(`wrapSizeLimit(${recordBytes}) is ${limit}, whose record is longer`);
    }
  }
  return true;
}
