/**
 * The checks of a WebAssembly module, of either layer: those of its guest, message by message, and those of the provider
 * that it becomes.
 *
 * @module
 */

import type {
  ProviderDescription,
  ProviderSystem,
  ResolvedRequirements,
  SocketGrants,
} from "../../contract.ts";
import { GUEST_SHA256 as IPSEC_SHA256 } from "../../plugins/ipsec/guest_wasm.ts";
import { GUEST_SHA256 as NTLM_SHA256 } from "../../plugins/ntlm/guest_wasm.ts";
import { resolveRequirements } from "../../plugins/requirements.ts";
import type { OperationName } from "../../plugins/sandbox/abi.ts";
import type { LoadedModule } from "../../plugins/sandbox/context.ts";
import { SandboxedProvider } from "../../plugins/sandbox/context_provider.ts";
import type { Role } from "../../plugins/sandbox/description.ts";
import { GuestInstance } from "../../plugins/sandbox/instance.ts";
import type { Limits } from "../../plugins/sandbox/limits.ts";
import { loadModule } from "../../plugins/sandbox/load_provider.ts";
import { readRest, writeOptions, writeRequirements } from "../../plugins/sandbox/messages.ts";
import type { Answers } from "../../plugins/sandbox/questions.ts";
import { checkSocketGrants } from "../../plugins/sandbox/socket_grants.ts";
import { sandboxedSocketProvider } from "../../plugins/sandbox/socket_provider.ts";
import { Writer } from "../../plugins/sandbox/wire.ts";
import { type Check, fail, type Outcome, runChecks } from "./checks.ts";
import { ADDRESS, CODEC_CHECKS } from "./codec_checks.ts";
import { CONTEXT_CHECKS, type ContextSubject, type End } from "./context_checks.ts";
import { GUEST_CHECKS, type Subject } from "./guest_checks.ts";
import type { FuelUse } from "./guest_peer.ts";

/** What the check of a module needs besides its bytes. */
export interface TestModuleOptions {
  /** Who the client is. Default: alice, with a password. */
  readonly credentials?: { readonly username: string; readonly domain?: string; readonly password: string };
  /** The server's principal. Default `host/server.example.test`. */
  readonly target?: string;
  /** Options of each end. */
  readonly options?: { readonly client?: object; readonly server?: object };
  /** For each question, the answer: text, or bytes in hexadecimal. */
  readonly answers?: Readonly<Record<string, Readonly<Record<string, string>>>>;
  /** For a module of layer `socket`: what is granted to it, as in the manifest. */
  readonly socket?: SocketGrants;
  /** Limits other than the defaults. */
  readonly limits?: Limits;
}

/** What was found out about a provider. */
export interface ProviderReport {
  /** How it presents itself. */
  readonly description: ProviderDescription;
  /** How each check went. */
  readonly outcomes: readonly Outcome[];
  /** Whether no check failed. */
  readonly conforms: boolean;
}

/** What was found out about a module. */
export interface ModuleReport extends ProviderReport {
  /** The version that the module gives itself. */
  readonly version: string;
  /** The version of the guest ABI that it uses. */
  readonly abi: number;
  /** The hash to pin, SHA-256 in lower-case hexadecimal. */
  readonly sha256: string;
  /** The module's size, in bytes. */
  readonly size: number;
  /** Its size after fuel has been injected, in bytes. */
  readonly guardedSize: number;
  /** The functions that it exports. */
  readonly exports: readonly string[];
  /** Memory of a fresh instance, in pages of 64 KiB. */
  readonly pages: number;
  /** The most memory that an instance may have, in pages. */
  readonly maximumPages: number;
  /** The most fuel that each operation took. */
  readonly fuel: ReadonlyMap<string, number>;
}

/** The modules of this package, which alone may have built-in names. */
const BUILT_IN: readonly string[] = [IPSEC_SHA256, NTLM_SHA256];
const TARGET = "host/server.example.test";
const CALLS = 20_000;

