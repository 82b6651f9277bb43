/** What is begun in a directory is done or taken back, whatever fails, is aborted, or is changed by somebody else. */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { test } from "@test";
import type { ProviderSystem } from "../../contract.ts";
import {
  connectService,
  type Directory,
  findServicePoints,
  installService,
  listenService,
  listSpns,
  openDirectory,
  publishServicePoint,
  registerSpns,
  uninstallService,
} from "../../directory/mod.ts";
import { DirectoryError, TimeoutError, TransportError } from "../../errors.ts";
import { createRegistry } from "../../mod.ts";
import type { AdDc } from "../rig/ad_dc.ts";
import { inDomain, noAdDc } from "../support/ad.ts";
import { toyProvider, toySystem } from "../support/toy_provider.ts";
import { directoryOf } from "../support/directory.ts";

const skip = noAdDc;
const WEB1 = "CN=WEB1,CN=Computers,DC=example,DC=test";
const POINT = {
  under: WEB1,
  name: "ADSockAuth",
  serviceClass: "ADSockAuth",
  keywords: ["one", "two"],
  dnsName: "web1.example.test",
  bindingInformation: 7777,
};
const SERVICE = { ...POINT, account: "WEB1$" };
const METHODS = ["search", "read", "add", "modify", "delete"] as const;
type Method = typeof METHODS[number];

function inDirectory(
  body: (directory: Directory, dc: AdDc, system: ProviderSystem) => Promise<void>,
): Promise<void> {
  return inDomain(async (dc, system) => {
    await dc.kinit("Administrator");
    await using directory = await openDirectory(directoryOf(dc, system));
    await body(directory, dc, system);
  });
}

/** The directory; `before` is called with each call before it is sent, `after` once it is done. */
function watched(
  directory: Directory,
  { before, after }: { before?: (method: Method) => void; after?: (method: Method) => void },
): Directory {
  return new Proxy(directory, {
    get(target, name) {
      const value = Reflect.get(target, name, target);
      if (!METHODS.includes(name as Method)) return typeof value === "function" ? value.bind(target) : value;
      const method = name as Method;
      return (...args: unknown[]) => {
        before?.(method);
        const done: Promise<unknown> = Reflect.apply(value, target, args);
        return method === "search" ? done : done.then((result) => (after?.(method), result));
      };
    },
  });
}

/** Throws at the `at`-th call. */
function failAt(at: number, error: () => Error): () => void {
  let calls = 0;
  return () => {
    if (++calls === at) throw error();
  };
}

/** What a service leaves in the directory. */
async function traces(directory: Directory): Promise<string[]> {
  const points = await findServicePoints(directory, { serviceClass: "ADSockAuth" });
  const { spns } = await listSpns(directory, "WEB1$");
  const written = points.map((point) =>
    `${point.dn} ${point.dnsName} ${point.bindingInformation} ${point.keywords.toSorted()}`
  );
  return [...written, ...spns.map(({ text }) => text)];
}

const cut = () => new TransportError("ECONNRESET", "the connection was cut");
const HOW = {
  "before it is sent": (at: number) => ({ before: failAt(at, cut) }),
  "by an abort while it is under way": (at: number, controller: AbortController) => {
    let calls = 0;
    return { before: () => void (++calls === at && controller.abort(new RangeError("enough"))) };
  },
} as const;

for (const [how, make] of Object.entries(HOW)) {
  test(
    `installService() leaves nothing behind, whichever call fails ${how}`,
    () =>
      inDirectory(async (directory) => {
        for (const existing of [false, true]) {
          if (existing) {
            await publishServicePoint(directory, {
              ...POINT,
              bindingInformation: 1,
              keywords: ["one", "old"],
            });
          }
          const before = await traces(directory);
          let failed = 0;
          for (let at = 1;; at++) {
            const controller = new AbortController();
            const failing = watched(directory, make(at, controller));
            const options = { ...SERVICE, signal: controller.signal };
            const outcome = await installService(failing, options).catch((error: Error) => error);
            if (!(outcome instanceof Error)) {
              // An abort that comes too late is no failure.
              const { point: { guid }, target } = outcome;
              await uninstallService(directory, { guid, account: "WEB1$", target });
              if (!controller.signal.aborted) break;
              if (existing) {
                await publishServicePoint(directory, {
                  ...POINT,
                  bindingInformation: 1,
                  keywords: ["one", "old"],
                });
              }
              continue;
            }
            failed++;
            assert(/cut|enough/.test(outcome.message), `${at}: ${outcome}`);
            assertEquals(await traces(directory), before, `${existing} ${at}: ${outcome}`);
          }
          assert(failed >= 5, `${failed} calls`);
        }
      }),
    { skip },
  );
}

