/**
 * Security associations as a C program lays them out, read through the layouts of `ffi/raw`, field by field, and
 * through the library's own reader. The C program is the test double of `fixtures/sa.c`.
 */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import type { Library } from "../../ffi/abi.ts";
import type { Filtering } from "../../ffi/ipsec/filtering_engine.ts";
import { structAt, structsAt } from "../../ffi/memory/memory.ts";
import { liveHandles } from "../../ffi/handles.ts";
import { type Memory, memoryOf, pinned } from "../../ffi/memory/memory.ts";
import { FWPUCLNT } from "../../ffi/raw/fwpuclnt.ts";
import { UCRTBASE } from "../../ffi/raw/ucrtbase.ts";
import {
  IKEEXT,
  IKEEXT_CREDENTIAL_PAIR1,
  IKEEXT_SA_DETAILS1,
  IPSEC_SA0,
  IPSEC_SA_AUTH_AND_CIPHER_INFORMATION0,
  IPSEC_SA_CONTEXT1,
  IPSEC_SA_DETAILS1,
  RPC_C_AUTHN_WINNT,
} from "../../ffi/raw/wfp.ts";
import { type Association, readAssociation } from "../../ffi/ipsec/associations.ts";
import type { SecurityAnswer } from "../../ffi/ipsec/query.ts";
import { struct } from "../../ffi/memory/struct.ts";
import { clearLog, readLog } from "./support/call_log.ts";
import { openLibrary } from "./support/libraries.ts";
import { machine } from "./support/machine.ts";
import { declareTests, windowsTest } from "./support/on_windows.ts";
import { Winsock } from "./support/winsock.ts";

const skip = machine.run === null ? "the fixture is only built by deno task test:windows on Linux" : null;

const ERROR_INVALID_HANDLE = 6;
const FWP_E_NOT_FOUND = 0x8032_0008;
const FWP_E_NULL_POINTER = 0x8032_001c;
/** What the fixture gives its connections. */
const MAIN_MODE = 0x1111n;
const QUICK_MODE = 0x2222;
const POINTER = struct("pointer", { at: "ptr" });
const GUID = struct("GUID", { value: "guid" });
const LOOKUP = "00001111-0000-0000-0000-000000000000";
const ANSWER: SecurityAnswer = {
  secured: true,
  encrypted: true,
  impersonated: false,
  userToken: 0n,
  machineToken: 0n,
  mainModeSa: MAIN_MODE,
  quickModeSa: BigInt(QUICK_MODE),
  negotiationError: 0,
  lookupContext: LOOKUP,
};

/** The fixture, an engine of it, and the memory it hands out. */
interface World {
  readonly control: Winsock;
  readonly call: Library<typeof FWPUCLNT>["call"];
  readonly memory: Memory;
  readonly engine: bigint;
}

async function associationTest(name: string, body: (world: World) => void): Promise<void> {
  await windowsTest(name, () => {
    using control = new Winsock();
    const [fwpuclnt, ucrtbase] = [openLibrary(FWPUCLNT), openLibrary(UCRTBASE)];
    const memory = memoryOf(ucrtbase.call as unknown as Parameters<typeof memoryOf>[0]);
    const { call } = fwpuclnt;
    control.control("reset");
    clearLog();
    const out = pinned(8);
    assertEquals(call.FwpmEngineOpen0(null, RPC_C_AUTHN_WINNT, null, null, out), 0);
    try {
      body({ control, call, memory, engine: pointerIn(out) });
    } finally {
      call.FwpmEngineClose0(pointerIn(out));
      fwpuclnt.close();
      ucrtbase.close();
    }
    assertEquals(liveHandles(), {});
  }, { skip });
}

const pointerIn = (bytes: Uint8Array) => new DataView(bytes.buffer).getBigUint64(0, true);

function guid(value: string): Uint8Array {
  const bytes = pinned(16);
  GUID.write(new DataView(bytes.buffer), { value });
  return bytes;
}

/** Sixteen bytes that count up. */
const counting = (from: number) => Uint8Array.from({ length: 16 }, (_, index) => from + index);

/** What has no meaning outside of the process that laid it out. */
function isPointer(value: bigint): boolean {
  return value > 0xffffn;
}

