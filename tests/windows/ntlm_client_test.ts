/**
 * Windows' own NTLM client, which Negotiate falls back to where that is allowed, against Samba's acceptor.
 */

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { AuthenticationError, ProtocolError, SecurityRequirementError } from "../../errors.ts";
import { liveHandles } from "../../ffi/handles.ts";
import { ntHash, ntlm, type NtlmAccount } from "../../plugins/ntlm/mod.ts";
import { negotiate } from "../../plugins/negotiate/mod.ts";
import { resolveRequirements, verifyAttributes } from "../../plugins/requirements.ts";
import { ask, noAgent } from "./support/agent.ts";
import { declareTests, windowsTest } from "./support/on_windows.ts";
import { authenticate, bytes, type Pair, seal, testSystem } from "./support/sspi.ts";

const USER = { username: "carol", domain: "EXAMPLE", password: "Carol1234!" };
/** A service no realm knows, so that only NTLM is left. */
const TARGET = "HTTP/ntlm.example.test";

const toBase64 = (bytes: Uint8Array) => btoa(String.fromCharCode(...bytes));
const fromBase64 = (text: string) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));

async function exchange(password: string) {
  const system = testSystem();
  const requirements = resolveRequirements({ mutualAuthentication: false });
  const credentials = { ...USER, password };
  using acquired = await negotiate({ allowNtlm: true }).acquire({
    role: "client",
    system,
    requirements,
    credentials,
  });
  using context = acquired.client({ target: TARGET });
  try {
    const first = await context.step(null);
    assertEquals(String.fromCharCode(...first.token!.subarray(0, 7)), "NTLMSSP");
    using answers = ask({ do: "ntlm", ...USER, token: toBase64(first.token!) });
    const challenge = await answers.next();
    assert(challenge.ok, challenge.error);
    const last = await context.step(fromBase64(challenge.token!));
    answers.send({ do: "ntlm", ...USER, token: toBase64(last.token!) });
    const verdict = await answers.next();
    const ends = verdict.ok ? { key: context.sessionKey(), attributes: context.attributes } : null;
    return { verdict, ends };
  } finally {
    context.close();
    acquired.close();
    system.close();
  }
}

await windowsTest(
  "NTLM: Samba accepts the client's response, and both have the same session key",
  async () => {
    const { verdict, ends } = await exchange(USER.password);
    assert(verdict.ok, verdict.error);
    assertEquals(ends!.key, fromBase64(verdict.sessionKey!));
    assertEquals([ends!.attributes.mechanism, ends!.attributes.mutualAuthentication], ["ntlm", false]);
    assertEquals(liveHandles(), {});
  },
  { skip: noAgent },
);

await windowsTest("NTLM: Samba refuses a wrong password", async () => {
  const { verdict } = await exchange("not Carol's");
  assertEquals(verdict.ok, false);
}, { skip: noAgent });

await windowsTest("NTLM never counts as mutual authentication", async () => {
  const { ends } = await exchange(USER.password);
  const strict = resolveRequirements();
  const refusal = assertThrows(
    () => verifyAttributes({ ...ends!.attributes, mutualAuthentication: true }, strict, "client", false),
    SecurityRequirementError,
  );
  assertEquals(refusal.required, "mutualAuthentication");
}, { skip: noAgent });

await windowsTest("NTLM is not used where it was not allowed", async () => {
  for (
    const [provider, mutualAuthentication] of [[negotiate(), false], [
      negotiate({ allowNtlm: true }),
      true,
    ]] as const
  ) {
    const system = testSystem();
    const requirements = resolveRequirements({ mutualAuthentication });
    using acquired = await provider.acquire({ role: "client", system, requirements, credentials: USER });
    using context = acquired.client({ target: TARGET });
    await assertRejects(() => context.step(null), AuthenticationError);
    context.close();
    acquired.close();
    system.close();
  }
}, { skip: noAgent });

/** This library's own NTLM server, in its sandbox, against Windows' client. */
async function withGuest(password: string) {
  const accounts = (account: NtlmAccount) =>
    account.username.toLowerCase() === USER.username ? ntHash(password) : null;
  const system = testSystem();
  const requirements = resolveRequirements({ mutualAuthentication: false });
  using ours = await ntlm({ accounts }).acquire({ role: "server", system, requirements });
  using theirs = await negotiate({ allowNtlm: true }).acquire({
    role: "client",
    system,
    requirements,
    credentials: USER,
  });
  const both: Pair = {
    client: theirs.client({ target: TARGET }),
    server: ours.server({}),
    [Symbol.dispose]() {
      this.client.close();
      this.server.close();
      theirs.close();
      ours.close();
      system.close();
    },
  };
  try {
    await authenticate(both);
    return both;
  } catch (error) {
    both[Symbol.dispose]();
    throw error;
  }
}

await windowsTest("NTLM: the sandboxed server and Windows' client open each other's records", async () => {
  using both = await withGuest(USER.password);
  assertEquals(both.server.peerName, `${USER.domain}\\${USER.username}`);
  assertEquals(both.client.sessionKey(), both.server.sessionKey());
  for (const length of [0, 1, 16, 1000, 60_000]) {
    assertEquals(both.server.unwrap(seal(both.client, bytes(length))).slice(), bytes(length));
    assertEquals(both.client.unwrap(seal(both.server, bytes(length))).slice(), bytes(length));
  }
  const altered = seal(both.client, bytes(100));
  altered[50] ^= 1;
  assertThrows(() => both.server.unwrap(altered), ProtocolError);
}, { skip: noAgent });

await windowsTest("NTLM: signatures of Windows' client and of the sandboxed server hold", async () => {
  using both = await withGuest(USER.password);
  both.server.verify(bytes(100), both.client.sign(bytes(100)));
  both.client.verify(bytes(100), both.server.sign(bytes(100)));
}, { skip: noAgent });

await windowsTest("NTLM: the sandboxed server refuses a wrong password of Windows' client", async () => {
  await assertRejects(() => withGuest("another password"), AuthenticationError);
}, { skip: noAgent });

await windowsTest("NTLM: the sandboxed client and Windows' server open each other's records", async () => {
  const system = testSystem();
  const requirements = resolveRequirements({ mutualAuthentication: false });
  using ours = await ntlm().acquire({ role: "client", system, requirements, credentials: USER });
  using theirs = await negotiate({ allowNtlm: true }).acquire({ role: "server", system, requirements });
  const both: Pair = {
    client: ours.client({ target: TARGET }),
    server: theirs.server({}),
    [Symbol.dispose]() {
      this.client.close();
      this.server.close();
    },
  };
  try {
    await authenticate(both);
    assertEquals(both.server.unwrap(seal(both.client, bytes(100))).slice(), bytes(100));
    assertEquals(both.client.unwrap(seal(both.server, bytes(100))).slice(), bytes(100));
  } finally {
    both[Symbol.dispose]();
    system.close();
  }
  // Wine knows no accounts of its own.
}, { skip: noAgent, wineAnswers: "AcceptSecurityContext failed with SEC_E_LOGON_DENIED" });

declareTests();
