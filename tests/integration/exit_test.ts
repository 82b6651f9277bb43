/** A program that has closed what it opened ends by itself: no timer, socket or thread of the library keeps it. */

import { assertEquals, assertRejects } from "@std/assert";
import { test } from "@test";
import { Buffer } from "node:buffer";
import { type AddressInfo, createServer } from "node:net";
import process from "node:process";
import { connect, listen, type SecureListener, TimeoutError, TransportError } from "../../mod.ts";
import { liveHandles } from "../../testing/mod.ts";
import { children, runChild } from "../support/child.ts";
import { inRealm, noRealm } from "../support/kerberos.ts";

const TARGET = "HTTP/localhost";
const HOST = "127.0.0.1";

/** Says that all is done, and waits for what nothing can bring: the program ends once nothing is under way. */
function done(): Promise<never> {
  console.log(`left:${JSON.stringify(liveHandles())}`);
  return new Promise(() => {});
}

function serve(): Promise<SecureListener> {
  return listen({ hostname: HOST, port: 0, onHandshakeError: () => {} });
}

const PROGRAMS = {
  async connects() {
    const listener = await serve();
    const accepted = listener.accept();
    const client = await connect({ hostname: HOST, port: listener.addr.port, target: TARGET });
    const server = await accepted;
    await client.write(Buffer.from("hello"));
    await server.read(new Uint8Array(5));
    await client.close();
    await server.close();
    await listener.close();
    return done();
  },
  async fails() {
    const listener = await serve();
    const { port } = listener.addr;
    await listener.close();
    await assertRejects(() => connect({ hostname: HOST, port, target: TARGET }), TransportError);
    return done();
  },
  async waits() {
    const silent = createServer().listen(0, HOST);
    await new Promise((resolve) => silent.once("listening", resolve));
    const { port } = silent.address() as AddressInfo;
    const sockets: { destroy(): void }[] = [];
    silent.on("connection", (socket) => sockets.push(socket));
    await assertRejects(
      () => connect({ hostname: HOST, port, target: TARGET, timeoutMs: 200 }),
      TimeoutError,
    );
    const reason = new Error("no more");
    const signal = AbortSignal.abort(reason);
    await assertRejects(() => connect({ hostname: HOST, port, target: TARGET, signal }), Error, "no more");
    for (const socket of sockets) socket.destroy();
    silent.close();
    return done();
  },
};

await children(PROGRAMS);

const CASES: [name: keyof typeof PROGRAMS, what: string][] = [
  ["connects", "has connected and closed both ends"],
  ["fails", "found nobody listening"],
  ["waits", "gave up waiting, once by time and once by signal"],
];
for (const [name, what] of CASES) {
  test(
    `a program that ${what} ends by itself`,
    () =>
      inRealm(async (realm, system) => {
        system.capabilities();
        const flags = process.versions.deno ? ["-A"] : [];
        const { stdout } = await runChild(import.meta.url, name, {
          flags,
          env: realm.env,
          timeoutMs: 60_000,
        });
        // The process's own system stays open; nothing else does.
        assertEquals(stdout.trim(), 'left:{"library":1}');
      }),
    { skip: noRealm },
  );
}
