/**
 * The name resolution of ws2_32.dll, for a simulated network: at once if no name server is needed, else overlapped.
 *
 * @see https://learn.microsoft.com/windows/win32/api/ws2tcpip/nf-ws2tcpip-getaddrinfoexw
 *
 * @module
 */

import type { Calls } from "../../ffi/abi.ts";
import { OVERLAPPED } from "../../ffi/raw/kernel32.ts";
import { ADDRINFOEXW, AF, SOCK, SOCKADDR_STORAGE, type WS2_32 } from "../../ffi/raw/ws2_32.ts";
import type { SocketAddress } from "../../ffi/winsock/address.ts";
import { parseIp, socketAddress } from "./address.ts";
import { SimulatedEvent } from "./events.ts";
import type { Host } from "./host.ts";
import type { KernelObject } from "./machine.ts";
import { readWide } from "./memory.ts";
import type { Network } from "./network.ts";

const WSA = {
  INVALID_HANDLE: 6,
  IO_PENDING: 997,
  EINVAL: 10022,
  EINPROGRESS: 10036,
  ESOCKTNOSUPPORT: 10044,
  EAFNOSUPPORT: 10047,
  TYPE_NOT_FOUND: 10109,
  E_CANCELLED: 10111,
  HOST_NOT_FOUND: 11001,
  NO_RECOVERY: 11003,
} as const;

type Functions = Pick<
  Calls<typeof WS2_32>,
  "GetAddrInfoExW" | "GetAddrInfoExOverlappedResult" | "GetAddrInfoExCancel" | "FreeAddrInfoExW"
>;

/** A pending query, which its handle refers to. */
class NameQuery implements KernelObject {
  readonly end: (code: number, list: bigint) => void;

  constructor(end: (code: number, list: bigint) => void) {
    this.end = end;
  }

  closed(): void {}
}

interface Asked {
  readonly name: string;
  readonly port: number;
  readonly hints: { readonly family: number; readonly type: number; readonly protocol: number };
}

