/**
 * `service ACTION`: connection points of services, published, found and removed.
 *
 * @module
 */

import {
  type Directory,
  type DirectorySearch,
  findServicePoints,
  installService,
  type PublishOptions,
  publishServicePoint,
  removeServicePoint,
  type ServicePoint,
  type ServiceSpnForm,
  uninstallService,
} from "../directory/mod.ts";
import { type Action, defineActions, type Given, JSON_OPTION, UsageError } from "./command.ts";
import { DIRECTORY_OPTIONS, inDirectory, REACHING } from "./directory.ts";
import { type Io, shown } from "./io.ts";

const OPTIONS = {
  ...DIRECTORY_OPTIONS,
  under: { type: "string", value: "DN", help: "publish under this object; find: search below it" },
  name: { type: "string", value: "NAME", help: "publish: the name of the connection point" },
  class: { type: "string", value: "CLASS", help: "the service's class, which its SPN begins with" },
  keyword: { type: "string", value: "WORD", multiple: true, help: "publish: what clients find it by" },
  host: { type: "string", value: "HOST", help: "publish: the DNS name of the service's host" },
  port: { type: "string", value: "PORT", help: "publish: the service's port" },
  guid: { type: "string", value: "GUID", help: "publish: update this one, wherever it is; find: this one" },
  account: {
    type: "string",
    value: "ACCOUNT",
    help: "the service's account: publish registers its SPN, remove unregisters --target",
  },
  spn: {
    type: "string",
    value: "FORM",
    choices: ["host", "replicable"],
    help: "with --account: the form of the SPN",
  },
  target: {
    type: "string",
    value: "SPN",
    help: "remove, with --account: the SPN that publish has registered",
  },
  near: { type: "string", value: "HOST", help: "find: hosts that share more of the end of this name first" },
  limit: { type: "string", value: "COUNT", help: "find: the most to print; left out: 100" },
  json: JSON_OPTION,
} as const;

type Options = Given<typeof OPTIONS>;

/** After how many connection points progress is written. */
const PROGRESS = 1000;

const ACTIONS: { readonly [name: string]: Action<typeof OPTIONS> } = {
  publish: {
    operands: "",
    options: [
      ...REACHING,
      ...["under", "name", "class", "keyword", "host", "port", "guid", "account", "spn", "json"] as const,
    ],
    run: inDirectory(async (directory, _, options, io) => {
      const { account } = options;
      const publish = await publishOptions(directory, options, io);
      const done = account === undefined
        ? await publishServicePoint(directory, publish)
        : await installService(directory, { ...publish, account, ...spnForm(options) });
      const { point, change } = done;
      const target = "target" in done ? { target: done.target, registered: done.registered } : {};
      if (options.json) await io.json({ change, point, ...target });
      else {
        await io.note(`${change} ${shown(point.dn)}`);
        if ("target" in done) {
          await io.note(
            `${done.target} ${done.registered ? "is registered" : "was registered already"} for ${account}`,
          );
        }
        await io.print(point.guid);
      }
      return 0;
    }),
  },
  find: {
    operands: "[KEYWORD...]",
    options: [...REACHING, "class", "guid", "under", "near", "limit", "json"],
    run: inDirectory(async (directory, keywords, options, io) => {
      const { class: serviceClass, guid, under, near, json } = options;
      const limit = options.limit === undefined ? undefined : numberOf("limit", options.limit);
      if (keywords.length === 0 && serviceClass === undefined && guid === undefined) {
        throw new UsageError("Give a keyword, --class or --guid: what to search for");
      }
      const query = {
        ...(keywords.length > 0 ? { keywords } : {}),
        serviceClass,
        guid,
        under,
        signal: io.signal,
      };
      const found = await findServicePoints(counting(directory, io), { ...query, near, limit });
      if (json) await io.json(found);
      else for (const point of found) await io.print(described(point, io));
      if (found.length === 0) await io.note("There is none");
      return found.length > 0 ? 0 : 1;
    }),
  },
  remove: {
    operands: "GUID",
    options: [...REACHING, "account", "target", "json"],
    run: inDirectory(async (directory, [guid], options, io) => {
      const { account, target, json } = options;
      if ((account === undefined) !== (target === undefined)) {
        throw new UsageError("Give --account and --target, or neither");
      }
      const { signal } = io;
      const done = account === undefined
        ? { removed: await removeServicePoint(directory, { guid, signal }), unregistered: [] }
        : await uninstallService(directory, { guid, account, target: target!, signal });
      if (json) await io.json(done);
      else {
        await io.print(done.removed ? `removed ${guid}` : `there is no connection point ${guid}`);
        for (const spn of done.unregistered) await io.print(`unregistered ${spn}`);
      }
      return done.removed ? 0 : 1;
    }),
  },
};