await associationTest("a main-mode association is read field by field as C has laid it out", (world) => {
  const { call, memory, engine, control } = world;
  control.control("associations", 1);
  const out = pinned(8);
  assertEquals(call.IkeextSaGetById1(engine, MAIN_MODE, guid(LOOKUP), out), 0);
  const details = structAt(memory, pointerIn(out), IKEEXT_SA_DETAILS1);
  const { ikeCredentials, correlationKey, ...numbers } = details;
  assertEquals(numbers, {
    saId: MAIN_MODE,
    keyModuleType: 1,
    ipVersion: 1,
    v4UdpEncapsulation: 0n,
    ikeTraffic: {
      ipVersion: 1,
      localV6Address: counting(0x10),
      remoteV6Address: counting(0x20),
      authIpFilterId: 0x3132333435363738n,
    },
    ikeProposal: {
      cipherAlgorithm: { algoIdentifier: IKEEXT.CIPHER_AES_256, keyLen: 32, rounds: 14 },
      integrityAlgorithm: { algoIdentifier: IKEEXT.INTEGRITY_SHA_384 },
      maxLifetimeSeconds: 28800,
      dhGroup: IKEEXT.DH_ECP_384,
      quickModeLimit: 77,
    },
    cookiePair: { initiator: 0x4142434445464748n, responder: 0x5152535455565758n },
    ikePolicyKey: "01020304-0506-0708-090a-0b0c0d0e0f10",
    virtualIfTunnelId: 0x6162636465666768n,
  });
  assertEquals(memory.read(correlationKey.data, correlationKey.size), new Uint8Array(6).fill(0x7c));
  assertEquals(ikeCredentials.numCredentials, 1);
  const [pair] = structsAt(memory, ikeCredentials.credentials, IKEEXT_CREDENTIAL_PAIR1, 1);
  for (
    const { authenticationMethodType, impersonationType, name } of [
      pair.localCredentials,
      pair.peerCredentials,
    ]
  ) {
    assertEquals([authenticationMethodType, impersonationType], [
      IKEEXT.KERBEROS,
      IKEEXT.IMPERSONATION_SOCKET_PRINCIPAL,
    ]);
    assertEquals(memory.wideString(structAt(memory, name, POINTER).at), "host/fixture.example.test");
  }
  call.FwpmFreeMemory0(out);
  assertEquals(pointerIn(out), 0n, "what was freed is not pointed to any more");
});

await associationTest("a quick-mode association is read field by field as C has laid it out", (world) => {
  const { call, memory, engine, control } = world;
  control.control("associations", 1);
  const [handle, entries, count] = [pinned(8), pinned(8), pinned(4)];
  assertEquals(call.IPsecSaContextCreateEnumHandle0(engine, null, handle), 0);
  assertEquals(call.IPsecSaContextEnum1(engine, pointerIn(handle), 10, entries, count), 0);
  assertEquals(new DataView(count.buffer).getUint32(0, true), 1);
  const at = structAt(memory, pointerIn(entries), POINTER).at;
  const context = structAt(memory, at, IPSEC_SA_CONTEXT1);
  assertEquals(context.saContextId, 0xc0de0000n);
  for (const [direction, address] of [context.inboundSa, context.outboundSa].entries()) {
    const { saBundle, ...details } = structAt(memory, address, IPSEC_SA_DETAILS1);
    assertEquals(details, {
      ipVersion: 1,
      saDirection: 1 - direction,
      traffic: {
        ipVersion: 1,
        localV6Address: counting(0x30),
        remoteV6Address: counting(0x40),
        trafficType: 1,
        ipsecFilterId: 0x9192939495969798n,
        remotePort: 0xa1a2,
        localPort: 0xb1b2,
        ipProtocol: 6,
        localIfLuid: 0xc1c2c3c4c5c6c7c8n,
        realIfProfileId: 0xd1d2d3d4,
      },
      udpEncapsulation: 0n,
      transportFilter: 0n,
      virtualIfTunnelInfo: 0n,
    });
    const { saList, ...bundle } = saBundle;
    assertEquals(bundle, {
      flags: 0x11,
      lifetime: { lifetimeSeconds: 1234, lifetimeKilobytes: 5678, lifetimePackets: 91011 },
      idleTimeoutSeconds: 0x22,
      ndAllowClearTimeoutSeconds: 0x33,
      ipsecId: 0n,
      napContext: 0x44,
      qmSaId: QUICK_MODE,
      numSAs: 2,
      keyModuleState: 0n,
      ipVersion: 0,
      peerV4PrivateAddress: 0x55,
      mmSaId: MAIN_MODE,
      pfsGroup: 5,
      saLookupContext: LOOKUP,
      qmFilterId: 0x66n,
    });
    const [esp, ah] = structsAt(memory, saList, IPSEC_SA0, 2);
    assertEquals([esp.spi, esp.saTransformType, ah.spi, ah.saTransformType], [0x71727374, 4, 0x81828384, 1]);
    const both = structAt(memory, esp.espAuthAndCipherInformation, IPSEC_SA_AUTH_AND_CIPHER_INFORMATION0);
    const { saCipherInformation: cipher, saAuthInformation: auth } = both;
    assertEquals([cipher.cipherTransform, auth.authTransform], [
      { cipherTransformId: { cipherType: 5, cipherConfig: 8 }, cryptoModuleId: 0n },
      { authTransformId: { authType: 5, authConfig: 5 }, cryptoModuleId: 0n },
    ]);
    assertEquals([cipher.cipherKey.size, auth.authKey.size], [32, 32]);
    assert(isPointer(cipher.cipherKey.data) && isPointer(auth.authKey.data));
  }
  call.FwpmFreeMemory0(entries);
  assertEquals(call.IPsecSaContextDestroyEnumHandle0(engine, pointerIn(handle)), 0);
});

