/** Invalid answers of the system: with a wrong length, or contradictory. */

import { assertEquals, assertThrows } from "@std/assert";
import { test } from "@test";
import { ProtocolError } from "../../../errors.ts";
import type { OverlappedSocket } from "../../../ffi/winsock/overlapped.ts";
import { SOCKET_SECURITY_QUERY_INFO } from "../../../ffi/raw/fwpuclnt.ts";
import { readAnswer } from "../../../ffi/ipsec/query.ts";
import { SecureSockets } from "../../../ffi/ipsec/secure_sockets.ts";
import type { NativeSystem } from "../../../ffi/system.ts";

const WSAEMSGSIZE = 10040;
const viewOf = (bytes: Uint8Array) => new DataView(bytes.buffer, bytes.byteOffset, bytes.length);

for (const filled of [SOCKET_SECURITY_QUERY_INFO.size - 4, 65]) {
  test(`query() closes the tokens of an answer of ${filled} bytes before it refuses it`, () => {
    const closed: bigint[] = [];
    const call = {
      WSAQuerySocketSecurity(
        _socket: bigint,
        _template: unknown,
        _length: number,
        info: Uint8Array | null,
        size: Uint8Array,
      ) {
        viewOf(size).setUint32(0, info === null ? 64 : filled, true);
        if (info === null) return -1;
        SOCKET_SECURITY_QUERY_INFO.write(viewOf(info), {
          PeerApplicationAccessTokenHandle: 0x1234n,
          PeerMachineAccessTokenHandle: 0x5678n,
        });
        return 0;
      },
      WSAGetLastError: () => WSAEMSGSIZE,
      CloseHandle: (handle: bigint) => closed.push(handle),
    };
    const secure = new SecureSockets({ library: () => ({ call }) } as unknown as NativeSystem);
    const socket = { handleFor: () => 1n } as unknown as OverlappedSocket;
    assertThrows(() => secure.query(socket, new Uint8Array(152)), ProtocolError, `${filled} bytes`);
    assertEquals(closed, [0x1234n, 0x5678n]);
  });
}

test("readAnswer() reports no encryption where integrity is missing, independent of other flags", () => {
  for (let flags = 0; flags < 8; flags++) {
    const bytes = new Uint8Array(SOCKET_SECURITY_QUERY_INFO.size);
    SOCKET_SECURITY_QUERY_INFO.write(viewOf(bytes), { Flags: flags });
    const { secured, encrypted, impersonated } = readAnswer(bytes);
    assertEquals(
      [secured, encrypted, impersonated],
      [
        [false, false, false],
        [true, false, false],
        [false, false, false],
        [true, true, false],
        [false, false, true],
        [true, false, true],
        [false, false, true],
        [true, true, true],
      ][flags],
    );
  }
});
