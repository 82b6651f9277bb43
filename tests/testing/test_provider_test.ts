/** testProvider(): a provider that works passes, and each that is broken fails the check that is meant for it. */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { test } from "@test";
import type { ContextProvider, Provider, ProviderContext, SocketProvider } from "../../contract.ts";
import { ProtocolError, StateError } from "../../errors.ts";
import { ipsec } from "../../plugins/ipsec/mod.ts";
import { kerberos, negotiate } from "../../plugins/negotiate/mod.ts";
import { liveHandles, type ProviderReport, testProvider } from "../../testing/mod.ts";
import { inRealm, noRealm } from "../support/kerberos.ts";
import { referenceProvider } from "../support/reference_codec.ts";
import { type ToyFaults, toyProvider } from "../support/toy_provider.ts";

function failures({ outcomes }: ProviderReport): string[] {
  return outcomes.filter(({ result }) => result === "FAILED").map(({ name, reason }) => `${name}: ${reason}`);
}

test("testProvider() passes a provider that works, and closes all that it opened", async () => {
  const provider = toyProvider();
  const report = await testProvider(provider);
  assertEquals(failures(report), []);
  assertEquals(report.conforms, true);
  assertEquals(report.description, provider.description);
  assert(report.outcomes.length >= 15);
  assertEquals(provider.ledger.live, 0);
  assertEquals(liveHandles(), {});
});

test("testProvider() passes ipsec() and a codec in TypeScript", async () => {
  for (const provider of [ipsec(), referenceProvider(), ipsec({ rawPeerName: true })]) {
    const report = await testProvider(provider);
    assertEquals([failures(report), report.conforms], [[], true]);
  }
});

for (const provider of [kerberos(), negotiate()]) {
  test(
    `testProvider() passes ${provider.name}() against a real key distribution centre`,
    () =>
      inRealm(async (_realm, system) => {
        const report = await testProvider(provider, { system, target: "HTTP/localhost" });
        assertEquals(failures(report), []);
        const { library: _, ...held } = liveHandles();
        assertEquals(held, {});
      }),
    { skip: noRealm },
  );
}

const at = (size: number) => new Uint8Array(size);

/** Faults of the toy provider, and the check that must notice. */
const FAULTS: readonly (readonly [what: string, check: string, faults: ToyFaults])[] = [
  ["claims confidentiality that it does not offer", "no more than it offers", {
    offers: { confidentiality: false },
    attributes: { confidentiality: true },
  }],
  ["gives less than it offers", "no more than it offers and no less", {
    attributes: { mutualAuthentication: false },
  }],
  ["lets NTLM prove the server", "no more than it offers and no less", { attributes: { mechanism: "ntlm" } }],
  ["does not detect a wrong sequence", "no more than it offers and no less", {
    attributes: { sequenceDetection: false },
  }],
  ["claims more than the level it offers", "no more than it offers", {
    offers: { impersonation: "identify", delegation: false },
  }],
  ["offers confidentiality without integrity", "describes itself", { offers: { integrity: false } }],
  ["is bound to channels that nobody gave", "channel bindings", { attributes: { channelBound: true } }],
  ["has no end", "agrees with itself", { tokens: 1000 }],
  ["sends nothing before it is done", "agrees with itself", {
    changeStep: (_, leg, result) => leg === 0 ? { ...result, token: null } : result,
  }],
  ["says that it is done while its context is not", "agrees with itself", {
    changeStep: (_, _leg, result) => ({ ...result, done: true }),
  }],
  ["encrypts nothing", "encrypts what it wraps", { cipher: "none" }],
  ["does not notice altered records", "altered anywhere", { cipher: "none" }],
  ["does not notice replayed records", "cut off, replayed", { cipher: "none" }],
  ["fails with plain text in the buffer", "records of any size", { failWrapAt: 0 }],
  ["runs out at once", "peers, targets and expiry", { expiresAt: new Date(0) }],
  ["runs out after few records", "records of any size", { expireAfter: 3 }],
  ["fails with an error that is not typed", "tokens of nonsense", {
    onStep: (role) => {
      if (role === "server") throw new TypeError("x is undefined");
    },
  }],
  ["cannot be closed", "closes everything twice", {
    closeContext: () => {
      throw new Error("stuck");
    },
  }],
  ["has credentials that cannot be closed", "closes everything twice", {
    closeCredentials: () => {
      throw new Error("stuck");
    },
  }],
];

for (const [what, check, faults] of FAULTS) {
  test(`testProvider() finds a provider that ${what}`, async () => {
    const report = await testProvider(toyProvider(faults));
    const found = failures(report);
    assert(found.some((failure) => failure.includes(check)), found.join("\n") || "nothing failed");
    assertEquals(report.conforms, false);
  });
}