await associationTest(
  "an association is found by its id, and by the lookup context where one is given",
  (world) => {
    const { call, engine, control } = world;
    const out = pinned(8);
    const find = (id: bigint, context: string | null) => {
      const error = call.IkeextSaGetById1(engine, id, context === null ? null : guid(context), out);
      if (error === 0) call.FwpmFreeMemory0(out);
      return error;
    };
    assertEquals(find(MAIN_MODE, null), FWP_E_NOT_FOUND, "there is none yet");
    control.control("associations", 3);
    assertEquals([find(MAIN_MODE, null), find(MAIN_MODE, LOOKUP)], [0, 0]);
    assertEquals(find(MAIN_MODE + 1n, null), FWP_E_NOT_FOUND);
    assertEquals(find(MAIN_MODE, "00001112-0000-0000-0000-000000000000"), FWP_E_NOT_FOUND);
    const [first, second] = readLog().filter(({ fn }) => fn === "IkeextSaGetById1");
    assertEquals([first.id, first.saLookupContext, first.error], ["4369", null, FWP_E_NOT_FOUND | 0]);
    assertEquals(second.saLookupContext, null);
  },
);

await associationTest(
  "an enumeration returns page after page, and ends with one that is not full",
  (world) => {
    const { call, memory, engine, control } = world;
    control.control("associations", 7);
    const [handle, entries, count] = [pinned(8), pinned(8), pinned(4)];
    assertEquals(call.IPsecSaContextCreateEnumHandle0(engine, null, handle), 0);
    const seen: bigint[][] = [];
    for (let page = 0; page < 4; page++) {
      assertEquals(call.IPsecSaContextEnum1(engine, pointerIn(handle), 3, entries, count), 0);
      const given = new DataView(count.buffer).getUint32(0, true);
      const places = structsAt(memory, pointerIn(entries), POINTER, given);
      seen.push(places.map(({ at }) => structAt(memory, at, IPSEC_SA_CONTEXT1).saContextId - 0xc0de0000n));
      call.FwpmFreeMemory0(entries);
    }
    assertEquals(seen, [[0n, 1n, 2n], [3n, 4n, 5n], [6n], []]);
    assertEquals(call.IPsecSaContextDestroyEnumHandle0(engine, pointerIn(handle)), 0);
  },
);

