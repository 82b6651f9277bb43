/** Providers and pairs of contexts for the tests of `ntlm()`. */

import { ntHash, ntlm, type NtlmAccount, type NtlmOptions } from "../../../plugins/ntlm/mod.ts";
import type { ContextOptions, ContextProvider, ProviderContext, Requirements } from "../../../contract.ts";
import { resolveRequirements } from "../../../plugins/requirements.ts";

export const PASSWORD = "Пароль-1 €";
export const TARGET = "host/server.example.test";
/** What every test asks for, unless it asks for less. */
export const REQUIREMENTS: Requirements = { mutualAuthentication: false };
const CAPABILITIES = {} as never;
const SYSTEM = { capabilities: () => CAPABILITIES };

/** One account: `EXAMPLE\alice`. */
export function accounts({ domain, username }: NtlmAccount): Uint8Array | null {
  const known = domain.toUpperCase() === "EXAMPLE" && username.toLowerCase() === "alice";
  return known ? ntHash(PASSWORD) : null;
}

// Loading the module anew for each of thousands of ends would be most of the tests' time.
const plain = ntlm({ accounts }), spnego = ntlm({ accounts, spnego: true });

function provider(options: NtlmOptions = {}): ContextProvider {
  const { spnego: wrapped, ...rest } = options;
  if (Object.keys(rest).length > 0) return ntlm({ accounts, ...options });
  return wrapped ? spnego : plain;
}

/** How one end is made. */
export interface EndOptions extends ContextOptions {
  ntlm?: NtlmOptions;
  requirements?: Requirements;
}

/** A client; `EXAMPLE\alice` unless told otherwise; an empty domain is none. */
export async function client(
  options: EndOptions & { username?: string; domain?: string; password?: string | Uint8Array } = {},
): Promise<ProviderContext> {
  const { username = "alice", domain = "EXAMPLE", password = PASSWORD, target = TARGET } = options;
  using credentials = await provider(options.ntlm).acquire({
    role: "client",
    system: SYSTEM,
    requirements: resolveRequirements(options.requirements ?? REQUIREMENTS),
    credentials: { username, ...(domain === "" ? {} : { domain }), password },
  });
  const { channelBindings } = options;
  return credentials.client({ target, ...(channelBindings ? { channelBindings } : {}) });
}

/** A server that knows `EXAMPLE\alice`, unless told otherwise. */
export async function server(options: EndOptions = {}): Promise<ProviderContext> {
  using credentials = await provider(options.ntlm).acquire({
    role: "server",
    system: SYSTEM,
    requirements: resolveRequirements(options.requirements ?? REQUIREMENTS),
  });
  const { channelBindings } = options;
  return credentials.server(channelBindings ? { channelBindings } : {});
}

/** Carries tokens to and fro until both ends are done; `bend` may change each on its way. */
export async function shake(
  a: ProviderContext,
  b: ProviderContext,
  bend: (token: Uint8Array, index: number) => Uint8Array = (token) => token,
): Promise<void> {
  let token: Uint8Array | null = null, turn = a, index = 0;
  do {
    token = (await turn.step(token)).token;
    if (token) token = bend(token.slice(), index++);
    turn = turn === a ? b : a;
  } while (token !== null);
}

/** Both ends after their exchange. */
export async function pair(
  ends: { client?: Parameters<typeof client>[0]; server?: EndOptions } = {},
): Promise<{ client: ProviderContext; server: ProviderContext } & Disposable> {
  const ours = { client: await client(ends.client), server: await server(ends.server) };
  await shake(ours.client, ours.server);
  return {
    ...ours,
    [Symbol.dispose]() {
      ours.client.close();
      ours.server.close();
    },
  };
}

/** A record of `plain`. */
export function wrap(context: ProviderContext, plain: Uint8Array): Uint8Array {
  return context.wrap(plain, new Uint8Array(plain.length + context.maxOverhead)).slice();
}
