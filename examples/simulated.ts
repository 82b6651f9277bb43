/**
 * `--simulate` of the IPsec examples: two simulated Windows computers in this process, one of them with an echo
 * server. Nothing is secured and nothing leaves the process.
 */

import { basename } from "node:path";
import process from "node:process";
import { createRegistry, ipsec, ipsecPolicy, listen, openSystem, type System } from "../mod.ts";
import { simulate } from "../testing/mod.ts";

/** The computer on which an example runs, and the server's address. */
export interface Place extends Disposable {
  /** The system to connect from, or to listen on. */
  readonly system: System;
  /** The server's name. */
  readonly hostname: string;
  /** The server's port. */
  readonly port: number;
}

/** Prints how an example is called, and ends it. */
export function usage(args: string): never {
  const file = basename(process.argv[1]);
  console.error(`Usage: deno run --allow-ffi=C:\\Windows\\System32 examples/${file} ${args}`);
  console.error(`   or: deno run examples/${file} --simulate`);
  process.exit(2);
}

/** This machine, or with `--simulate` a simulated one with an echo server. */
export async function placeOf(args: readonly string[]): Promise<Place> {
  if (!args.includes("--simulate")) {
    const [hostname, port] = args.length === 2 ? args : usage("HOSTNAME PORT");
    const system = openSystem({ grants: ["ipsec"] });
    return { system, hostname, port: Number(port), [Symbol.dispose]: () => system.close() };
  }
  const network = simulate();
  const [system, other] = [network.host("client"), network.host("server")];
  const listener = await listen({
    port: 7,
    registry: createRegistry([ipsec()]),
    requirements: { mutualAuthentication: false },
    system: other,
  });
  listener.accept().then((conn) => conn.readable.pipeTo(conn.writable)).catch(() => {});
  console.log("simulated: nothing here is really secured");
  return {
    system,
    hostname: "server",
    port: 7,
    [Symbol.dispose]() {
      listener.close();
      system.close();
      other.close();
    },
  };
}

/** As {@linkcode placeOf}, where both computers belong to a domain, and this account may add policies and read associations. */
export async function policedPlaceOf(args: readonly string[]): Promise<Place> {
  if (!args.includes("--simulate")) {
    const [hostname, port] = args.length === 2 ? args : usage("HOSTNAME PORT");
    const system = openSystem({ grants: ["ipsec", "ipsec.policy"] });
    return { system, hostname, port: Number(port), [Symbol.dispose]: () => system.close() };
  }
  const network = simulate({ hosts: { client: { administrator: true }, server: { administrator: true } } });
  const [system, other] = [network.host("client"), network.host("server")];
  const policy = restrictedPolicy(other);
  const { mainModePolicy, quickModePolicy } = policy;
  const registry = createRegistry([ipsec({ mainModePolicy, quickModePolicy })]);
  const listener = await listen({ port: 7, registry, system: other });
  listener.accept().then((conn) => conn.readable.pipeTo(conn.writable)).catch(() => {});
  console.log("simulated: nothing here is really secured");
  return {
    system,
    hostname: "server",
    port: 7,
    [Symbol.dispose]() {
      listener.close();
      policy.close();
      system.close();
      other.close();
    },
  };
}

/** The policy of restricted data: computers authenticate with Kerberos, and data is encrypted by AES-256-GCM. */
export function restrictedPolicy(system: System): ReturnType<typeof ipsecPolicy> {
  return ipsecPolicy({
    system,
    mainMode: { authentication: ["kerberos"] },
    quickMode: { ciphers: ["aes-256-gcm"] },
  });
}

/** Two simulated computers whose policy lets the server act as its client's user, as an administrator's would. */
export function actingPlaces(): { readonly client: System; readonly server: System } & Disposable {
  const alice = { domain: "SIM", name: "alice", sid: "S-1-5-21-1-2-3-1104" };
  const network = simulate({
    hosts: { client: { administrator: true, account: alice }, server: { administrator: true } },
  });
  const [client, server] = [network.host("client"), network.host("server")];
  console.log("simulated: nothing here is really secured");
  return {
    client,
    server,
    [Symbol.dispose]() {
      client.close();
      server.close();
    },
  };
}

/** The policy of both ends of the impersonation example. */
export function actingPolicy(system: System): ReturnType<typeof ipsecPolicy> {
  return ipsecPolicy({
    system,
    mainMode: { authentication: ["kerberos"] },
    extendedMode: { authentication: ["kerberos"], impersonation: true },
  });
}
