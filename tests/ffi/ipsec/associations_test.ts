/** Reads security associations from the bytes that a filtering engine returns. */

import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import fc from "fast-check";
import { test } from "@test";
import type { Filtering } from "../../../ffi/ipsec/filtering_engine.ts";
import { memoryOf } from "../../../ffi/memory/memory.ts";
import {
  IPSEC_AUTH,
  IPSEC_AUTH_CONFIG,
  IPSEC_CIPHER_CONFIG,
  IPSEC_CIPHER_TYPE,
  IPSEC_SA0,
  IPSEC_SA_CONTEXT1,
  IPSEC_SA_DETAILS1,
  IPSEC_TRANSFORM,
} from "../../../ffi/raw/wfp.ts";
import { type Association, readAssociation } from "../../../ffi/ipsec/associations.ts";
import type { Association as Simulated } from "../../../testing/simulator/association.ts";
import { filteringCalls } from "../../../testing/simulator/filtering.ts";
import type { Host } from "../../../testing/simulator/host.ts";
import { libcCalls } from "../../../testing/simulator/backend.ts";
import { Network } from "../../../testing/simulator/network.ts";
import type { Proposal, TransformId } from "../../../testing/simulator/quick_mode.ts";
import type { SecurityAnswer } from "../../../ffi/ipsec/query.ts";

const NO_GUID = "00000000-0000-0000-0000-000000000000";
const LIFETIME = { lifetimeSeconds: 3600, lifetimeKilobytes: 57_671_680, lifetimePackets: 0x7fff_ffff };
const SHA_256 = { type: IPSEC_AUTH.SHA_256, config: IPSEC_AUTH_CONFIG.HMAC_SHA_256_128 };
const AES_256 = { type: IPSEC_CIPHER_TYPE.AES_256, config: IPSEC_CIPHER_CONFIG.CBC_AES_256 };
const ESP: TransformId = { type: IPSEC_TRANSFORM.ESP_AUTH_AND_CIPHER, auth: SHA_256, cipher: AES_256 };

type Calls = Filtering["call"];

/** A host with associations, and the functions that read them. */
class World {
  readonly network = new Network({ hosts: { here: { administrator: true } } });
  readonly here: Host = this.network.host("here");

  /** An association with another host, with these transforms. */
  associate(...transforms: TransformId[]): Simulated {
    const quickMode: Proposal = { lifetime: LIFETIME, transforms };
    const peer = this.network.host(`peer${this.network.associations.of(this.here).length}`);
    return this.network.associations.between(this.here, peer, {
      kind: "secured",
      encrypted: true,
      mutual: true,
      impersonation: false,
      quickMode,
    });
  }

  /**
   * Reads an association with some of the engine's functions replaced; checks that nothing of the engine stays open.
   */
  read(answer: SecurityAnswer, hostile: (calls: Calls) => Partial<Calls> = () => ({})): unknown {
    const { machine } = this.here;
    const calls = filteringCalls(this.here, this.network.associations) as Calls;
    const held = { handles: machine.handles, allocated: machine.memory.allocated };
    const read = readAssociation({
      grant: "ipsec",
      call: { ...calls, ...hostile(calls) },
      memory: memoryOf(libcCalls(machine)),
      hold: () => () => {},
    } as unknown as Filtering, answer);
    assertEquals({ handles: machine.handles, allocated: machine.memory.allocated }, held);
    return read;
  }

  /** Reads quick mode, which main mode's refusal must not hide. */
  quickMode(answer: SecurityAnswer, hostile?: (calls: Calls) => Partial<Calls>): unknown {
    const read = this.read(answer, hostile) as Association;
    assertEquals([read.mutual, read.peer.startsWith("host/peer")], [true, true]);
    return read.quickMode;
  }

  /** Replaces the enumeration by one with invalid bytes: `spoil` gets the views of the first context's parts. */
  spoilt(spoil: (parts: Parts) => void): (calls: Calls) => Partial<Calls> {
    const { memory } = this.here.machine;
    return (calls) => ({
      IPsecSaContextEnum1(...args) {
        const result = calls.IPsecSaContextEnum1(...args);
        const [, , , entries] = args;
        const array = new DataView(entries!.buffer).getBigUint64(0, true);
        const context = memory.view(memory.view(array, 8).getBigUint64(0, true), IPSEC_SA_CONTEXT1.size);
        const { inboundSa } = IPSEC_SA_CONTEXT1.read(context);
        const inbound = memory.view(inboundSa, IPSEC_SA_DETAILS1.size);
        const { saList } = IPSEC_SA_DETAILS1.read(inbound).saBundle;
        spoil({ context, inbound, sa: memory.view(saList, IPSEC_SA0.size) });
        return result;
      },
    });
  }
}

