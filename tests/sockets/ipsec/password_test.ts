/**
 * The password of explicit credentials, in IPsec's settings: zeroed in every buffer that contained it, whatever the
 * result of the call, and visible nowhere.
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { test } from "@test";
import { simulate, type SimulatedNetwork } from "../../../testing/simulator/simulate.ts";
import type { Calls } from "../../../ffi/abi.ts";
import { FWPUCLNT, SOCKET_SECURITY_SETTINGS_IPSEC } from "../../../ffi/raw/fwpuclnt.ts";
import { SECURE_SOCKET_ERRORS } from "../../../ffi/raw/winsock_status.ts";
import type { NativeSystem } from "../../../ffi/system.ts";
import { ipsec } from "../../../plugins/ipsec/mod.ts";
import type { Provider } from "../../../contract.ts";
import { createRegistry } from "../../../plugins/registry.ts";
import { connect } from "../../../sockets/connect.ts";
import { listen } from "../../../sockets/listen.ts";
import { openDatagrams } from "../../../sockets/ipsec/open_datagrams.ts";
import { referenceProvider } from "../../support/reference_codec.ts";
import { shown, watchSecret } from "../../support/secret_watch.ts";
import { settled } from "../../support/socket_suite.ts";

const SECRET = "kørrekt-horse-9C4F";
const requirements = { mutualAuthentication: false } as const;

/** The forms a password may be given in. */
const FORMS: readonly (readonly [string, () => string | Uint8Array])[] = [
  ["text", () => SECRET],
  ["UTF-8", () => new TextEncoder().encode(SECRET)],
];

interface Given {
  readonly network: SimulatedNetwork;
  readonly options: {
    readonly port: number;
    readonly registry: ReturnType<typeof createRegistry>;
    readonly requirements: typeof requirements;
    readonly credentials: { username: string; domain: string; password: string | Uint8Array };
    readonly system: ReturnType<SimulatedNetwork["host"]>;
  };
}

/** What to do with the password; the result, or the error, is searched for the password. */
interface Story {
  readonly name: string;
  readonly act: (given: Given) => Promise<unknown>;
  readonly provider?: () => Provider;
  /** True if the password reaches the system before anything fails. */
  readonly reaches: boolean;
}

const failing = (fn: string, codeName: string) => async ({ network, options }: Given) => {
  network.failNext("client", fn, codeName);
  return await connect({ hostname: "server", ...options }).then(() => assert(false), (error) => error);
};

const STORIES: readonly Story[] = [
  {
    name: "connect() that succeeds",
    reaches: true,
    async act({ network, options }) {
      using there = network.host("server");
      await using listener = await listen({ ...options, system: there });
      const accepting = listener.accept();
      await using conn = await connect({ hostname: "server", ...options });
      const accepted = await accepting;
      const all = [
        conn,
        conn.security,
        await conn.querySecurity(),
        listener,
        accepted,
        options.registry,
        options.system,
      ];
      // Shown while they are alive.
      const text = all.map(shown);
      await accepted.close();
      return text;
    },
  },
  {
    name: "listen() whose port is taken",
    reaches: true,
    async act({ network, options }) {
      network.failNext("client", "bind", "WSAEADDRINUSE");
      return await listen(options).then(() => assert(false), (error) => error);
    },
  },
  {
    name: "openDatagrams() and sending",
    reaches: true,
    async act({ options }) {
      await using udp = await openDatagrams(options);
      const peer = { hostname: "localhost", port: udp.addr.port, computer: "host/client" };
      return [shown(udp), await udp.send(new Uint8Array(1), peer)];
    },
  },
  {
    name: "connect() that is refused",
    reaches: true,
    act: ({ options }) =>
      connect({ hostname: "server", ...options }).then(() => assert(false), (error) => error),
  },
  {
    name: "connect() to a name that nobody has",
    reaches: false,
    act: ({ options }) =>
      connect({ hostname: "nobody", ...options }).then(() => assert(false), (error) => error),
  },
  ...SECURE_SOCKET_ERRORS.WSASetSocketSecurity.map((code) => ({
    name: `connect() whose settings are refused with ${code}`,
    reaches: true,
    act: failing("WSASetSocketSecurity", code),
  })),
  {
    name: "connect() whose peer cannot be named",
    reaches: true,
    act: failing("WSASetSocketPeerTargetName", "WSAEINVAL"),
  },
  {
    name: "a codec whose settings are refused",
    reaches: false,
    provider: () => referenceProvider({}, { settings: () => new Uint8Array() }),
    act: ({ options }) =>
      connect({ hostname: "client", ...options }).then(() => assert(false), (error) => error),
  },
  {
    name: "a codec that throws",
    reaches: false,
    provider: () =>
      referenceProvider({}, {
        settings: () => {
          throw new Error("a codec's own trouble");
        },
      }),
    act: ({ options }) =>
      connect({ hostname: "client", ...options }).then(() => assert(false), (error) => error),
  },
  {
    name: "connect() that is given up while it runs",
    reaches: false,
    async act({ network, options }) {
      using there = network.host("server");
      await using _listener = await listen({ ...options, system: there, credentials: undefined });
      const controller = new AbortController();
      const connecting = connect({ hostname: "server", ...options, signal: controller.signal });
      setTimeout(() => controller.abort(new Error("enough")), 0);
      return await connecting.then((conn) => conn.close(), (error) => error);
    },
  },
  {
    name: "a failed handshake that goes to the console",
    reaches: true,
    async act({ network, options }) {
      using there = network.host("server");
      // A requirement that cannot be met: each connection fails.
      const strict = { mutualAuthentication: true };
      await using listener = await listen({ ...options, system: there, requirements: strict });
      const error = await connect({ hostname: "server", ...options, requirements: strict }).catch((error) =>
        error
      );
      for (let turn = 0; turn < 50; turn++) await null;
      await listener.close();
      return error;
    },
  },
];

