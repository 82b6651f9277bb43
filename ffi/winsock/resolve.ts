/**
 * Names of hosts to addresses, by overlapped queries: nothing waits on the calling thread, and whoever gives up has
 * the system give up too.
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
/** A list of addresses longer than this is not a list. */
const MAX_ADDRESSES = 1024;

/** What is asked for. */
export interface NameQuestion {
  /** A name or a numeric address; empty: this machine. */
  readonly hostname: string;
  /** What the addresses are to hold as their port. */
  readonly port: number;
  /** The kind of socket they are for. */
  readonly type: "stream" | "datagram";
  /** Whether a socket is to be bound to them, or sends to them. */
  readonly purpose: "connect" | "listen";
}

/** What queries are made with. */
export interface NameMeans {
  /** ws2_32.dll */
  readonly call: Calls<typeof WS2_32>;
  /** Addresses and foreign memory. */
  readonly memory: Memory;
  /** What a query's end is told by. */
  readonly events: Events;
  /** Keeps Winsock running until the result is called. */
  use(): () => void;
}

/** Held here until they have ended: the system writes to their memory, whoever still waits for them. */
const underWay = new Set<Query>();

/**
 * The addresses of a host, in the order in which to try them.
 *
 * @param signal gives up: the query is cancelled, and its reason rethrown unchanged, at once. What the system still
 * gives for the query is released when it comes.
 * @throws TransportError where the name has none.
 */
export async function resolveName(
  means: NameMeans,
  question: NameQuestion,
  signal?: AbortSignal,
): Promise<SocketAddress[]> {
  signal?.throwIfAborted();
  const query = new Query(means, question);
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

/** One query, from its call to the release of all it held. */
class Query {
  readonly #means: NameMeans;
  readonly #question: NameQuestion;
  readonly #arena: Arena;
  readonly #event: SystemEvent;
  readonly #overlapped: bigint;
  /** Where the system writes the list, and the query's handle. */
  readonly #result = pinned(8);
  readonly #handle = pinned(8);
  readonly #unuse: () => void;
  readonly #untrack: () => void;
  #pending = false;

  constructor(means: NameMeans, question: NameQuestion) {
    this.#means = means;
    this.#question = question;
    this.#arena = new Arena(means.memory);
    this.#unuse = means.use();
    try {
      this.#event = means.events.open();
    } catch (error) {
      this.#unuse();
      throw error;
    }
    this.#overlapped = this.#arena.address(OVERLAPPED, { hEvent: this.#event.handle });
    this.#untrack = track("name query");
  }

  /** Asks, and gives what came of it. */
  async run(): Promise<SocketAddress[]> {
    const { call, memory } = this.#means;
    const { hostname, port, type, purpose } = this.#question;
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
    // Where this fails nobody knows of the query's end: its memory stays where it is for good.
    await this.#event.wait();
    this.#pending = false;
    return this.#end(call.GetAddrInfoExOverlappedResult(this.#overlapped));
  }

  /**
   * Has the system end it soon. Not where it has ended and nobody here was told yet: its handle may be another query's
   * by then. Nothing here begins one between the look and the call; the query itself may end there, and the handle then is
   * an invalid one, which is no failure.
   */
  cancel(): void {
    if (!this.#pending || !this.#event.isUnset()) return;
    this.#means.call.GetAddrInfoExCancel(this.#means.memory.addressOf(this.#handle));
  }

  #end(error: number): SocketAddress[] {
    const list = new DataView(this.#result.buffer).getBigUint64(0, true);
    try {
      if (error === 0) return this.#read(list);
      throw socketError("GetAddrInfoExW", error, `find the address of ${this.#question.hostname}`);
    } finally {
      if (list !== 0n) this.#means.call.FreeAddrInfoExW(list);
      this.#event.close();
      underWay.delete(this);
      this.#untrack();
      this.#unuse();
    }
  }

  #read(list: bigint): SocketAddress[] {
    const { memory } = this.#means;
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
