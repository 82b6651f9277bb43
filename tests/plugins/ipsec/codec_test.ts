/** The sandboxed codec against one over the layouts, byte by byte. */

import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import fc from "fast-check";
import { test } from "@test";
import { SecurityRequirementError } from "../../../errors.ts";
import { SOCKET_SECURITY_PROTOCOL } from "../../../ffi/raw/fwpuclnt.ts";
import { guestModule } from "../../../plugins/ipsec/guest_wasm.ts";
import { ipsec } from "../../../plugins/ipsec/mod.ts";
import type { ResolvedRequirements, SocketCodec } from "../../../contract.ts";
import { resolveRequirements } from "../../../plugins/requirements.ts";
import { testProvider } from "../../../testing/mod.ts";
import { targetName } from "../../support/ipsec_bytes.ts";
import { referenceSettings, referenceTemplate } from "../../support/reference_codec.ts";

async function withCodec(
  options: Parameters<typeof ipsec>[0],
  fn: (codec: SocketCodec) => void,
): Promise<void> {
  using codec = await ipsec(options).codec();
  fn(codec);
}

const requirements = fc.record({
  integrity: fc.boolean(),
  confidentiality: fc.boolean(),
  mutualAuthentication: fc.boolean(),
}).filter(({ integrity, confidentiality }) => integrity || !confidentiality).map((given) =>
  resolveRequirements(given)
);
// What the host hands over is UTF-8, which has no place for half a surrogate pair.
const name = fc.string({ unit: "grapheme", maxLength: 60 }).map((text) => text.toWellFormed());
const policy = fc.option(fc.uuid(), { nil: undefined });

test("settings are byte for byte what the layouts give", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.record({
        allowInsecure: fc.boolean(),
        mainModePolicy: policy,
        quickModePolicy: policy,
        optionalPeerName: fc.boolean(),
        skipFilters: fc.boolean(),
        firstPacketInClear: fc.boolean(),
      }).map((options) => ({
        ...options,
        // Which the provider does not take alone.
        firstPacketInClear: options.firstPacketInClear && options.allowInsecure,
      })),
      fc.array(fc.tuple(requirements, name, name, fc.integer({ min: 0, max: 512 })), {
        minLength: 1,
        maxLength: 8,
      }),
      (options, asked) =>
        withCodec(options, (codec) => {
          for (const [required, username, domain, passwordBytes] of asked) {
            const identity = { username, domain, passwordBytes };
            assertEquals(
              codec.settings(required, identity),
              referenceSettings(required, identity, options).slice(),
            );
          }
        }),
    ),
    { numRuns: 60 },
  );
});

test("peer names and templates are byte for byte what the layouts give", () =>
  withCodec({}, (codec) => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 128 }),
        name.filter((text) => text !== ""),
        fc.nat(),
        fc.subarray(["mainModeSa", "quickModeSa"] as const),
        (peer, target, access, watched) => {
          assertEquals(codec.target(peer, target), targetName(peer, target, SOCKET_SECURITY_PROTOCOL.IPSEC));
          assertEquals(codec.queryTemplate(peer, access), referenceTemplate(peer, access));
          assertEquals(
            codec.queryTemplate(peer, access, watched),
            referenceTemplate(peer, access, watched),
          );
        },
      ),
    );
  }));

test("clear text is allowed if the option allows it and the requirements ask for nothing, and by neither alone", async () => {
  const ALLOW = 2;
  const nothing = resolveRequirements({
    integrity: false,
    confidentiality: false,
    mutualAuthentication: false,
  });
  const integrity = resolveRequirements({ confidentiality: false, mutualAuthentication: false });
  const flagsFor = async (allowInsecure: boolean, required: ResolvedRequirements) => {
    let flags = -1;
    await withCodec({ allowInsecure }, (codec) => {
      flags = codec.settings(required, { username: "", domain: "", passwordBytes: 0 })[4];
    });
    return flags;
  };
  assertEquals(await flagsFor(true, nothing), ALLOW);
  assertEquals(await flagsFor(false, nothing), 0);
  assertEquals(await flagsFor(true, integrity), 0);
});

