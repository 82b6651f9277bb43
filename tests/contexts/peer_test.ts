/** Who a connection's peer is where its provider reports a name alone, and membership by SID. */

import { assertEquals, assertThrows } from "@std/assert";
import { test } from "@test";
import type { ContextAttributes, PeerIdentity, ProviderContext } from "../../contract.ts";
import { AuthenticationError } from "../../errors.ts";
import { isMember, peerOf } from "../../contexts/peer.ts";

const ATTRIBUTES: ContextAttributes = {
  mechanism: "third",
  mutualAuthentication: true,
  integrity: true,
  confidentiality: true,
  replayDetection: true,
  sequenceDetection: true,
  delegation: false,
  channelBound: false,
  impersonation: "identify",
};

function context(peerName: string, attributes: Partial<ContextAttributes>): ProviderContext {
  return { peerName, attributes: { ...ATTRIBUTES, ...attributes } } as ProviderContext;
}

const SIDS = ["S-1-5-21-1-2-3-1104", "S-1-5-21-1-2-3-513", "S-1-18-1"];
const ALICE: PeerIdentity = {
  name: "alice@EXAMPLE.TEST",
  user: "alice",
  realm: "EXAMPLE.TEST",
  kind: "user",
  sid: SIDS[0],
  groups: SIDS.slice(1),
};

test("A name alone is taken apart as its mechanism writes names, and an unknown mechanism's stays whole", () => {
  const of = (name: string, mechanism: string) => peerOf(context(name, { mechanism }), "server");
  assertEquals(of("EXAMPLE\\alice", "ntlm"), {
    name: "EXAMPLE\\alice",
    user: "alice",
    realm: "EXAMPLE",
    kind: "unknown",
  });
  assertEquals(of("alice@EXAMPLE.TEST", "kerberos")?.realm, "EXAMPLE.TEST");
  for (const name of ["EXAMPLE\\alice", "alice@EXAMPLE.TEST"]) {
    assertEquals(of(name, "third"), { name, user: name, realm: "", kind: "unknown" });
  }
});

test("Who did not prove to be anybody is nobody", () => {
  const name = "alice@EXAMPLE.TEST";
  assertEquals(peerOf(context("", {}), "server"), undefined);
  assertEquals(peerOf(context(name, { impersonation: "anonymous" }), "server"), undefined);
  assertEquals(peerOf(context(name, { mutualAuthentication: false }), "client"), undefined);
  assertEquals(peerOf(context(name, { mechanism: "ntlm" }), "client"), undefined);
  assertEquals(peerOf(context(name, {}), "client")?.kind, "service");
  assertEquals(peerOf(context(name, { mutualAuthentication: false }), "server")?.name, name);
});

test("The identity that a provider reports is reported unchanged, also that there is none", () => {
  const named = context("somebody", {});
  assertEquals(peerOf({ ...named, peerIdentity: ALICE }, "server"), ALICE);
  assertEquals(peerOf({ ...named, peerIdentity: undefined }, "server"), undefined);
});

test("A peer is a member of its groups, and of itself, however the SID is spelt", () => {
  for (const sid of SIDS) {
    assertEquals(isMember(ALICE, sid), true);
    assertEquals(isMember(ALICE, sid.toLowerCase()), true);
  }
  assertEquals(isMember(ALICE, "S-1-5-21-01-2-3-513"), true);
  for (const sid of ["S-1-5-21-1-2-3-51", "S-1-5-21-1-2-3", "S-1-5-32-544"]) {
    assertEquals(isMember(ALICE, sid), false);
  }
  assertEquals(isMember({ ...ALICE, groups: [] }, SIDS[1]), false);
});

test("Text that is not a SID is refused: a name would never match", () => {
  // deno-lint-ignore no-explicit-any
  for (const sid of ["EXAMPLE\\Operators", "", "S-1-", "S-2-5-32-544", undefined, null, 5] as any[]) {
    assertThrows(() => isMember(ALICE, sid), TypeError, "sid must be a security identifier");
  }
});

test("Membership is neither true nor false where groups are not known, and the message says why", () => {
  const { groups: _, ...unknown } = ALICE;
  const { sid: __, ...nameless } = ALICE;
  const incomplete = "the peer's PAC ends inside its data";
  for (
    const [peer, why] of [
      [undefined, "did not prove its identity"],
      [unknown, "no PAC"],
      [nameless, "no PAC"],
      [{ ...unknown, incomplete }, incomplete],
    ] as const
  ) {
    assertThrows(() => isMember(peer, SIDS[1]), AuthenticationError, why);
  }
});
