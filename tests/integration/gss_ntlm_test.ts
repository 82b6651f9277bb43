import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { test } from "@test";
import { AuthenticationError, ProtocolError } from "../../errors.ts";
import type { ProviderContext } from "../../contract.ts";
import { realmUnavailable, startRealm } from "../rig/realm.ts";
import { client, server, wrap } from "../plugins/ntlm/pair.ts";
import { GSS, GssFailure, GssNtlmPeer, noGssNtlm } from "./gss_ntlm.ts";

const skip = noGssNtlm;
const bindings = new TextEncoder().encode("tls-server-end-point:0123456789abcdef");
const FLAGS = GSS.replay | GSS.sequence | GSS.integrity;

/**
 * Passes tokens between the library's context and the peer's until both are done; `ours` is the initiator or the
 * acceptor.
 */
async function shake(ours: ProviderContext, peer: GssNtlmPeer, oursFirst: boolean): Promise<void> {
  let token: Uint8Array | null = null, turn = oursFirst;
  do {
    token = (await (turn ? ours : peer).step(token)).token;
    turn = !turn;
  } while (token !== null);
  assert(ours.done);
}

async function traffic(ours: ProviderContext, peer: GssNtlmPeer): Promise<void> {
  for (const size of [1, 2, 63, 64, 65, 1000, 65_000]) {
    const data = crypto.getRandomValues(new Uint8Array(size));
    assertEquals(await peer.unwrap(wrap(ours, data)), data);
    assertEquals(ours.unwrap(await peer.wrap(data)), data);
    await peer.verify(data, ours.sign(data));
    ours.verify(data, await peer.sign(data));
  }
}

async function withPeer(work: (peer: GssNtlmPeer) => Promise<void>): Promise<void> {
  const peer = await GssNtlmPeer.start();
  try {
    await work(peer);
  } finally {
    await peer.close();
  }
}

