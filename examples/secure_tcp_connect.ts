/**
 * `SecureTcpConnect` of "Using Secure Socket Extensions" in TypeScript: connects with IPsec, sends eight bytes and
 * prints the answer.
 *
 *     deno run --allow-ffi=C:\Windows\System32 examples/secure_tcp_connect.ts server.example.com 7777
 *     deno run examples/secure_tcp_connect.ts --simulate
 *
 * The account need not be an administrator. Without that, the system does not report whether each computer
 * authenticated, and the policy of the domain has to require it.
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
console.log("Secure connection established to the server");
console.log(`Sent ${await conn.write(new TextEncoder().encode("12345678"))} bytes of data to the server`);
console.log(`Received ${await conn.read(new Uint8Array(256))} bytes of data from the server`);