type Role = "client" | "server";
type Change = (context: ProviderContext, role: Role) => Partial<ProviderContext>;

/** The toy provider with some members of its contexts replaced. */
function changed(change: Change): ContextProvider {
  const toy = toyProvider();
  const replace = (context: ProviderContext, role: Role): ProviderContext => {
    const own = change(context, role);
    return new Proxy(context, {
      get(target, name) {
        const found = Reflect.get(name in own ? own : target, name, name in own ? own : target);
        return typeof found === "function" && !(name in own) ? found.bind(target) : found;
      },
    });
  };
  return {
    ...toy,
    async acquire(options) {
      const credentials = await toy.acquire(options);
      return {
        client: (given) => replace(credentials.client(given), "client"),
        server: (given) => replace(credentials.server(given), "server"),
        close: () => credentials.close(),
        [Symbol.dispose]: () => credentials.close(),
      };
    },
  };
}

/** Ways to break a context, and the check that must notice. */
const BROKEN: readonly (readonly [what: string, check: string, change: Change])[] = [
  ["signs before it is done", "wrong state", () => ({ sign: () => at(32) })],
  ["wraps before it is done", "wrong state", (context) => ({
    wrap: (plain, out) => context.done ? context.wrap(plain, out) : out.subarray(0, plain.length),
  })],
  ["gives its session key before it is done", "wrong state", () => ({ sessionKey: () => at(32) })],
  ["answers calls before it is done with an Error", "wrong state", (context) => ({
    verify(message, signature) {
      if (!context.done) throw new Error("not yet");
      context.verify(message, signature);
    },
  })],
  ["takes a step after it is done", "wrong state", (context) => ({
    step: (token) => context.done ? Promise.resolve({ token: null, done: true }) : context.step(token),
  })],
  [
    "lets a client sign what it is sent",
    "peers, targets",
    () => ({ requestedTarget: "host/server.example.test" }),
  ],
  [
    "reports another target",
    "peers, targets",
    (_, role) => role === "server" ? { requestedTarget: "host/other.example.test" } : {},
  ],
  ["has no name for its peer", "peers, targets", () => ({ peerName: undefined as unknown as string })],
  ["hands out its key itself", "session key", (context) => {
    let key: Uint8Array | undefined;
    return { sessionKey: () => key ??= context.sessionKey() };
  }],
  ["has a key of its own on each end", "session key", (context, role) => ({
    sessionKey: () => role === "client" ? context.sessionKey() : context.sessionKey().reverse(),
  })],
  ["wraps into a buffer of its own", "records of any size", (context) => ({
    wrap: (plain, out) => context.wrap(plain, out).slice(),
  })],
  ["changes the plain text that it wraps", "records of any size", (context) => ({
    wrap(plain, out) {
      const record = context.wrap(plain, out);
      plain.fill(0);
      return record;
    },
  })],
  ["unwraps into a buffer of its own", "records of any size", (context) => ({
    unwrap: (record) => context.unwrap(record).slice(),
  })],
  ["announces less overhead than it adds", "records of any size", () => ({ maxOverhead: 1 })],
  ["leaves plain text in a buffer that is too small", "too small", (context) => ({
    wrap(plain, out) {
      out.set(plain.subarray(0, out.length));
      return context.wrap(plain, out);
    },
  })],
  ["takes its own records back", "reflected", (context) => ({
    unwrap(record) {
      try {
        return context.unwrap(record);
      } catch {
        return record.subarray(0, record.length - 1);
      }
    },
  })],
  ["answers an altered record with an Error", "altered anywhere", (context) => ({
    unwrap(record) {
      try {
        return context.unwrap(record);
      } catch (error) {
        throw error instanceof StateError ? error : new Error("bad record");
      }
    },
  })],
  ["verifies nothing", "signs and verifies", (context) => ({
    verify() {
      if (!context.done) throw new StateError("not yet");
    },
  })],
  ["can be used after close", "closes everything twice", () => ({ close() {} })],
  ["wraps without encryption and cannot unwrap that", "optional members", (context) => ({
    wrapUnencrypted: (plain, out) => context.wrap(plain, out),
  })],
  ["wraps with encryption where none was asked for", "optional members", (context) => ({
    wrapUnencrypted: (plain, out) => context.wrap(plain, out),
    unwrapAny: (record) => ({ data: context.unwrap(record), encrypted: true }),
  })],
  ["unwraps what is not encrypted", "optional members", (context) => ({
    wrapUnencrypted: (plain, out) => context.wrap(plain, out),
    unwrapAny: (record) => ({ data: context.unwrap(record), encrypted: false }),
  })],
  ["has limits that its records exceed", "optional members", () => ({ wrapSizeLimit: (size) => size })],
  ["leaves detached data that was altered", "optional members", (context) => ({
    wrapDetached: (data) => context.sign(data),
    unwrapDetached(header, data) {
      context.verify(data, header);
      return data;
    },
  })],
];

