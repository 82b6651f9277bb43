/**
 * The HTTP part of the demo: a server that knows who sent a request, a client that knows whom it asked, and an impostor.
 *
 * @module
 */

import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { httpSignOn, negotiateFetch } from "../../http/mod.ts";
import { openInitiator, type System } from "../../mod.ts";
import { expectError } from "./refusals.ts";
import { expect, say, section } from "./screen.ts";

/** A server of node:http on loopback, and its origin. */
async function serve(listener: RequestListener): Promise<AsyncDisposable & { readonly origin: string }> {
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    origin: `http://localhost:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Shows it, in a realm in which the process has a ticket of alice's. */
export async function showHttp(system: System): Promise<void> {
  section("HTTP sign-on");
  const reasons: string[] = [];
  using signOn = await httpSignOn({ system, onRefused: ({ reason }) => reasons.push(reason) });
  await using intranet = await serve(
    signOn.node((_request, response, { name }) => response.end(`Hello ${name}`)),
  );
  say("server", "httpSignOn() in node:http: Negotiate for each request");
  await using impostor = await serve((request, response) => {
    if (request.headers.authorization === undefined) response.setHeader("www-authenticate", "Negotiate");
    response.writeHead(request.headers.authorization === undefined ? 401 : 200).end("Hello, trust me");
  });

  await using ask = negotiateFetch({ origins: [intranet.origin, impostor.origin], system });
  const response = await ask(`${intranet.origin}/`);
  const text = await response.text();
  const security = ask.security(response);
  expect(
    "A fetch is signed on without a password, and the server has proved itself",
    text === "Hello alice@MIT.TEST" && security?.mutualAuthentication === true,
    `${response.status}, "${text}", by ${security?.mechanism}`,
  );
  const stranger = await fetch(`${intranet.origin}/`);
  const offer = stranger.headers.get("www-authenticate");
  await stranger.body?.cancel();
  expect("A request without a token is not", stranger.status === 401, `401, offered ${offer}`);

  const refused = await ask(`${impostor.origin}/`).then(() => null, (error) => error);
  expectError(
    "An impostor without the service's key: the client refuses",
    refused,
    "SecurityRequirementError",
  );
  using initiator = await openInitiator({ system });
  using other = initiator.initiate({ target: "host/localhost" });
  const token = btoa(String.fromCharCode(...(await other.step()).token!));
  const answer = await fetch(`${intranet.origin}/`, { headers: { authorization: `Negotiate ${token}` } });
  await answer.body?.cancel();
  const why = reasons.at(-1);
  expect(
    "A true token of alice's for another service: the server refuses",
    answer.status === 401 && why === "target-not-accepted",
    `${answer.status}; the client does not learn why, the log has ${why}`,
  );
}
