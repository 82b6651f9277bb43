/**
 * A server that acts as its client. Both ends add a policy with an extended mode, in which the users
 * authenticate; adding it needs an administrator, or a Network Configuration Operator.
 *
 *     deno run examples/impersonating_server.ts --simulate
 *     deno run --allow-ffi=C:\Windows\System32 examples/impersonating_server.ts 7777
 */

import process from "node:process";
import { connect, createRegistry, ipsec, listen, openSystem } from "../mod.ts";
import { actingPlaces, actingPolicy, usage } from "./simulated.ts";

const args = process.argv.slice(2);
const simulated = args.includes("--simulate") ? actingPlaces() : null;
const port = simulated ? 7 : Number(args.length === 1 ? args[0] : usage("PORT"));
const grants = ["ipsec", "ipsec.policy", "impersonation"] as const;
using system = simulated?.server ?? openSystem({ grants });
using policy = actingPolicy(system);
const { mainModePolicy, quickModePolicy } = policy;
await using listener = await listen({
  port,
  registry: createRegistry([ipsec({ mainModePolicy, quickModePolicy })]),
  requirements: { impersonation: "impersonate" },
  system,
});
const client = simulated ? connectAs(simulated.client) : null;

await using conn = await listener.accept();
const { tokens } = await conn.querySecurity({ tokens: true });
console.log("the client is", tokens?.user?.account.name, "at", conn.security.peer);
// This function has only the client's rights; it must be synchronous.
console.log(conn.impersonate(() => "this was done as the client"));
await (await client)?.close();
simulated?.[Symbol.dispose]();

async function connectAs(system: ReturnType<typeof openSystem>) {
  using policy = actingPolicy(system);
  const { mainModePolicy, quickModePolicy } = policy;
  const registry = createRegistry([ipsec({ mainModePolicy, quickModePolicy })]);
  // The policy lets the server act as its client: a client must allow that.
  const requirements = { impersonation: "impersonate" } as const;
  return await connect({ hostname: "server", port: 7, registry, requirements, system });
}
