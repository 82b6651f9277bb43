/**
 * Which proxies reach a host, in the order to try them.
 *
 * @module
 */

import type { Destination, ProxyAddress } from "./address.ts";
import type { NoProxy } from "./networks.ts";

/** One way to a host: through a proxy, or without one. */
export type Route = ProxyAddress | "direct";

/** Finds the ways to a host; the result has at least one. */
export interface Finder {
  /** @param url what the client asked for, as PAC files see it. */
  find(url: string, host: string): Promise<readonly Route[]>;
}

/** How long a proxy that could not be reached is tried last. */
const DOWN_MS = 30_000;

/** The routes of a local proxy. */
export class Routes {
  readonly #finder: Finder;
  readonly #noProxy: NoProxy;
  readonly #isLocal: (host: string) => boolean;
  readonly #downUntil = new Map<string, number>();

  constructor(finder: Finder, noProxy: NoProxy, isLocal: (host: string) => boolean) {
    this.#finder = finder;
    this.#noProxy = noProxy;
    this.#isLocal = isLocal;
  }

  /** Returns the ways to a host: those that work first, then those that did not a moment ago. */
  async to(url: string, wanted: Destination): Promise<readonly Route[]> {
    if (this.#isLocal(wanted.host) || this.#noProxy.has(wanted)) return ["direct"];
    const found = await this.#finder.find(url, wanted.host);
    return [...found.filter((route) => !this.isDown(route)), ...found.filter((route) => this.isDown(route))];
  }

  /** Whether a proxy could not be reached a moment ago. */
  isDown(route: Route): boolean {
    return route !== "direct" && (this.#downUntil.get(route.label) ?? 0) > Date.now();
  }

  /** Notes that a proxy could not be reached; returns whether that is new. */
  failed(route: Route): boolean {
    if (route === "direct") return false;
    const isNew = !this.isDown(route);
    // PAC files can name any number of proxies.
    if (this.#downUntil.size > 1000) this.#downUntil.clear();
    this.#downUntil.set(route.label, Date.now() + DOWN_MS);
    return isNew;
  }

  /** Notes that a proxy was reached. */
  worked(route: Route): void {
    if (route !== "direct") this.#downUntil.delete(route.label);
  }
}

/** The same proxies for every host. */
export function always(routes: readonly Route[]): Finder {
  return { find: () => Promise.resolve(routes) };
}
