/**
 * `providers`: the built-in security providers, what each offers, and whether it can be used here.
 *
 * @module
 */

import type { Provider } from "../mod.ts";
import { defineCommand, JSON_OPTION } from "./command.ts";

/** The command. */
export const command = defineCommand({
  usage: "",
  operands: [0, 0],
  description: "Both ends of a connection have to use the same provider: nothing on the wire names it.",
  options: { json: JSON_OPTION },
  examples: [{ line: "providers", text: "what each offers" }, {
    line: "providers --json",
    text: "the same for a program",
  }],
  async run({ options }, io) {
    const { createRegistry, ipsec, kerberos, negotiate, ntlm, openSystem } = await import("../mod.ts");
    using system = openSystem({ grants: ["sspi", "ipsec"] });
    const capabilities = system.capabilities();
    const all: readonly Provider[] = [negotiate(), kerberos(), ntlm(), ipsec()];
    const rows = all.map((provider) => {
      const availability = provider.available(capabilities);
      const { description } = createRegistry([provider]).providers[0];
      return {
        ...description,
        available: availability.available,
        ...(availability.available ? {} : { reason: availability.reason }),
      };
    });
    if (options.json) {
      await io.json(rows);
      return 0;
    }
    for (const { name, layer, isolation, offers, mechanisms, available, reason } of rows) {
      const offered = Object.entries(offers).filter(([, value]) => value === true).map(([offer]) => offer);
      await io.print(
        `${io.paint("bold", name.padEnd(10))} ${
          available ? io.paint("green", "available") : `${io.paint("yellow", "unavailable")}: ${reason}`
        }`,
      );
      await io.print(
        `           layer ${layer}, ${isolation}${
          mechanisms === undefined ? "" : `, negotiates ${mechanisms.join(", ")}`
        }`,
      );
      await io.print(
        `           offers ${[...offered, `impersonation up to ${offers.impersonation}`].join(", ")}`,
      );
    }
    return 0;
  },
});
