import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { test } from "@test";
import {
  AuthenticationError,
  createRegistry,
  openAcceptor,
  openInitiator,
  ProviderNotFoundError,
  SecurityRequirementError,
  StateError,
} from "../../mod.ts";
import type { AcquireOptions, ContextProvider, ProviderCredentials } from "../../contract.ts";
import type { Requirements, SecurityContext } from "../../mod.ts";
import { toyProvider, toySystem } from "../support/toy_provider.ts";

const system = toySystem();
const target = "HTTP/web.example.test";

function initiatorOf(provider: ContextProvider, requirements?: Requirements) {
  return openInitiator({ registry: createRegistry([provider]), system, requirements });
}

function acceptorOf(provider: ContextProvider, requirements?: Requirements) {
  return openAcceptor({ registry: createRegistry([provider]), system, requirements });
}

/** The same provider, whose servers receive credentials; counts how often they are closed. */
function withDelegation(provider: ContextProvider) {
  const delegated = {
    client: () => assert(false),
    server: () => assert(false),
    close: () => void delegating.closes++,
    [Symbol.dispose]: () => {},
  };
  const delegating = {
    ...provider,
    closes: 0,
    async acquire(options: AcquireOptions): Promise<ProviderCredentials> {
      const credentials = await provider.acquire(options);
      return {
        ...credentials,
        server: (given) => Object.assign(credentials.server(given), { takeDelegated: () => delegated }),
      };
    },
  };
  return delegating;
}

async function exchange(client: SecurityContext, server: SecurityContext): Promise<void> {
  await client.step((await server.step((await client.step()).token!)).token!);
}

test("openAcceptor() with requirements.provider takes no token for another provider", async () => {
  const kerberos = toyProvider({ name: "kerberos", attributes: { mechanism: "kerberos" } });
  const ntlm = toyProvider({ name: "ntlm", attributes: { mechanism: "ntlm" } });
  const token = new TextEncoder().encode("NTLMSSP\0 and more than 32 bytes of a token");
  for (const [provider, counts] of [["kerberos", "1 0"], [undefined, "1 1"]]) {
    const registry = createRegistry([kerberos, ntlm]);
    using acceptor = await openAcceptor({ registry, system, requirements: { provider } });
    using context = acceptor.accept();
    await assertRejects(() => context.step(token), AuthenticationError);
    assertEquals(`${kerberos.ledger.contexts} ${ntlm.ledger.contexts}`, counts);
  }
  assertEquals(kerberos.ledger.live + ntlm.ledger.live, 0);
});

test("createRegistry() selects no provider whose name joins a denied name to another", () => {
  for (const name of ["negotiate-ntlm", "ntlm-negotiate", "kerberos-or-ntlm"]) {
    const registry = createRegistry([toyProvider({ name })], { version: 1, deny: ["ntlm"] });
    assertThrows(() => registry.select({}, system.capabilities()), ProviderNotFoundError, name);
  }
});

test("contexts of an open initiator and acceptor follow a policy that the machine has received since", async () => {
  const provider = toyProvider();
  let text = '{"version":1}';
  const changing = {
    capabilities: () =>
      toySystem({ machinePolicy: { state: "present", path: "/etc/policy.json", text } }).capabilities(),
  };
  const options = { registry: createRegistry([provider]), system: changing };
  using initiator = await openInitiator(options);
  using acceptor = await openAcceptor(options);
  {
    using client = initiator.initiate({ target });
    using server = acceptor.accept();
    await exchange(client, server);
  }
  text = '{"version":1,"deny":["toy"]}';
  using client = initiator.initiate({ target });
  using server = acceptor.accept();
  await assertRejects(() => client.step(), ProviderNotFoundError, "toy");
  await assertRejects(() => server.step(new Uint8Array(40)), ProviderNotFoundError, "toy");
  assertEquals(provider.ledger.contexts, 2);
});

test("wrapDetached() and unwrapDetached() refuse a context without agreed confidentiality", async () => {
  const provider = toyProvider({ attributes: { confidentiality: false } });
  using initiator = await initiatorOf(provider);
  using acceptor = await acceptorOf(provider);
  using client = initiator.initiate({ target });
  using server = acceptor.accept();
  await exchange(client, server);
  const data = new TextEncoder().encode("attack at dawn");
  for (const use of [() => client.wrapDetached(data), () => server.unwrapDetached(data, data)]) {
    assertThrows(use, SecurityRequirementError, "did not agree on confidentiality");
  }
  assertEquals(new TextDecoder().decode(data), "attack at dawn");
});

test("security.integrity is false where the context does not detect replay or reordering", async () => {
  for (const missing of [{ replayDetection: false }, { sequenceDetection: false }]) {
    const provider = toyProvider({ attributes: missing });
    using initiator = await initiatorOf(provider);
    using acceptor = await acceptorOf(provider);
    using client = initiator.initiate({ target });
    using server = acceptor.accept();
    await exchange(client, server);
    assertEquals([client.security.integrity, server.security.integrity], [false, false]);
    assertEquals(client.security.details.messageIntegrity, true);
  }
});

test("takeDelegated() closes what it cannot make an initiator of, and raises no unhandled rejection", async () => {
  let acquired = 0;
  const provider = toyProvider({
    onAcquire: ({ credentials }) => {
      acquired++;
      if (credentials && "delegated" in credentials) throw new TypeError("delegated is not supported");
    },
  });
  const delegating = withDelegation(provider);
  using initiator = await initiatorOf(provider);
  using acceptor = await acceptorOf(delegating);
  using client = initiator.initiate({ target });
  using server = acceptor.accept();
  await exchange(client, server);
  const before = acquired;
  const taken = server.takeDelegated()!;
  // The provider's refusal arrives with nobody to await it: an unhandled rejection would fail this test.
  await new Promise((resolve) => setTimeout(resolve, 0));
  assertEquals(acquired, before + 1);
  using context = taken.initiate({ target });
  await assertRejects(() => context.step(), TypeError, "delegated is not supported");
  taken.close();
  assertEquals(delegating.closes, 1);
});

