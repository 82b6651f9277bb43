/**
 * mswsock.dll: the overlapped accept. No logic.
 *
 * @see https://learn.microsoft.com/windows/win32/api/mswsock/
 * @module
 */

import type { LibrarySpec } from "../abi.ts";

/** Microsoft's extensions of Winsock that are plain exports. */
export const MSWSOCK = {
  name: "mswsock.dll",
  instead: "It is part of Windows",
  files: { windows: ["mswsock.dll"] },
  fns: {
    AcceptEx: {
      params: [
        ["sListenSocket", "usize"],
        ["sAcceptSocket", "usize"],
        ["lpOutputBuffer", "usize"],
        ["dwReceiveDataLength", "u32"],
        ["dwLocalAddressLength", "u32"],
        ["dwRemoteAddressLength", "u32"],
        ["lpdwBytesReceived", "usize"],
        ["lpOverlapped", "usize"],
      ],
      result: "i32",
    },
    GetAcceptExSockaddrs: {
      params: [
        ["lpOutputBuffer", "usize"],
        ["dwReceiveDataLength", "u32"],
        ["dwLocalAddressLength", "u32"],
        ["dwRemoteAddressLength", "u32"],
        ["LocalSockaddr", "buf"],
        ["LocalSockaddrLength", "buf"],
        ["RemoteSockaddr", "buf"],
        ["RemoteSockaddrLength", "buf"],
      ],
      result: "void",
    },
  },
} as const satisfies LibrarySpec;

/** The identifier for which WSAIoctl returns ConnectEx's address. */
export const WSAID_CONNECTEX = "25a207b9-ddf3-4660-8ee9-76e58c74063e";
