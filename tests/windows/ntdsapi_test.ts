/**
 * Windows' own service principal names against `Spn`'s.
 */

import { assertEquals } from "@std/assert";
import fc from "fast-check";
import type { Library } from "../../ffi/abi.ts";
import { memoryOf, pinned, wideString } from "../../ffi/memory/memory.ts";
import { DS_SPN, NTDSAPI } from "../../ffi/raw/ntdsapi.ts";
import { UCRTBASE } from "../../ffi/raw/ucrtbase.ts";
import { Spn, type SpnComponents } from "../../spn.ts";
import { openLibrary } from "./support/libraries.ts";
import { declareTests, onWindows, windowsTest } from "./support/on_windows.ts";
import { stubAnswer } from "./support/stubs.ts";

const ERROR_BUFFER_OVERFLOW = 111;

/** Parts that both sides take for one: letters, digits, dots and hyphens, with a letter in front. */
const word = fc.stringMatching(/^[A-Za-z][A-Za-z0-9-]{0,14}$/);
const host = fc.array(word, { minLength: 2, maxLength: 4 }).map((labels) => labels.join("."));
const port = fc.integer({ min: 1, max: 65535 });

const u32 = (value = 0) => new Uint8Array(Uint32Array.of(value).buffer);
const read = (bytes: Uint8Array) => new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
const text = (units: Uint8Array, length: number) =>
  new TextDecoder("utf-16le").decode(units.subarray(0, 2 * (length - 1)));
const wide = (value: string | undefined) => value === undefined ? null : wideString(value);

function withNtdsapi(body: (call: Library<typeof NTDSAPI>["call"]) => void): void {
  const library = openLibrary(NTDSAPI);
  try {
    body(library.call);
  } finally {
    library.close();
  }
}

function make(
  call: Library<typeof NTDSAPI>["call"],
  { serviceClass, serviceName, instanceName, instancePort = 0, referrer }: SpnComponents,
): string {
  const length = u32();
  const ask = (room: Uint8Array | null) =>
    call.DsMakeSpnW(
      wide(serviceClass),
      wide(serviceName),
      wide(instanceName),
      instancePort,
      wide(referrer),
      length,
      room,
    );
  assertEquals(ask(null), ERROR_BUFFER_OVERFLOW);
  const room = pinned(2 * read(length));
  assertEquals(ask(room), 0);
  return text(room, read(length));
}

const components: fc.Arbitrary<SpnComponents> = fc.record({
  serviceClass: word,
  serviceName: host,
  instanceName: host,
  instancePort: fc.oneof(port, fc.constant(0)),
  referrer: host,
}, { requiredKeys: ["serviceClass", "serviceName"] });

await windowsTest("DsMakeSpnW makes the same name as Spn.compose()", () => {
  withNtdsapi((call) => {
    fc.assert(fc.property(components, (given) => {
      assertEquals(make(call, given), Spn.compose(given).toString());
    }));
  });
});

await windowsTest("DsMakeSpnW makes the same name of an address as Spn.compose()", () => {
  withNtdsapi((call) => {
    const given = { serviceClass: "ldap", serviceName: "192.0.2.7", instancePort: 389 };
    assertEquals(make(call, given), Spn.compose(given).toString());
  });
});

await windowsTest("DsMakeSpnW makes the same name of an address and a referrer as Spn.compose()", () => {
  withNtdsapi((call) => {
    const referrer = "dc1.example.test";
    const given = { serviceClass: "ldap", serviceName: "192.0.2.7", instancePort: 389, referrer };
    const [theirs, ours] = [make(call, given), Spn.compose(given).toString()];
    // Wine leaves the referrer out, where the function's page has it.
    if (theirs !== ours) throw new Error(`DsMakeSpnW answers ${theirs} and not ${ours}`);
  });
}, { wineAnswers: "DsMakeSpnW answers ldap/192.0.2.7:389 and not" });

const crack = onWindows ? stubAnswer("ntdsapi.dll", "DsCrackSpnW", 8) : null;

await windowsTest("DsCrackSpnW reads the same components as crack()", () => {
  withNtdsapi((call) => {
    fc.assert(fc.property(components, (given) => {
      const ours = Spn.compose(given);
      const lengths = [u32(256), u32(256), u32(256)];
      const parts = lengths.map(() => pinned(512));
      const gotPort = pinned(2);
      const code = call.DsCrackSpnW(
        wideString(ours.toString()),
        lengths[0],
        parts[0],
        lengths[1],
        parts[1],
        lengths[2],
        parts[2],
        gotPort,
      );
      assertEquals(code, 0);
      const [serviceClass, serviceName, instanceName] = parts.map((part, index) =>
        text(part, read(lengths[index]))
      );
      const instancePort = new DataView(gotPort.buffer).getUint16(0, true);
      assertEquals(ours.crack(), { serviceClass, serviceName, instanceName, instancePort });
    }));
  });
}, { skip: crack });

/** The names that DsGetSpnW makes for this computer. */
function generate(type: number, serviceName: string | undefined, instancePort: number): string[] {
  const ucrtbase = openLibrary(UCRTBASE);
  const memory = memoryOf(ucrtbase.call as unknown as Parameters<typeof memoryOf>[0]);
  const names: string[] = [];
  try {
    withNtdsapi((call) => {
      const count = u32();
      const array = pinned(8);
      const { DsGetSpnW } = call;
      const service = wide(serviceName);
      const code = DsGetSpnW(type, wideString("HTTP"), service, instancePort, 0, null, null, count, array);
      if (code !== 0) throw new Error(`DsGetSpnW answers ${code}`);
      const address = new DataView(array.buffer).getBigUint64(0, true);
      for (let index = 0; index < read(count); index++) {
        const pointer = new DataView(memory.read(address + BigInt(index * 8), 8).buffer as ArrayBuffer);
        names.push(memory.wideString(pointer.getBigUint64(0, true)));
      }
      call.DsFreeSpnArrayW(read(count), address);
    });
  } finally {
    ucrtbase.close();
  }
  return names;
}

const generation = onWindows ? stubAnswer("ntdsapi.dll", "DsGetSpnW", 9) : null;
/** `DN_HOST` needs the account of a computer in a domain. */
const TYPES = [
  "DS_SPN_DNS_HOST",
  "DS_SPN_NB_HOST",
  "DS_SPN_DOMAIN",
  "DS_SPN_NB_DOMAIN",
  "DS_SPN_SERVICE",
] as const;

for (const type of TYPES) {
  await windowsTest(`DsGetSpnW makes the same name for ${type} as Spn.generate()`, () => {
    const serviceName = type.endsWith("HOST") ? undefined : "example.test";
    const key = type.replace("DS_SPN_", "") as keyof typeof DS_SPN;
    const names = generate(DS_SPN[key], serviceName, 8080);
    assertEquals(names.length, 1);
    // The host is the system's to know: the rest is compared.
    const { instanceName } = Spn.parse(names[0]);
    const options = {
      serviceClass: "HTTP",
      instancePort: 8080,
      host: { dnsName: instanceName, netbiosName: instanceName },
    };
    assertEquals(
      names,
      Spn.generate(type, serviceName === undefined ? options : { ...options, serviceName }).map(String),
    );
  }, { skip: generation });
}

declareTests();