await associationTest("invalid and closed handles, and missing pointers, are refused", (world) => {
  const { call, engine, control } = world;
  control.control("associations", 1);
  const [handle, other, out, count] = [pinned(8), pinned(8), pinned(8), pinned(4)];
  const enumerate = (session: bigint, enumeration: bigint, entries: Uint8Array | null = out) =>
    call.IPsecSaContextEnum1(session, enumeration, 1, entries, count);
  const NONE = 0xdead_beefn;
  assertEquals(call.IkeextSaGetById1(NONE, MAIN_MODE, null, out), ERROR_INVALID_HANDLE);
  assertEquals(call.IkeextSaGetById1(engine, MAIN_MODE, null, null), FWP_E_NULL_POINTER);
  assertEquals(call.IPsecSaContextCreateEnumHandle0(NONE, null, handle), ERROR_INVALID_HANDLE);
  assertEquals(call.IPsecSaContextCreateEnumHandle0(engine, null, null), FWP_E_NULL_POINTER);
  assertEquals(call.IPsecSaContextCreateEnumHandle0(engine, null, handle), 0);
  const enumeration = pointerIn(handle);
  assertEquals(call.FwpmEngineOpen0(null, RPC_C_AUTHN_WINNT, null, null, other), 0);
  assertEquals(enumerate(NONE, enumeration), ERROR_INVALID_HANDLE);
  assertEquals(enumerate(engine, NONE), ERROR_INVALID_HANDLE);
  assertEquals(enumerate(pointerIn(other), enumeration), ERROR_INVALID_HANDLE, "another session's");
  assertEquals(enumerate(engine, enumeration, null), FWP_E_NULL_POINTER);
  assertEquals(call.IPsecSaContextDestroyEnumHandle0(pointerIn(other), enumeration), ERROR_INVALID_HANDLE);
  assertEquals(call.IPsecSaContextDestroyEnumHandle0(engine, enumeration), 0);
  assertEquals(call.IPsecSaContextDestroyEnumHandle0(engine, enumeration), ERROR_INVALID_HANDLE);
  assertEquals(enumerate(engine, enumeration), ERROR_INVALID_HANDLE);
  assertEquals(call.FwpmEngineClose0(pointerIn(other)), 0);
});

/** What the library's own reader says. */
function read({ call, memory }: World): Association | string | null {
  const filtering = { grant: "ipsec", call, memory, hold: () => () => {} } as unknown as Filtering;
  return readAssociation(filtering, ANSWER);
}

/** How often each function was called and had something to give. */
function given(fn: string): number {
  return readLog().filter((call) => call.fn === fn && call.error === 0).length;
}

await associationTest("the library's reader frees everything that it received, on every path", (world) => {
  const { control } = world;
  for (const [associations, error] of [[0, 0], [1, 0], [64, 0], [200, 0], [1, 5]] as const) {
    control.control("associations", associations);
    control.control("wfp_error", error);
    read(world);
  }
  assertEquals(given("FwpmEngineOpen0") - 1, given("FwpmEngineClose0"), "but for the test's own");
  assertEquals(given("IPsecSaContextCreateEnumHandle0"), given("IPsecSaContextDestroyEnumHandle0"));
  assertEquals(given("IkeextSaGetById1") + given("IPsecSaContextEnum1"), given("FwpmFreeMemory0"));
  assert(given("IPsecSaContextEnum1") > 5, "there were several pages");
});

await associationTest(
  "only credentials that prove the identity of each end count as mutual, whatever C calls them",
  (world) => {
    const { control } = world;
    control.control("associations", 1);
    const proofs = new Map([[1, "certificate"], [2, "kerberos"], [7, "certificate-ecdsa-p256"], [
      8,
      "certificate-ecdsa-p384",
    ]]);
    for (let local = 0; local <= 12; local++) {
      for (let peer = 0; peer <= 12; peer++) {
        control.control("local_method", local);
        control.control("peer_method", peer);
        const association = read(world) as Association;
        assertEquals(association.mutual, proofs.has(local) && proofs.has(peer), `${local} and ${peer}`);
        assertEquals(association.peer, peer === IKEEXT.KERBEROS ? "host/fixture.example.test" : "");
        const [name] = association.authentication;
        if (proofs.has(local) && local === peer) assertEquals(name, proofs.get(local));
      }
    }
  },
);

await associationTest("no credentials count as no proof, and too many are refused", (world) => {
  const { control } = world;
  control.control("associations", 1);
  control.control("credential_pairs", 0);
  const none = read(world) as Association;
  assertEquals([none.mutual, none.authentication], [false, []]);
  control.control("credential_pairs", 2);
  assertEquals((read(world) as Association).authentication, ["kerberos", "kerberos"]);
  control.control("credential_pairs", 0xffff_ffff);
  assertStringIncludes(read(world) as string, "not as documented");
});

declareTests();
