/**
 * `doctor`: what this machine and process can do.
 *
 * @module
 */

import { type Availability, createRegistry, kerberos, negotiate, openSystem } from "../mod.ts";
import { machinePolicyFindings } from "../plugins/registry.ts";
import { defineCommand } from "./command.ts";

/** The command. */
export const command = defineCommand({
  usage: "",
  operands: [0, 0],
  options: {},
  examples: [{ line: "doctor", text: "what is there, and what is missing" }],
  async run(_args, io) {
    const verdict = (availability: Availability): string =>
      availability.available ? io.paint("green", "yes") : `${io.paint("red", "no")}: ${availability.reason}`;
    using system = openSystem({ grants: ["sspi"] });
    const capabilities = system.capabilities();
    const { machinePolicy } = capabilities;
    const policy = "reason" in machinePolicy
      ? `${machinePolicy.state}: ${machinePolicy.reason}`
      : machinePolicy.state;
    await io.print(`system            ${capabilities.os}, ${capabilities.runtime}`);
    await io.print(`security contexts ${verdict(capabilities.securityContexts)}`);
    await io.print(`machine policy    ${policy} (${machinePolicy.path})`);
    const providers = [negotiate(), kerberos()];
    let served = true;
    try {
      for (const finding of machinePolicyFindings(machinePolicy, providers)) {
        served = false;
        await io.print(`${"".padEnd(17)} ${io.paint("yellow", "finding")}: ${finding}`);
      }
    } catch {
      // An error that stops every selection is printed for each provider below.
      served = false;
    }
    for (const provider of providers) {
      try {
        createRegistry([provider]).select({}, capabilities);
        await io.print(`${provider.name.padEnd(17)} ${io.paint("green", "can serve")}`);
      } catch (error) {
        served = false;
        await io.print(
          `${provider.name.padEnd(17)} ${io.paint("red", "cannot serve")}: ${(error as Error).message}`,
        );
      }
    }
    return served ? 0 : 1;
  },
});