/** The functions of a host. */
export function nameCalls(network: Network, host: Host): {
  readonly call: Functions;
  /** Whether a query is pending. Winsock must stay open until it ends. */
  pending(): boolean;
} {
  const { machine } = host;
  const { memory } = machine;
  let pending = 0;
  /** Handles of ended queries, which later queries reuse; code must not mistake one for the other. */
  const ended: bigint[] = [];
  const addresses = ({ name, port, hints }: Asked): SocketAddress[] =>
    network.resolve(host, name)
      .map((ip) => socketAddress(ip, port))
      .filter(({ version }) =>
        hints.family === AF.UNSPEC || hints.family === (version === 4 ? AF.INET : AF.INET6)
      );
  /** The name and service of a query, or the error. */
  const read = (name: bigint, service: bigint, at: bigint): Asked | number => {
    if (name === 0n && service === 0n) return WSA.HOST_NOT_FOUND;
    const zero = { ai_family: AF.UNSPEC, ai_socktype: 0, ai_protocol: 0, ai_addrlen: 0n };
    const hints = at === 0n
      ? { ...zero, ai_canonname: 0n, ai_addr: 0n, ai_next: 0n }
      : ADDRINFOEXW.read(memory.view(at, ADDRINFOEXW.size));
    const filled = [hints.ai_addrlen, hints.ai_canonname, hints.ai_addr, hints.ai_next];
    if (filled.some((each) => each !== 0n)) return WSA.NO_RECOVERY;
    if (![AF.UNSPEC, AF.INET, AF.INET6].includes(hints.ai_family as 0)) return WSA.EAFNOSUPPORT;
    if (![0, SOCK.STREAM, SOCK.DGRAM].includes(hints.ai_socktype as 0)) return WSA.ESOCKTNOSUPPORT;
    const port = service === 0n ? "0" : readWide(memory.rest(service));
    if (!/^\d{1,5}$/.test(port) || Number(port) > 65_535) return WSA.TYPE_NOT_FOUND;
    return {
      name: name === 0n ? "" : readWide(memory.rest(name)),
      port: Number(port),
      hints: { family: hints.ai_family, type: hints.ai_socktype, protocol: hints.ai_protocol },
    };
  };
  /** Writes a list of addresses to memory of the system; 0: there are none. */
  const write = (found: readonly SocketAddress[], { hints }: Asked): bigint => {
    if (found.length === 0) return 0n;
    const each = ADDRINFOEXW.size + SOCKADDR_STORAGE.size;
    const { address, bytes } = memory.allocate(found.length * each);
    found.forEach((entry, index) => {
      const at = index * each;
      bytes.set(entry.bytes, at + ADDRINFOEXW.size);
      ADDRINFOEXW.write(new DataView(bytes.buffer), {
        ai_family: entry.version === 4 ? AF.INET : AF.INET6,
        ai_socktype: hints.type,
        ai_protocol: hints.protocol,
        ai_addrlen: BigInt(entry.bytes.length),
        ai_addr: address + BigInt(at + ADDRINFOEXW.size),
        ai_next: index + 1 < found.length ? address + BigInt(at + each) : 0n,
      }, at);
    });
    return address;
  };
  const begin = (asked: Asked, result: bigint, overlapped: bigint, handleAt: bigint): number => {
    const status = (code: number): void =>
      memory.view(overlapped, OVERLAPPED.size).setBigUint64(OVERLAPPED.offsets.Internal, BigInt(code), true);
    const { hEvent } = OVERLAPPED.read(memory.view(overlapped, OVERLAPPED.size));
    const event = machine.find(hEvent, SimulatedEvent);
    if (event === null) return WSA.EINVAL;
    const handle = machine.open(
      new NameQuery((code, list) => {
        pending--;
        machine.closeHandle(handle);
        ended.push(handle);
        if (list !== 0n) memory.view(result, 8).setBigUint64(0, list, true);
        status(code);
        event.set();
      }),
      ended.pop(),
    );
    pending++;
    status(WSA.EINPROGRESS);
    if (handleAt !== 0n) memory.view(handleAt, 8).setBigUint64(0, handle, true);
    if (network.silent(asked.name)) return WSA.IO_PENDING;
    // Never at once: a name server takes time.
    queueMicrotask(() => {
      const query = machine.find(handle, NameQuery);
      if (query === null) return;
      const list = write(addresses(asked), asked);
      query.end(list === 0n ? WSA.HOST_NOT_FOUND : 0, list);
    });
    return WSA.IO_PENDING;
  };
  return {
    pending: () => pending > 0,
    call: {
      GetAddrInfoExW(name, service, _space, _id, hints, result, _timeout, overlapped, routine, handle) {
        if (result === 0n || routine !== 0n) return WSA.EINVAL;
        const asked = read(name, service, hints);
        if (typeof asked === "number") return asked;
        const nobodyIsAsked = parseIp(asked.name) !== null || asked.name === "";
        if (overlapped !== 0n && !nobodyIsAsked) return begin(asked, result, overlapped, handle);
        const list = write(addresses(asked), asked);
        memory.view(result, 8).setBigUint64(0, list, true);
        return list === 0n ? WSA.HOST_NOT_FOUND : 0;
      },
      GetAddrInfoExOverlappedResult: (overlapped) =>
        overlapped === 0n
          ? WSA.EINVAL
          : Number(OVERLAPPED.read(memory.view(overlapped, OVERLAPPED.size)).Internal),
      GetAddrInfoExCancel(handle) {
        const query = handle === 0n
          ? null
          : machine.find(memory.view(handle, 8).getBigUint64(0, true), NameQuery);
        if (query === null) return WSA.INVALID_HANDLE;
        query.end(WSA.E_CANCELLED, 0n);
        return 0;
      },
      FreeAddrInfoExW: (address) => void memory.free(address),
    },
  };
}
