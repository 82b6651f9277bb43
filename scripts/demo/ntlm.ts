/**
 * The NTLM part of the demo: passwords known to the server, no domain, nothing installed and nothing native opened.
 *
 * @module
 */

import {
  createRegistry,
  ipsec,
  kerberos,
  negotiate,
  ntHash,
  ntlm,
  type NtlmAccount,
  openSystem,
} from "../../mod.ts";
import { converse, converseBriefly, type Proof } from "./conversation.ts";
import { showChoice, showProviders } from "./provider_table.ts";
import { defaultRequirements, tamperedRecords, wrongPassword } from "./refusals.ts";
import { say, section } from "./screen.ts";
import { openStage, type Stage } from "./stage.ts";

const ACCOUNT: NtlmAccount = { domain: "EXAMPLE", username: "alice" };
const PASSWORD = "Correct horse 7";
const WITHOUT_MUTUAL = { mutualAuthentication: false } as const;

const PROOF: Proof = {
  what: "The server has proof of the client, and the client is told it has none",
  holds: (client, server) =>
    client.mutualAuthentication === false && server.mutualAuthentication === false &&
    client.confidentiality && server.confidentiality && server.peer === "EXAMPLE\\alice",
  remark: "NTLM never proves the server, and never serves where that is required",
};

/** Both ways to show it play on the same stage. */
async function withStage(body: (stage: Stage) => Promise<void>): Promise<void> {
  const hashes = new Map([["EXAMPLE\\ALICE", ntHash(PASSWORD)]]);
  const accounts = ({ domain, username }: NtlmAccount): Uint8Array | null =>
    hashes.get(`${domain}\\${username}`.toUpperCase()) ?? null;
  // Granted nothing, as nothing native is needed.
  using system = openSystem({ grants: [] });
  await using stage = await openStage({
    target: "HTTP/localhost",
    both: {
      registry: createRegistry([ipsec(), negotiate(), kerberos(), ntlm({ accounts })]),
      requirements: WITHOUT_MUTUAL,
      system,
    },
    credentials: { ...ACCOUNT, password: PASSWORD },
  });
  await body(stage);
}

/** Shows all of it, where nothing else can be shown. */
export function showNtlm(): Promise<void> {
  return withStage(async (stage) => {
    section("Which provider serves, with nothing installed and nothing granted");
    const { registry, system } = stage.honest;
    showProviders(registry!.providers);
    say("required", "integrity, encryption; mutual authentication given up, by name");
    showChoice(registry!.providers, registry!.select(WITHOUT_MUTUAL, system!.capabilities()));

    await converse(stage, PROOF);

    section("What is refused");
    await wrongPassword(stage, ACCOUNT);
    await defaultRequirements(stage);
    await tamperedRecords(stage);
  });
}

/** Shows that it is there, after Kerberos. */
export function showNtlmBriefly(): Promise<void> {
  return withStage(async (stage) => {
    section("NTLM over TCP, for where there is no domain");
    say("required", "integrity, encryption; mutual authentication given up, by name");
    await converseBriefly(stage, PROOF);
    await wrongPassword(stage, ACCOUNT);
    await defaultRequirements(stage);
  });
}
