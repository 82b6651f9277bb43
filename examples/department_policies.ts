/**
 * A provider of one organisation, loaded as WebAssembly: the application states that its data is restricted, and the
 * module (department/guest) chooses the policies. The application grants it the keys of these policies and no others;
 * adding policies needs an administrator, or a Network Configuration Operator.
 *
 *     deno run examples/department_policies.ts --simulate
 *     deno run --allow-ffi=C:\Windows\System32 examples/department_policies.ts server.example.com 7777
 */

import process from "node:process";
import { connect, createRegistry, loadProvider } from "../mod.ts";
import { GUEST_SHA256, guestModule } from "./department/guest_wasm.ts";
import { policedPlaceOf, restrictedPolicy } from "./simulated.ts";

using place = await policedPlaceOf(process.argv.slice(2));
using policy = restrictedPolicy(place.system);
const { mainModePolicy, quickModePolicy } = policy;
const department = await loadProvider(guestModule(), {
  sha256: GUEST_SHA256,
  options: {
    classification: "restricted",
    identityPolicy: mainModePolicy,
    restrictedPolicy: quickModePolicy,
  },
  // All that the module may use: these policies, no clear text, no flags.
  socket: { mainModePolicies: [mainModePolicy!], quickModePolicies: [quickModePolicy!] },
});
await using conn = await connect({
  hostname: place.hostname,
  port: place.port,
  system: place.system,
  registry: createRegistry([department]),
});
const { integrity, confidentiality, mutualAuthentication, details } = conn.security;
const association = details.association;
console.log(JSON.stringify({ integrity, confidentiality, mutualAuthentication, association }, null, 2));
