/**
 * What `deno task soak` opens, uses and closes again and again.
 *
 * @module
 */

import type { Buffer } from "node:buffer";
import { createServer } from "node:http";
import {
  type AddressInfo,
  connect as connectTo,
  createServer as createTcpServer,
  type Socket,
} from "node:net";
import {
  AuthenticationError,
  connect,
  createRegistry,
  kerberos,
  listen,
  ntHash,
  ntlm,
  openAcceptor,
  openInitiator,
  type System,
} from "../mod.ts";
import { httpSignOn, negotiateFetch, startLocalProxy } from "../http/mod.ts";

/** The service whose key is in the key table. */
export const SERVICE = "HTTP/localhost";
const MESSAGE = new Uint8Array(3_000).fill(7);

/** What may be opened and closed again and again. */
export interface Work {
  /** One round: opens, uses and closes. Rejects with an expected error under faults. */
  round(): Promise<void>;
  /** Closes what all rounds share. */
  close(): Promise<void> | void;
}

async function connections(system: System): Promise<Work> {
  const listener = await listen({
    hostname: "127.0.0.1",
    port: 0,
    acceptedTargets: [SERVICE],
    system,
    onHandshakeError: () => {},
  });
  const serving = (async () => {
    for await (const conn of listener) {
      conn.readable.pipeTo(conn.writable).catch(() => {}).finally(() => conn.close());
    }
  })();
  return {
    async round() {
      const { port } = listener.addr;
      await using conn = await connect({
        hostname: "127.0.0.1",
        port,
        target: SERVICE,
        system,
        timeoutMs: 20_000,
      });
      await conn.write(MESSAGE);
      await readBack(conn);
    },
    async close() {
      await listener.close();
      await serving;
    },
  };
}

async function readBack(conn: { read(into: Uint8Array): Promise<number | null> }): Promise<void> {
  const into = new Uint8Array(MESSAGE.length);
  for (let have = 0; have < MESSAGE.length;) {
    const count = await conn.read(into.subarray(have));
    if (count === null) throw new Error(`the echo ended after ${have} bytes`);
    have += count;
  }
}