for (const [what, check, change] of BROKEN) {
  test(`testProvider() finds a context that ${what}`, async () => {
    const found = failures(await testProvider(changed(change)));
    assert(found.some((failure) => failure.includes(check)), found.join("\n") || "nothing failed");
  });
}

test("testProvider() passes contexts with optional members that work", async () => {
  const report = await testProvider(changed((context) => ({
    wrapSizeLimit: (size) => Math.max(0, size - context.maxOverhead),
    wrapDetached: (data) => context.sign(data),
    unwrapDetached(header, data) {
      try {
        context.verify(data, header);
        return data;
      } catch (error) {
        data.fill(0);
        throw error;
      }
    },
  })));
  assertEquals(failures(report), []);
  assert(report.outcomes.every(({ result }) => result === "ok"));
});

/** Ways to break a provider as a whole, and the check that must notice. */
const PROVIDERS: readonly (readonly [what: string, check: string, change: Partial<ContextProvider>])[] = [
  ["has two names", "describes itself", { name: "other" }],
  ["throws when asked whether it is available", "available", {
    available() {
      throw new Error("no");
    },
  }],
  ["gives no reason", "available", { available: () => ({ available: false, reason: "" }) }],
];

for (const [what, check, change] of PROVIDERS) {
  test(`testProvider() finds a provider that ${what}`, async () => {
    const found = failures(await testProvider({ ...toyProvider(), ...change }));
    assertEquals(found.length, 1);
    assert(found[0].includes(check), found[0]);
  });
}

test("testProvider() goes on after a provider that cannot even acquire credentials", async () => {
  const report = await testProvider(toyProvider({
    onAcquire() {
      throw new ProtocolError("malformed", "No");
    },
  }));
  assert(failures(report).length > 10);
  assert(report.outcomes.some(({ result }) => result === "ok"));
});

test("testProvider() of one role skips what needs both ends", async () => {
  for (const role of ["client", "server"] as const) {
    const report = await testProvider(toyProvider(), { roles: [role] });
    assertEquals(failures(report), []);
    assert(
      report.outcomes.some(({ result, reason }) => result === "skipped" && reason?.includes("both ends")),
    );
  }
});

/** Ways to break a codec, and the check that must notice. */
const CODECS: readonly (readonly [what: string, check: string, provider: () => SocketProvider])[] = [
  ["allows clear text", "settings that are as granted", () =>
    referenceProvider({}, {
      settings(bytes) {
        bytes[4] |= 2;
        return bytes;
      },
    })],
  ["does not use what it is granted", "settings that are as granted", () => ({
    ...referenceProvider(),
    rawPeerName: true,
  })],
  [
    "cuts names off",
    "names the peer",
    () => referenceProvider({}, { target: (bytes) => bytes.subarray(0, bytes.length - 2) }),
  ],
  ["watches without being asked to", "asks what it is to ask", () =>
    referenceProvider({}, {
      template(bytes) {
        bytes[bytes.length - 8] ^= 1;
        return bytes;
      },
    })],
  ["answers differently each time", "same bytes each time", () => {
    let count = 0;
    return referenceProvider({}, {
      target(bytes) {
        bytes[0] = count++;
        return bytes;
      },
    });
  }],
  ["shares one codec", "closed twice", () => {
    const provider = referenceProvider();
    const one = provider.codec();
    return { ...provider, codec: () => one };
  }],
];

for (const [what, check, provider] of CODECS) {
  test(`testProvider() finds a codec that ${what}`, async () => {
    const found = failures(await testProvider(provider()));
    assert(found.some((failure) => failure.includes(check)), found.join("\n") || "nothing failed");
  });
}

test("testProvider() refuses what is neither a provider nor a module, by the argument's name", async () => {
  for (const wrong of [null, undefined, {}, { layer: "transport" }, "ntlm"]) {
    const error = await assertRejects(() => testProvider(wrong as unknown as Provider), TypeError);
    assert(error.message.startsWith("provider must be"), error.message);
  }
  await assertRejects(() => testProvider(toyProvider(), { roles: [] }), TypeError, "roles must name");
});