for (const mechanism of ["ntlm", "spnego"]) {
  const how = mechanism === "ntlm" ? "bare NTLM" : "SPNEGO";
  const ntlm = { spnego: mechanism === "spnego" };

  for (const channelBindings of [undefined, bindings]) {
    const bound = channelBindings === undefined ? "" : ", with channel bindings";
    const end = { ntlm, ...(channelBindings ? { channelBindings } : {}) };

    test(
      `ntlm() server accepts gss-ntlmssp and both protect records, ${how}${bound}`,
      () =>
        withPeer(async (peer) => {
          await peer.initiate(mechanism, FLAGS | GSS.confidentiality, channelBindings);
          using ours = await server(end);
          await shake(ours, peer, false);
          assertEquals(ours.peerName, "EXAMPLE\\alice");
          assertEquals(ours.requestedTarget, "host/server.example.test");
          assertEquals(ours.attributes.channelBound, channelBindings !== undefined);
          assertEquals(ours.attributes.confidentiality, true);
          assertEquals(await peer.sessionKey(), ours.sessionKey());
          await traffic(ours, peer);
        }),
      { skip },
    );

    test(
      `ntlm() client authenticates to gss-ntlmssp and both protect records, ${how}${bound}`,
      () =>
        withPeer(async (peer) => {
          await peer.accept(mechanism, channelBindings);
          using ours = await client(end);
          await shake(ours, peer, true);
          assertEquals(await peer.peerName(), "EXAMPLE\\alice");
          const wanted = GSS.integrity | GSS.confidentiality | (channelBindings ? GSS.channelBound : 0);
          assertEquals(await peer.flags() & wanted, wanted);
          assertEquals(await peer.sessionKey(), ours.sessionKey());
          await traffic(ours, peer);
        }),
      { skip },
    );
  }

  test(
    `ntlm() server refuses gss-ntlmssp without encryption where it is required, ${how}`,
    () =>
      withPeer(async (peer) => {
        await peer.initiate(mechanism, FLAGS);
        using ours = await server({ ntlm });
        const error = await assertRejects(() => shake(ours, peer, false));
        assertEquals((error as Error & { required: string }).required, "confidentiality");
      }),
    { skip },
  );

  test(
    `ntlm() and gss-ntlmssp sign messages in both directions without encryption, ${how}`,
    () =>
      withPeer(async (peer) => {
        await peer.initiate(mechanism, FLAGS);
        using ours = await server({
          ntlm,
          requirements: { mutualAuthentication: false, confidentiality: false },
        });
        await shake(ours, peer, false);
        assertEquals(ours.attributes.confidentiality, false);
        const data = new TextEncoder().encode("signed only");
        for (let i = 0; i < 3; i++) {
          await peer.verify(data, ours.sign(data));
          ours.verify(data, await peer.sign(data));
        }
      }),
    { skip },
  );

  test(
    `gss-ntlmssp refuses an ntlm() client with a wrong password or an unknown account, ${how}`,
    () =>
      withPeer(async (peer) => {
        for (const claim of [{ password: "other" }, { username: "mallory" }]) {
          await peer.accept(mechanism);
          using ours = await client({ ntlm, ...claim });
          await assertRejects(() => shake(ours, peer, true), GssFailure);
        }
      }),
    { skip },
  );

  test(
    `ntlm() server refuses gss-ntlmssp without its channel bindings, ${how}`,
    () =>
      withPeer(async (peer) => {
        for (const given of [undefined, new TextEncoder().encode("tls-unique:other")]) {
          await peer.initiate(mechanism, FLAGS | GSS.confidentiality, given);
          using ours = await server({ ntlm, channelBindings: bindings });
          const error = await assertRejects(() => shake(ours, peer, false), AuthenticationError);
          assertEquals(error.reason, "channel-bindings");
        }
      }),
    { skip },
  );

  test(
    `gss-ntlmssp refuses other channel bindings of an ntlm() client, ${how}`,
    () =>
      withPeer(async (peer) => {
        await peer.accept(mechanism, bindings);
        using ours = await client({ ntlm, channelBindings: new TextEncoder().encode("tls-unique:other") });
        await assertRejects(() => shake(ours, peer, true), GssFailure);
      }),
    { skip },
  );

  test(
    `ntlm() refuses altered, replayed or missing records of gss-ntlmssp, ${how}`,
    () =>
      withPeer(async (peer) => {
        const data = new TextEncoder().encode("record");
        const attempts: Record<
          string,
          (ours: ProviderContext, first: Uint8Array, second: Uint8Array) => void
        > = {
          altered: (ours, first) => ours.unwrap(first.map((byte, at) => at === 20 ? byte ^ 1 : byte)),
          gap: (ours, _, second) => ours.unwrap(second),
          replayed: (ours, first) => {
            assertEquals(ours.unwrap(first.slice()), data);
            ours.unwrap(first);
          },
        };
        for (const [reason, attempt] of Object.entries(attempts)) {
          await peer.initiate(mechanism, FLAGS | GSS.confidentiality);
          using ours = await server({ ntlm });
          await shake(ours, peer, false);
          const [first, second] = [await peer.wrap(data), await peer.wrap(data)];
          const error = assertThrows(() => attempt(ours, first, second), ProtocolError);
          assertEquals(error.reason, reason);
        }
      }),
    { skip },
  );
}

test(
  "ntlm() server makes a client that prefers Kerberos use NTLM, and the whole list of mechanisms is signed",
  async () => {
    await using realm = await startRealm();
    await realm.kinit("alice");
    const peer = await GssNtlmPeer.start(realm.env);
    try {
      await peer.initiate("negotiate", FLAGS | GSS.confidentiality, undefined, "host@localhost");
      using ours = await server({ ntlm: { spnego: true } });
      const first = await peer.step(null);
      // A ticket is far longer than NTLM's first message of 40 bytes.
      assert(first.token!.length > 300);
      const asked = await ours.step(first.token);
      const second = await peer.step(asked.token);
      const challenge = await ours.step(second.token);
      const third = await peer.step(challenge.token);
      const last = await ours.step(third.token);
      assertEquals((await peer.step(last.token)).done, true);
      assertEquals(ours.peerName, "EXAMPLE\\alice");
      await traffic(ours, peer);
    } finally {
      await peer.close();
    }
  },
  { skip: skip ?? realmUnavailable() },
);