function spnForm({ spn }: Options): { spn?: ServiceSpnForm } {
  return spn === undefined ? {} : { spn: spn as ServiceSpnForm };
}

/** What to publish. With --guid, what is left out stays as it is. */
async function publishOptions(directory: Directory, options: Options, io: Io): Promise<PublishOptions> {
  const { guid } = options;
  const [known] = guid === undefined
    ? []
    : await findServicePoints(directory, { guid, limit: 1, signal: io.signal });
  const needed = <T>(name: string, given: T | undefined, kept: T | undefined): T => {
    const value = given ?? kept;
    if (value !== undefined) return value;
    throw new UsageError(
      `Give --${name}${guid === undefined ? "" : ": the connection point does not have it"}`,
    );
  };
  const { name, class: serviceClass, keyword, host, port, under } = options;
  const kept = known?.keywords.length ? known.keywords : undefined;
  return {
    // Where the object exists, it stays where it is.
    under: needed("under", under, known?.dn),
    name: needed("name", name, known?.name),
    serviceClass: needed("class", serviceClass, known?.serviceClass),
    keywords: needed("keyword", keyword, kept),
    dnsName: needed("host", host, known?.dnsName),
    bindingInformation: needed<number | readonly string[]>(
      "port",
      port === undefined ? undefined : numberOf("port", port),
      known?.bindingInformation.length ? known.bindingInformation : undefined,
    ),
    ...(known === undefined ? {} : { guid: known.guid }),
    signal: io.signal,
  };
}

function numberOf(name: string, text: string): number {
  if (/^[0-9]{1,9}$/.test(text)) return Number(text);
  throw new UsageError(`--${name} must be a number, not ${JSON.stringify(text)}`);
}

/** A directory whose searches write their progress. */
function counting(directory: Directory, io: Io): Directory {
  return Object.create(directory, {
    search: {
      async *value(search: DirectorySearch) {
        let count = 0;
        for await (const entry of directory.search(search)) {
          if (++count % PROGRESS === 0) await io.note(`${count} connection points read`);
          yield entry;
        }
      },
    },
  });
}

function described(point: ServicePoint, io: Io): string {
  const {
    guid,
    dn,
    dnsName = "",
    dnsNameType = "A",
    serviceClass = "",
    bindingInformation,
    keywords,
    problems,
  } = point;
  const reached = [dnsName, ...(dnsNameType === "A" ? [] : [`(${dnsNameType})`]), ...bindingInformation].join(
    " ",
  );
  return [
    `${guid} ${io.paint("green", shown(serviceClass))} ${shown(reached)}`,
    `  ${shown(dn)}`,
    `  ${shown(keywords.join(", "))}`,
    ...problems.map((problem) => `  ${io.paint("red", "problem")}: ${shown(problem)}`),
  ].join("\n");
}

/** The command. */
export const command = defineActions({
  name: "service",
  notes: [
    "publish prints the GUID, which finds the connection point wherever it is moved. find and remove return 1 where",
    "there is none.",
  ],
  actions: ACTIONS,
  options: OPTIONS,
  examples: [
    {
      line: "service publish --under DN --name N --class C --keyword K --host H --port 7 --account WEB1$",
      text: "publish it and register its SPN, both or neither",
    },
    { line: "service publish --guid GUID --port 7778", text: "change the port, wherever it was moved" },
    { line: "service find Files --near me.example.test", text: "what a client finds, in its order" },
    { line: "service remove GUID --account WEB1$ --target SPN", text: "unregister the SPN and remove it" },
  ],
});
