/**
 * Compares the Winsock tables with a C compiler's results for the Windows headers, on Deno and on Node; all tables
 * are in `tests/scripts/windows_layout_test.ts`.
 */

import { assertEquals, assertNotEquals } from "@std/assert";
import { test } from "@test";
import { FWPUCLNT } from "../../../ffi/raw/fwpuclnt.ts";
import { SECURE_SOCKET_ERRORS, WINSOCK_STATUS } from "../../../ffi/raw/winsock_status.ts";
import { ourTables } from "../../../scripts/golden.ts";
import { ADVAPI32 } from "../../../ffi/raw/advapi32.ts";
import { KERNEL32 } from "../../../ffi/raw/kernel32.ts";
import { MSWSOCK } from "../../../ffi/raw/mswsock.ts";
import { NTDLL } from "../../../ffi/raw/ntdll.ts";
import { WS2_32 } from "../../../ffi/raw/ws2_32.ts";
import win64 from "../../golden/win64.json" with { type: "json" };

const ours = ourTables();
const golden: ReturnType<typeof ourTables> = win64;
const missing = (asked: object, names: object) =>
  Object.keys(names).filter((name) => !Object.hasOwn(asked, name));

test("every struct and constant of the Winsock tables was asked of the compiler", () => {
  assertEquals(missing(golden.structs, ours.structs), []);
  assertEquals(missing(golden.constants, ours.constants), []);
});

for (const [name, layout] of Object.entries(ours.structs)) {
  test(`the layout of ${name} equals the compiler's`, () => assertEquals(layout, golden.structs[name]));
}

test("every constant of the Winsock tables has the compiler's value", () => {
  const names = Object.keys(ours.constants);
  assertEquals(ours.constants, Object.fromEntries(names.map((name) => [name, golden.constants[name]])));
});

test("each of the six secure socket functions is in the table, and each of its documented errors has a name and a code", () => {
  const names = new Set(Object.values(WINSOCK_STATUS).map((entry) => entry.name));
  for (const [fn, errors] of Object.entries(SECURE_SOCKET_ERRORS)) {
    assertNotEquals((FWPUCLNT.fns as Record<string, unknown>)[fn], undefined);
    for (const error of errors) assertEquals(names.has(error), true, `${fn}: ${error}`);
  }
});

/** Functions that must be callable, by their table. */
const FUNCTIONS: readonly (readonly [{ readonly name: string; readonly fns: object }, readonly string[]])[] =
  [
    [WS2_32, [
      "WSAStartup",
      "WSACleanup",
      "WSASocketW",
      "bind",
      "listen",
      "WSASend",
      "WSARecv",
      "WSASendTo",
      "WSARecvFrom",
      "shutdown",
      "closesocket",
      "getsockname",
      "getpeername",
      "setsockopt",
      "getsockopt",
      "WSAIoctl",
      "WSAGetLastError",
      "GetAddrInfoExW",
      "GetAddrInfoExCancel",
      "GetAddrInfoExOverlappedResult",
      "FreeAddrInfoExW",
    ]],
    [MSWSOCK, ["AcceptEx", "GetAcceptExSockaddrs"]],
    [FWPUCLNT, [
      "WSASetSocketSecurity",
      "WSAQuerySocketSecurity",
      "WSASetSocketPeerTargetName",
      "WSADeleteSocketPeerTargetName",
      "WSAImpersonateSocketPeer",
      "WSARevertImpersonation",
      "FwpmEngineOpen0",
      "FwpmEngineClose0",
      "FwpmTransactionBegin0",
      "FwpmTransactionCommit0",
      "FwpmTransactionAbort0",
      "FwpmProviderContextAdd1",
      "FwpmProviderContextDeleteByKey0",
      "IkeextSaGetById1",
      "IPsecSaContextCreateEnumHandle0",
      "IPsecSaContextEnum1",
      "IPsecSaContextDestroyEnumHandle0",
      "FwpmFreeMemory0",
    ]],
    [KERNEL32, [
      "CreateIoCompletionPort",
      "GetQueuedCompletionStatusEx",
      "PostQueuedCompletionStatus",
      "CancelIoEx",
      "CloseHandle",
    ]],
    [ADVAPI32, [
      "ImpersonateLoggedOnUser",
      "RevertToSelf",
      "OpenThreadToken",
      "GetTokenInformation",
      "DuplicateTokenEx",
      "LookupAccountSidW",
      "CheckTokenMembership",
    ]],
    [NTDLL, ["RtlNtStatusToDosError"]],
  ];

for (const [{ name, fns }, wanted] of FUNCTIONS) {
  test(`the table of ${name} has every function for sockets, their security and their peers' tokens`, () => {
    assertEquals(wanted.filter((fn) => !Object.hasOwn(fns, fn)), []);
  });
}

test("every struct, flag and control code of the secure socket extensions is in the tables", () => {
  const structs = {
    SOCKET_SECURITY_SETTINGS: 8,
    SOCKET_SECURITY_SETTINGS_IPSEC: 88,
    SOCKET_PEER_TARGET_NAME: 144,
    SOCKET_SECURITY_QUERY_TEMPLATE: 144,
    SOCKET_SECURITY_QUERY_TEMPLATE_IPSEC2: 152,
    SOCKET_SECURITY_QUERY_INFO: 24,
    SOCKET_SECURITY_QUERY_INFO_IPSEC2: 64,
  };
  for (const [name, size] of Object.entries(structs)) assertEquals(ours.structs[name]?.size, size, name);
  const constants = {
    SIO_SET_SECURITY: 0x9800_00c8,
    SIO_QUERY_SECURITY: 0xd800_00c9,
    SIO_SET_PEER_TARGET_NAME: 0x9800_00ca,
    SIO_DELETE_PEER_TARGET_NAME: 0x9800_00cb,
    SIO_QUERY_WFP_ALE_ENDPOINT_HANDLE: 0x5800_00cd,
    SOCKET_SECURITY_PROTOCOL_DEFAULT: 0,
    SOCKET_SECURITY_PROTOCOL_IPSEC: 1,
    SOCKET_SECURITY_PROTOCOL_IPSEC2: 2,
    SOCKET_SECURITY_PROTOCOL_INVALID: 3,
    SOCKET_SETTINGS_GUARANTEE_ENCRYPTION: 1,
    SOCKET_SETTINGS_ALLOW_INSECURE: 2,
    SOCKET_SETTINGS_IPSEC_SKIP_FILTER_INSTANTIATION: 1,
    SOCKET_SETTINGS_IPSEC_OPTIONAL_PEER_NAME_VERIFICATION: 2,
    SOCKET_SETTINGS_IPSEC_ALLOW_FIRST_INBOUND_PKT_UNENCRYPTED: 4,
    SOCKET_SETTINGS_IPSEC_PEER_NAME_IS_RAW_FORMAT: 8,
    SOCKET_QUERY_IPSEC2_ABORT_CONNECTION_ON_FIELD_CHANGE: 1,
    SOCKET_QUERY_IPSEC2_FIELD_MASK_MM_SA_ID: 1,
    SOCKET_QUERY_IPSEC2_FIELD_MASK_QM_SA_ID: 2,
    SOCKET_INFO_CONNECTION_SECURED: 1,
    SOCKET_INFO_CONNECTION_ENCRYPTED: 2,
    SOCKET_INFO_CONNECTION_IMPERSONATED: 4,
  };
  for (const [name, value] of Object.entries(constants)) {
    assertEquals(ours.constants[name], String(value), name);
  }
});
