/**
 * Every ProtectionLevel of .NET's NegotiateStream with every set of our requirements, in both roles: what came of each is
 * written as the tables of docs/guide.md, which must hold them so.
 */

import { assert, assertEquals } from "@std/assert";
import { test } from "@test";
import { existsSync, readFileSync } from "node:fs";
import { AuthenticationError, type Requirements, type SecureConn, type System } from "../../mod.ts";
import { ntHash, ntlm } from "../../plugins/ntlm/mod.ts";
import { createRegistry } from "../../plugins/registry.ts";
import type { Realm } from "../rig/realm.ts";
import { call, messages, noDotnet, serve } from "../support/dotnet.ts";
import { inRealm } from "../support/kerberos.ts";

const LEVELS = ["None", "Sign", "EncryptAndSign"] as const;
type Level = typeof LEVELS[number];
const NEITHER = { integrity: false, confidentiality: false } as const;
const CLIENT: { readonly [row: string]: Requirements } = {
  "the default": {},
  "`confidentiality: false`": { confidentiality: false },
  '`confidentiality: false, integrity: false`, `impersonation: "impersonate"`': {
    ...NEITHER,
    impersonation: "impersonate",
  },
  '`confidentiality: false, integrity: false`, `impersonation: "identify"`': NEITHER,
};
const SERVER: { readonly [row: string]: Requirements } = {
  "the default": {},
  "`confidentiality: false`": { confidentiality: false },
  "`confidentiality: false, integrity: false`": NEITHER,
};

const guide = readFileSync(new URL("../../docs/guide.md", import.meta.url), "utf8");

/** Fails unless the guide has the table of what `cell` gives for each row and level. */
async function assertInGuide(
  first: string,
  rows: { readonly [row: string]: Requirements },
  cell: (level: Level, requirements: Requirements) => Promise<string>,
): Promise<void> {
  const lines = [[first, ...LEVELS.map((level) => `\`${level}\``)], ["-", "-", "-", "-"]];
  for (const [row, requirements] of Object.entries(rows)) {
    const cells: string[] = [];
    for (const level of LEVELS) cells.push(await cell(level, requirements));
    lines.push([row, ...cells]);
  }
  const table = lines.map((line) => `| ${line.join(" | ")} |`).join("\n");
  const written = guide.replace(/ +\|/g, " |").replace(/\| -+/g, "| -");
  assert(written.includes(table), `docs/guide.md has not this table:\n${table}`);
}

/** What a connection is whose two ends must agree on it. */
function nameOf(security: SecureConn["security"], event: Record<string, unknown>): string {
  const { integrity, confidentiality } = security;
  assertEquals([event.isSigned, event.isEncrypted], [integrity, confidentiality]);
  return confidentiality ? "encrypted" : integrity ? "signed" : "clear";
}

/** Our client and .NET's server. */
async function callAt(
  realm: Realm,
  system: System,
  level: Level,
  requirements: Requirements,
): Promise<string> {
  let security: SecureConn["security"] | null = null;
  let echoed = false;
  const events = await call(realm, system, ["--protection", level], { requirements }, async (connecting) => {
    try {
      await using conn = await connecting;
      security = conn.security;
      await conn.write(new TextEncoder().encode("hello"));
      const back = new Uint8Array(5);
      let length: number | null = 0;
      for (let at = 0; at < 5 && length !== null; at += length ?? 0) {
        length = await conn.read(back.subarray(at));
      }
      echoed = new TextDecoder().decode(back) === "hello";
    } catch (error) {
      if (security === null) {
        assert(error instanceof AuthenticationError && /1790/.test(error.message), `${error}`);
      }
    }
  });
  if (security === null) {
    assert(/security requirement was not fulfilled/.test(messages(events[0])), messages(events[0]));
    return "refused (1)";
  }
  if (echoed) return nameOf(security, events[0]);
  // .NET takes what it sees as signed, and our end does not.
  assertEquals([events[0].isSigned, (security as SecureConn["security"]).integrity], [true, false]);
  assertEquals(events[1].during, "data");
  return "fails (2)";
}

/** .NET's client and our server. */
async function serveAt(
  realm: Realm,
  system: System,
  level: Level,
  requirements: Requirements,
): Promise<string> {
  const { events, accepted } = await serve(realm, system, ["--protection", level], { requirements });
  if (events.at(-1)?.event === "echoed") {
    assertEquals(events.at(-1)!.same, true);
    return nameOf(accepted[0], events[0]);
  }
  const said = messages(events[0]);
  if (level === "None") {
    assert(/NTLM authentication is not possible/.test(said), said);
    return "gives up (3)";
  }
  assert(/protection level is not supported/.test(said), said);
  return "gives up (4)";
}

test("docs/guide.md has the results of our client and .NET's server at each level", async () => {
  await inRealm((realm, system) =>
    assertInGuide("our `requirements`", CLIENT, (level, given) => callAt(realm, system, level, given))
  );
}, { skip: noDotnet });

test("docs/guide.md has the results of .NET's client and our server at each level", async () => {
  await inRealm((realm, system) =>
    assertInGuide("our server's", SERVER, (level, given) => serveAt(realm, system, level, given))
  );
}, { skip: noDotnet });

const noNtlm = noDotnet ??
  (existsSync("/etc/gss/mech.d/mech.ntlmssp.conf") ? null : "install gss-ntlmssp, by which .NET speaks NTLM");
const CAROL = ["--user", "carol", "--password", "Carol-1", "--domain", "EXAMPLE"];

test("docs/guide.md has the results of .NET's client and our server of ntlm() at each level", async () => {
  const hash = ntHash("Carol-1");
  const accounts = ({ username }: { username: string }) => username === "carol" ? hash : null;
  const registry = createRegistry([ntlm({ spnego: true, accounts })]);
  await inRealm((realm, system) =>
    assertInGuide("with `ntlm({ spnego: true })`", SERVER, async (level, given) => {
      const client = ["--protection", level, ...CAROL];
      const requirements = { ...given, mutualAuthentication: false };
      // A ticket would be preferred.
      const env = { ...realm.env, KRB5CCNAME: "FILE:/nonexistent", KRB5_CLIENT_KTNAME: "FILE:/nonexistent" };
      const { events, accepted, failures } = await serve({ ...realm, env }, system, client, {
        registry,
        requirements,
      });
      if (events.at(-1)?.event === "echoed") return nameOf(accepted[0], events[0]);
      if (level === "None") {
        assert(/lacks extended session security/.test(`${failures[0]}`), `${failures[0]}`);
        return "refused (5)";
      }
      if (accepted.length === 0) {
        assert(/does not encrypt/.test(`${failures[0]}`), `${failures[0]}`);
        return "refused (1)";
      }
      assertEquals([accepted[0].confidentiality, events[1].during], [false, "data"]);
      assert(/altered on its way/.test(`${failures[0]}`), `${failures[0]}`);
      return "fails (6)";
    })
  );
}, { skip: noNtlm });

test("a .NET client at None offers only NTLM, and a server of negotiate() reports that", async () => {
  await inRealm(async (realm, system) => {
    const { accepted, failures } = await serve(realm, system, ["--protection", "None", ...CAROL], {
      requirements: NEITHER,
    });
    assertEquals(accepted, []);
    assert(failures[0] instanceof AuthenticationError);
    assertEquals(failures[0].reason, "mechanism");
    assert(failures[0].message.includes("The peer offers NTLM"), failures[0].message);
  });
}, { skip: noNtlm });