test("requirements that the codec cannot meet are refused by name", () =>
  withCodec({}, (codec) => {
    const identity = { username: "", domain: "", passwordBytes: 0 };
    const delegation = resolveRequirements({ delegation: true });
    assertThrows(() => codec.settings(delegation, identity), SecurityRequirementError, "IPsec hands no");
    assertThrows(() => codec.target(new Uint8Array(), ""), TypeError, "1 to 2048");
    assertThrows(() => codec.target(new Uint8Array(129), "host/x"), TypeError, "address");
    const long = { ...identity, username: "x".repeat(2049) };
    assertThrows(() => codec.settings(resolveRequirements(), long), TypeError, "2048");
  }));

test("the module conforms: no call uses memory that another cannot have", async () => {
  const key = "01234567-89ab-cdef-0123-456789abcdef";
  const { outcomes } = await testProvider(guestModule(), {
    options: { client: { quickModePolicy: key, rawPeerName: true } },
    socket: { quickModePolicies: [key], rawPeerName: true },
  });
  assertEquals(outcomes.filter(({ result }) => result !== "ok"), []);
  assertEquals(outcomes.length, 6);
});

test("a provider's module is compiled once, for its first codec, and each codec has an instance", async () => {
  const { compile } = WebAssembly;
  let compiled = 0;
  WebAssembly.compile = (bytes) => {
    compiled++;
    return compile(bytes);
  };
  try {
    const provider = ipsec();
    assertEquals(compiled, 0);
    const [a, b] = await Promise.all([provider.codec(), provider.codec()]);
    a.close();
    assertEquals(b.queryTemplate(new Uint8Array(), 0).length, 152);
    b.close();
    (await provider.codec()).close();
    assertEquals(compiled, 1);
  } finally {
    WebAssembly.compile = compile;
  }
});

test("a module that could not be compiled is compiled again for the next codec", async () => {
  const { compile } = WebAssembly;
  WebAssembly.compile = () => Promise.reject(new RangeError("out of memory"));
  const provider = ipsec();
  try {
    await assertRejects(() => provider.codec(), Error, "out of memory");
  } finally {
    WebAssembly.compile = compile;
  }
  (await provider.codec()).close();
});

test("codec() after close() is an error of state", async () => {
  const codec = await ipsec().codec();
  codec.close();
  codec.close();
  assertThrows(() => codec.queryTemplate(new Uint8Array(), 0), Error, "closed");
});

test("options are checked when the provider is made", () => {
  assertThrows(() => ipsec({ insecure: true } as never), TypeError, "has no option insecure");
  assertThrows(() => ipsec({ allowInsecure: 1 } as never), TypeError, "allowInsecure must be");
  assertThrows(() => ipsec({ mainModePolicy: "x" }), TypeError, "policy's key");
  assertThrows(() => ipsec({ firstPacketInClear: true }), TypeError, "allowInsecure: true");
  assertThrows(() => ipsec(null as never), TypeError, "object");
  for (const fields of [[], ["x"], ["quickModeSa", "quickModeSa"], "quickModeSa", null, [1]]) {
    assertThrows(
      () => ipsec({ abortOnAssociationChange: fields as never }),
      TypeError,
      "must be a list of mainModeSa and quickModeSa",
    );
  }
  assertThrows(
    () => ipsec({ abortOnAssociationChange: ["mainModeSa"], allowInsecure: true }),
    TypeError,
    "leave one of the two out",
  );
  const fields = ["mainModeSa"] as ("mainModeSa" | "quickModeSa")[];
  const provider = ipsec({ abortOnAssociationChange: fields });
  fields.push("quickModeSa");
  assertEquals(provider.abortOnAssociationChange, ["mainModeSa"], "the list is copied");
  assertEquals(ipsec().abortOnAssociationChange, undefined);
});