test("takeDelegated() closes the delegated credentials where a policy denies the provider", async () => {
  let text = '{"version":1}';
  const provider = toyProvider();
  const delegating = withDelegation(provider);
  const changing = {
    capabilities: () =>
      toySystem({ machinePolicy: { state: "present", path: "/etc/policy.json", text } }).capabilities(),
  };
  using initiator = await initiatorOf(provider);
  using acceptor = await openAcceptor({ registry: createRegistry([delegating]), system: changing });
  using client = initiator.initiate({ target });
  using server = acceptor.accept();
  await exchange(client, server);
  text = '{"version":1,"deny":["toy"]}';
  assertThrows(() => server.takeDelegated(), ProviderNotFoundError, "toy");
  assertEquals(delegating.closes, 1);
});

test("an initiator acquires expired credentials again with its own copy of the password, zeroed at the end", async () => {
  const seen: Uint8Array[] = [];
  let expired = true;
  const provider = toyProvider({
    onAcquire: ({ credentials }) => {
      if (credentials && "password" in credentials) seen.push(credentials.password as Uint8Array);
    },
    onStep: () => {
      if (expired) throw new AuthenticationError("credentials-expired", "The ticket has expired");
    },
  });
  const password = new TextEncoder().encode("secret");
  const initiator = await openInitiator({
    registry: createRegistry([provider]),
    system,
    credentials: { username: "alice", password },
  });
  password.fill(0);
  using context = initiator.initiate({ target });
  const stepping = assertRejects(() => context.step(), AuthenticationError, "expired");
  await stepping;
  assertEquals(seen.map((bytes) => new TextDecoder().decode(bytes)), ["secret", "secret"]);
  assertEquals([provider.ledger.credentials, provider.ledger.credentialCloses], [2, 1]);
  expired = false;
  initiator.close();
  assertEquals(seen[0], new Uint8Array(6));
  assertEquals(provider.ledger.live, 0);
});

test("an abort ends openInitiator(), openAcceptor() and a renewal whose provider does not watch the signal", async () => {
  const held = Promise.withResolvers<void>();
  const reason = new Error("stop");
  const provider = toyProvider({ onAcquire: () => held.promise });
  const options = { registry: createRegistry([provider]), system };
  for (const open of [openInitiator, openAcceptor]) {
    const controller = new AbortController();
    const opening = assertRejects(() => open({ ...options, signal: controller.signal }), Error, "stop");
    await Promise.resolve();
    controller.abort(reason);
    await opening;
  }
  held.resolve();
  // What arrives after the abort has no other owner.
  await new Promise((resolve) => setTimeout(resolve, 0));
  assertEquals([provider.ledger.credentials, provider.ledger.live], [2, 0]);

  const renewal = Promise.withResolvers<void>();
  const renewing = Promise.withResolvers<void>();
  let acquired = 0;
  const expiring = toyProvider({
    onAcquire: () => {
      if (acquired++ === 0) return;
      renewing.resolve();
      return renewal.promise;
    },
    onStep: () => {
      throw new AuthenticationError("credentials-expired", "The ticket has expired");
    },
  });
  const initiator = await initiatorOf(expiring);
  const controller = new AbortController();
  using context = initiator.initiate({ target, signal: controller.signal });
  const stepping = assertRejects(() => context.step(), Error, "stop");
  await renewing.promise;
  controller.abort(reason);
  await stepping;
  initiator.close();
  renewal.resolve();
  await new Promise((resolve) => setTimeout(resolve, 0));
  assertEquals(expiring.ledger.live, 0);
});

test("close() inside impersonate() waits for the end of the impersonation", async () => {
  const events: string[] = [];
  const provider = toyProvider({
    impersonate: (fn) => {
      events.push("impersonate");
      try {
        return fn();
      } finally {
        events.push("revert");
      }
    },
    closeContext: () => void events.push("close"),
  });
  using initiator = await initiatorOf(provider);
  using acceptor = await acceptorOf(provider);
  using client = initiator.initiate({ target });
  const server = acceptor.accept();
  await exchange(client, server);
  server.impersonate(() => {
    server.close();
    assertThrows(() => server.impersonate(() => {}), StateError, "closed");
    assertEquals(events, ["impersonate"]);
  });
  assertEquals(events, ["impersonate", "revert", "close"]);
  assertThrows(() => server.impersonate(() => {}), StateError, "closed");
  server.close();
  assertEquals(events.length, 3);
});

test("close() of an initiator or acceptor ends contexts that have not begun, and no others", async () => {
  const provider = toyProvider();
  const initiator = await initiatorOf(provider);
  const acceptor = await acceptorOf(provider);
  using client = initiator.initiate({ target });
  using server = acceptor.accept();
  using idleClient = initiator.initiate({ target });
  using idleServer = acceptor.accept();
  const { token } = await client.step();
  const answer = await server.step(token!);
  initiator.close();
  acceptor.close();
  await client.step(answer.token!);
  assertEquals(server.unwrap(client.wrap(Uint8Array.of(1, 2))).data, Uint8Array.of(1, 2));
  await assertRejects(() => idleClient.step(), StateError, "initiator is closed");
  await assertRejects(() => idleServer.step(token!), StateError, "acceptor is closed");
  assertThrows(() => initiator.initiate({ target }), StateError, "initiator is closed");
  assertThrows(() => acceptor.accept(), StateError, "acceptor is closed");
});
