/**
 * ws2_32.dll, mswsock.dll and the part of oleaut32.dll that calls ConnectEx, over simulated sockets.
 *
 * @module
 */

import type { Calls } from "../../ffi/abi.ts";
import type { MSWSOCK } from "../../ffi/raw/mswsock.ts";
import { type OLEAUT32, VARIANT, VT } from "../../ffi/raw/oleaut32.ts";
import {
  AF,
  INVALID_SOCKET,
  IPPROTO,
  SD,
  SIO,
  SO,
  SOCK,
  SOCKADDR_STORAGE,
  SOL_SOCKET,
  type WS2_32,
  WSA_FLAG,
  WSABUF,
  WSAPROTOCOL_INFOW,
  XP1_IFS_HANDLES,
} from "../../ffi/raw/ws2_32.ts";
import { readAddress } from "../../ffi/winsock/address.ts";
import { socketAddress } from "./address.ts";
import type { Host } from "./host.ts";
import { STATUS } from "./machine.ts";
import { nameCalls } from "./names.ts";
import type { Network } from "./network.ts";
import { SimulatedSocket, UnservedSocket } from "./socket.ts";

/** Codes that these functions return. */
const WSA = {
  IO_PENDING: 997,
  EFAULT: 10014,
  EINVAL: 10022,
  ENOTSOCK: 10038,
  EOPNOTSUPP: 10045,
  EAFNOSUPPORT: 10047,
  EISCONN: 10056,
  ENOTCONN: 10057,
  NOTINITIALISED: 10093,
} as const;
const ERROR = -1;
/** The address of ConnectEx; only DispCallFunc accepts it. */
const CONNECTEX = 0x7ffe_0000_c0een;

type Ws = Calls<typeof WS2_32>;