interface Parts {
  readonly context: DataView;
  readonly inbound: DataView;
  readonly sa: DataView;
}

function answerOf(association: Simulated, changes: Partial<SecurityAnswer> = {}): SecurityAnswer {
  return {
    secured: true,
    impersonated: false,
    encrypted: true,
    userToken: 0n,
    machineToken: 0n,
    mainModeSa: association.mainModeSa,
    quickModeSa: BigInt(association.quickModeSa),
    negotiationError: 0,
    lookupContext: association.lookupContext,
    ...changes,
  };
}

test("readAssociation() reads algorithms, lifetimes and mode of main mode and quick mode", () => {
  const world = new World();
  assertEquals(world.read(answerOf(world.associate(ESP))), {
    mutual: true,
    authentication: ["kerberos"],
    peer: "host/peer0",
    cipher: "aes-128",
    integrity: "sha-1",
    lifetimeSeconds: 7200,
    quickMode: {
      mode: "transport",
      ...LIFETIME,
      transforms: [{
        type: "esp-auth-and-cipher",
        cipher: "aes-256-cbc",
        cipherKeyBits: 256,
        integrity: "hmac-sha-256-128",
      }],
      matchedBy: "saLookupContext+qmSaId",
    },
  });
});

/** The names of the pairs that the headers define. */
const CIPHERS = [[1, 1, "des-cbc"], [2, 2, "3des-cbc"], [3, 3, "aes-128-cbc", 128], [
  4,
  4,
  "aes-192-cbc",
  192,
]]
  .concat([[5, 5, "aes-256-cbc", 256], [3, 6, "aes-128-gcm", 128], [4, 7, "aes-192-gcm", 192]])
  .concat([[5, 8, "aes-256-gcm", 256]]) as [number, number, string, number?][];
const INTEGRITY = [[0, 0, "hmac-md5-96"], [1, 1, "hmac-sha-1-96"], [2, 2, "hmac-sha-256-128"]]
  .concat([[3, 3, "aes-128-gcm", 128], [4, 4, "aes-192-gcm", 192], [5, 5, "aes-256-gcm", 256]] as never) as [
    number,
    number,
    string,
    number?,
  ][];
const TYPES = [[1, "ah"], [2, "esp-auth"], [3, "esp-cipher"], [4, "esp-auth-and-cipher"], [
  5,
  "esp-auth-fw",
]] as [
  number,
  string,
][];

test("readTransform() names every transform, except pairs that the headers do not define", () => {
  const pair = (known: readonly [number, number, string, number?][]) =>
    fc.oneof(
      fc.constantFrom(...known),
      fc.tuple(fc.nat(9), fc.nat(255)).filter(([type, config]) =>
        !known.some((each) => each[0] === type && each[1] === config)
      ).map(([type, config]) =>
        [type, config, `unknown (type ${type}, configuration ${config})`] as [number, number, string]
      ),
    );
  fc.assert(fc.property(
    fc.array(fc.tuple(fc.constantFrom(...TYPES), pair(CIPHERS), pair(INTEGRITY)), {
      minLength: 1,
      maxLength: 2,
    }),
    (given) => {
      const world = new World();
      const association = world.associate(...given.map(([[type], cipher, auth]) => ({
        type,
        ...(type === 3 || type === 4 ? { cipher: { type: cipher[0], config: cipher[1] } } : {}),
        ...(type === 3 ? {} : { auth: { type: auth[0], config: auth[1] } }),
      })));
      const { transforms } = world.quickMode(answerOf(association)) as { transforms: unknown };
      assertEquals(
        transforms,
        given.map(([[type, name], [, , cipher, cipherKeyBits], [, , integrity, integrityKeyBits]]) => ({
          type: name,
          ...(type === 3 || type === 4 ? { cipher, ...(cipherKeyBits ? { cipherKeyBits } : {}) } : {}),
          ...(type === 3 ? {} : { integrity, ...(integrityKeyBits ? { integrityKeyBits } : {}) }),
        })),
      );
    },
  ));
});

