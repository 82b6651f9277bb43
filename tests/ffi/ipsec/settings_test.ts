/** A codec's settings, held against what was asked for: whatever a hostile codec changes, nothing gets weaker. */

import { assert, assertEquals, assertThrows } from "@std/assert";
import { test } from "@test";
import fc from "fast-check";
import { ProviderTrapError } from "../../../errors.ts";
import { SOCKET_SETTINGS } from "../../../ffi/raw/fwpuclnt.ts";
import { type SettingsTerms, withSettings } from "../../../ffi/ipsec/settings.ts";
import { utf16 } from "../../support/ipsec_bytes.ts";
import { referenceSettings } from "../../support/reference_codec.ts";

const KEYS = {
  mainModePolicy: "01234567-89ab-cdef-0123-456789abcdef",
  quickModePolicy: "FEDCBA98-7654-3210-FEDC-BA9876543210",
};

interface Asked {
  readonly terms: SettingsTerms;
  readonly password: Uint8Array;
  /** What an honest codec answers. */
  readonly honest: Uint8Array;
}

function ask(given: {
  readonly encryption: boolean;
  readonly integrity: boolean;
  readonly clear: boolean;
  readonly options: SettingsTerms["given"];
  readonly username: string;
  readonly domain: string;
  readonly password: string;
}): Asked {
  const { encryption, integrity, clear, options, username, domain } = given;
  const password = utf16(given.password);
  const requirements = {
    confidentiality: encryption,
    integrity: encryption || integrity,
    mutualAuthentication: false,
    impersonation: "identify",
    delegation: false,
  } as const;
  const allowInsecure = clear && !encryption && !integrity;
  const names = { username, domain };
  const honest = referenceSettings(requirements, { ...names, passwordBytes: password.length }, {
    ...options,
    allowInsecure: clear,
  });
  return {
    terms: { encryption, allowInsecure, ...names, given: options },
    password,
    honest,
  };
}

/** What reached the system, or `null` where it was refused. */
function outcome({ terms, password }: Asked, settings: Uint8Array): Uint8Array | null {
  let reached: Uint8Array | null = null;
  try {
    withSettings(settings, password, terms, (whole) => void (reached = whole.slice()));
  } catch (error) {
    assert(error instanceof ProviderTrapError, String(error));
    assertEquals(reached, null, "a refusal comes before the system is told anything");
  }
  return reached;
}

/** Nothing but a guarantee added or a permission left out may differ from what an honest codec gives. */
function assertNoWeaker(asked: Asked, reached: Uint8Array): void {
  const expected = outcome(asked, asked.honest)!;
  const flags = (bytes: Uint8Array) => new DataView(bytes.buffer, bytes.byteOffset).getUint32(4, true);
  const [is, was] = [flags(reached), flags(expected)];
  assertEquals(is & ~(SOCKET_SETTINGS.GUARANTEE_ENCRYPTION | SOCKET_SETTINGS.ALLOW_INSECURE), 0);
  assert(!(was & SOCKET_SETTINGS.GUARANTEE_ENCRYPTION) || is & SOCKET_SETTINGS.GUARANTEE_ENCRYPTION);
  assert(!(is & SOCKET_SETTINGS.ALLOW_INSECURE) || asked.terms.allowInsecure);
  if (reached.length === 8) {
    // The short form: all else must have been the defaults.
    assert(expected.subarray(8).every((byte) => byte === 0));
    return assert(reached[0] <= 1 && reached.subarray(1, 4).every((byte) => byte === 0));
  }
  reached.fill(0, 4, 8);
  expected.fill(0, 4, 8);
  assertEquals(reached, expected);
}

const optional = fc.option(fc.boolean(), { nil: undefined });
const name = fc.string({ maxLength: 6 });
const asked = fc.record({
  encryption: fc.boolean(),
  integrity: fc.boolean(),
  clear: fc.boolean(),
  options: fc.record({
    mainModePolicy: fc.constantFrom(undefined, KEYS.mainModePolicy),
    quickModePolicy: fc.constantFrom(undefined, KEYS.quickModePolicy),
    optionalPeerName: optional,
    skipFilters: optional,
    firstPacketInClear: optional,
  }),
  username: name,
  domain: name,
  password: name,
}).map(ask);

