/**
 * An HTTP server of the intranet: shows each user who they are, and lets members of one group in further.
 *
 * ```sh
 * KRB5_KTNAME=FILE:/etc/web.keytab deno run --allow-net --allow-ffi --allow-env examples/http_server.ts 8080 S-1-5-21-1-2-3-1604
 * curl --negotiate --user : http://web.example.test:8080/
 * ```
 *
 * @module
 */

import process from "node:process";
import { isMember } from "@winsock/secure-sockets";
import { httpSignOn } from "@winsock/secure-sockets/http";

const [port = "8080", operators] = process.argv.slice(2);
const signOn = await httpSignOn({
  // The client learns only that it was refused.
  onRefused: ({ reason, error }) => console.error(`refused: ${reason}`, error ?? ""),
});

const handler = signOn.fetch((request, identity) => {
  const { name, displayName, sid, groups, security } = identity;
  if (new URL(request.url).pathname === "/operators") {
    // isMember() throws where the groups are not known: such a user is not let in either.
    if (operators === undefined || groups === undefined || !isMember(identity, operators)) {
      return new Response("For operators only\n", { status: 403 });
    }
  }
  return Response.json({ name, displayName, sid, groups: groups?.length, mechanism: security.mechanism });
});

Deno.serve({
  port: Number(port),
  onListen: ({ port }) => console.log(`http://localhost:${port}/`),
}, handler);
