/** The identity of an SSPI context's peer, with a secur32.dll and access tokens whose results the test sets. */

import { assertEquals, assertStringIncludes } from "@std/assert";
import { test } from "@test";
import type { PeerIdentity } from "../../../../contract.ts";
import type { LibrarySpec } from "../../../../ffi/abi.ts";
import { ADVAPI32, SID_AND_ATTRIBUTES, TokenGroups, TokenUser } from "../../../../ffi/raw/advapi32.ts";
import { SEC_I } from "../../../../ffi/raw/secur32.ts";
import { acquireSspiCredentials } from "../../../../ffi/security/sspi/credentials.ts";
import { Clients } from "../../../../ffi/security/sspi/peer.ts";
import type { NativeSystem } from "../../../../ffi/system.ts";
import { parseSid } from "../../../../ffi/windows/sid.ts";
import type { Requirements } from "../../../../contract.ts";
import { resolveRequirements } from "../../../../plugins/requirements.ts";
import { liveHandles } from "../../../../testing/mod.ts";
import { FakeMemory, FakeSecur32 } from "../../../support/fake_secur32.ts";

const HANDLE = 0x77n;
const ALICE = "S-1-5-21-1-2-3-1104";
const bytes = (text: string) => Uint8Array.from(text, (letter) => letter.charCodeAt(0));

/** Access tokens: all of them one client's. */
class Tokens {
  readonly memory = new FakeMemory();
  groups: readonly (readonly [sid: string, attributes: number])[] = [["S-1-5-32-545", 7]];
  user = ALICE;
  /** The information that the system refuses. */
  refused: number | null = null;
  readonly closed: bigint[] = [];

  get clients(): Clients {
    const kernel = { GetLastError: () => 5, CloseHandle: (handle: bigint) => this.closed.push(handle) };
    const advapi = {
      GetTokenInformation: (
        _token: bigint,
        kind: number,
        into: Uint8Array | null,
        _: number,
        size: Uint8Array,
      ) => this.#tell(kind, into, new DataView(size.buffer, size.byteOffset)),
    };
    return new Clients({
      library: (_grant: string, spec: LibrarySpec) => ({ call: spec === ADVAPI32 ? advapi : kernel }),
      memory: () => this.memory,
    } as unknown as NativeSystem);
  }

  #tell(kind: number, into: Uint8Array | null, size: DataView): number {
    const entries = kind === TokenUser ? [[this.user, 0] as const] : this.groups;
    const head = kind === TokenGroups ? 8 : 0;
    const sids = entries.map(([sid]) => parseSid(sid)!);
    const all = head + entries.length * SID_AND_ATTRIBUTES.size +
      sids.reduce((sum, sid) => sum + sid.length, 0);
    size.setUint32(0, all, true);
    if (kind === this.refused || into === null) return 0;
    const view = new DataView(into.buffer, into.byteOffset, into.length);
    if (kind === TokenGroups) view.setUint32(0, entries.length, true);
    let at = head + entries.length * SID_AND_ATTRIBUTES.size;
    entries.forEach(([, Attributes], index) => {
      into.set(sids[index], at);
      const Sid = this.memory.addressOf(into) + BigInt(at);
      SID_AND_ATTRIBUTES.write(view, { Sid, Attributes }, head + index * SID_AND_ATTRIBUTES.size);
      at += sids[index].length;
    });
    return 1;
  }
}

interface Given {
  names?: FakeSecur32["names"];
  token?: bigint | null;
  mechanism?: string;
  clients?: Clients | null;
  requirements?: Requirements;
}