test("readQuickMode() reports a tunnel, and the outbound direction where its protection differs", () => {
  const world = new World();
  const answer = answerOf(world.associate(ESP));
  const tunnel = world.spoilt(({ inbound }) => {
    const { traffic, saBundle } = IPSEC_SA_DETAILS1.read(inbound);
    IPSEC_SA_DETAILS1.write(inbound, {
      traffic: { ...traffic, trafficType: 1 },
      saBundle: { ...saBundle, lifetime: { ...LIFETIME, lifetimeSeconds: 60 } },
    });
  });
  const { mode, lifetimeSeconds, outbound } = world.quickMode(answer, tunnel) as {
    [key: string]: unknown;
    outbound: { [key: string]: unknown };
  };
  assertEquals([mode, lifetimeSeconds, outbound.mode, outbound.lifetimeSeconds], [
    "tunnel",
    60,
    "transport",
    3600,
  ]);
});

test("readQuickMode() finds the association among two hundred, over several pages", () => {
  const world = new World();
  const all = Array.from({ length: 200 }, () => world.associate(ESP));
  for (const index of [0, 63, 64, 150, 199]) {
    const { matchedBy } = world.quickMode(answerOf(all[index])) as { matchedBy: string };
    assertEquals(matchedBy, "saLookupContext+qmSaId");
  }
});

const share = (from: Simulated, to: Simulated) =>
  Object.assign(to, { lookupContext: from.lookupContext, mainModeSa: from.mainModeSa });

test("readQuickMode() decides by the quick-mode id between associations with the connection's lookup context", () => {
  const world = new World();
  const [one, other] = [world.associate(ESP), world.associate({ type: IPSEC_TRANSFORM.AH, auth: SHA_256 })];
  share(one, other);
  const types = (answer: SecurityAnswer) =>
    (world.quickMode(answer) as { transforms: { type: string }[] }).transforms.map(({ type }) => type);
  assertEquals(types(answerOf(one)), ["esp-auth-and-cipher"]);
  assertEquals(types(answerOf(other)), ["ah"]);
  const neither = world.quickMode(answerOf(one, { quickModeSa: 99n }));
  assertStringIncludes(String(neither), "unavailable: 2 associations may belong to the connection");
});

test("readQuickMode() accepts the only association with the lookup context, whatever its id, as documented", () => {
  const world = new World();
  const association = world.associate(ESP);
  world.associate(ESP);
  const { matchedBy } = world.quickMode(answerOf(association, { quickModeSa: 99n })) as { matchedBy: string };
  assertEquals(matchedBy, "saLookupContext");
});

test("readQuickMode() needs both ids of an answer without lookup context", () => {
  const world = new World();
  const association = world.associate(ESP);
  const other = world.associate(ESP);
  const without = { lookupContext: NO_GUID };
  const { matchedBy } = world.quickMode(answerOf(association, without)) as { matchedBy: string };
  assertEquals(matchedBy, "mmSaId+qmSaId");
  const mixed = answerOf(association, { ...without, quickModeSa: BigInt(other.quickModeSa) });
  assertEquals(world.quickMode(mixed), "unavailable: the association does not exist any more");
  const high = answerOf(association, {
    ...without,
    quickModeSa: BigInt(association.quickModeSa) + (1n << 32n),
  });
  assertEquals(
    world.quickMode(high),
    "unavailable: the association does not exist any more",
    "no id is cut to 32 bits",
  );
});

test("readQuickMode() states that the answer has no quick mode or no association", () => {
  const world = new World();
  const association = world.associate(ESP);
  assertStringIncludes(
    String(world.quickMode(answerOf(association, { quickModeSa: 0n }))),
    "unavailable: the system reported no quick-mode",
  );
  assertEquals(world.read(answerOf(association, { mainModeSa: 0n })), null);
  assertMatch(
    String(world.read(answerOf(association, { mainModeSa: 77n }))),
    /^unavailable: .*IkeextSaGetById1 failed with/,
  );
});

test("readQuickMode() states that an association does not exist any more", () => {
  const world = new World();
  const answer = answerOf(world.associate(ESP));
  world.network.associations.renew(world.here, world.network.host("peer0"), "quick");
  // Its lookup context still exists, so the association that replaced it is reported; without it none is.
  assertEquals((world.quickMode(answer) as { matchedBy: string }).matchedBy, "saLookupContext");
  assertEquals(
    world.quickMode({ ...answer, lookupContext: NO_GUID }),
    "unavailable: the association does not exist any more",
  );
});

for (
  const fn of ["IPsecSaContextCreateEnumHandle0", "IPsecSaContextEnum1"] as const
) {
  test(`readAssociation() states why ${fn} is refused, and still reports main mode`, () => {
    const world = new World();
    const answer = answerOf(world.associate(ESP));
    assertEquals(
      world.quickMode(answer, () => ({ [fn]: () => 5 })),
      "needs membership in Administrators or Network Configuration Operators",
    );
    assertMatch(
      String(world.quickMode(answer, () => ({ [fn]: () => 0x8032_0012 }))),
      new RegExp(`^unavailable: .*${fn} failed with .*0x80320012`),
    );
  });
}

