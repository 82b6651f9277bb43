/**
 * `proxy`: a proxy on this machine that signs on to the company's proxy for programs that cannot.
 *
 * @module
 */

import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { type LocalProxy, type ProxyEvent, startLocalProxy } from "../http/mod.ts";
import { defineCommand, UsageError } from "./command.ts";
import type { Io } from "./io.ts";
import { clientToken, defaultConfig, readConfig, writeConfig } from "./proxy/files.ts";
import { install, internetSettings, uninstall } from "./proxy/install.ts";
import {
  fromEnvironment,
  fromOptions,
  fromRegistry,
  isComplete,
  libraryOptions,
  merge,
  noProxyOf,
  type ProxySettings,
} from "./proxy/settings.ts";

const PORT = 3128;
/** How long requests may take to end when the process is asked to stop. */
const GRACE_MS = 5000;

/** The command. */
export const command = defineCommand({
  usage: "",
  operands: [0, 0],
  description:
    `Signs on to a proxy as the logged-in user, with Kerberos, for programs that use HTTPS_PROXY and HTTP_PROXY.
The proxy comes from --upstream or --pac, the configuration file, HTTPS_PROXY, HTTP_PROXY or ALL_PROXY, or
Windows' Internet settings: the first of them that names one. It starts without a ticket.
Everyone who can connect to it acts as you: on this machine, without --require-token, that is every user.`,
  options: {
    upstream: {
      type: "string",
      value: "URL",
      multiple: true,
      help: "a proxy to sign on to; several: tried in turn",
    },
    target: { type: "string", value: "SPN", help: "the proxy's SPN, where it is not HTTP/ and its host" },
    pac: { type: "string", value: "URL", help: "a PAC file that chooses the proxy (http:, https: or file:)" },
    "no-proxy": {
      type: "string",
      value: "LIST",
      multiple: true,
      help: "hosts to reach directly, as in NO_PROXY",
    },
    port: { type: "string", value: "PORT", help: `the port to listen on; default ${PORT}` },
    "host-only": { type: "boolean", help: "serve this machine's containers and virtual machines too" },
    gateway: { type: "boolean", help: "serve the networks of --allow too" },
    allow: { type: "string", value: "CIDR", multiple: true, help: "a network for --gateway" },
    "require-token": { type: "boolean", help: "serve only clients that know a token; see --print-env" },
    "print-env": { type: "boolean", help: "print HTTPS_PROXY and so on for a shell, and end" },
    "max-connections": { type: "string", value: "N", help: "the most connections of clients; default 10000" },
    "connect-timeout": { type: "string", value: "SECONDS", help: "the time to connect; default 30" },
    ca: { type: "string", value: "FILE", help: "certificates of authorities, for a proxy of https://" },
    config: { type: "string", value: "FILE", help: "the configuration file" },
    save: { type: "boolean", help: "write these settings to the configuration file, and end" },
    install: { type: "boolean", help: "save, and start with each session (systemd, Windows)" },
    uninstall: { type: "boolean", help: "undo --install" },
    json: { type: "boolean", help: "log in JSON, one object a line" },
  },
  examples: [
    {
      line: "proxy --upstream http://proxy.example.test:8080",
      text: "then: export HTTPS_PROXY=http://127.0.0.1:3128",
    },
    {
      line: "proxy --upstream http://a.test:8080 --upstream http://b.test:8080 --no-proxy c.test",
      text: "two proxies, and the intranet without one",
    },
    { line: "proxy --pac http://wpad.example.test/proxy.pac --host-only", text: "for containers too" },
    { line: "proxy --upstream http://proxy.example.test:8080 --install", text: "with each session" },
  ],
  async run({ options }, io) {
    if (options.uninstall) return await uninstall(io);
    const config = resolve(options.config ?? defaultConfig(io.env));
    const saves = options.save === true || options.install === true;
    const saved = readConfig(config);
    if (saved === null && options.config !== undefined && !saves) {
      throw new UsageError(`there is no ${config}; make it with --save`);
    }
    const settings = await gather(merge(fromOptions(options), saved ?? {}), io);
    if (options["print-env"]) return await printEnv(settings, config, io);
    if (!isComplete(settings)) {
      throw new UsageError(
        "which proxy to sign on to is not known; give --upstream http://PROXY:PORT, or --pac URL",
      );
    }
    if (saves) {
      // What is wrong is said now, and not when the service starts.
      await (await start({ ...settings, port: 0 }, config, () => {})).close();
      writeConfig(config, settings);
      await io.print(`Wrote ${config}`);
      return options.install ? await install(config, io) : 0;
    }
    const log = (event: ProxyEvent): void => void io.note(options.json ? JSON.stringify(event) : line(event));
    await serve(await start(settings, config, log), io.signal);
    return 0;
  },
});

/** Serves until the process is asked to stop. */
async function serve(proxy: LocalProxy, signal: AbortSignal): Promise<void> {
  await new Promise<void>((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
  await proxy.close(GRACE_MS);
}

/** Finds which proxy to sign on to, where options and configuration do not say it: the first source that names one. */
async function gather(settings: ProxySettings, io: Io): Promise<ProxySettings> {
  if (isComplete(settings)) return settings;
  const port = settings.port ?? PORT;
  for (const found of [fromEnvironment(io.env, port), fromRegistry(await internetSettings())]) {
    if (isComplete(found)) return merge(settings, found);
  }
  return settings;
}

async function start(
  settings: ProxySettings,
  config: string,
  onEvent: (event: ProxyEvent) => void,
): Promise<LocalProxy> {
  const options = {
    port: PORT,
    ...libraryOptions(settings),
    ...(settings.ca === undefined ? {} : { ca: readFileSync(settings.ca, "utf8") }),
    ...(settings.requireToken ? { token: clientToken(config).token } : {}),
    onEvent,
  };
  try {
    return await startLocalProxy(options);
  } catch (error) {
    if (error instanceof TypeError || error instanceof RangeError) throw new UsageError(error.message);
    throw error;
  }
}

/** Prints what to evaluate in a shell. Hosts that NO_PROXY names already stay there. */
async function printEnv(settings: ProxySettings, config: string, io: Io): Promise<number> {
  const user = settings.requireToken ? `user:${clientToken(config).token}@` : "";
  const url = `http://${user}127.0.0.1:${settings.port ?? PORT}`;
  const already = noProxyOf(io.env);
  const noProxy = new Set(["localhost", "127.0.0.1", "::1", ...(settings.noProxy ?? []), ...already]);
  const variables = { HTTPS_PROXY: url, HTTP_PROXY: url, NO_PROXY: [...noProxy].join(",") };
  for (const [name, value] of Object.entries(variables)) {
    const quoted = `'${value.replaceAll("'", "")}'`;
    await io.print(`export ${name}=${quoted} ${name.toLowerCase()}=${quoted}`);
  }
  return 0;
}

/** One event as one line. */
function line({ time, level, destination, message }: ProxyEvent): string {
  const about = destination === undefined ? "" : ` ${destination}:`;
  return `${time.toISOString()} ${level.padEnd(5)}${about} ${message.replace(/\s+/g, " ")}`;
}
