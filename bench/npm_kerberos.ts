/**
 * npm `kerberos` as a peer of the bench, on Node. Its API accepts no credentials, so each handshake acquires its own, and
 * it cannot seal what an application gives it: `wrap` sends a reply of its own, and a server has neither.
 *
 * @module
 */

import { createRequire } from "node:module";
import { rate, serve } from "./peer.ts";

interface Client {
  step(challenge: string): Promise<string>;
  contextComplete: boolean;
}

interface Server {
  step(challenge: string): Promise<unknown>;
  response: string;
  contextComplete: boolean;
  username: string;
}

interface Kerberos {
  initializeClient(service: string, options: { mechOID: number; flags: number }): Promise<Client>;
  initializeServer(service: string): Promise<Server>;
  GSS_MECH_OID_KRB5: number;
  GSS_MECH_OID_SPNEGO: number;
}

// NODE_PATH, which only require() looks at, says where it was installed.
const kerberos = createRequire(import.meta.url)("kerberos") as Kerberos;
// Mutual authentication, replay and sequence detection, encryption, integrity.
const flags = 2 | 4 | 8 | 16 | 32;

async function shake(mechOID: number): Promise<void> {
  const client = await kerberos.initializeClient("HTTP@localhost", { mechOID, flags });
  const server = await kerberos.initializeServer("HTTP@localhost");
  let token = await client.step("");
  while (!client.contextComplete || !server.contextComplete) {
    if (!server.contextComplete) {
      await server.step(token);
      token = server.response;
    }
    if (!client.contextComplete) token = await client.step(token);
  }
  if (server.username === "") throw new Error("the client has no name");
}

await serve({
  "handshake-new": async ([name], ms) => {
    const mechOID = name === "kerberos" ? kerberos.GSS_MECH_OID_KRB5 : kerberos.GSS_MECH_OID_SPNEGO;
    return [await rate(ms, () => shake(mechOID))];
  },
});