const SPOILT: readonly (readonly [string, (parts: Parts) => void, RegExp])[] = [
  ["a context without a direction", ({ context }) => {
    IPSEC_SA_CONTEXT1.write(context, { inboundSa: 0n });
  }, /does not exist any more/],
  ["no associations in a bundle", (parts) => bundle(parts, { numSAs: 0 }), /a bundle of 0/],
  ["three associations in a bundle", (parts) => bundle(parts, { numSAs: 3 }), /a bundle of 3/],
  [
    "four thousand million associations",
    (parts) => bundle(parts, { numSAs: 0xffff_ffff }),
    /a bundle of 4294967295/,
  ],
  ["associations that stand nowhere", (parts) => bundle(parts, { saList: 0n }), /no IPSEC_SA0/],
  ["traffic of no known kind", ({ inbound }) => {
    const { traffic } = IPSEC_SA_DETAILS1.read(inbound);
    IPSEC_SA_DETAILS1.write(inbound, { traffic: { ...traffic, trafficType: 2 } });
  }, /traffic of type 2/],
  [
    "a transform of no known kind",
    ({ sa }) => IPSEC_SA0.write(sa, { saTransformType: 6 }),
    /transform of type 6/,
  ],
  ["algorithms that stand nowhere", ({ sa }) => {
    IPSEC_SA0.write(sa, { espAuthAndCipherInformation: 0n });
  }, /no IPSEC_SA_AUTH_AND_CIPHER_INFORMATION0/],
];

function bundle({ inbound }: Parts, changes: { numSAs?: number; saList?: bigint }): void {
  const { saBundle } = IPSEC_SA_DETAILS1.read(inbound);
  IPSEC_SA_DETAILS1.write(inbound, { saBundle: { ...saBundle, ...changes } });
}

for (const [name, spoil, expected] of SPOILT) {
  test(`readAssociation() refuses an invalid answer of the engine: ${name}`, () => {
    const world = new World();
    const told = world.quickMode(answerOf(world.associate(ESP)), world.spoilt(spoil));
    assertMatch(String(told), expected);
    assertMatch(String(told), /^unavailable: /);
  });
}

/** An enumeration that returns this `count` and `array`. */
const enumeration = (count: number, array: bigint): Partial<Calls> => ({
  IPsecSaContextEnum1(_engine, _enumeration, _requested, entries, returned) {
    new DataView(entries!.buffer).setBigUint64(0, array, true);
    new DataView(returned!.buffer).setUint32(0, count, true);
    return 0;
  },
});

test("readQuickMode() refuses an enumeration with more entries than requested", () => {
  const world = new World();
  const answer = answerOf(world.associate(ESP));
  const told = (count: number, array = 0n) =>
    String(world.quickMode(answer, () => enumeration(count, array)));
  assertEquals(told(0), "unavailable: the association does not exist any more");
  assertMatch(told(65), /^unavailable: .*65 entries, and 64 were requested/);
  assertMatch(told(0xffff_ffff), /^unavailable: .*4294967295 entries/);
  assertMatch(told(3), /^unavailable: .*no pointer where there should be 3/);
});

test("readQuickMode() stops an endless enumeration", () => {
  const world = new World();
  const answer = answerOf(world.associate(ESP));
  const { memory } = world.here.machine;
  let pages = 0;
  const told = world.quickMode(answer, () => ({
    IPsecSaContextEnum1(_engine, _enumeration, requested, entries, returned) {
      pages++;
      const each = IPSEC_SA_CONTEXT1.size;
      const { address } = memory.allocate(requested * 8 + each);
      for (let index = 0; index < requested; index++) {
        memory.view(address, requested * 8).setBigUint64(index * 8, address + BigInt(requested * 8), true);
      }
      new DataView(entries!.buffer).setBigUint64(0, address, true);
      new DataView(returned!.buffer).setUint32(0, requested, true);
      return 0;
    },
  }));
  assertStringIncludes(String(told), "more than 16384 associations");
  assertEquals(pages, 256);
});

test("readAssociation() refuses an invalid main mode", () => {
  const world = new World();
  const answer = answerOf(world.associate(ESP));
  const told = world.read(answer, () => ({
    IkeextSaGetById1(_engine, _id, _context, out) {
      new DataView(out!.buffer).setBigUint64(0, 0n, true);
      return 0;
    },
  }));
  assertMatch(String(told), /^unavailable: .*no IKEEXT_SA_DETAILS1/);
});
