/**
 * `deno run -A --v8-flags=--expose-gc bench/services.ts`: finds, verifies and connects to a service of a domain, beside the same searches by
 * ldapsearch; and finds many connection points by a keyword, with the growth of memory.
 *
 * @module
 */

import { join } from "node:path";
import process from "node:process";
import { parseArgs } from "node:util";
import {
  connectService,
  findServicePoints,
  installService,
  openDirectory,
  searchServicePoints,
  verifySpns,
} from "../directory/mod.ts";
import { SERVICE_POINT_ATTRIBUTES } from "../directory/service_points.ts";
import { connect, listen, openSystem } from "../mod.ts";
import { findProgram, mustRun, run } from "../scripts/process.ts";
import { ROOT } from "../scripts/root.ts";
import { cleanUpWhenInterrupted } from "../scripts/temporary.ts";
import { type AdDc, startAdDc } from "../tests/rig/ad_dc.ts";
import { makeServicePoints } from "../tests/support/many_points.ts";
import { memory } from "../scripts/memory.ts";
import { median } from "./table.ts";

const HELP = `Usage: deno run -A --v8-flags=--expose-gc bench/services.ts [--points N] [--rounds N] [--help]

Fills a temporary domain of Samba with N connection points (default 10000) and one service, and prints the medians of
the rounds (default 5): find, verify and connect with a directory that is opened for it, and with an open one, each beside
the same steps of a client in C (directory_bench.c, whose verification is one search of the domain, where ours is of the
forest, with the SPNs that cover it); the same searches by two runs of ldapsearch, and the connection alone; all N found by their keyword, by each, and how much memory
this process needs more at the end than after the first 1000.

Needs what the tests of a domain need. Exit status: 0 measured; 2 the command is wrong.`;

const HOST = "web1.example.test";
const TARGET = `ADSockAuth/${HOST}`;

async function milliseconds(rounds: number, body: () => Promise<unknown>): Promise<number> {
  const times: number[] = [];
  for (let round = 0; round <= rounds; round++) {
    const began = performance.now();
    await body();
    // The first round warms up.
    if (round > 0) times.push(performance.now() - began);
  }
  return median(times)!;
}

function report(what: string, ms: number | null): void {
  console.log(`${what.padEnd(52)} ${ms === null ? "not built" : `${ms.toFixed(1).padStart(9)} ms`}`);
}

/** The medians of `directory_bench.c`; `null` where it cannot be built. */
async function clientInC(
  dc: AdDc,
  port: number,
  rounds: number,
): Promise<{ readonly opened: number | null; readonly open: number | null }> {
  const program = join(dc.dir, "directory_bench");
  const source = join(ROOT, "bench/directory_bench.c");
  const built = await run("gcc", ["-O2", "-o", program, source, "-lldap", "-llber", "-lgssapi_krb5"]).catch(
    () => null,
  );
  if (built?.code !== 0) {
    console.log(
      `C: ${
        built?.stderr.split("\n")[0] ?? "no gcc"
      }: apt-get install gcc libldap-dev libsasl2-dev libkrb5-dev`,
    );
    return { opened: null, open: null };
  }
  const args = [dc.address, dc.base, "the one", TARGET, `${port}`, `${rounds + 1}`];
  const { stdout } = await mustRun(program, args, { env: dc.env });
  // The first round warms up, as here.
  const lines = stdout.trim().split("\n").slice(1).map((line) => line.split(" ").map(Number));
  return { opened: median(lines.map(([ms]) => ms)), open: median(lines.map(([, ms]) => ms)) };
}

