/**
 * Tunnels: two connections whose bytes are passed on, each as fast as its reader takes them.
 *
 * @module
 */

import type { Duplex } from "node:stream";

/**
 * Passes on what each connection sends to the other. The end of one direction ends that direction alone; a connection
 * that fails ends both. There is no limit of time.
 *
 * @returns a promise that resolves once both are closed.
 */
export function relay(near: Duplex, far: Duplex): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  let open = 2;
  for (const [one, other] of [[near, far], [far, near]]) {
    // The failure of one end is reported to the other by its close.
    one.on("error", () => other.destroy());
    one.on("close", () => {
      if (!one.readableEnded) other.destroy();
      if (--open === 0) resolve();
    });
    one.pipe(other);
  }
  return promise;
}
