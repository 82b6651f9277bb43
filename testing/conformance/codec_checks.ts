/**
 * What every provider of layer `socket` must do: write structures that the library accepts.
 *
 * @module
 */

import { readSettings, readTarget, readTemplate } from "../../ffi/ipsec/codec_reader.ts";
import type { ResolvedRequirements, SettingsIdentity, SocketCodec, SocketProvider } from "../../contract.ts";
import { resolveRequirements } from "../../plugins/requirements.ts";
import { settingsGrant } from "../../sockets/ipsec/terms.ts";
import { type Check, fail, same } from "./checks.ts";

/** What the checks work with. */
export interface CodecSubject {
  /** The provider, with the grants that its settings may use. */
  readonly provider: SocketProvider;
}

/** A `sockaddr_in` of 127.0.0.1, port 8080. */
export const ADDRESS = Uint8Array.of(2, 0, 0x1f, 0x90, 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0);
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

/** The checks, in order. */
export const CODEC_CHECKS: readonly Check<CodecSubject>[] = [
  { name: "answers the same request with the same bytes each time", run: repeats },
  {
    name: "writes settings that are as granted, for all requirements it offers to meet",
    run: writesSettings,
  },
  {
    name: "names the peer that it is given, in bytes of UTF-16",
    async run({ provider }) {
      using codec = await provider.codec();
      for (const peer of ADDRESSES) {
        for (const name of NAMES) readTarget(codec.target(peer, name), peer, name);
      }
    },
  },
  {
    name: "asks what it is to ask, and watches what it is to watch",
    async run({ provider }) {
      using codec = await provider.codec();
      for (const peer of ADDRESSES) {
        for (const access of [0, 8]) {
          for (const watched of WATCHED) readQuery(codec, peer, access, watched);
        }
      }
    },
  },
  {
    name: "gives a codec to each connection, and each may be closed twice",
    async run({ provider }) {
      using kept = await provider.codec();
      const codec = await provider.codec();
      if (codec === kept) fail("two connections were given one codec");
      codec.close();
      codec.close();
      readTarget(kept.target(ADDRESS, NAMES[1]), ADDRESS, NAMES[1]);
    },
  },
];

async function repeats({ provider }: CodecSubject): Promise<void> {
  using one = await provider.codec();
  using other = await provider.codec();
  const requirements = requirementsOf(provider)[0];
  const requests: readonly (readonly [label: string, ask: (codec: SocketCodec) => Uint8Array])[] = [
    ["settings", (codec) => codec.settings(requirements, IDENTITIES[3])],
    ["target", (codec) => codec.target(ADDRESS, NAMES[1])],
    ["query template", (codec) => codec.queryTemplate(ADDRESS, 8)],
  ];
  for (const [label, ask] of requests) {
    const first = new Uint8Array(ask(one));
    for (const codec of [one, other]) {
      if (!same(first, ask(codec))) fail(`two answers to ${label} differ`);
    }
  }
}

/** Every combination of requirements that the provider offers to meet, the strongest first. */
function requirementsOf({ description: { offers } }: SocketProvider): ResolvedRequirements[] {
  const found: ResolvedRequirements[] = [];
  for (let bits = 7; bits >= 0; bits--) {
    const [integrity, confidentiality, mutualAuthentication] = [1, 2, 4].map((bit) => (bits & bit) !== 0);
    if (confidentiality && !integrity) continue;
    const asked = { integrity, confidentiality, mutualAuthentication };
    if ((Object.keys(asked) as (keyof typeof asked)[]).some((key) => asked[key] && !offers[key])) continue;
    found.push(resolveRequirements({ ...asked, impersonation: offers.impersonation }));
  }
  return found;
}

async function writesSettings({ provider }: CodecSubject): Promise<void> {
  using codec = await provider.codec();
  let written = 0;
  let refused: unknown;
  for (const requirements of requirementsOf(provider)) {
    for (const identity of IDENTITIES) {
      try {
        readSettings(codec.settings(requirements, identity), settingsGrant(provider, requirements, identity));
        written++;
      } catch (error) {
        // A provider may ask for more than was required: its error states that, and the application reads the reason.
        if ((error as Error | null)?.name !== "SecurityRequirementError") throw error;
        refused = error;
      }
    }
  }
  if (written === 0) throw new Error(`it writes no settings at all: ${(refused as Error)?.message}`);
}

/** Reads one template; a codec need not support watching, and then throws a TypeError. */
function readQuery(
  codec: SocketCodec,
  peer: Uint8Array,
  access: number,
  watched: typeof WATCHED[number],
): void {
  try {
    readTemplate(codec.queryTemplate(peer, access, watched), peer, access, watched);
  } catch (error) {
    if (watched.length === 0 || !(error instanceof TypeError)) throw error;
  }
}
