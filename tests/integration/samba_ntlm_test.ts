/** Samba's ntlm_auth, without a domain: it is told the one account on its command line. */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { test } from "@test";
import { ntHash } from "../../plugins/ntlm/mod.ts";
import { findProgram } from "../../scripts/process.ts";
import { client, server } from "../plugins/ntlm/pair.ts";
import { LinePeer } from "../support/line_peer.ts";

const skip = findProgram("ntlm_auth") === null ? "apt-get install winbind" : null;
const PASSWORD = "Samba-1";
const FEATURES = "SF NTLMSSP_FEATURE_SESSION_KEY NTLMSSP_FEATURE_SIGN NTLMSSP_FEATURE_SEAL";

const toBase64 = (bytes: Uint8Array) => btoa(String.fromCharCode(...bytes));
const fromBase64 = (text: string) => Uint8Array.from(atob(text), (unit) => unit.charCodeAt(0));

/** One ntlm_auth in the role that `protocol` stands for. */
async function withSamba(
  protocol: "squid-2.5-ntlmssp" | "ntlmssp-client-1",
  work: (say: (line: string) => Promise<[word: string, rest: string]>) => Promise<void>,
): Promise<void> {
  const account = ["--username=alice", "--domain=EXAMPLE", `--password=${PASSWORD}`];
  const peer = new LinePeer("ntlm_auth", [
    `--helper-protocol=${protocol}`,
    "--configfile=/dev/null",
    ...account,
  ]);
  try {
    await work(async (line) => {
      const [word, ...rest] = (await peer.say(line)).split(" ");
      return [word, rest.join(" ")];
    });
  } finally {
    await peer.close();
  }
}

test(
  "our client authenticates to Samba's ntlm_auth, and both have the same session key",
  () =>
    withSamba("squid-2.5-ntlmssp", async (say) => {
      assertEquals((await say(FEATURES))[0], "OK");
      using ours = await client({ password: PASSWORD });
      const first = await ours.step(null);
      const [kind, challenge] = await say(`YR ${toBase64(first.token!)}`);
      assertEquals(kind, "TT");
      const third = await ours.step(fromBase64(challenge));
      assertEquals(await say(`KK ${toBase64(third.token!)}`), ["AF", "EXAMPLE\\alice"]);
      assertEquals(await say("GK"), ["GK", toBase64(ours.sessionKey())]);
    }),
  { skip },
);

test(
  "Samba's ntlm_auth refuses our client's wrong password",
  () =>
    withSamba("squid-2.5-ntlmssp", async (say) => {
      using ours = await client({ password: "other" });
      const first = await ours.step(null);
      const [, challenge] = await say(`YR ${toBase64(first.token!)}`);
      const third = await ours.step(fromBase64(challenge));
      const [kind, reason] = await say(`KK ${toBase64(third.token!)}`);
      assertEquals(kind, "NA");
      assertStringIncludes(reason, "NT_STATUS_LOGON_FAILURE");
    }),
  { skip },
);

test(
  "Samba's ntlm_auth authenticates to our server, and both have the same session key",
  () =>
    withSamba("ntlmssp-client-1", async (say) => {
      await say(FEATURES);
      using ours = await server({ ntlm: { accounts: () => ntHash(PASSWORD) } });
      const [kind, first] = await say("YR");
      assertEquals(kind, "YR");
      const second = await ours.step(fromBase64(first));
      const [end, third] = await say(`TT ${toBase64(second.token!)}`);
      assert(end === "AF" || end === "KK");
      assertEquals((await ours.step(fromBase64(third))).done, true);
      assertEquals(ours.peerName, "EXAMPLE\\alice");
      assertEquals(await say("GK"), ["GK", toBase64(ours.sessionKey())]);
    }),
  { skip },
);
