import { assert, assertEquals, assertStrictEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { test } from "@test";
import { PermissionError, ProviderNotFoundError } from "../../errors.ts";
import type {
  Availability,
  Capabilities,
  ContextProvider,
  MachinePolicy,
  Offers,
  Policy,
  Provider,
  Requirements,
} from "../../contract.ts";
import { createRegistry, machinePolicyFindings, type Registry } from "../../plugins/registry.ts";
import { resolveRequirements } from "../../plugins/requirements.ts";

const STRONG: Offers = {
  integrity: true,
  confidentiality: true,
  mutualAuthentication: true,
  impersonation: "delegate",
  delegation: true,
};

function fake(
  name: string,
  offers: Partial<Offers> = {},
  available?: () => Availability,
  mechanisms?: readonly string[],
): Provider {
  return {
    layer: "context",
    name,
    description: {
      name,
      layer: "context",
      isolation: "native",
      offers: { ...STRONG, ...offers },
      ...(mechanisms ? { mechanisms } : {}),
    },
    available: available ?? (() => ({ available: true })),
    acquire: () => Promise.reject(new Error("not used here")),
  };
}

function capabilities(
  machinePolicy: MachinePolicy = { state: "absent", path: "/etc/policy.json" },
): Capabilities {
  return {
    os: "linux",
    runtime: "deno",
    simulated: false,
    securityContexts: { available: true },
    ipsec: { available: false, reason: "not on Linux" },
    machinePolicy,
  };
}

const machine = (policy: Policy) =>
  capabilities({ state: "present", path: "/etc/policy.json", text: JSON.stringify(policy) });

test("select() returns the first suitable provider, and a reason for each one before it", () => {
  const registry = createRegistry([
    fake("away", {}, () => ({ available: false, reason: "its library is not installed" })),
    fake("ntlm", { mutualAuthentication: false }),
    fake("kerberos"),
    fake("later"),
  ]);
  const selection = registry.select({}, capabilities());
  assertEquals(selection.provider.name, "kerberos");
  assertEquals(selection.rejected, [
    { provider: "away", reason: "its library is not installed" },
    { provider: "ntlm", reason: "it does not offer mutualAuthentication, which is required" },
  ]);
  assertEquals(selection.machinePolicy, { state: "absent", path: "/etc/policy.json" });
});

test("select() uses the policy's order instead of the registry's, and only providers that it names", () => {
  const policy = { version: 1, order: ["second", "first"], deny: ["second"] } as const;
  const selection = createRegistry([fake("first"), fake("second"), fake("third")], policy)
    .select(undefined, capabilities());
  assertEquals(selection.provider.name, "first");
  assertEquals(selection.rejected.map(({ provider, reason }) => `${provider}: ${reason}`), [
    "second: the application's policy denies it",
    "third: the application's policy does not list it in its order",
  ]);
});

test("select() with requirements that name a provider returns that provider or none", () => {
  const registry = createRegistry([fake("first"), fake("second")]);
  assertEquals(registry.select({ provider: "second" }, capabilities()).provider.name, "second");
  const error = assertThrows(
    () => registry.select({ provider: "third" }, capabilities()),
    ProviderNotFoundError,
    'the requirements name "third" and no other',
  );
  assertEquals(error.rejected.length, 2);
  assertEquals(error.wanted.provider, "third");
});

test("select() without a suitable provider reports each one's reason, in the message and as data", () => {
  const registry = createRegistry([
    fake("first", {}, () => ({ available: false, reason: "it is not installed" })),
    fake("second", { mutualAuthentication: false }),
  ]);
  const error = assertThrows(() => registry.select({}, capabilities()), ProviderNotFoundError);
  assertEquals(error.message.split("\n"), [
    'No security provider can serve integrity, confidentiality, mutual authentication, impersonation "identify":',
    "  first: it is not installed",
    "  second: it does not offer mutualAuthentication, which is required",
  ]);
  assertEquals(error.wanted, { ...resolveRequirements() });
  assert(Object.isFrozen(error.wanted));
  assertEquals(error.rejected.map(({ provider }) => provider), ["first", "second"]);
  const named = assertThrows(
    () =>
      registry.select({ provider: "third", mutualAuthentication: false, delegation: true }, capabilities()),
    ProviderNotFoundError,
  );
  assertEquals(
    named.message.split("\n")[0],
    'No security provider can serve provider "third", integrity, confidentiality, impersonation "delegate", ' +
      "delegation:",
  );
  const none = assertThrows(() => createRegistry([]).select({}, capabilities()), ProviderNotFoundError);
  assertStringIncludes(none.message, 'impersonation "identify": the registry is empty');
});

test("select() applies the machine's policy, and the refusal contains its path", () => {
  const registry = createRegistry([fake("ntlm", { confidentiality: false, mutualAuthentication: false })]);
  const weak: Requirements = { confidentiality: false, mutualAuthentication: false };
  assertEquals(registry.select(weak, capabilities()).provider.name, "ntlm");
  assertThrows(
    () => registry.select(weak, machine({ version: 1, deny: ["ntlm"] })),
    ProviderNotFoundError,
    "the machine's policy (/etc/policy.json) denies it",
  );
  assertThrows(
    () => registry.select(weak, machine({ version: 1, floor: { mutualAuthentication: true } })),
    ProviderNotFoundError,
    "does not offer mutualAuthentication",
  );
});

test("select() passes the denied names of both policies to the provider, which might negotiate them", () => {
  const registry = createRegistry([fake("negotiate"), fake("other")], { version: 1, deny: ["other"] });
  assertEquals(registry.select({}, capabilities()).denied, ["other"]);
  assertEquals(registry.select({}, machine({ version: 1, deny: ["ntlm"] })).denied, ["other", "ntlm"]);
  assertEquals(createRegistry([fake("negotiate")]).select({}, capabilities()).denied, []);
});

/** A provider that negotiates, as `negotiate()` does. */
const negotiating = (...mechanisms: string[]): Provider => fake("negotiate", {}, undefined, mechanisms);
const ONE_SIDED: Requirements = { mutualAuthentication: false };

test("select() refuses a provider whose every mechanism is denied, with a reason for each mechanism", () => {
  const denies = (deny: string[]) => ({ version: 1, deny }) as const;
  const reasonOf = (registry: Registry, wish: Requirements, where = capabilities()): string => {
    const error = assertThrows(() => registry.select(wish, where), ProviderNotFoundError);
    return error.rejected.map(({ reason }) => reason).join("; ");
  };
  const left = "every mechanism that it could negotiate is excluded: ";
  const application = "kerberos (the application's policy denies it)";
  const ntlm = "ntlm (it cannot authenticate the server, and mutualAuthentication is required)";
  const own = createRegistry([negotiating("kerberos")], denies(["kerberos"]));
  for (const wish of [{}, ONE_SIDED]) assertEquals(reasonOf(own, wish), left + application);
  const both = createRegistry([negotiating("kerberos", "ntlm")], denies(["kerberos"]));
  assertEquals(reasonOf(both, {}), `${left}${application}, ${ntlm}`);
  assertEquals(both.select(ONE_SIDED, capabilities()).denied, ["kerberos"]);
  assertEquals(
    reasonOf(both, ONE_SIDED, machine(denies(["ntlm"]))),
    `${left}${application}, ntlm (the machine's policy (/etc/policy.json) denies it)`,
  );
  // What a floor raises counts, not what was asked for.
  assertEquals(
    reasonOf(both, ONE_SIDED, machine({ version: 1, floor: { mutualAuthentication: true } })),
    `${left}${application}, ${ntlm}`,
  );
});

test("select(): a denied mechanism does not affect the others, or providers that negotiate none", () => {
  const policy = { version: 1, deny: ["ntlm"] } as const;
  const registry = createRegistry([negotiating("kerberos", "ntlm"), fake("other")], policy);
  assertEquals(registry.select({}, capabilities()).provider.name, "negotiate");
  const denied = createRegistry([negotiating("kerberos"), fake("other")], { version: 1, deny: ["kerberos"] });
  assertEquals(denied.select({}, capabilities()).provider.name, "other");
});

test("select() refuses a provider whose name contains a denied built-in name", () => {
  const registry = createRegistry([fake("ntlm-x"), fake("krb5")], { version: 1, deny: ["ntlm", "kerberos"] });
  const error = assertThrows(() => registry.select(ONE_SIDED, capabilities()), ProviderNotFoundError);
  assertEquals(error.rejected.map(({ reason }) => reason), [
    'the application\'s policy denies "ntlm"',
    'the application\'s policy denies "kerberos"',
  ]);
});

test("createRegistry() refuses an unknown name in the application's policy, in deny and in order", () => {
  const providers = [negotiating("kerberos", "fast"), fake("acme")];
  for (const list of ["deny", "order"] as const) {
    for (const name of ["ntml", "spnego", "krb5", "acme-2"]) {
      assertThrows(
        () => createRegistry(providers, { version: 1, [list]: ["acme", name] }),
        TypeError,
        `policy: ${list}: "${name}" is not the name of a provider`,
      );
    }
    createRegistry(providers, { version: 1, [list]: ["negotiate", "kerberos", "ntlm", "ipsec", "acme"] });
  }
  createRegistry(providers, { version: 1, deny: ["fast"] });
  // A mechanism is no provider that could be tried in order.
  assertThrows(() => createRegistry(providers, { version: 1, order: ["fast"] }), TypeError, '"fast"');
  assertThrows(
    () => createRegistry([fake("acme")], '{"version":1,"deny":["emca","ntml"]}'),
    TypeError,
    'deny: "emca", "ntml" is not the name of a provider or mechanism that this registry knows ("negotiate", ' +
      '"kerberos", "ntlm", "ipsec", "acme"). Correct it, remove it, or add its provider to the registry',
  );
});

/** What is written by `console.warn()` while `body` runs. */
function warnings(body: () => void): string[] {
  const { warn } = console, lines: string[] = [];
  console.warn = (...words: unknown[]) => void lines.push(words.join(" "));
  try {
    body();
  } finally {
    console.warn = warn;
  }
  return lines;
}

test("select() reports an unknown name in the machine's policy once as a warning, and in every selection", () => {
  const registry = createRegistry([fake("negotiate"), fake("acme")]);
  const policy = machine({ version: 1, deny: ["acne", "ntlm"], order: ["negotiate", "acne"] });
  const known = ["negotiate", "kerberos", "ntlm", "ipsec", "acme"];
  const expected = [
    { list: "order", names: ["acne"], known },
    { list: "deny", names: ["acne"], known },
  ] as const;
  const told = warnings(() => {
    for (let again = 0; again < 3; again++) {
      const { provider, unknownNames } = registry.select({}, policy);
      assertEquals(provider.name, "negotiate");
      assertEquals(unknownNames, expected);
    }
  });
  assertEquals(told, [
    'secure-sockets: The machine\'s policy /etc/policy.json has "acne" in order, which is unknown ' +
    `here (known: ${
      known.map((name) => `"${name}"`).join(", ")
    }) and has no effect on this program. Correct it if it is misspelt`,
    'secure-sockets: The machine\'s policy /etc/policy.json has "acne" in deny, which is unknown ' +
    `here (known: ${
      known.map((name) => `"${name}"`).join(", ")
    }) and has no effect on this program. Correct it if it is misspelt`,
  ]);
  const fine = warnings(() => {
    assertEquals(registry.select({}, machine({ version: 1, deny: ["ipsec"] })).unknownNames, []);
    assertEquals(registry.select({}, capabilities()).unknownNames, []);
  });
  assertEquals(fine, []);
});

test("machinePolicyFindings() are not warned of again, and a policy that cannot be used is an error", () => {
  const providers = [fake("negotiate")];
  const policy = machine({ version: 1, deny: ["foo-bar"] }).machinePolicy;
  const told = warnings(() => {
    const findings = machinePolicyFindings(policy, providers);
    assertEquals(findings.length, 1);
    assertStringIncludes(findings[0], '/etc/policy.json has "foo-bar" in deny');
    createRegistry(providers).select({}, capabilities(policy));
  });
  assertEquals(told, []);
  assertEquals(machinePolicyFindings({ state: "absent", path: "/etc/policy.json" }, providers), []);
  const broken = { state: "present", path: "/etc/policy.json", text: "{" } as const;
  assertThrows(() => machinePolicyFindings(broken, providers), TypeError, "not JSON");
});

test("select() returns requirements raised by the floor", () => {
  const registry = createRegistry([fake("kerberos")], { version: 1, floor: { mutualAuthentication: true } });
  const { requirements } = registry.select(
    { integrity: false, confidentiality: false, mutualAuthentication: false },
    machine({ version: 1, floor: { confidentiality: true } }),
  );
  assertEquals([requirements.integrity, requirements.confidentiality, requirements.mutualAuthentication], [
    true,
    true,
    true,
  ]);
});

test("select() with a machine policy that is malformed, or of an unknown state, is an error", () => {
  const registry = createRegistry([fake("kerberos")]);
  const broken = { version: 1, denny: ["kerberos"] } as unknown as Policy;
  assertThrows(() => registry.select({}, machine(broken)), TypeError, "/etc/policy.json");
  const odd = { state: "Present", path: "/etc/policy.json" } as unknown as MachinePolicy;
  assertThrows(() => registry.select({}, capabilities(odd)), TypeError, "machinePolicy.state");
});

test("select() reports a machine policy that was not read", () => {
  const unread: MachinePolicy = { state: "unread", path: "/etc/policy.json", reason: "no --allow-read" };
  assertEquals(createRegistry([fake("a")]).select({}, capabilities(unread)).machinePolicy, unread);
});

test("select() refuses everything if the machine's policy exists and cannot be read", () => {
  const broken: MachinePolicy = { state: "unreadable", path: "/etc/policy.json", reason: "mode 000" };
  const error = assertThrows(
    () => createRegistry([fake("a")]).select({}, capabilities(broken)),
    PermissionError,
    "mode 000",
  );
  assertEquals(error.flag, "read access to /etc/policy.json");
});

test("select() throws the permission error itself if only permission is missing", () => {
  const denied = new PermissionError("sspi", "--allow-ffi=/lib/x.so", "Run again with --allow-ffi=/lib/x.so");
  const lacking = fake("native", {}, () => ({ available: false, reason: "no permission", cause: denied }));
  const thrown = assertThrows(() => createRegistry([lacking]).select({}, capabilities()));
  assertStrictEquals(thrown, denied);
  const named = assertThrows(() =>
    createRegistry([lacking, fake("other")]).select({ provider: "native" }, capabilities())
  );
  assertStrictEquals(named, denied);
  const mixed = createRegistry([lacking, fake("weak", { confidentiality: false })]);
  const error = assertThrows(() => mixed.select({}, capabilities()), ProviderNotFoundError, "no permission");
  assertStrictEquals(error.rejected[0].cause, denied);
});

test("select() does not use a provider whose available() throws or returns an invalid value", () => {
  const failure = new Error("broken");
  const registry = createRegistry([
    fake("throws", {}, () => {
      throw failure;
    }),
    fake("nonsense", {}, () => ({ available: "yes" }) as unknown as Availability),
    fake("nothing", {}, () => undefined as unknown as Availability),
    fake("kerberos"),
  ]);
  const { provider, rejected } = registry.select({}, capabilities());
  assertEquals(provider.name, "kerberos");
  assertEquals(rejected.length, 3);
  assertStrictEquals(rejected[0].cause, failure);
  assert(rejected.every(({ reason }) => reason.length > 20));
});

test("select() of an empty registry, or of a policy with an empty order, finds no provider", () => {
  assertThrows(
    () => createRegistry([]).select({}, capabilities()),
    ProviderNotFoundError,
    "registry is empty",
  );
  const none = createRegistry([fake("a")], '{"version":1,"order":[]}');
  assertThrows(() => none.select({}, capabilities()), ProviderNotFoundError, "does not list it");
});

test("select() refuses impersonation and delegation beyond a provider's offers", () => {
  const registry = createRegistry([fake("a", { impersonation: "identify", delegation: false })]);
  assertThrows(
    () => registry.select({ impersonation: "impersonate" }, capabilities()),
    ProviderNotFoundError,
  );
  assertThrows(
    () => registry.select({ delegation: true }, capabilities()),
    ProviderNotFoundError,
    "delegation",
  );
});

test("createRegistry() refuses two providers of one name, and values that are not providers", () => {
  assertThrows(() => createRegistry([fake("a"), fake("a")]), TypeError, 'has the name "a" too');
  assertThrows(() => createRegistry([fake("Kerberos")]), TypeError, "lower-case");
  assertThrows(
    () => createRegistry([null as unknown as Provider]),
    TypeError,
    "providers[0] is not a provider",
  );
  assertThrows(() => createRegistry({} as unknown as Provider[]), TypeError, "list of providers");
  const { acquire: _, ...rest } = fake("a") as ContextProvider;
  assertThrows(() => createRegistry([rest as Provider]), TypeError, "lacks available() or acquire()");
  assertThrows(() => createRegistry([{ ...fake("a"), name: "b" }]), TypeError, "same name");
  assertThrows(
    () => createRegistry([{ ...fake("a"), layer: "socket" } as unknown as Provider]),
    TypeError,
    "lacks available() or codec()",
  );
  assertThrows(() => createRegistry([fake("a")], "{}"), TypeError, "version");
  for (const mechanisms of ["kerberos", ["Kerberos"], [1], []] as unknown as string[][]) {
    assertThrows(
      () => createRegistry([fake("a", {}, undefined, mechanisms)]),
      TypeError,
      "must list the mechanisms it negotiates",
    );
  }
});

/** Every subset of a list. */
function subsets<T>(list: readonly T[]): T[][] {
  return list.reduce<T[][]>((all, item) => [...all, ...all.map((one) => [...one, item])], [[]]);
}

function everyPolicy(floors: readonly string[][]): Policy[] {
  const orders = [undefined, [], ["a"], ["b"], ["a", "b"], ["b", "a"]];
  return orders.flatMap((order) =>
    subsets(["a", "b"]).flatMap((deny) =>
      floors.map((keys) => ({
        version: 1 as const,
        ...(order ? { order } : {}),
        deny,
        floor: Object.fromEntries(keys.map((key) => [key, true])),
      }))
    )
  );
}

test("no machine policy makes a provider selectable that was not, or lowers a requirement", () => {
  const providers = [fake("a"), fake("b", { confidentiality: false, mutualAuthentication: false })];
  const keys = ["integrity", "confidentiality", "mutualAuthentication"] as const;
  const wishes = subsets(keys).map((asked): Requirements =>
    Object.fromEntries(keys.map((key) => [key, asked.includes(key)]))
  ).filter(({ integrity, confidentiality }) => integrity || !confidentiality);
  const machines = everyPolicy(subsets(keys)).map(machine);
  const trySelect = (registry: Registry, wish: Requirements, where: Capabilities) => {
    try {
      return registry.select(wish, where);
    } catch (error) {
      assertEquals((error as Error).name, "ProviderNotFoundError");
      return null;
    }
  };
  for (const application of everyPolicy([[], [...keys]])) {
    const registry = createRegistry(providers, application);
    for (const wish of wishes.flatMap((one) => [{ ...one, provider: "a" }, { ...one, provider: "b" }])) {
      const before = trySelect(registry, wish, capabilities());
      for (const where of machines) {
        const after = trySelect(registry, wish, where);
        if (!after) continue;
        assert(before !== null, JSON.stringify({ application, wish, where }));
        assert(keys.every((key) => after.requirements[key] || !before.requirements[key]));
      }
    }
  }
});
