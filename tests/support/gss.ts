/** Security contexts without sockets: both ends in one process, token by token. */

import { assertEquals } from "@std/assert";
import { NativeSystem, type SystemSeams } from "../../ffi/system.ts";
import { kerberos, negotiate } from "../../plugins/negotiate/mod.ts";
import type {
  ContextProvider,
  Credentials,
  ProviderContext,
  ProviderCredentials,
  ProviderSystem,
  Requirements,
} from "../../contract.ts";
import { resolveRequirements } from "../../plugins/requirements.ts";
import { type Realm, type RealmOptions, startRealm } from "../rig/realm.ts";
import { liveHandles } from "../../testing/mod.ts";

/** The providers under test, by name. */
export const PROVIDERS = { negotiate: negotiate(), kerberos: kerberos() } as const;
/** Their names. */
export const NAMES = ["negotiate", "kerberos"] as const;
/** The service every realm has. */
export const TARGET = "HTTP/localhost";

/** Options of one end. */
export interface EndOptions {
  /** Its provider, where it differs from the other's. */
  provider?: ContextProvider;
  /** What it requires, where it differs from the other's. */
  requirements?: Requirements;
  /** Its credentials. */
  credentials?: Credentials;
  /** Its channel bindings. */
  channelBindings?: Uint8Array;
  /** The names that its policy denies. */
  denied?: readonly string[];
}

/** Options of both ends. */
export interface EndsOptions {
  /** The provider of both. */
  provider?: ContextProvider;
  /** What both require. */
  requirements?: Requirements;
  /** The target that the client requests. */
  target?: string;
  /** The names that the policy of both denies. */
  denied?: readonly string[];
  /** The client. */
  client?: EndOptions;
  /** The server. */
  server?: EndOptions;
}

/** Both ends and their credentials. */
export interface Ends extends Disposable {
  /** The client's context. */
  readonly client: ProviderContext;
  /** The server's context. */
  readonly server: ProviderContext;
  /** The client's credentials. */
  readonly clientCredentials: ProviderCredentials;
  /** The server's credentials. */
  readonly serverCredentials: ProviderCredentials;
}

/** Acquires credentials as a connection would. */
export function acquire(
  system: ProviderSystem,
  role: "client" | "server",
  options: EndOptions & { signal?: AbortSignal } = {},
): Promise<ProviderCredentials> {
  const { provider = PROVIDERS.negotiate, requirements, credentials, denied, signal } = options;
  return provider.acquire({
    role,
    system,
    requirements: resolveRequirements(requirements),
    ...(credentials === undefined ? {} : { credentials }),
    ...(denied === undefined ? {} : { denied }),
    ...(signal === undefined ? {} : { signal }),
  });
}

/** Both ends before the first token. */
export async function makeEnds(system: ProviderSystem, options: EndsOptions = {}): Promise<Ends> {
  const held: { close(): void }[] = [];
  const hold = <T extends { close(): void }>(value: T): T => {
    held.unshift(value);
    return value;
  };
  const dispose = (): void => held.forEach((one) => one.close());
  const { client, server, target = TARGET, ...common } = options;
  const bound = (end?: EndOptions) => end?.channelBindings ? { channelBindings: end.channelBindings } : {};
  try {
    const clientCredentials = hold(await acquire(system, "client", { ...common, ...client }));
    const serverCredentials = hold(await acquire(system, "server", { ...common, ...server }));
    return {
      clientCredentials,
      serverCredentials,
      client: hold(clientCredentials.client({ target, ...bound(client) })),
      server: hold(serverCredentials.server(bound(server))),
      [Symbol.dispose]: dispose,
    };
  } catch (error) {
    dispose();
    throw error;
  }
}

/** The part of a context that exchanges tokens. */
export type Stepping = Pick<ProviderContext, "step" | "done">;

/**
 * Exchanges tokens until both ends are done, and resolves to the tokens in order.
 *
 * @param alter changes a token in transit; `step` counts from 0, the client's.
 */
export async function exchange(
  { client, server }: { readonly client: Stepping; readonly server: Stepping },
  alter: (token: Uint8Array, step: number) => Uint8Array = (token) => token,
): Promise<Uint8Array[]> {
  const tokens: Uint8Array[] = [];
  let { token } = await client.step(null);
  while (token !== null) {
    const sent = alter(token, tokens.length);
    tokens.push(token);
    const receiver = tokens.length % 2 === 1 ? server : client;
    token = (await receiver.step(sent)).token;
  }
  assertEquals([client.done, server.done], [true, true]);
  return tokens;
}

/** Runs `body` with both ends authenticated, and closes them. */
export async function withContexts(
  system: ProviderSystem,
  options: EndsOptions,
  body: (ends: Ends, tokens: readonly Uint8Array[]) => unknown,
): Promise<void> {
  using ends = await makeEnds(system, options);
  await body(ends, await exchange(ends));
}

/** The peerName that a server with credentials `server` reports for a client with credentials `client`. */
export async function seenAs(
  system: ProviderSystem,
  provider: ContextProvider,
  client?: Credentials,
  server?: Credentials,
): Promise<string> {
  let peer = "";
  const end = (given?: Credentials) => given === undefined ? {} : { credentials: given };
  await withContexts(system, { provider, client: end(client), server: end(server) }, (ends) => {
    peer = ends.server.peerName;
    assertEquals(unwrap(ends.server, wrap(ends.client, bytes("x"))), bytes("x"));
  });
  return peer;
}

/** Environment variables without tickets and keys. */
export function nobody(realm: Realm): Record<string, string> {
  return {
    KRB5CCNAME: `FILE:${realm.dir}/no-cache`,
    KRB5_CLIENT_KTNAME: `FILE:${realm.dir}/no-keytab`,
  };
}

/** Wraps a message into a new buffer. */
export function wrap(context: ProviderContext, plain: Uint8Array): Uint8Array {
  return context.wrap(plain, new Uint8Array(plain.length + context.maxOverhead));
}

/** Opens a copy of a record. */
export function unwrap(context: ProviderContext, record: Uint8Array): Uint8Array {
  return context.unwrap(record.slice());
}

/**
 * Like `inRealm`, with replacements for parts of the system, and a realm without tickets.
 */
export async function inRealmWith(
  seams: SystemSeams,
  body: (realm: Realm, system: NativeSystem) => Promise<void>,
  options: RealmOptions = {},
): Promise<void> {
  await using realm = await startRealm(options);
  const restore = realm.applyEnv();
  const system = new NativeSystem({ grants: ["sspi"] }, seams);
  try {
    await body(realm, system);
    assertEquals(system.capabilities().securityContexts.available, true);
    assertEquals(liveHandles(), { library: 1 });
  } finally {
    system.close();
    restore();
  }
  assertEquals(liveHandles(), {});
}

/** The bytes of a text. */
export const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

/** Whether `part` is somewhere in `whole`. */
export function includes(whole: Uint8Array, part: ArrayLike<number>): boolean {
  for (let at = 0; at + part.length <= whole.length; at++) {
    let same = 0;
    while (same < part.length && whole[at + same] === part[same]) same++;
    if (same === part.length) return true;
  }
  return false;
}