/** Returns the peerIdentity of both ends; checks that nothing stays open. */
async function identities(given: Given): Promise<{ client?: PeerIdentity; server?: PeerIdentity }> {
  const fake = new FakeSecur32();
  fake.step = (role, token) => {
    if (role === "server") return { status: 0, token: bytes("answer") };
    return token === null ? { status: SEC_I.CONTINUE_NEEDED, token: bytes("ticket") } : { status: 0 };
  };
  fake.names = given.names ?? null;
  fake.token = given.token ?? null;
  fake.mechanism = given.mechanism ?? "Kerberos";
  const both: { client?: PeerIdentity; server?: PeerIdentity } = {};
  {
    using credentials = await acquireSspiCredentials(fake.sspi, {
      package: "negotiate",
      role: "client",
      excludeNtlm: false,
      requirements: resolveRequirements(given.requirements),
    }, given.clients ?? null);
    using client = credentials.client({ target: "HTTP/web.example.test" });
    using server = credentials.server({});
    const first = await client.step(null);
    const answer = await server.step(first.token);
    await client.step(answer.token);
    both.client = server.peerIdentity;
    both.server = client.peerIdentity;
  }
  assertEquals(fake.held, { credentials: 0, contexts: 0, buffers: 0, system: 0 });
  assertEquals(liveHandles(), {});
  return both;
}

const NAMES = {
  client: "alice@EXAMPLE.TEST",
  server: "HTTP/web.example.test@EXAMPLE.TEST",
  user: "EXAMPLE\\alice",
};
const KERBEROS = { name: NAMES.client, user: "alice", realm: "EXAMPLE.TEST", kind: "unknown" } as const;

test("peerIdentity has SID and groups of the access token, without deny-only groups, and the token is closed", async () => {
  const tokens = new Tokens();
  tokens.groups = [
    ["S-1-5-21-1-2-3-513", 7],
    ["S-1-5-32-544", 0x10],
    ["S-1-5-32-545", 7],
    ["S-1-5-21-1-2-3-1200", 0],
    ["S-1-5-21-1-2-3-513", 7],
    ["S-1-5-21-1-2-3-1201", 0x14],
  ];
  const { client, server } = await identities({ names: NAMES, token: HANDLE, clients: tokens.clients });
  assertEquals(client, { ...KERBEROS, sid: ALICE, groups: ["S-1-5-21-1-2-3-513", "S-1-5-32-545"] });
  assertEquals(server, {
    name: NAMES.server,
    user: "HTTP/web.example.test",
    realm: "EXAMPLE.TEST",
    kind: "service",
  });
  assertEquals(tokens.closed, [HANDLE]);
});

test("peerIdentity without the grant impersonation has only the name, and states how to get the rest", async () => {
  const { client } = await identities({ names: NAMES, token: HANDLE });
  const { incomplete, ...identity } = client!;
  assertEquals(identity, KERBEROS);
  assertStringIncludes(incomplete!, 'grants: ["sspi", "impersonation"]');
});

test("peerIdentity leaves out SID and groups, with the reason, where the token cannot be read", async () => {
  for (const refused of [TokenUser, TokenGroups]) {
    const tokens = new Tokens();
    tokens.refused = refused;
    const { client } = await identities({ names: NAMES, token: HANDLE, clients: tokens.clients });
    const { incomplete, ...identity } = client!;
    assertEquals(identity, KERBEROS);
    assertStringIncludes(incomplete!, "GetTokenInformation failed");
    assertEquals(tokens.closed, [HANDLE]);
  }
  const { client } = await identities({ names: NAMES, clients: new Tokens().clients });
  assertStringIncludes(client!.incomplete!, "QuerySecurityContextToken failed with SEC_E_NO_CREDENTIALS");
});

test("peerIdentity splits an account in the down-level form, whichever package authenticated it", async () => {
  for (const mechanism of ["Kerberos", "NTLM"]) {
    const { client } = await identities({
      names: { user: "EXAMPLE\\alice" },
      mechanism,
      requirements: { mutualAuthentication: false },
    });
    assertEquals([client?.name, client?.user, client?.realm], ["EXAMPLE\\alice", "alice", "EXAMPLE"]);
  }
});

test("peerIdentity is undefined where no name is reported, or nothing was proved", async () => {
  const clients = new Tokens().clients;
  assertEquals(await identities({ token: HANDLE, clients }), { client: undefined, server: undefined });
  const anonymous = await identities({ names: { client: "WELLKNOWN/ANONYMOUS@EXAMPLE.TEST" } });
  assertEquals(anonymous.client, undefined);
  const oneSided = await identities({ names: NAMES, requirements: { mutualAuthentication: false } });
  assertEquals([oneSided.client?.user, oneSided.server], ["alice", undefined]);
});
