/**
 * Runs the checks on one module, of either layer, and gathers what there is to report.
 *
 * @module
 */

import type { ResolvedRequirements, SocketGrants } from "../../contract.ts";
import type { ModuleDescription, Role } from "../../plugins/sandbox/description.ts";
import { GUEST_SHA256 as IPSEC_SHA256 } from "../../plugins/ipsec/guest_wasm.ts";
import { GUEST_SHA256 as NTLM_SHA256 } from "../../plugins/ntlm/guest_wasm.ts";
import { GuestInstance } from "../../plugins/sandbox/instance.ts";
import type { GuardedModule } from "../../plugins/sandbox/guard.ts";
import type { Limits } from "../../plugins/sandbox/limits.ts";
import { loadModule } from "../../plugins/sandbox/load_provider.ts";
import type { LoadedModule } from "../../plugins/sandbox/context.ts";
import type { Answers } from "../../plugins/sandbox/questions.ts";
import { checkSocketGrants } from "../../plugins/sandbox/socket_grants.ts";
import { CHECKS, type Subject } from "./checks.ts";
import type { FuelUse } from "./peer.ts";
import type { Outcome } from "./outcome.ts";
import { checkSocketCodec } from "./socket.ts";

/** What a module needs to be checked, besides its bytes. */
export interface Setup {
  /** Who the client is. */
  readonly credentials?: { readonly username: string; readonly domain?: string; readonly password: string };
  /** The server's principal. */
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

/** The modules of this package, which alone may have built-in names. */
const BUILT_IN: readonly string[] = [IPSEC_SHA256, NTLM_SHA256];

/** All that was found. */
export interface Report {
  /** What the module says about itself. */
  readonly description: ModuleDescription;
  /** What the guard found. */
  readonly guarded: GuardedModule;
  /** The hash to pin. */
  readonly sha256: string;
  /** The module's size, in bytes. */
  readonly size: number;
  /** Fuel by operation, at most. */
  readonly fuel: FuelUse;
  /** Memory of a fresh instance, in pages. */
  readonly pages: number;
  /** How the checks went. */
  readonly outcomes: readonly Outcome[];
}

/**
 * Checks a module.
 *
 * @throws ProviderRejectedError where the sandbox does not load it at all; TypeError where the setup does not fit it.
 */
export async function checkModule(module: Uint8Array<ArrayBuffer>, setup: Setup = {}): Promise<Report> {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", module));
  const sha256 = Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
  const load = (role: Role): Promise<LoadedModule> =>
    loadModule(module, {
      sha256,
      imports: { random: true, clock: true, log: () => {} },
      limits: setup.limits,
      options: setup.options?.[role],
      answers: answersOf(setup),
    }, BUILT_IN.includes(sha256));
  const client = await load("client"), server = await load("server");
  const { description, compiled } = client;
  const fuel: FuelUse = new Map();
  const outcomes = description.layer === "socket"
    ? await checkSocketCodec({
      loaded: client,
      grants: checkSocketGrants(setup.socket ?? {}, "socket."),
      fuel,
    })
    : await checkMessages({ ...subjectOf(client, server, setup), fuel });
  const pages = new GuestInstance(compiled).memoryPages;
  return { description, guarded: compiled.guarded, sha256, size: module.length, fuel, pages, outcomes };
}

function subjectOf(client: LoadedModule, server: LoadedModule, setup: Setup): Omit<Subject, "fuel"> {
  const { credentials: roles, offers } = client.description;
  const { username = "alice", domain = "", password = "Correct horse 7!" } = setup.credentials ?? {};
  const requirements: ResolvedRequirements = { ...offers, impersonation: "anonymous", delegation: false };
  return {
    client: roles.client ? client : null,
    server: roles.server ? server : null,
    identity: {
      requirements,
      target: setup.target ?? "host/server.example.test",
      credentials: { username, domain, password: new TextEncoder().encode(password) },
    },
    answers: answersOf(setup),
  };
}

function answersOf({ answers = {} }: Setup): Answers {
  const parse = (text: string) =>
    /^([0-9a-f]{2})+$/i.test(text) ? Uint8Array.from(text.match(/../g)!, (hex) => parseInt(hex, 16)) : text;
  return Object.fromEntries(
    Object.entries(answers).map(([question, fields]) => {
      const answer = Object.fromEntries(Object.entries(fields).map(([name, text]) => [name, parse(text)]));
      return [question, () => answer];
    }),
  );
}

async function checkMessages(subject: Subject): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  for (const { name, run } of CHECKS) {
    try {
      const skipped = await run(subject);
      outcomes.push(skipped ? { name, result: "skipped", reason: skipped } : { name, result: "ok" });
    } catch (error) {
      outcomes.push({ name, result: "FAILED", reason: (error as Error).message });
    }
  }
  return outcomes;
}