test(
  "registerSpns() says what is left where taking it back fails, and why it failed first",
  () =>
    inDirectory(async (directory) => {
      let modified = 0;
      let searched = 0;
      const failing = watched(directory, {
        before: (method) => {
          if (method === "modify" && ++modified === 2) throw new TransportError("EPIPE", "and again");
          if (method === "search" && modified === 1 && ++searched === 1) throw cut();
        },
      });
      const error = await assertRejects(
        () => registerSpns(failing, "svcweb", ["x/left.example.test"]),
        AggregateError,
        "x/left.example.test",
      );
      assertEquals(error.errors.map((each: Error) => each.message.includes("cut")), [true, false]);
      assert(error.message.includes("was cut"), error.message);
    }),
  { skip },
);

test(
  "a change whose answer is lost is reported as one that may have been made",
  () =>
    inDirectory(async (directory) => {
      const lost = () =>
        watched(directory, {
          after: (method) => {
            if (["add", "modify"].includes(method)) throw cut();
          },
        });
      for (
        const changing of [
          () => registerSpns(lost(), "svcweb", ["x/lost.example.test"]),
          () => publishServicePoint(lost(), POINT),
          () => publishServicePoint(lost(), { ...POINT, bindingInformation: 2 }),
        ]
      ) await assertRejects(changing, TransportError, "is not known");
    }),
  { skip },
);

test(
  "undo() does not take back what somebody else has changed since",
  () =>
    inDirectory(async (directory) => {
      const { point: { dn, guid } } = await publishServicePoint(directory, POINT);
      const updated = await publishServicePoint(directory, {
        ...POINT,
        bindingInformation: 8888,
        keywords: ["two", "three"],
      });
      await directory.modify(dn, [{
        operation: "replace",
        attribute: "serviceBindingInformation",
        values: ["9999"],
      }]);
      await assertRejects(() => updated.undo(), DirectoryError, "noSuchAttribute");
      const [{ bindingInformation }] = await findServicePoints(directory, { guid });
      assertEquals(bindingInformation, ["9999"]);
    }),
  { skip },
);

test(
  "uninstallService() unregisters the SPN that it is given, whatever the connection point says by then",
  () =>
    inDirectory(async (directory, dc, system) => {
      await registerSpns(directory, "WEB1$", ["Payroll/web1.example.test"]);
      // The computer owns its connection point, and can make it name another service of the same account.
      await dc.kinit("WEB1$");
      await using own = await openDirectory(directoryOf(dc, system));
      await publishServicePoint(own, POINT);
      const { point: { guid, dn }, target } = await installService(directory, SERVICE);
      await own.modify(dn, [{ operation: "replace", attribute: "serviceClassName", values: ["Payroll"] }]);
      const done = await uninstallService(directory, { guid, account: "WEB1$", target });
      assertEquals(done, { removed: true, unregistered: [target] });
      const left = (await listSpns(directory, "WEB1$")).spns.map(({ text }) => text);
      assert(left.includes("Payroll/web1.example.test") && !left.includes(target), `${left}`);
      // The connection point is gone already: the SPN goes all the same.
      await registerSpns(directory, "WEB1$", [target]);
      assertEquals(await uninstallService(directory, { guid, account: "WEB1$", target }), {
        removed: false,
        unregistered: [target],
      });
      await assertRejects(
        () => uninstallService(directory, { guid, account: "WEB1$" } as never),
        TypeError,
        "target",
      );
    }),
  { skip },
);

test(
  "listenService() leaves no port open where its time is over while it begins to listen",
  () =>
    inDirectory(async (directory, dc, system) => {
      const { point: { guid } } = await installService(directory, SERVICE);
      await dc.kinit("alice");
      const { promise: acquiring, resolve: acquire } = Promise.withResolvers<void>();
      const provider = toyProvider({ onAcquire: () => acquiring });
      const options = {
        service: { serviceClass: "ADSockAuth", dnsName: "web1.example.test", account: "WEB1$", guid },
        directory: directoryOf(dc, system),
        registry: createRegistry([provider]),
        system: toySystem(),
        hostname: "127.0.0.1",
        port: 7777,
        verifyTimeoutMs: 1500,
      };
      await assertRejects(() => listenService(options), TimeoutError);
      acquire();
      await new Promise((resolve) => setTimeout(resolve, 200));
      // The listener would hold them, and the port.
      assertEquals([provider.ledger.credentials, provider.ledger.live], [1, 0]);
    }),
  { skip },
);

test(
  "a directory that is opened for a call does not outlast the call's signal, whatever its own says",
  async () => {
    const records = () => new Promise<never>(() => {});
    const { signal } = new AbortController();
    const connecting = connectService({
      service: { serviceClass: "ADSockAuth", keywords: "k" },
      directory: { domain: "example.test", resolver: { records }, signal },
      signal: AbortSignal.timeout(100),
    });
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise((resolve) => timer = setTimeout(resolve, 5_000, "late"));
    assertEquals(await Promise.race([connecting.catch((error: Error) => error.name), late]), "TimeoutError");
    clearTimeout(timer);
  },
);
