/** .NET's NegotiateStream as the peer of this library's streams, in a realm. */

import { assert } from "@std/assert";
import {
  connect,
  type ConnectOptions,
  listen,
  type ListenOptions,
  type SecureConn,
  type System,
} from "../../mod.ts";
import { ensureDotnet, type PeerEvent } from "../rig/dotnet.ts";
import type { Realm } from "../rig/realm.ts";
import { TARGET } from "./gss.ts";
import { noRealm } from "./kerberos.ts";

const dotnet = await ensureDotnet({ install: false });

/** Why a .NET peer cannot run in a realm here; `null` where it can. */
export const noDotnet: string | null = "reason" in dotnet ? dotnet.reason : noRealm;

/** The code that a .NET peer received in a HandshakeError, unsigned. */
export function codeSeen(event: PeerEvent): number | undefined {
  const errors = event.errors as { nativeErrorCode?: number }[];
  const code = errors.find((error) => error.nativeErrorCode !== undefined)?.nativeErrorCode;
  return code === undefined ? undefined : code >>> 0;
}

/** All its error messages. */
export function messages(event: PeerEvent): string {
  return (event.errors as { message: string }[]).map((error) => error.message).join(" / ");
}

/** The result of .NET clients at this library's server. */
export interface Served {
  /** What .NET's client saw. */
  events: PeerEvent[];
  /** The security of the connections that the server accepted. */
  accepted: SecureConn["security"][];
  /** Why the server refused handshakes, or connections ended. */
  failures: unknown[];
}

/** Connects .NET's client to this library's server, which sends every byte back. */
export async function serve(
  realm: Realm,
  system: System,
  client: readonly string[],
  options: Partial<ListenOptions> = {},
): Promise<Served> {
  assert("start" in dotnet);
  const served: Served = { events: [], accepted: [], failures: [] };
  const onHandshakeError = (error: unknown) => served.failures.push(error);
  const listener = await listen({ hostname: "127.0.0.1", port: 0, system, onHandshakeError, ...options });
  const serving = (async () => {
    for await (const conn of listener) {
      served.accepted.push(conn.security);
      await using one = conn;
      await echo(one).catch((error) => served.failures.push(error));
    }
  })();
  try {
    const { port } = listener.addr as { port: number };
    // The client's process must not have the server's keys.
    const env = { ...realm.env, KRB5_KTNAME: "FILE:/nonexistent" };
    await using peer = dotnet.start(["client", "--port", String(port), "--target", TARGET, ...client], env);
    served.events = await peer.rest();
  } finally {
    await listener.close();
    await serving;
  }
  return served;
}

async function echo(conn: SecureConn): Promise<void> {
  const buffer = new Uint8Array(65536);
  for (let length; (length = await conn.read(buffer)) !== null;) await conn.write(buffer.subarray(0, length));
}

/** Connects this library's client to .NET's server, which sends every byte back; resolves to what that server saw. */
export async function call(
  realm: Realm,
  system: System,
  server: readonly string[],
  options: Partial<ConnectOptions>,
  body: (conn: Promise<SecureConn>) => Promise<unknown>,
  env: Record<string, string> = {},
): Promise<PeerEvent[]> {
  assert("start" in dotnet);
  await using peer = dotnet.start(["server", ...server], { ...realm.env, ...env });
  const { port } = await peer.next() as unknown as { port: number };
  await body(connect({ hostname: "localhost", port, target: TARGET, system, ...options }));
  return await peer.rest();
}
