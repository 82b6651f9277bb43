import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { test } from "@test";
import { resolveRequirements } from "../../plugins/requirements.ts";
import { ProtocolError, StateError } from "../../errors.ts";
import { type Served, VerifiedContext } from "../../contexts/verified_context.ts";
import { toyProvider, toySystem } from "../support/toy_provider.ts";

const TARGET = "host/server.example.test";

async function serve(provider: ReturnType<typeof toyProvider>, role: "client" | "server"): Promise<Served> {
  const requirements = resolveRequirements();
  const credentials = await provider.acquire({ role, system: toySystem(), requirements });
  const origin = {
    provider: provider.description,
    denied: [],
    simulated: false,
    machinePolicy: "absent",
  } as const;
  return { credentials, requirements, origin };
}

test("step() makes no context where it was closed while it waited for what serves", async () => {
  const provider = toyProvider();
  const served = await serve(provider, "client");
  const { promise, resolve } = Promise.withResolvers<Served>();
  const context = new VerifiedContext({
    role: "client",
    target: TARGET,
    channelBindings: "none",
    serve: () => promise,
  });
  const stepping = assertRejects(() => context.step(), StateError, "is closed");
  context.close();
  resolve(served);
  await stepping;
  served.credentials.close();
  assertEquals([provider.ledger.contexts, provider.ledger.live], [0, 0]);
});

test("a provider that cannot do without encryption where it was agreed on says so, and nothing is sent in clear", async () => {
  const provider = toyProvider();
  const [ours, theirs] = [await serve(provider, "client"), await serve(provider, "server")];
  const client = new VerifiedContext({
    role: "client",
    target: TARGET,
    channelBindings: "none",
    serve: () => ours,
  });
  const server = new VerifiedContext({ role: "server", channelBindings: "none", serve: () => theirs });
  await client.step((await server.step((await client.step()).token)).token);
  // One more token is taken and not believed, as HTTP servers send one.
  assertEquals(await client.step(new Uint8Array(3)), { token: null, done: true });
  await assertRejects(() => client.step(new Uint8Array(3)), StateError, "no further token");
  await assertRejects(() => server.step(new Uint8Array(3)), StateError, "no further token");
  const plain = new Uint8Array(40).fill(7);
  const into = new Uint8Array(100);
  assertThrows(() => client.wrap(plain, { encrypt: false, into }), StateError, 'provider "toy" cannot wrap');
  assertEquals(into, new Uint8Array(100));
  const record = client.wrap(plain);
  assertThrows(
    () => server.unwrap(record, { allowUnencrypted: true }),
    StateError,
    'provider "toy" cannot unwrap',
  );
  assertEquals(server.unwrap(record), { data: plain, encrypted: true });
  for (const context of [client, server]) {
    for (const use of [() => context.wrapDetached(plain), () => context.unwrapDetached(plain, plain)]) {
      assertThrows(use, StateError, 'provider "toy" cannot');
    }
    context.close();
  }
  await Promise.all([client.idle, server.idle]);
  for (const { credentials } of [ours, theirs]) credentials.close();
  assertEquals(provider.ledger.live, 0);
});

test("step() of an exchange with too many tokens fails the context, which closes the provider's", async () => {
  const provider = toyProvider({ tokens: 1000 });
  const [ours, theirs] = [await serve(provider, "client"), await serve(provider, "server")];
  const client = new VerifiedContext({
    role: "client",
    target: TARGET,
    channelBindings: "none",
    serve: () => ours,
  });
  const server = new VerifiedContext({ role: "server", channelBindings: "none", serve: () => theirs });
  let token: Uint8Array | null = null;
  for (let leg = 0; leg < 16; leg++) {
    token = (await client.step(token)).token;
    token = (await server.step(token)).token;
  }
  await assertRejects(() => client.step(token), ProtocolError, "after 16 tokens");
  await client.idle;
  assertEquals(provider.ledger.contextCloses, [1, 0]);
  await assertRejects(() => client.step(token), StateError, "has failed");
  server.close();
  await server.idle;
  for (const { credentials } of [ours, theirs]) credentials.close();
  assertEquals(provider.ledger.live, 0);
});