for (const { name, act, provider = () => ipsec(), reaches } of STORIES) {
  for (const [form, give] of FORMS) {
    test(`${name}: the password, given as ${form}, is zeroed everywhere and shown nowhere`, async () => {
      const network = simulate({ hosts: { server: {} } });
      const password = give();
      const own = password instanceof Uint8Array ? password : undefined;
      const credentials = { username: "alice", domain: "SIM", password };
      const watched = await watchSecret(SECRET, async () => {
        using system = network.host("client");
        const registry = createRegistry([provider()]);
        const result = await act({
          network,
          options: { port: 7, registry, requirements, credentials, system },
        });
        return shown(result);
      }, own);
      assert(!watched.result.includes(SECRET), watched.result);
      assert(!watched.logged.includes(SECRET), watched.logged);
      assertEquals(watched.left, 0, `${watched.left} of ${watched.held} buffers still hold it`);
      // Where it is checked, where it is converted to UTF-16, and the settings themselves.
      assert(watched.held >= (reaches ? 3 : 0), `${watched.held} buffers held it: this test sees nothing`);
      if (own) assertEquals(own, new TextEncoder().encode(SECRET), "the caller's own bytes are left alone");
      assertEquals(await settled(), {});
      assertEquals(network.held(), { handles: 0, allocations: 0 });
    });
  }
}

test("the search finds a password that is left in a buffer, in an error's cause and in a log", async () => {
  const { left, held, logged } = await watchSecret(SECRET, () => {
    new Uint8Array(100).set(new TextEncoder().encode(SECRET), 7);
    console.log({ deep: { within: new Map([["a", SECRET]]) } });
    return Promise.resolve();
  });
  // In what TextEncoder gives, and in what it is copied into.
  assertEquals([held, left, logged.includes(SECRET)], [2, 2, true]);
  assert(
    shown(new Error("outer", { cause: Object.assign(new Error("inner"), { SECRET }) })).includes(SECRET),
  );
});

test("an invalid password is refused before anything is opened, and its value is not in the error", async () => {
  const network = simulate();
  using system = network.host("client");
  network.failNext("client", "GetAddrInfoExW", "WSATRY_AGAIN");
  const registry = createRegistry([ipsec()]);
  const wrong: readonly (readonly [unknown, string])[] = [
    [{ username: "alice", password: 99441 }, "credentials.password must be a string"],
    [{ username: "alice", password: { of: SECRET } }, "credentials.password must be a string"],
    [{ username: "alice", pass: SECRET, password: SECRET }, "credentials.pass is not known"],
    [{ password: SECRET }, "must have a username and a password"],
    [
      { username: "alice", password: Uint8Array.of(0xff, ...new TextEncoder().encode(SECRET)) },
      "must be UTF-8",
    ],
  ];
  for (const [credentials, said] of wrong) {
    const options = { hostname: "localhost", port: 7, registry, requirements, system };
    const error = await assertRejects(
      () => connect({ ...options, credentials: credentials as { username: string; password: string } }),
      TypeError,
      said,
    );
    assert(!/kørrekt|99441/.test(shown(error)), shown(error));
  }
  assertEquals(network.faultsInjected, 0);
});

const USERS:
  readonly (readonly [given: { username: string; domain?: string }, username: string, domain: string])[] = [
    [{ username: "SIM\\alice" }, "alice", "SIM"],
    [{ username: "sim\\alice", domain: "SIM" }, "alice", "SIM"],
    [{ username: "alice", domain: "SIM" }, "alice", "SIM"],
    [{ username: "alice" }, "alice", ""],
    [{ username: "alice@sim.example.test" }, "alice@sim.example.test", ""],
  ];

for (const [given, username, domain] of USERS) {
  test(`the settings for ${JSON.stringify(given)} are those of user ${username} in domain "${domain}"`, async () => {
    const network = simulate({ hosts: { server: {} } });
    using system = network.host("client") as NativeSystem;
    const written: Uint8Array[] = [];
    type Fwpuclnt = Calls<typeof FWPUCLNT>;
    const library = system.library("ipsec", FWPUCLNT) as {
      call: { -readonly [name in keyof Fwpuclnt]: Fwpuclnt[name] };
    };
    const original = library.call.WSASetSocketSecurity;
    library.call.WSASetSocketSecurity = (socket, settings, ...rest) => {
      written.push(settings!.slice());
      return original(socket, settings, ...rest);
    };
    const password = "pw";
    const options = {
      port: 7,
      registry: createRegistry([ipsec()]),
      requirements,
      system,
      credentials: { ...given, password },
    };
    await using _listener = await listen(options);
    const { offsets } = SOCKET_SECURITY_SETTINGS_IPSEC;
    const view = new DataView(written[0].buffer);
    const lengths = [offsets.UserNameStringLen, offsets.DomainNameStringLen, offsets.PasswordStringLen];
    assertEquals(
      lengths.map((at) => view.getUint32(at, true)),
      [username, domain, password].map((text) => 2 * text.length),
    );
    const strings = username + domain + password;
    const bytes = written[0].subarray(offsets.AllStrings, offsets.AllStrings + 2 * strings.length);
    assertEquals(new TextDecoder("utf-16le").decode(bytes), strings);
  });
}