/** Requests over HTTP, each of which signs on, to a server of this process; every tenth posts a body. */
async function signOns(system: System): Promise<Work> {
  const signOn = await httpSignOn({ system, acceptedTargets: [SERVICE], onRefused: () => {} });
  const server = createServer(signOn.node((request, response, identity) => {
    request.resume().on("end", () => response.end(`Hello ${identity.user}`));
  }));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const origin = `http://localhost:${(server.address() as AddressInfo).port}`;
  const fetch = negotiateFetch({ origins: [origin], system });
  let count = 0;
  return {
    async round() {
      const post = ++count % 10 === 0;
      const response = await fetch(`${origin}/`, post ? { method: "POST", body: MESSAGE } : {});
      const text = await response.text();
      if (response.status === 401) throw new AuthenticationError("peer-refused", "the server answered 401");
      if (text !== "Hello alice") throw new Error(`the server answered ${response.status} ${text}`);
    },
    async close() {
      await fetch.close();
      await signOn.close();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Contexts of Kerberos with credentials that are acquired anew for each round. */
function kerberosContexts(system: System): Work {
  const registry = createRegistry([kerberos()]);
  return {
    async round() {
      using initiator = await openInitiator({ registry, system });
      using acceptor = await openAcceptor({ registry, system, acceptedTargets: [SERVICE] });
      using client = initiator.initiate({ target: SERVICE });
      using server = acceptor.accept();
      const first = await client.step();
      const second = await server.step(first.token!);
      await client.step(second.token);
      if (!client.done || !server.done || server.peer?.user !== "alice") {
        throw new Error("the exchange is not complete");
      }
    },
    close() {},
  };
}

/** Contexts of the sandboxed NTLM, with messages both ways; every tenth has a wrong password. */
function ntlmContexts(system: System): Work {
  const password = "Пароль-1";
  const accounts = ({ username }: { username: string }) => username === "alice" ? ntHash(password) : null;
  const registry = createRegistry([ntlm({ accounts })]);
  const requirements = { mutualAuthentication: false, integrity: true, confidentiality: true };
  let count = 0;
  return {
    async round() {
      const wrong = ++count % 10 === 0;
      using initiator = await openInitiator({
        registry,
        requirements,
        system,
        credentials: { domain: "EXAMPLE", username: "alice", password: wrong ? "no" : password },
      });
      using acceptor = await openAcceptor({ registry, requirements, system });
      using client = initiator.initiate({ target: "host/server.example.test" });
      using server = acceptor.accept();
      const negotiate = await client.step();
      const challenge = await server.step(negotiate.token!);
      const authenticate = await client.step(challenge.token);
      await server.step(authenticate.token!);
      if (wrong) throw new Error("a wrong password was accepted");
      server.unwrap(client.wrap(MESSAGE));
    },
    close() {},
  };
}

/**
 * Tunnels through `startLocalProxy()` to a proxy of this process that asks for Negotiate and echoes; every tenth is
 * given up while it is being opened.
 */
async function tunnels(system: System): Promise<Work> {
  const acceptor = await openAcceptor({ system, acceptedTargets: [SERVICE] });
  const sockets = new Set<Socket>();
  const upstream = createTcpServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {}).on("close", () => sockets.delete(socket));
    header(socket).then(async (request) => {
      const token = /^proxy-authorization: negotiate (\S+)/im.exec(request)?.[1];
      if (token === undefined) return refuse(socket);
      using context = acceptor.accept();
      const answer = await context.step(Uint8Array.fromBase64(token));
      if (!context.done || context.peer?.user !== "alice") return refuse(socket);
      const proof = answer.token === null
        ? ""
        : `Proxy-Authenticate: Negotiate ${answer.token.toBase64()}\r\n`;
      socket.write(`HTTP/1.1 200 OK\r\n${proof}\r\n`);
      socket.pipe(socket);
    }).catch(() => refuse(socket));
  });
  await new Promise<void>((resolve) => upstream.listen(0, "127.0.0.1", resolve));
  const { port } = upstream.address() as AddressInfo;
  const proxy = await startLocalProxy({ upstreams: [`http://localhost:${port}`], port: 0, system });
  let count = 0;
  return {
    async round() {
      const socket = connectTo(proxy.port, "127.0.0.1");
      try {
        socket.on("error", () => {});
        socket.write("CONNECT web.example.test:443 HTTP/1.1\r\nHost: web.example.test:443\r\n\r\n");
        if (++count % 10 === 0) return void await new Promise((resolve) => setTimeout(resolve, count % 7));
        const answer = await header(socket);
        if (!answer.startsWith("HTTP/1.1 200 ")) {
          throw new AuthenticationError("peer-refused", answer.slice(0, 200));
        }
        socket.write(MESSAGE);
        let length = 0;
        while (length < MESSAGE.length) length += (await chunk(socket)).length;
      } finally {
        socket.destroy();
      }
    },
    async close() {
      await proxy.close(1_000);
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => upstream.close(resolve));
      acceptor.close();
    },
  };
}

function refuse(socket: Socket): void {
  socket.end("HTTP/1.1 407 Who?\r\nProxy-Authenticate: Negotiate\r\nContent-Length: 0\r\n\r\n");
}

/** What a socket receives up to an empty line; rejects where it ends before. */
async function header(socket: Socket): Promise<string> {
  let text = "";
  while (!text.includes("\r\n\r\n")) text += (await chunk(socket)).toString("latin1");
  return text;
}

function chunk(socket: Socket): Promise<Buffer> {
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  const closed = () => reject(new AuthenticationError("peer-closed", "the tunnel ended"));
  socket.once("close", closed).once("data", (bytes: Buffer) => {
    socket.pause();
    socket.off("close", closed);
    resolve(bytes);
  }).resume();
  return promise;
}

/** All of them, by name. */
export async function openWorks(system: System): Promise<[string, Work][]> {
  return [
    ["connections", await connections(system)],
    ["HTTP sign-ons", await signOns(system)],
    ["proxy tunnels", await tunnels(system)],
    ["contexts of Kerberos", kerberosContexts(system)],
    ["contexts of NTLM", ntlmContexts(system)],
  ];
}