/** Checks a module; `testProvider()` has the details. */
export async function checkModule(
  module: Uint8Array,
  options: TestModuleOptions,
  system: ProviderSystem,
): Promise<ModuleReport> {
  const bytes = new Uint8Array(module);
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  const sha256 = Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
  const load = (role: Role): Promise<LoadedModule> =>
    loadModule(bytes, {
      sha256,
      imports: { random: true, clock: true, log: () => {} },
      limits: options.limits,
      options: options.options?.[role],
      answers: answersOf(options),
    }, BUILT_IN.includes(sha256));
  const client = await load("client"), server = await load("server");
  const { version, layer, abi } = client.description;
  const fuel: FuelUse = new Map();
  let outcomes: Outcome[];
  let description: ProviderDescription;
  if (layer === "socket") {
    const provider = sandboxedSocketProvider(
      client,
      sha256,
      checkSocketGrants(options.socket ?? {}, "socket."),
    );
    description = provider.description;
    outcomes = [
      ...await runChecks(GUEST_CODEC_CHECKS, { loaded: client, fuel }),
      ...await runChecks(CODEC_CHECKS, { provider }),
    ];
  } else {
    const subject = { ...guestSubject(client, server, options), fuel };
    const ends = contextSubject(client, server, sha256, options, system);
    description = (ends.client ?? ends.server)!.provider.description;
    outcomes = [...await runChecks(GUEST_CHECKS, subject), ...await runChecks(CONTEXT_CHECKS, ends)];
  }
  const { guarded } = client.compiled;
  return {
    description,
    outcomes,
    conforms: outcomes.every(({ result }) => result !== "FAILED"),
    version,
    abi,
    sha256,
    size: bytes.length,
    guardedSize: guarded.bytes.length,
    exports: guarded.exports,
    pages: new GuestInstance(client.compiled).memoryPages,
    maximumPages: guarded.memory.maximumPages,
    fuel,
  };
}

function credentialsOf({ credentials }: TestModuleOptions): {
  readonly username: string;
  readonly domain?: string;
  readonly password: string;
} {
  return credentials ?? { username: "alice", password: "Correct horse 7!" };
}

function contextSubject(
  client: LoadedModule,
  server: LoadedModule,
  sha256: string,
  options: TestModuleOptions,
  system: ProviderSystem,
): ContextSubject {
  const end = (loaded: LoadedModule, role: Role): End | null => {
    const kinds = loaded.description.credentials[role];
    if (!kinds) return null;
    const provider = new SandboxedProvider(loaded, sha256);
    return kinds.includes("password") ? { provider, credentials: credentialsOf(options) } : { provider };
  };
  return {
    client: end(client, "client"),
    server: end(server, "server"),
    system,
    target: options.target ?? TARGET,
  };
}

function guestSubject(
  client: LoadedModule,
  server: LoadedModule,
  options: TestModuleOptions,
): Omit<Subject, "fuel"> {
  const { credentials: roles, offers } = client.description;
  const { username, domain = "", password } = credentialsOf(options);
  const requirements: ResolvedRequirements = { ...offers, impersonation: "anonymous", delegation: false };
  return {
    client: roles.client ? client : null,
    server: roles.server ? server : null,
    identity: {
      requirements,
      target: options.target ?? TARGET,
      credentials: { username, domain, password: new TextEncoder().encode(password) },
    },
    answers: answersOf(options),
  };
}

function answersOf({ answers = {} }: TestModuleOptions): Answers {
  const parse = (text: string) =>
    /^([0-9a-f]{2})+$/i.test(text) ? Uint8Array.from(text.match(/../g)!, (hex) => parseInt(hex, 16)) : text;
  return Object.fromEntries(
    Object.entries(answers).map(([question, fields]) => {
      const answer = Object.fromEntries(Object.entries(fields).map(([name, text]) => [name, parse(text)]));
      return [question, () => answer];
    }),
  );
}

interface CodecModule {
  readonly loaded: LoadedModule;
  readonly fuel: FuelUse;
}

type Request = readonly [operation: OperationName, label: string, request: Uint8Array];

const GUEST_CODEC_CHECKS: readonly Check<CodecModule>[] = [
  {
    name: `takes no more memory for ${CALLS.toLocaleString("en")} calls than for one`,
    run({ loaded, fuel }) {
      const instance = new GuestInstance(loaded.compiled);
      const ask = ([operation, , request]: Request) =>
        instance.call(operation, request, (input) => readRest(input, loaded.description.name).length);
      const requests = requestsOf(loaded);
      for (const request of requests) {
        ask(request);
        fuel.set(request[1], instance.fuelUsed);
      }
      const before = instance.memoryPages;
      for (let call = 0; call < CALLS; call++) ask(requests[call % requests.length]);
      if (instance.memoryPages !== before) {
        fail(`memory grew from ${before} to ${instance.memoryPages} pages`);
      }
    },
  },
];

function requestsOf({ options }: LoadedModule): readonly Request[] {
  const settings = new Writer();
  writeRequirements(settings, resolveRequirements({ mutualAuthentication: false }));
  writeOptions(settings, options);
  settings.text("alice").text("EXAMPLE").u32(16);
  return [
    ["socketSettings", "settings", settings.written],
    ["socketTarget", "target", new Writer().bytes(ADDRESS).text(TARGET).written],
    ["socketQuery", "query template", new Writer().bytes(ADDRESS).u32(8).u32(0).written],
  ];
}
