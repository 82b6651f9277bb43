/**
 * `spn ACTION`: SPNs composed, taken apart, and registered in the directory.
 *
 * @module
 */

import {
  findDuplicateSpns,
  listSpns,
  registerSpns,
  Spn,
  type SpnAccount,
  type SpnScope,
  unregisterSpns,
  verifySpns,
} from "../directory/mod.ts";
import { type Action, defineActions, JSON_OPTION } from "./command.ts";
import { DIRECTORY_OPTIONS, inDirectory, REACHING } from "./directory.ts";
import { type Io, shown } from "./io.ts";

const OPTIONS = {
  ...DIRECTORY_OPTIONS,
  port: { type: "string", value: "PORT", help: "make: the port or the instance" },
  service: { type: "string", value: "NAME", help: "make: the name of a replicated service" },
  json: JSON_OPTION,
} as const;

type SpnAction = Action<typeof OPTIONS>;

const ACTIONS: { readonly [name: string]: SpnAction } = {
  make: {
    operands: "CLASS HOST",
    options: ["port", "service", "json"],
    async run([serviceClass, instanceName], { port, service, json }, io) {
      const number = port !== undefined && /^\d+$/.test(port) ? Number(port) : port;
      const spn = Spn.make({ serviceClass, instanceName, port: number, serviceName: service });
      if (json) await io.json({ spn: `${spn}`, ...spn });
      else await io.print(`${spn}`);
      return 0;
    },
  },
  parse: {
    operands: "SPN",
    options: ["json"],
    async run([text], { json }, io) {
      const spn = Spn.parse(text);
      const parts = { ...spn, canonical: spn.canonical };
      if (json) await io.json(parts);
      else for (const [name, value] of Object.entries(parts)) await io.print(`${name.padEnd(13)} ${value}`);
      return 0;
    },
  },
  list: {
    operands: "ACCOUNT",
    options: [...REACHING, "json"],
    run: inDirectory(async (directory, [account], options, io) => {
      const { account: owner, spns } = await listSpns(directory, account, { signal: io.signal });
      if (options.json) await io.json({ account: owner, spns: spns.map(({ text }) => text) });
      else {
        await io.note(described(owner));
        for (const { text, spn } of spns) {
          await io.print(
            spn === null ? `${shown(text)} ${io.paint("yellow", "(not an SPN)")}` : shown(text),
          );
        }
      }
      return 0;
    }),
  },
  add: changing("add"),
  remove: changing("remove"),
  verify: {
    operands: "ACCOUNT SPN...",
    options: [...REACHING, "json"],
    run: inDirectory(async (directory, [account, ...spns], options, io) => {
      const found = await verifySpns(directory, account, spns, { signal: io.signal });
      if (options.json) await io.json(found);
      else {
        for (const spn of found.registered) await io.print(`${io.paint("green", "registered")} ${spn}`);
        for (const spn of found.missing) await io.print(`${io.paint("red", "missing   ")} ${spn}`);
        for (const { spn, registered, owners } of found.conflicts) {
          const has = shown(`${owners.map(({ name }) => name).join(" and ")} has ${registered}`);
          await io.print(`${io.paint("red", "conflict  ")} ${spn}: ${has}`);
        }
        for (const line of found.advice) await io.print(`run: ${shown(line)}`);
        await noteScope(found.searched, io);
      }
      return found.ok ? 0 : 1;
    }),
  },
  duplicates: {
    operands: "",
    options: [...REACHING, "json"],
    run: inDirectory(async (directory, _, options, io) => {
      const onProgress = (accounts: number): void => {
        if (accounts % 1000 === 0) void io.note(`${accounts} accounts read`);
      };
      const found = await findDuplicateSpns(directory, { signal: io.signal, onProgress });
      if (options.json) await io.json(found);
      else {
        for (const { spn, owners } of found.duplicates) {
          await io.print(
            `${io.paint("red", shown(spn))}\n${owners.map((owner) => `  ${described(owner)}`).join("\n")}`,
          );
        }
        await io.note(`${found.duplicates.length} duplicates among the SPNs of ${found.accounts} accounts`);
        await noteScope(found.searched, io);
      }
      return found.duplicates.length === 0 ? 0 : 1;
    }),
  },
};

function changing(how: "add" | "remove"): SpnAction {
  return {
    operands: "ACCOUNT SPN...",
    options: [...REACHING, "json"],
    run: inDirectory(async (directory, [account, ...spns], options, io) => {
      const change = how === "add" ? registerSpns : unregisterSpns;
      const done = await change(directory, account, spns, { signal: io.signal });
      if (options.json) await io.json(done);
      else {
        for (const spn of done.changed) {
          await io.print(`${how === "add" ? "added" : "removed"} ${shown(spn)}`);
        }
        for (const spn of done.unchanged) {
          await io.note(`${spn}: ${how === "add" ? "is registered already" : "is not registered"}`);
        }
        if ("searched" in done) await noteScope(done.searched as SpnScope, io);
      }
      return 0;
    }),
  };
}

function described({ name, kind, dn }: SpnAccount): string {
  return shown(`${name} (${kind}, ${dn})`);
}

async function noteScope(searched: SpnScope, io: Io): Promise<void> {
  if (searched === "domain") await io.note("No global catalog can be reached: only the domain was searched");
}

/** The command. */
export const command = defineActions({
  name: "spn",
  notes: [
    "ACCOUNT is a name such as svcweb or WEB1$, or a distinguished name. verify and duplicates return 1 where",
    "something is not right.",
  ],
  actions: ACTIONS,
  options: OPTIONS,
  examples: [
    { line: "spn parse HTTP/web.example.test:8080", text: "the parts of an SPN" },
    { line: "spn add svcweb HTTP/web.example.test --domain example.test", text: "register it" },
    { line: "spn verify svcweb HTTP/web.example.test", text: "what a service checks when it starts" },
    { line: "spn duplicates --json", text: "SPNs of the forest that several accounts have" },
  ],
});
