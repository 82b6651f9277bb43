/**
 * `deno task bench:directory`: a sealed search of 10,000 objects beside ldapsearch and python3-ldap.
 *
 * @module
 */

import { existsSync } from "node:fs";
import process from "node:process";
import { parseArgs } from "node:util";
import { openDirectory } from "../directory/mod.ts";
import { openSystem, type System } from "../mod.ts";
import { findProgram, mustRun, run } from "../scripts/process.ts";
import { cleanUpWhenInterrupted } from "../scripts/temporary.ts";
import { type AdDc, startAdDc } from "../tests/rig/ad_dc.ts";
import { type Held, memory } from "../scripts/memory.ts";
import { median } from "./table.ts";

const HELP = `Usage: deno task bench:directory [--objects N] [--rounds N] [--help]

Fills a temporary domain of Samba with N objects (default 10000), and reads all of them, with two attributes, in pages
of 1000 over a connection that GSS-API seals, with the time that connecting takes:

  ours         openDirectory() and search() in this process
  ldapsearch   -Y GSSAPI, its output thrown away; left out where it is not installed
  python3-ldap with its own paging; left out where it is not installed

Prints the medians of the rounds (default 5), which take turns: elapsed time and the client's processor time; and how
much memory this process needs more at the end of a search than after its first page. Needs what the tests of a domain need. Exit status: 0 measured; 2 the command is wrong.`;

const PAGE = 1000;
const [PORT, PEOPLE] = [389, "OU=People"];
/** Debian's, which has Debian's packages; another one may come first in PATH. */
const PYTHON_PROGRAM = "/usr/bin/python3";

const PYTHON = `
import ldap, ldap.sasl, resource, sys, time
from ldap.controls import SimplePagedResultsControl
uri, base = sys.argv[1], sys.argv[2]
began = time.perf_counter()
connection = ldap.initialize(uri)
connection.set_option(ldap.OPT_X_SASL_NOCANON, ldap.OPT_ON)
connection.set_option(ldap.OPT_REFERRALS, 0)
connection.sasl_interactive_bind_s("", ldap.sasl.gssapi())
control = SimplePagedResultsControl(True, size=${PAGE}, cookie="")
count = 0
while True:
    number = connection.search_ext(base, ldap.SCOPE_ONELEVEL, "(objectClass=contact)", ["cn", "description"], serverctrls=[control])
    _, data, _, controls = connection.result3(number)
    count += len(data)
    control.cookie = controls[0].cookie
    if not control.cookie: break
used = resource.getrusage(resource.RUSAGE_SELF)
print(count, (time.perf_counter() - began) * 1000, (used.ru_utime + used.ru_stime) * 1000)
`;

/** Milliseconds of one search: elapsed, and of the client's processor time. */
interface Times {
  readonly elapsed: number;
  readonly processor: number;
}
/** Bytes. */
type Grown = Pick<Held, "resident" | "heap">;

async function fill(dc: AdDc, system: System, count: number): Promise<void> {
  const credentials = { username: "Administrator", domain: dc.realm, password: dc.users.Administrator };
  const servers = [{ hostname: "dc1.example.test", address: dc.address, port: PORT }];
  await using directory = await openDirectory({ domain: "example.test", servers, system, credentials });
  await directory.add(`${PEOPLE},${dc.base}`, { objectClass: "organizationalUnit" });
  const add = (index: number): Promise<void> => {
    const cn = `Person ${index}`;
    const description = `${cn} of ${count}, who can be reached in the office`;
    return directory.add(`CN=${cn},${PEOPLE},${dc.base}`, { objectClass: "contact", description });
  };
  const numbers = Array.from({ length: count }, (_, index) => index);
  while (numbers.length > 0) await Promise.all(numbers.splice(0, 100).map(add));
  // The C libraries ask for the service of the address, since no DNS server knows the controller's name.
  const values = [`ldap/${dc.address}`];
  const spn = { operation: "add", attribute: "servicePrincipalName", values } as const;
  await directory.modify(`CN=DC1,OU=Domain Controllers,${dc.base}`, [spn]);
}

async function ours(dc: AdDc, system: System, count: number): Promise<{ ms: Times; grown: Grown }> {
  const used = process.cpuUsage();
  const began = performance.now();
  const servers = [{ hostname: "dc1.example.test", address: dc.address, port: PORT }];
  await using directory = await openDirectory({ domain: "example.test", servers, system });
  const search = {
    base: `${PEOPLE},${dc.base}`,
    scope: "one",
    attributes: ["cn", "description"],
    pageSize: PAGE,
  } as const;
  let found = 0;
  let [waited, waitedProcessor] = [0, 0];
  const processor = (): number => {
    const { user, system } = process.cpuUsage(used);
    return (user + system) / 1000;
  };
  let first: Grown = { resident: 0, heap: 0 };
  for await (const person of directory.search(search)) {
    if (person.text("description") === undefined) {
      throw new Error(`${person.dn} came without its description`);
    }
    if (++found !== PAGE + 1 && found !== count) continue;
    const [paused, pausedProcessor] = [performance.now(), processor()];
    const { resident, heap } = await memory();
    if (found === count) {
      const grown = { resident: resident - first.resident, heap: heap - first.heap };
      const ms = { elapsed: paused - began - waited, processor: pausedProcessor - waitedProcessor };
      return { ms, grown };
    }
    first = { resident, heap };
    [waited, waitedProcessor] = [performance.now() - paused, processor() - pausedProcessor];
  }
  throw new Error(`${found} objects were found, not ${count}`);
}

