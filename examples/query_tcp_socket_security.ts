/**
 * `QueryTcpSocketSecurity` of "Using Secure Socket Extensions" in TypeScript: connects and prints what the system
 * reports about the connection's security, and about the peer's access tokens where it has any.
 *
 *     deno run --allow-ffi=C:\Windows\System32 examples/query_tcp_socket_security.ts server.example.com 7777
 *     deno run examples/query_tcp_socket_security.ts --simulate
 */

import process from "node:process";
import { connect, createRegistry, ipsec } from "../mod.ts";
import { placeOf } from "./simulated.ts";

using place = await placeOf(process.argv.slice(2));
await using conn = await connect({
  hostname: place.hostname,
  port: place.port,
  system: place.system,
  registry: createRegistry([ipsec()]),
  requirements: { mutualAuthentication: false },
});
const security = await conn.querySecurity();
console.log(JSON.stringify(security, null, 2));
