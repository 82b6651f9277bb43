/**
 * What every guest of layer `socket` must do: write structures that the library takes.
 *
 * @module
 */

import { ProviderTrapError, SecurityRequirementError } from "../../errors.ts";
import { readSettings, readTarget, readTemplate } from "../../ffi/ipsec/codec_reader.ts";
import type { SettingsIdentity, SocketCodec, SocketGrants } from "../../contract.ts";
import { resolveRequirements } from "../../plugins/requirements.ts";
import type { OperationName } from "../../plugins/sandbox/abi.ts";
import { GuestInstance } from "../../plugins/sandbox/instance.ts";
import type { LoadedModule } from "../../plugins/sandbox/context.ts";
import { readRest, writeOptions, writeRequirements } from "../../plugins/sandbox/messages.ts";
import { SandboxedCodec } from "../../plugins/sandbox/socket_provider.ts";
import { Writer } from "../../plugins/sandbox/wire.ts";
import { settingsGrant } from "../../sockets/ipsec/terms.ts";
import type { FuelUse } from "./peer.ts";
import type { Outcome } from "./outcome.ts";

/** What the checks work with. */
interface Subject {
  readonly loaded: LoadedModule;
  readonly grants: SocketGrants;
  readonly fuel: FuelUse;
}

const ADDRESS = Uint8Array.of(2, 0, 0x1f, 0x90, 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0);
const ADDRESSES = [new Uint8Array(), ADDRESS];
const IDENTITIES: readonly SettingsIdentity[] = [
  { username: "", domain: "", passwordBytes: 0 },
  { username: "", domain: "", passwordBytes: 2 },
  { username: "alice", domain: "", passwordBytes: 0 },
  { username: "alice", domain: "EXAMPLE", passwordBytes: 16 },
  { username: "Jürgen-𝄞", domain: "Ω.example.test", passwordBytes: 62 },
];
const NAMES = ["x", "host/server.example.test", "host/Jürgen-𝄞", "n".repeat(1000)];
const WATCHED = [[], ["mainModeSa"], ["quickModeSa"], ["mainModeSa", "quickModeSa"]] as const;
const CALLS = 20_000;

const CHECKS: readonly { readonly name: string; readonly run: (subject: Subject) => void }[] = [
  { name: "answers the same request with the same bytes each time", run: repeats },
  {
    name: "writes settings that are as granted, for all requirements it offers to meet",
    run: writesSettings,
  },
  {
    name: "names the peer that it is given, in bytes of UTF-16",
    run: ({ loaded }) => {
      using codec = new SandboxedCodec(loaded);
      for (const peer of ADDRESSES) {
        for (const name of NAMES) readTarget(codec.target(peer, name), peer, name);
      }
    },
  },
  {
    name: "asks what it is to ask, and watches what it is to watch",
    run: ({ loaded }) => {
      using codec = new SandboxedCodec(loaded);
      for (const peer of ADDRESSES) {
        for (const access of [0, 8]) {
          for (const watched of WATCHED) readQuery(codec, peer, access, watched);
        }
      }
    },
  },
  {
    name: `takes no more memory for ${CALLS.toLocaleString("en")} calls than for one`,
    run: ({ loaded }) => {
      const instance = new GuestInstance(loaded.compiled);
      const ask = (operation: OperationName, request: Uint8Array) =>
        instance.call(operation, request, (input) => readRest(input, loaded.description.name).length);
      const requests = requestsOf(loaded);
      for (const [operation, , request] of requests) ask(operation, request);
      const before = instance.memoryPages;
      for (let call = 0; call < CALLS; call++) ask(...pick(requests[call % requests.length]));
      if (instance.memoryPages !== before) {
        throw new Error(`memory grew from ${before} to ${instance.memoryPages} pages`);
      }
    },
  },
];

/** Runs the checks. */
// deno-lint-ignore require-await -- the form of the other layer
export async function checkSocketCodec(subject: Subject): Promise<Outcome[]> {
  return CHECKS.map(({ name, run }) => {
    try {
      run(subject);
      return { name, result: "ok" };
    } catch (error) {
      return { name, result: "FAILED", reason: (error as Error).message };
    }
  });
}

type Request = readonly [operation: OperationName, label: string, request: Uint8Array];

function pick([operation, , request]: Request): [OperationName, Uint8Array] {
  return [operation, request];
}

function requestsOf({ options }: LoadedModule): readonly Request[] {
  const settings = new Writer();
  writeRequirements(settings, resolveRequirements({ mutualAuthentication: false }));
  writeOptions(settings, options);
  settings.text("alice").text("EXAMPLE").u32(16);
  return [
    ["socketSettings", "settings", settings.written],
    ["socketTarget", "target", new Writer().bytes(ADDRESS).text("host/server.example.test").written],
    ["socketQuery", "query template", new Writer().bytes(ADDRESS).u32(8).u32(0).written],
  ];
}

function repeats({ loaded, fuel }: Subject): void {
  for (const [operation, label, request] of requestsOf(loaded)) {
    const answers = [0, 1].flatMap(() => {
      const instance = new GuestInstance(loaded.compiled);
      const read = () => instance.call(operation, request, (input) => readRest(input, "guest").join());
      const both = [read(), read()];
      fuel.set(label, instance.fuelUsed);
      return both;
    });
    if (new Set(answers).size !== 1) throw new Error(`two answers to ${label} differ`);
  }
}

function writesSettings({ loaded, grants }: Subject): void {
  using codec = new SandboxedCodec(loaded);
  const { offers } = loaded.description;
  let written = 0;
  let refused: unknown;
  for (let bits = 0; bits < 8; bits++) {
    const [integrity, confidentiality, mutualAuthentication] = [1, 2, 4].map((bit) => (bits & bit) !== 0);
    if (confidentiality && !integrity) continue;
    const asked = { integrity, confidentiality, mutualAuthentication };
    if ((Object.keys(asked) as (keyof typeof asked)[]).some((key) => asked[key] && !offers[key])) continue;
    const requirements = resolveRequirements({ ...asked, impersonation: offers.impersonation });
    for (const identity of IDENTITIES) {
      try {
        readSettings(codec.settings(requirements, identity), settingsGrant(grants, requirements, identity));
        written++;
      } catch (error) {
        // A provider may ask for more than was required: it says so, and the application reads why.
        if (!(error instanceof SecurityRequirementError)) throw error;
        refused = error;
      }
    }
  }
  if (written === 0) throw new Error(`it writes no settings at all: ${(refused as Error)?.message}`);
}

/** Reads one template; a codec need not know how to watch, and says so with an error of class 4. */
function readQuery(
  codec: SocketCodec,
  peer: Uint8Array,
  access: number,
  watched: typeof WATCHED[number],
): void {
  try {
    readTemplate(codec.queryTemplate(peer, access, watched), peer, access, watched);
  } catch (error) {
    if (error instanceof ProviderTrapError || watched.length === 0) throw error;
    if (!(error instanceof TypeError)) throw error;
  }
}