test("what an honest codec gives is taken, with the password behind it and nothing else", () => {
  fc.assert(fc.property(asked, (asked) => {
    const whole = outcome(asked, asked.honest)!;
    assertEquals(whole.subarray(0, asked.honest.length), asked.honest);
    assertEquals(
      whole.subarray(asked.honest.length, asked.honest.length + asked.password.length),
      asked.password,
    );
    assert(whole.subarray(asked.honest.length + asked.password.length).every((byte) => byte === 0));
  }));
});

test("whichever bit a codec flips, the change is refused or makes nothing weaker", () => {
  fc.assert(
    fc.property(asked, (asked) => {
      for (let bit = 0; bit < 8 * asked.honest.length; bit++) {
        const bytes = asked.honest.slice();
        bytes[bit >> 3] ^= 1 << (bit & 7);
        const reached = outcome(asked, bytes);
        assert(reached === null || bit === 32 || bit === 33, `bit ${bit} was taken`);
        if (reached) assertNoWeaker(asked, reached);
      }
    }),
    { numRuns: 60 },
  );
});

test("whatever a codec gives instead, of whatever length, is refused or makes nothing weaker", () => {
  const byte = fc.constantFrom(0, 1, 2, 4, 8, 0x41, 0x80, 0xff);
  const change = fc.oneof(
    fc.record({ at: fc.nat(120), bytes: fc.uint8Array({ maxLength: 16 }) }).map(
      ({ at, bytes }) => (honest: Uint8Array) => {
        const copy = honest.slice();
        copy.set(bytes.subarray(0, Math.max(0, copy.length - at)), Math.min(at, copy.length));
        return copy;
      },
    ),
    fc.nat(200).map((length) => (honest: Uint8Array) => {
      const copy = new Uint8Array(length);
      copy.set(honest.subarray(0, length));
      return copy;
    }),
    fc.array(byte, { minLength: 8, maxLength: 8 }).map((bytes) => () => Uint8Array.from(bytes)),
    // The lengths of the strings, moved against each other.
    fc.tuple(fc.nat(40), fc.nat(40), fc.nat(40)).map((lengths) => (honest: Uint8Array) => {
      const copy = honest.slice();
      lengths.forEach((length, index) => new DataView(copy.buffer).setUint32(72 + 4 * index, length, true));
      return copy;
    }),
  );
  fc.assert(
    fc.property(asked, change, (asked, change) => {
      const reached = outcome(asked, change(asked.honest));
      if (reached) assertNoWeaker(asked, reached);
    }),
    { numRuns: 3000 },
  );
});

test("what is checked is what the system gets, and it is zeroed when the system has had it", () => {
  const asked = ask({
    encryption: true,
    integrity: true,
    clear: false,
    options: {},
    username: "u",
    domain: "",
    password: "secret",
  });
  let kept = new Uint8Array();
  withSettings(asked.honest, asked.password, asked.terms, (whole) => {
    asked.honest[8] = 2;
    assertEquals(whole[8], 0);
    kept = whole as Uint8Array<ArrayBuffer>;
  });
  assert(kept.length > 0 && kept.every((byte) => byte === 0));
});

test("a refusal says which field is another, and shows nothing of it", () => {
  const asked = ask({
    encryption: true,
    integrity: true,
    clear: false,
    options: KEYS,
    username: "alice",
    domain: "SIM",
    password: "secret",
  });
  for (
    const [at, field] of [
      [0, "SecurityProtocol"],
      [8, "IpsecFlags"],
      [12, "AuthipMMPolicyKey"],
      [28, "AuthipQMPolicyKey"],
      [44, "Reserved"],
      [60, "Reserved"],
      [64, "Reserved2"],
      [72, "UserNameStringLen"],
      [76, "DomainNameStringLen"],
      [80, "PasswordStringLen"],
      [84, "AllStrings"],
    ] as const
  ) {
    const bytes = asked.honest.slice();
    bytes[at] ^= 0x10;
    const refused = () => withSettings(bytes, asked.password, asked.terms, () => assert(false));
    assertThrows(refused, ProviderTrapError, `they have another ${field} than was asked for. Report`);
  }
});
