/**
 * `policy check FILE`: reads a policy as the library does, and shows what it does to each built-in provider.
 *
 * @module
 */

import { readFile } from "node:fs/promises";
import { defineCommand, JSON_OPTION } from "./command.ts";
import { shown } from "./io.ts";

/** The command. */
export const command = defineCommand({
  usage: "check FILE",
  operands: [2, 2],
  actions: { check: ["known", "json"] },
  description:
    `Exit status 1 where the policy cannot be used, or names a provider or mechanism that is neither built in nor
given with --known: such a name has no effect, so that a misspelt deny denies nothing.`,
  options: {
    known: {
      type: "string",
      value: "NAME",
      multiple: true,
      help: "the application has a provider of this name too",
    },
    json: JSON_OPTION,
  },
  examples: [
    { line: "policy check policy.json", text: "before it is put in place for the machine or an application" },
    { line: "policy check policy.json --known department", text: "where applications load another provider" },
  ],
  async run({ options, operands: [, file] }, io) {
    const { createRegistry, ipsec, kerberos, negotiate, ntlm } = await import("../mod.ts");
    const { deniedBy, unknownNames } = await import("../plugins/names.ts");
    const { parsePolicy } = await import("../plugins/policy.ts");
    const policy = parsePolicy(await readFile(file, "utf8"), file);
    const { providers } = createRegistry([negotiate(), kerberos(), ntlm(), ipsec()]);
    const unknown = unknownNames(policy, providers).map(({ list, names, known }) => ({
      list,
      names: names.filter((name) => !options.known?.includes(name)),
      known,
    })).filter(({ names }) => names.length > 0);
    const effects = providers.map(({ name, description: { mechanisms = [] } }) => ({
      name,
      allowed: deniedBy(policy.deny, name) === null && (policy.order?.includes(name) ?? true),
      denied: mechanisms.filter((mechanism) => deniedBy(policy.deny, mechanism) !== null),
    }));
    if (options.json) await io.json({ policy, unknown, effects });
    else {
      for (const { list, names, known } of unknown) {
        await io.print(
          `${io.paint("red", "fail")}    ${
            shown(names.join(", "))
          } in ${list} is unknown and has no effect (known: ${known.join(", ")})`,
        );
      }
      for (const { name, allowed, denied } of effects) {
        const without = denied.length > 0 ? `, without ${denied.join(", ")}` : "";
        await io.print(`${name.padEnd(10)} ${allowed ? `allowed${without}` : "not used"}`);
      }
      const floor = Object.keys(policy.floor ?? {});
      await io.print(`floor      ${floor.join(", ") || "none"}`);
    }
    return unknown.length > 0 ? 1 : 0;
  },
});
