/**
 * Resolves host names to addresses with overlapped queries: the calling thread does not wait, and a cancelled query
 * is also cancelled in the system.
 *
 * @see https://learn.microsoft.com/windows/win32/api/ws2tcpip/nf-ws2tcpip-getaddrinfoexw
 * @module
 */

import type { Calls } from "../abi.ts";
import { Arena } from "../memory/arena.ts";
import type { Events, SystemEvent } from "./events.ts";
import { track } from "../handles.ts";
import { type Memory, pinned } from "../memory/memory.ts";
import { OVERLAPPED } from "../raw/kernel32.ts";
import { ADDRINFOEXW, AF, AI, IPPROTO, NS, SOCK, type WS2_32 } from "../raw/ws2_32.ts";
import { readAddress, type SocketAddress } from "./address.ts";
import { socketError } from "../status.ts";

const WSA_IO_PENDING = 997;
/** The most addresses that are accepted for one name. */
const MAX_ADDRESSES = 1024;

/** The name to resolve, and what for. */
export interface NameRequest {
  /** A name or a numeric address; empty: this machine. */
  readonly hostname: string;
  /** The port to set in the addresses. */
  readonly port: number;
  /** The type of socket that the addresses are for. */
  readonly type: "stream" | "datagram";
  /** Whether a socket connects to the addresses or listens on them. */
  readonly purpose: "connect" | "listen";
}

/** What a query uses. */
export interface Resolver {
  /** ws2_32.dll */
  readonly call: Calls<typeof WS2_32>;
  /** Addresses and foreign memory. */
  readonly memory: Memory;
  /** The events that report a query's end. */
  readonly events: Events;
  /** Keeps Winsock running until the result is called. */
  use(): () => void;
}

/**
 * Queries that have not ended. They are kept because the system writes to their memory, even when no caller waits any
 * more.
 */
const underWay = new Set<Query>();

/**
 * Returns the addresses of a host, in the order in which to try them.
 *
 * @param signal cancels the query; its reason is rethrown immediately and unchanged. A result that the system still
 * returns is released.
 * @throws TransportError where the name has no address.
 */
export async function resolveName(
  resolver: Resolver,
  request: NameRequest,
  signal?: AbortSignal,
): Promise<SocketAddress[]> {
  signal?.throwIfAborted();
  const query = new Query(resolver, request);
  const answer = query.run();
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const onAbort = (): void => {
    query.cancel();
    reject(signal!.reason);
  };
  signal?.addEventListener("abort", onAbort, { once: true });
  try {
    return await Promise.race([answer, aborted]);
  } catch (error) {
    signal?.throwIfAborted();
    throw error;
  } finally {
    signal?.removeEventListener("abort", onAbort);
  }
}

/** One query, from the call to the release of all its resources. */
class Query {
  readonly #resolver: Resolver;
  readonly #request: NameRequest;
  readonly #arena: Arena;
  readonly #event: SystemEvent;
  readonly #overlapped: bigint;
  /** Where the system writes the list's address and the query's handle. */
  readonly #result = pinned(8);
  readonly #handle = pinned(8);
  readonly #unuse: () => void;
  readonly #untrack: () => void;
  #pending = false;

  constructor(resolver: Resolver, request: NameRequest) {
    this.#resolver = resolver;
    this.#request = request;
    this.#arena = new Arena(resolver.memory);
    this.#unuse = resolver.use();
    try {
      this.#event = resolver.events.open();
    } catch (error) {
      this.#unuse();
      throw error;
    }
    this.#overlapped = this.#arena.address(OVERLAPPED, { hEvent: this.#event.handle });
    this.#untrack = track("name query");
  }

  /** Runs the query and returns its result. */
  async run(): Promise<SocketAddress[]> {
    const { call, memory } = this.#resolver;
    const { hostname, port, type, purpose } = this.#request;
    const hints = this.#arena.address(ADDRINFOEXW, {
      ai_flags: purpose === "listen" ? AI.PASSIVE : 0,
      ai_family: AF.UNSPEC,
      ai_socktype: type === "stream" ? SOCK.STREAM : SOCK.DGRAM,
      ai_protocol: type === "stream" ? IPPROTO.TCP : IPPROTO.UDP,
    });
    underWay.add(this);
    const error = call.GetAddrInfoExW(
      this.#arena.wide(hostname),
      this.#arena.wide(String(port)),
      NS.ALL,
      null,
      hints,
      memory.addressOf(this.#result),
      0n,
      this.#overlapped,
      0n,
      memory.addressOf(this.#handle),
    );
    if (error !== WSA_IO_PENDING) return this.#end(error);
    this.#pending = true;
    // Where this fails, the query's end is not known: its memory is kept permanently.
    await this.#event.wait();
    this.#pending = false;
    return this.#end(call.GetAddrInfoExOverlappedResult(this.#overlapped));
  }

  /**
   * Asks the system to cancel the query. Does nothing where the query has ended but was not reported yet, because its
   * handle may belong to another query then. This thread begins no query between the check and the call; the query
   * itself may end there, and its handle is then invalid, which is not a failure.
   */
  cancel(): void {
    if (!this.#pending || !this.#event.isUnset()) return;
    this.#resolver.call.GetAddrInfoExCancel(this.#resolver.memory.addressOf(this.#handle));
  }

  #end(error: number): SocketAddress[] {
    const list = new DataView(this.#result.buffer).getBigUint64(0, true);
    try {
      if (error === 0) return this.#read(list);
      throw socketError("GetAddrInfoExW", error, `find the address of ${this.#request.hostname}`);
    } finally {
      if (list !== 0n) this.#resolver.call.FreeAddrInfoExW(list);
      this.#event.close();
      underWay.delete(this);
      this.#untrack();
      this.#unuse();
    }
  }

  #read(list: bigint): SocketAddress[] {
    const { memory } = this.#resolver;
    const found: SocketAddress[] = [];
    for (let at = list, count = 0; at !== 0n && count < MAX_ADDRESSES; count++) {
      const bytes = memory.read(at, ADDRINFOEXW.size);
      const info = ADDRINFOEXW.read(new DataView(bytes.buffer, bytes.byteOffset, bytes.length));
      if (info.ai_family === AF.INET || info.ai_family === AF.INET6) {
        found.push(readAddress(memory.read(info.ai_addr, Number(info.ai_addrlen))));
      }
      at = info.ai_next;
    }
    return found;
  }
}
