/**
 * Security contexts of Windows for tests: both ends in one process.
 */

import type { Backend, Library, LibrarySpec } from "../../../ffi/abi.ts";
import type { Grant } from "../../../ffi/permissions.ts";
import { SECPKG_ATTR, SECUR32 } from "../../../ffi/raw/secur32.ts";
import { SECURITY_STATUS } from "../../../ffi/raw/sspi_status.ts";
import { NativeSystem } from "../../../ffi/system.ts";
import type {
  ContextProvider,
  Credentials,
  ProviderContext,
  Requirements,
  StepResult,
} from "../../../contract.ts";
import { resolveRequirements } from "../../../plugins/requirements.ts";
import { backend } from "./libraries.ts";
import { machine } from "./machine.ts";
import { wineBackend } from "./wine_backend.ts";

const answers = new Map<number, number>();

/** What QueryContextAttributesW last answered for an attribute, in words. */
export function answerOf(attribute: keyof typeof SECPKG_ATTR): string {
  const status = answers.get(SECPKG_ATTR[attribute]);
  const name = status === undefined
    ? "nothing"
    : status === 0
    ? "SEC_E_OK"
    : SECURITY_STATUS[status >>> 0]?.name;
  return `QueryContextAttributesW(SECPKG_ATTR_${attribute}) answers ${name ?? `0x${status!.toString(16)}`}`;
}

/** Notes what QueryContextAttributesW answers. */
function listening(inner: Backend): Backend {
  return {
    ...inner,
    open<L extends LibrarySpec>(path: string, spec: L): Library<L> {
      const library = inner.open(path, spec);
      if ((spec as LibrarySpec) !== SECUR32) return library;
      const { call } = library as unknown as Library<typeof SECUR32>;
      const QueryContextAttributesW: typeof call.QueryContextAttributesW = (context, attribute, buffer) => {
        const status = call.QueryContextAttributesW(context, attribute, buffer);
        answers.set(attribute, status);
        return status;
      };
      return { ...library, call: { ...library.call, QueryContextAttributesW } };
    },
  };
}

/** Windows' own backend; under Wine, Wine's with its differences ironed out. */
export function windowsBackend(): Backend {
  return listening(machine.wine === null ? backend() : wineBackend(backend()));
}

const LEGS = ["InitializeSecurityContextW", "AcceptSecurityContext"] as const;

/** {@linkcode windowsBackend}, which writes to `legs` each leg of a handshake and where it was made. */
export function noting(legs: string[]): Backend {
  const inner = windowsBackend();
  return {
    ...inner,
    open<L extends LibrarySpec>(path: string, spec: L): Library<L> {
      const library = inner.open(path, spec);
      if ((spec as LibrarySpec) !== SECUR32) return library;
      const noted = (calls: object, where: string): object => {
        const own = Object.entries(calls).filter(([name]) => (LEGS as readonly string[]).includes(name));
        return Object.fromEntries(own.map(([name, call]) => [name, (...args: unknown[]) => {
          legs.push(`${name} ${where}`);
          return call(...args);
        }]));
      };
      return {
        ...library,
        call: { ...library.call, ...noted(library.call, "here") },
        threaded: { ...library.threaded, ...noted(library.threaded, "on another thread") },
      };
    },
  };
}

/** A system for tests. */
export function testSystem(grants: readonly Grant[] = ["sspi"], through = windowsBackend()): NativeSystem {
  return new NativeSystem({ grants }, { backend: through });
}

/** Why the tests with a realm cannot run here. */
export const noRealm: string | null = machine.realm === null
  ? "there is no Kerberos realm on this machine"
  : null;

/** What both ends are made with. */
export interface PairOptions {
  /** What both require; each end's own goes over it. */
  requirements?: Requirements;
  /** What the client requires. */
  client?: Requirements;
  /** What the server requires. */
  server?: Requirements;
  /** The client's target; left out: `HTTP/localhost`. */
  target?: string;
  /** Who the client is. */
  credentials?: Credentials;
  /** Channel bindings of each end. */
  bindings?: { client?: Uint8Array; server?: Uint8Array };
}

/** Two ends of one conversation, before any token. */
export interface Pair extends Disposable {
  /** The end that speaks first. */
  readonly client: ProviderContext;
  /** The end that answers. */
  readonly server: ProviderContext;
}

/** Acquires credentials for both ends and makes their contexts. */
export async function pair(
  system: NativeSystem,
  provider: ContextProvider,
  options: PairOptions = {},
): Promise<Pair> {
  const { bindings = {} } = options;
  const acquire = async (role: "client" | "server", own?: Requirements) => {
    const requirements = resolveRequirements({ ...options.requirements, ...own });
    const who = role === "client" && options.credentials ? { credentials: options.credentials } : {};
    return await provider.acquire({ role, system, requirements, ...who });
  };
  using client = await acquire("client", options.client);
  using server = await acquire("server", options.server);
  const one = client.client({ target: options.target ?? "HTTP/localhost", ...bound(bindings.client) });
  const two = server.server(bound(bindings.server));
  return {
    client: one,
    server: two,
    [Symbol.dispose]() {
      one.close();
      two.close();
    },
  };
}

function bound(channelBindings: Uint8Array | undefined): { channelBindings?: Uint8Array } {
  return channelBindings === undefined ? {} : { channelBindings };
}

/** Exchanges tokens until both ends are done; returns every token that was sent, the client's first. */
export async function authenticate({ client, server }: Pair): Promise<Uint8Array[]> {
  const sent: Uint8Array[] = [];
  let token: Uint8Array | null = null;
  for (let leg = 0; leg < 8; leg++) {
    const end: ProviderContext = leg % 2 === 0 ? client : server;
    const made: StepResult = await end.step(token);
    token = made.token;
    if (token !== null) sent.push(token.slice());
    if (client.done && server.done) return sent;
    if (token === null) throw new Error(`leg ${leg} made no token, and the exchange is not over`);
  }
  throw new Error("the exchange was not over after 8 legs");
}

/** A pair that is done. */
export async function authenticated(
  system: NativeSystem,
  provider: ContextProvider,
  options: PairOptions = {},
): Promise<Pair> {
  const both = await pair(system, provider, options);
  try {
    await authenticate(both);
    return both;
  } catch (error) {
    both[Symbol.dispose]();
    throw error;
  }
}

/** One record with `plain` in it, as it goes over the wire. */
export function seal(context: ProviderContext, plain: Uint8Array): Uint8Array {
  return context.wrap(plain, new Uint8Array(plain.length + context.maxOverhead)).slice();
}

/** `length` bytes that repeat only after 251. */
export function bytes(length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, index) => (index * 7 + 3) % 251);
}
