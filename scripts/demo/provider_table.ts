/**
 * The providers of a registry as a table.
 *
 * @module
 */

import type { Provider } from "../../mod.ts";
import type { Offers, Selection } from "../../plugins/mod.ts";
import { paint, say, show } from "./screen.ts";

const COLUMNS = [11, 9, 11] as const;

function row(cells: readonly string[]): string {
  return cells.map((cell, index) => cell.padEnd(COLUMNS[index] ?? 0)).join("");
}

function inWords(offers: Offers): string {
  const words = [
    offers.integrity && "integrity",
    offers.confidentiality && "encryption",
    offers.mutualAuthentication && "mutual",
    offers.delegation && "delegation",
  ];
  return words.filter(Boolean).join(", ") || "nothing";
}

/** Prints each provider: its layer, whether it runs as native code or in a sandbox, and what it offers. */
export function showProviders(providers: readonly Provider[]): void {
  show(paint("dim", row(["provider", "layer", "runs", "offers"])));
  for (const { description } of providers) {
    const { name, layer, isolation, offers, sha256, imports } = description;
    show(row([name, layer, isolation, inWords(offers)]));
    if (isolation === "sandboxed") {
      show(paint("dim", `  sha256 ${sha256}`));
      show(paint("dim", `  may call ${imports?.join(", ") || "nothing of its host"}`));
    }
  }
}

/** Prints which provider was chosen, and for each of the others why it was not. */
export function showChoice(providers: readonly Provider[], { provider, rejected }: Selection): void {
  say("chosen", paint("bold", provider.name));
  for (const { name } of providers) {
    if (name === provider.name) continue;
    const refusal = rejected.find((entry) => entry.provider === name);
    say("not", `${name}: ${refusal?.reason ?? `${provider.name} came first and will do`}`);
  }
}