async function ldapsearch(dc: AdDc, count: number): Promise<Times | null> {
  const program = findProgram("ldapsearch");
  if (program === null) return null;
  const began = performance.now();
  // The shell tells its processor time, which the runtime does not.
  const { stdout, stderr } = await mustRun("bash", [
    ...[
      "-c",
      'TIMEFORMAT="%U %S"; time "$@"',
      "bash",
      program,
      "-Q",
      "-N",
      "-Y",
      "GSSAPI",
      "-O",
      "minssf=56",
      "-LLL",
      "-H",
      `ldap://${dc.address}`,
    ],
    ...["-E", `pr=${PAGE}/noprompt`, "-b", `${PEOPLE},${dc.base}`, "-s", "one", "(objectClass=contact)"],
    ...["cn", "description"],
  ], { env: dc.env });
  const elapsed = performance.now() - began;
  const [user, system] = stderr.trim().split("\n").at(-1)!.split(" ").map(Number);
  const found = stdout.match(/^dn: /gm)?.length;
  if (found !== count) throw new Error(`ldapsearch found ${found} objects, not ${count}`);
  return { elapsed, processor: (user + system) * 1000 };
}

async function python(dc: AdDc, count: number): Promise<Times | null> {
  if (!existsSync(PYTHON_PROGRAM) || (await run(PYTHON_PROGRAM, ["-c", "import ldap"])).code !== 0) {
    return null;
  }
  const args = ["-c", PYTHON, `ldap://${dc.address}`, `${PEOPLE},${dc.base}`];
  const { stdout } = await mustRun(PYTHON_PROGRAM, args, { env: dc.env });
  const [found, elapsed, processor] = stdout.split(" ").map(Number);
  if (found !== count) throw new Error(`python3-ldap found ${found} objects, not ${count}`);
  return { elapsed, processor };
}

function report(name: string, count: number, times: readonly Times[] | null): void {
  if (times === null) return console.log(`${name.padEnd(14)} not installed`);
  const of = (which: keyof Times): number => median(times.map((each) => each[which]))!;
  const rate = Math.round(count / of("elapsed") * 1000);
  const [elapsed, processor] = [of("elapsed"), of("processor")].map((ms) =>
    `${ms.toFixed(0).padStart(6)} ms`
  );
  console.log(
    `${name.padEnd(14)} ${elapsed} ${String(rate).padStart(8)} objects/s ${processor} of the processor`,
  );
}

/** How much to measure, or null for help. @throws TypeError where an argument is wrong. */
function readArguments(args: string[]): { count: number; rounds: number } | null {
  const { values } = parseArgs({
    args,
    options: {
      objects: { type: "string", default: "10000" },
      rounds: { type: "string", default: "5" },
      help: { type: "boolean" },
    },
  });
  if (values.help) return null;
  const [count, rounds] = [Number(values.objects), Number(values.rounds)];
  if (!Number.isInteger(count) || count <= PAGE || !Number.isInteger(rounds) || rounds < 1) {
    throw new TypeError(`Give a whole number of more than ${PAGE} objects, and at least one round`);
  }
  return { count, rounds };
}

async function main(args: string[]): Promise<number> {
  let read: ReturnType<typeof readArguments>;
  try {
    read = readArguments(args);
  } catch (error) {
    console.error((error as Error).message);
    return 2;
  }
  if (read === null) {
    console.log(HELP);
    return 0;
  }
  const { count, rounds } = read;
  await using dc = await startAdDc({ strongAuthentication: true });
  const restore = dc.applyEnv();
  try {
    console.log(`Making ${count} objects`);
    using system = openSystem({ grants: ["sspi"] });
    await fill(dc, system, count);
    await dc.kinit("alice");
    const times: Record<string, Times[] | null> = { ours: [], ldapsearch: [], "python3-ldap": [] };
    let grown: Grown = { resident: 0, heap: 0 };
    // In turn, so that what else the machine does hits all of them.
    for (let round = 0; round < rounds; round++) {
      const measured = await ours(dc, system, count);
      times.ours!.push(measured.ms);
      grown = measured.grown;
      for (const [name, other] of Object.entries({ ldapsearch, "python3-ldap": python })) {
        const ms = await other(dc, count);
        if (ms === null) times[name] = null;
        else times[name]?.push(ms);
      }
    }
    for (const [name, each] of Object.entries(times)) report(name, count, each);
    const mebibytes = (bytes: number): string => `${(bytes / 1024 / 1024).toFixed(1)} MiB`;
    const { heap, resident } = grown;
    const more = `heap ${mebibytes(heap)}, process ${mebibytes(resident)}`;
    console.log(`Growth from the first page of the last round to its end: ${more}`);
    return 0;
  } finally {
    restore();
  }
}

if (import.meta.main) {
  cleanUpWhenInterrupted();
  process.exit(await main(process.argv.slice(2)));
}