/** ws2_32.dll of a host. */
export function winsockCalls(network: Network, host: Host): Ws {
  const { machine } = host;
  const { memory } = machine;
  const fail = (code: number): number => machine.fail(code, ERROR);
  /** Runs `fn` with the socket, or fails as for an invalid socket. */
  const on = (handle: bigint, fn: (socket: SimulatedSocket) => number): number => {
    const socket = machine.find(handle, SimulatedSocket);
    return socket ? fn(socket) : fail(WSA.ENOTSOCK);
  };
  const bufferAt = (address: bigint): Uint8Array => {
    const { buf, len } = WSABUF.read(memory.view(address, WSABUF.size));
    return memory.at(buf, len);
  };
  const writeName = (address: Uint8Array, name: Uint8Array, length: Uint8Array): number => {
    const view = new DataView(length.buffer, length.byteOffset);
    if (view.getInt32(0, true) < address.length) return fail(WSA.EFAULT);
    name.set(address);
    view.setInt32(0, address.length, true);
    return 0;
  };
  const names = nameCalls(network, host);
  let started = 0;
  return {
    WSAStartup() {
      started++;
      return 0;
    },
    WSACleanup() {
      if (started === 0) return fail(WSA.NOTINITIALISED);
      if (--started === 0 && names.pending()) {
        throw new Error(
          "simulator: WSACleanup during a pending name query, which ends the process",
        );
      }
      return 0;
    },
    WSAGetLastError: () => machine.lastError,
    WSASocketW(family, type, protocol, _info, _group, flags) {
      const stream = type === SOCK.STREAM && protocol === IPPROTO.TCP;
      const datagram = type === SOCK.DGRAM && protocol === IPPROTO.UDP;
      if (started === 0) return machine.fail(WSA.NOTINITIALISED, INVALID_SOCKET);
      if (family === AF.UNSPEC) return machine.fail(WSA.EAFNOSUPPORT, INVALID_SOCKET);
      if (family !== AF.INET && family !== AF.INET6) return machine.open(new UnservedSocket());
      if (type === SOCK.RAW) return machine.open(new UnservedSocket());
      if (!stream && !datagram) return machine.fail(WSA.EINVAL, INVALID_SOCKET);
      const overlapped = (flags & WSA_FLAG.OVERLAPPED) !== 0;
      const version = family === AF.INET ? 4 : 6;
      return machine.open(new SimulatedSocket(host, version, stream ? "stream" : "datagram", overlapped));
    },
    bind: (s, name) =>
      on(s, (socket) => {
        if (socket.local !== null) return fail(WSA.EINVAL);
        const address = readAddress(name!);
        if (address.version !== socket.version) return fail(WSA.EFAULT);
        const error = host.bind(socket, address);
        return error === 0 ? 0 : fail(error);
      }),
    listen: (s) =>
      on(s, (socket) => {
        if (socket.local === null || socket.type !== "stream") return fail(WSA.EINVAL);
        socket.listening = true;
        return 0;
      }),
    WSASend: (s, buffers, _count, sent, _flags, overlapped) =>
      on(s, (socket) => {
        const { connection, skipsAtOnce } = socket;
        if (connection === null) return fail(WSA.ENOTCONN);
        const request = socket.begin(overlapped);
        const send = () => connection.outgoing.write(bufferAt(buffers), request);
        const bytes = request.during(send, skipsAtOnce);
        if (bytes === null) return fail(WSA.IO_PENDING);
        if (sent !== 0n) memory.view(sent, 4).setUint32(0, bytes, true);
        return 0;
      }),
    WSARecv: (s, buffers, _count, _received, _flags, overlapped) =>
      on(s, (socket) => {
        if (socket.connection === null) return fail(WSA.ENOTCONN);
        const { buf, len } = WSABUF.read(memory.view(buffers, WSABUF.size));
        socket.connection.incoming.read(() => memory.at(buf, len), socket.begin(overlapped));
        return fail(WSA.IO_PENDING);
      }),
    WSASendTo: (s, buffers, _count, _sent, _flags, to, toLength, overlapped) =>
      on(s, (socket) => {
        const address = readAddress(memory.at(to, toLength));
        if (socket.local === null) {
          host.bind(socket, socketAddress(new Uint8Array(address.version === 4 ? 4 : 16), 0));
        }
        const data = bufferAt(buffers);
        network.send(socket, data, address);
        socket.begin(overlapped).complete(STATUS.SUCCESS, data.length);
        return 0;
      }),
    WSARecvFrom: (s, buffers, _count, _received, _flags, from, fromLength, overlapped) =>
      on(s, (socket) => {
        if (socket.local === null) return fail(WSA.EINVAL);
        const { buf, len } = WSABUF.read(memory.view(buffers, WSABUF.size));
        const request = socket.begin(overlapped);
        socket.receiveFrom({
          request,
          take(datagram) {
            const part = datagram.data.subarray(0, len);
            memory.at(buf, len).set(part);
            memory.at(from, SOCKADDR_STORAGE.size).set(datagram.from.bytes);
            memory.view(fromLength, 4).setInt32(0, datagram.from.bytes.length, true);
            const whole = part.length === datagram.data.length;
            request.complete(whole ? STATUS.SUCCESS : STATUS.BUFFER_OVERFLOW, part.length);
          },
        });
        return fail(WSA.IO_PENDING);
      }),
    shutdown: (s, how) =>
      on(s, (socket) => {
        if (socket.connection === null || !socket.updated) return fail(WSA.ENOTCONN);
        if (how !== SD.RECEIVE) socket.connection.outgoing.end();
        return 0;
      }),
    closesocket(s) {
      const socket = machine.find(s, SimulatedSocket) ?? machine.find(s, UnservedSocket);
      return socket !== null && machine.closeHandle(s) ? 0 : fail(WSA.ENOTSOCK);
    },
    getsockname: (s, name, length) =>
      on(s, ({ local }) => local === null ? fail(WSA.EINVAL) : writeName(local.bytes, name!, length!)),
    getpeername: (s, name, length) =>
      on(
        s,
        ({ connection }) =>
          connection === null ? fail(WSA.ENOTCONN) : writeName(connection.peer.bytes, name!, length!),
      ),
    setsockopt: (s, level, option) =>
      on(s, (socket) => {
        const context = option === SO.UPDATE_ACCEPT_CONTEXT || option === SO.UPDATE_CONNECT_CONTEXT;
        if (level !== SOL_SOCKET || !context) return 0;
        if (socket.connection === null) return fail(WSA.ENOTCONN);
        socket.updated = true;
        return 0;
      }),
    getsockopt: (s, level, option, value, length) =>
      on(s, () => {
        if (level !== SOL_SOCKET || option !== SO.PROTOCOL_INFOW) return fail(WSA.EINVAL);
        if (new DataView(length!.buffer).getInt32(0, true) < WSAPROTOCOL_INFOW.size) return fail(WSA.EFAULT);
        WSAPROTOCOL_INFOW.write(new DataView(value!.buffer), { dwServiceFlags1: XP1_IFS_HANDLES });
        return 0;
      }),
    WSAIoctl: (s, code, input, inputLength, out) =>
      on(s, (socket) => {
        if (code === SIO.GET_EXTENSION_FUNCTION_POINTER) {
          new DataView(out!.buffer, out!.byteOffset).setBigUint64(0, CONNECTEX, true);
          return 0;
        }
        if (code !== SIO.UDP_CONNRESET || socket.type !== "datagram") return fail(WSA.EOPNOTSUPP);
        if (input === null || inputLength < 4) return fail(WSA.EFAULT);
        socket.reportsResets = new DataView(input.buffer, input.byteOffset).getUint32(0, true) !== 0;
        return 0;
      }),
    ...names.call,
    GetAddrInfoExW: (...args) => started === 0 ? WSA.NOTINITIALISED : names.call.GetAddrInfoExW(...args),
  };
}

