/**
 * `simulate()`: a network of Windows computers in this process, for tests and for trying things out without
 * Windows. Nothing is secured, nothing leaves the process, and every result has `simulated: true`.
 *
 * @module
 */

import { libcCalls, simulatedBackend } from "./backend.ts";
import type { Grant } from "../../ffi/permissions.ts";
import { TOKEN, TokenImpersonation, TokenPrimary } from "../../ffi/raw/advapi32.ts";
import { NativeSystem, type System } from "../../ffi/system.ts";
import { eventCalls } from "./events.ts";
import { filteringCalls } from "./filtering.ts";
import type { Host } from "./host.ts";
import { kernelCalls } from "./machine.ts";
import { Network, type NetworkOptions, type Traffic } from "./network.ts";
import { secureSocketCalls } from "./secure_sockets.ts";
import { SimulatedSocket } from "./socket.ts";
import { accountOf, computerAccountOf, Thread, Token, tokenCalls } from "./tokens.ts";
import { dispatchCalls, extensionCalls, winsockCalls } from "./winsock.ts";

export type { FaultOptions } from "./faults.ts";
export type { HostOptions, SimulatedAccount } from "./host.ts";
export type { NetworkOptions, Traffic } from "./network.ts";

/** The resources that simulated hosts have not released. */
export interface Held {
  /** Kernel handles: sockets, ports, tokens. */
  readonly handles: number;
  /** Allocations of the system that were not freed. */
  readonly allocations: number;
}

/** Simulated computers that can reach each other, and nothing else. */
export interface SimulatedNetwork {
  /** Bytes sent between sockets, by their protection. */
  readonly traffic: Readonly<Traffic>;
  /**
   * Opens a system on the host of that name; other hosts reach it by the name. Two calls with the same name return
   * two systems of one machine. The caller closes each of them.
   *
   * @param grants Left out: everything that the simulator supports.
   */
  host(name: string, grants?: readonly Grant[]): System;
  /**
   * Makes the next call of a function on a host fail with a code, given by its symbolic name such as
   * `WSAECONNRESET`.
   *
   * @param after How many calls succeed before; left out: none.
   */
  failNext(host: string, fn: string, codeName: string, after?: number): void;
  /**
   * Makes two hosts negotiate their associations again, as systems do at the end of a lifetime: all of them get new
   * identifiers, and connections that watch these are aborted.
   *
   * @param mode `"main"`: the computers authenticate again. `"quick"`: keys are renewed.
   */
  rekey(host: string, peer: string, mode: "main" | "quick"): void;
  /** The resources that the hosts have not released; all zero once every system is closed. */
  held(): Held;
  /** How many calls were made to fail. */
  readonly faultsInjected: number;
}

const GRANTS: readonly Grant[] = ["sockets", "ipsec", "ipsec.policy", "impersonation"];
const OPTIONS: readonly string[] = ["hosts", "faults", "sizeProbe", "abortedQuery", "silentNames"];
/** The access of a thread to the token it carries: enough to query its account. */
const TOKEN_ACCESS = TOKEN.QUERY | TOKEN.IMPERSONATE;
const PLATFORM = { os: "windows", arch: "x86_64", systemDirectory: "C:\\Windows\\System32" } as const;

/**
 * Makes a network.
 *
 * @example
 * ```ts
 * import { simulate } from "@winsock/secure-sockets/testing";
 *
 * const network = simulate();
 * using client = network.host("client");
 * using server = network.host("server");
 * console.log(client.capabilities().simulated, server.capabilities().ipsec.available); // => true true
 * ```
 * @throws TypeError if an option is invalid.
 */
export function simulate(options: NetworkOptions = {}): SimulatedNetwork {
  for (const key of Object.keys(options)) {
    if (!OPTIONS.includes(key)) {
      throw new TypeError(`simulate() has no option ${key}; it has ${OPTIONS.join(", ")}`);
    }
  }
  const network = new Network(options);
  return {
    traffic: network.traffic,
    host(name, grants = GRANTS) {
      if (typeof name !== "string" || !/^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/i.test(name)) {
        throw new TypeError("host() takes a host's name, of letters, digits, dots and hyphens");
      }
      const host = network.host(name);
      const backend = simulatedBackend(host.machine, librariesOf(network, host));
      return new NativeSystem({ grants }, { backend, platform: PLATFORM });
    },
    failNext: (host, fn, codeName, after = 0) =>
      network.host(host).machine.faults.failNext(fn, codeName, after),
    rekey(host, peer, mode) {
      if (mode !== "main" && mode !== "quick") {
        throw new TypeError('rekey()\'s mode must be "main" or "quick"');
      }
      network.associations.renew(network.host(host), network.host(peer), mode);
    },
    held() {
      const hosts = [...network.hosts];
      return {
        handles: hosts.reduce((sum, { machine }) => sum + machine.handles, 0),
        allocations: hosts.reduce((sum, { machine }) => sum + machine.memory.allocated, 0),
      };
    },
    get faultsInjected() {
      return [...network.hosts].reduce((sum, { machine }) => sum + machine.faults.injected, 0);
    },
  };
}

function librariesOf(network: Network, host: Host): Parameters<typeof simulatedBackend>[1] {
  const { machine } = host;
  const kernel = kernelCalls(machine, {
    associable: (handle) => machine.find(handle, SimulatedSocket),
    cancel: (handle, overlapped) => machine.find(handle, SimulatedSocket)?.cancel(overlapped) ?? false,
  });
  const events = eventCalls(machine);
  const thread = new Thread();
  const peerTokens = host.options.peerTokens === "primary" ? TokenPrimary : TokenImpersonation;
  const tokenOf = (peer: Host, kind: "user" | "machine", access: number, type: number = TokenImpersonation) =>
    new Token(kind === "user" ? accountOf(peer) : computerAccountOf(peer), access, type);
  return {
    "ws2_32.dll": { call: winsockCalls(network, host) },
    "mswsock.dll": { call: extensionCalls(host) },
    "oleaut32.dll": { call: dispatchCalls(network, host) },
    "kernel32.dll": {
      call: { ...kernel.call, ...events.call },
      threaded: { ...kernel.threaded, ...events.threaded },
    },
    "ntdll.dll": kernel,
    "ucrtbase.dll": { call: libcCalls(machine) },
    "fwpuclnt.dll": {
      call: {
        ...filteringCalls(host, network.associations),
        ...secureSocketCalls(network, host, {
          policy: (key) => host.policies.get(key) ?? null,
          token: (peer, kind, access) => machine.open(tokenOf(peer, kind, access, peerTokens)),
          impersonate: (peer, kind) => thread.carry(tokenOf(peer, kind, TOKEN_ACCESS), true),
          revert() {
            if (thread.bySocket) thread.revert();
          },
        }),
      },
    },
    "advapi32.dll": { call: tokenCalls(host, () => network.hosts, thread) },
  };
}