async function main(): Promise<number> {
  const options = {
    points: { type: "string" },
    rounds: { type: "string" },
    help: { type: "boolean" },
  } as const;
  const { values } = parseArgs({ options });
  const [points, rounds] = [Number(values.points ?? 10_000), Number(values.rounds ?? 5)];
  if (values.help || !(Number.isInteger(points) && points >= 0 && Number.isInteger(rounds) && rounds >= 1)) {
    console.log(HELP);
    return values.help ? 0 : 2;
  }
  await using dc = await startAdDc();
  const restore = dc.applyEnv();
  using system = openSystem({ grants: ["sspi"] });
  const open = {
    domain: "example.test",
    servers: [{ hostname: "dc1.example.test", address: dc.address }],
    system,
  };
  await dc.modify(
    `dn: CN=DC1,OU=Domain Controllers,${dc.base}\nchangetype: modify\nadd: servicePrincipalName\n` +
      // ldapsearch asks for the service of the address: no name server knows the controller's name.
      `servicePrincipalName: ldap/${dc.address}\n`,
  );
  await dc.kinit("Administrator");
  const keytab = join(dc.dir, "service.keytab");
  await using directory = await openDirectory(open);
  const started = async () => {
    const { point } = await installService(directory, {
      ...{
        account: "WEB1$",
        under: `CN=WEB1,CN=Computers,${dc.base}`,
        name: "ADSockAuth",
        serviceClass: "ADSockAuth",
      },
      ...{ keywords: ["the one"], dnsName: HOST, bindingInformation: 1 },
    });
    await dc.exportKeytab(keytab, [TARGET]);
    return point;
  };
  await started();
  const server = {
    hostname: "127.0.0.1",
    port: 0,
    system,
    credentials: { keytab },
    acceptedTargets: [TARGET],
  };
  await using listener = await listen(server);
  const { port } = listener.addr;
  (async () => {
    for await (const conn of listener) await conn.close();
  })().catch(() => {});
  const resolver = { records: () => Promise.resolve([]), addresses: () => Promise.resolve(["127.0.0.1"]) };
  const whole = (to: typeof directory | typeof open) => async () => {
    const service = { serviceClass: "ADSockAuth", keywords: "the one", port };
    await using _ = await connectService({ service, directory: to, resolver, system });
  };
  const ldapsearch = (filter: string, attributes: string[]) =>
    mustRun(findProgram("ldapsearch")!, [
      ...["-Q", "-N", "-Y", "GSSAPI", "-O", "minssf=56", "-LLL", "-H", `ldap://${dc.address}`, "-b", dc.base],
      ...["-E", "pr=500/noprompt", filter, ...attributes],
    ], { env: dc.env });
  const steps = async (to: typeof directory) => {
    const { ok } = await verifySpns(to, "WEB1$", [TARGET]);
    if (!ok) throw new Error(`${TARGET} is not registered for one account`);
    await whole(to)();
  };
  const opened = async () => {
    await using own = await openDirectory(open);
    await steps(own);
  };
  const c = await clientInC(dc, port, rounds);
  report("find, verify, connect; directory opened for it", await milliseconds(rounds, opened));
  report("  the same in C", c.opened);
  report("find, verify, connect; directory open", await milliseconds(rounds, () => steps(directory)));
  report("  the same in C", c.open);
  report("find, connect; directory open", await milliseconds(rounds, whole(directory)));
  const searches = async () => {
    await ldapsearch("(&(objectClass=serviceConnectionPoint)(keywords=the one))", ["serviceDNSName"]);
    await ldapsearch(`(servicePrincipalName=${TARGET})`, ["sAMAccountName"]);
  };
  report("find and verify by two runs of ldapsearch", await milliseconds(rounds, searches));
  const alone = async () => {
    await using _ = await connect({ hostname: "127.0.0.1", port, target: TARGET, system });
  };
  report("connect alone", await milliseconds(rounds, alone));

  if (points > 0) await makeServicePoints(dc, "many", points);
  const all = async (at1000?: () => Promise<void>) => {
    let count = 0;
    for await (const _ of searchServicePoints(directory, { keywords: "many" })) {
      if (++count === 1000) await at1000?.();
    }
    if (count !== points) throw new Error(`${count} connection points were found, not ${points}`);
  };
  report(`${points} found by their keyword`, await milliseconds(rounds, () => all()));
  report(
    "the first 100 of them in order",
    await milliseconds(rounds, () => findServicePoints(directory, { keywords: "many" })),
  );
  const filter = "(&(objectClass=serviceConnectionPoint)(keywords=many))";
  const many = () => ldapsearch(filter, [...SERVICE_POINT_ATTRIBUTES]);
  report("the same by ldapsearch", await milliseconds(rounds, many));
  let first = 0;
  await all(async () => void (first = (await memory()).heap));
  const grown = (await memory()).heap - first;
  console.log(`heap at the end, less that after the first 1000: ${(grown / 2 ** 20).toFixed(1)} MiB`);
  restore();
  return 0;
}

if (import.meta.main) {
  cleanUpWhenInterrupted();
  process.exit(await main());
}