/** mswsock.dll of a host. */
export function extensionCalls(host: Host): Calls<typeof MSWSOCK> {
  const { machine } = host;
  return {
    AcceptEx(listen, accept, _out, _data, _local, _remote, _received, overlapped) {
      const listener = machine.find(listen, SimulatedSocket);
      const socket = machine.find(accept, SimulatedSocket);
      if (listener === null || socket === null) return machine.fail(WSA.ENOTSOCK, 0);
      if (!listener.listening || socket.local !== null) return machine.fail(WSA.EINVAL, 0);
      listener.accept(socket, listener.begin(overlapped));
      return machine.fail(WSA.IO_PENDING, 0);
    },
    GetAcceptExSockaddrs() {},
  };
}

/** oleaut32.dll of a host: DispCallFunc, which supports only ConnectEx. */
export function dispatchCalls(network: Network, host: Host): Calls<typeof OLEAUT32> {
  const { machine } = host;
  const E_INVALIDARG = -0x7ff8_ffa9;
  const connectEx = (s: bigint, name: bigint, length: number, overlapped: bigint): number => {
    const fault = machine.faults.next("ConnectEx");
    if (fault) return machine.fail(fault.code, 0);
    const socket = machine.find(s, SimulatedSocket);
    if (socket === null) return machine.fail(WSA.ENOTSOCK, 0);
    if (socket.connection !== null) return machine.fail(WSA.EISCONN, 0);
    if (socket.local === null || socket.listening) return machine.fail(WSA.EINVAL, 0);
    const address = readAddress(machine.memory.at(name, length));
    const request = socket.begin(overlapped);
    // Never at once: a negotiation takes time.
    queueMicrotask(() => {
      if (!request.done) network.connect(socket, address, request);
    });
    return machine.fail(WSA.IO_PENDING, 0);
  };
  return {
    DispCallFunc(_instance, target, _cc, _type, count, types, pointers, result) {
      if (target !== CONNECTEX || count !== 7) return E_INVALIDARG;
      const [kinds, variants] = [types!, pointers!].map((bytes) =>
        new DataView(bytes.buffer, bytes.byteOffset)
      );
      const values = Array.from({ length: count }, (_, index) => {
        const at = machine.memory.view(variants.getBigUint64(index * 8, true), VARIANT.size);
        const { vt, llVal } = VARIANT.read(at);
        if (vt !== kinds.getUint16(index * 2, true)) throw new Error("simulator: a VARIANT of another type");
        return BigInt.asUintN(64, llVal);
      });
      const answer = connectEx(values[0], values[1], Number(values[2]), values[6]);
      VARIANT.write(new DataView(result!.buffer), { vt: VT.I4, llVal: BigInt(answer) });
      return 0;
    },
  };
}
