/**
 * Windows' own service principal names against `Spn`.
 */

import { assertEquals, assertNotEquals } from "@std/assert";
import fc from "fast-check";
import type { Library, LibrarySpec } from "../../ffi/abi.ts";
import { memoryOf, pinned, wideString } from "../../ffi/memory/memory.ts";
import { UCRTBASE } from "../../ffi/raw/ucrtbase.ts";
import { Spn } from "../../spn.ts";
import { openLibrary } from "./support/libraries.ts";
import { declareTests, onWindows, windowsTest } from "./support/on_windows.ts";
import { stubAnswer } from "./support/stubs.ts";

const NTDSAPI = {
  name: "ntdsapi.dll",
  instead: "It is part of Windows",
  files: { windows: ["ntdsapi.dll"] },
  fns: {
    DsMakeSpnW: {
      params: [
        ["ServiceClass", "buf"],
        ["ServiceName", "buf"],
        ["InstanceName", "buf"],
        ["InstancePort", "u32"],
        ["Referrer", "buf"],
        ["pcSpnLength", "buf"],
        ["pszSpn", "buf"],
      ],
      result: "u32",
    },
    DsCrackSpnW: {
      params: [
        ["pszSpn", "buf"],
        ["pcServiceClass", "buf"],
        ["ServiceClass", "buf"],
        ["pcServiceName", "buf"],
        ["ServiceName", "buf"],
        ["pcInstanceName", "buf"],
        ["InstanceName", "buf"],
        ["pInstancePort", "buf"],
      ],
      result: "u32",
      optional: true,
    },
    DsGetSpnW: {
      params: [
        ["ServiceType", "i32"],
        ["ServiceClass", "buf"],
        ["ServiceName", "buf"],
        ["InstancePort", "u32"],
        ["cInstanceNames", "u32"],
        ["pInstanceNames", "buf"],
        ["pInstancePorts", "buf"],
        ["pcSpn", "buf"],
        ["prpszSPN", "buf"],
      ],
      result: "u32",
      optional: true,
    },
    DsFreeSpnArrayW: { params: [["cSpn", "u32"], ["rpszSpn", "usize"]], result: "void", optional: true },
  },
} as const satisfies LibrarySpec;

const ERROR_BUFFER_OVERFLOW = 111;
const DS_SPN_DNS_HOST = 0;

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
  serviceClass: string,
  serviceName: string,
  instanceName: string | undefined,
  instancePort: number,
): string {
  const length = u32();
  const ask = (room: Uint8Array | null) =>
    call.DsMakeSpnW(
      wide(serviceClass),
      wide(serviceName),
      wide(instanceName),
      instancePort,
      null,
      length,
      room,
    );
  assertEquals(ask(null), ERROR_BUFFER_OVERFLOW);
  const room = pinned(2 * read(length));
  assertEquals(ask(room), 0);
  return text(room, read(length));
}

await windowsTest("DsMakeSpnW makes the same name of a host and a port as Spn", () => {
  withNtdsapi((call) => {
    fc.assert(
      fc.property(word, host, fc.option(port, { nil: undefined }), (serviceClass, instanceName, port) => {
        const ours = Spn.make({ serviceClass, instanceName, ...(port === undefined ? {} : { port }) });
        assertEquals(make(call, serviceClass, instanceName, undefined, port ?? 0), ours.toString());
      }),
    );
  });
});

await windowsTest("DsMakeSpnW makes the same name of a replicated service as Spn", () => {
  withNtdsapi((call) => {
    fc.assert(
      fc.property(
        word,
        host,
        host,
        fc.option(port, { nil: undefined }),
        (serviceClass, instanceName, serviceName, port) => {
          const ours = Spn.make({
            serviceClass,
            instanceName,
            serviceName,
            ...(port === undefined ? {} : { port }),
          });
          assertEquals(make(call, serviceClass, serviceName, instanceName, port ?? 0), ours.toString());
        },
      ),
    );
  });
});

const crack = onWindows ? stubAnswer("ntdsapi.dll", "DsCrackSpnW", 8) : null;

await windowsTest("DsCrackSpnW reads the same parts of a name as Spn", () => {
  withNtdsapi((call) => {
    fc.assert(
      fc.property(word, host, fc.option(host, { nil: undefined }), fc.option(port, { nil: undefined }), (
        serviceClass,
        instanceName,
        serviceName,
        port,
      ) => {
        const ours = Spn.make({
          serviceClass,
          instanceName,
          ...(serviceName === undefined ? {} : { serviceName }),
          ...(port === undefined ? {} : { port }),
        });
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
        const [theirClass, theirService, theirInstance] = parts.map((part, index) =>
          text(part, read(lengths[index]))
        );
        const parsed = Spn.parse(ours.toString());
        assertEquals([theirClass, theirInstance], [parsed.serviceClass, parsed.instanceName]);
        assertEquals(theirService, parsed.serviceName ?? parsed.instanceName);
        assertEquals(new DataView(gotPort.buffer).getUint16(0, true), parsed.port ?? 0);
      }),
    );
  });
}, { skip: crack });

await windowsTest("DsGetSpnW returns names that Spn parses and writes unchanged", () => {
  const ucrtbase = openLibrary(UCRTBASE);
  const memory = memoryOf(ucrtbase.call as unknown as Parameters<typeof memoryOf>[0]);
  try {
    withNtdsapi((call) => {
      const count = u32();
      const array = pinned(8);
      const code = call.DsGetSpnW(
        DS_SPN_DNS_HOST,
        wideString("HTTP"),
        null,
        8080,
        0,
        null,
        null,
        count,
        array,
      );
      if (code !== 0) throw new Error(`DsGetSpnW answers ${code}`);
      const address = new DataView(array.buffer).getBigUint64(0, true);
      const names = Array.from({ length: read(count) }, (_, index) => {
        const pointer = new DataView(memory.read(address + BigInt(index * 8), 8).buffer as ArrayBuffer);
        return memory.wideString(pointer.getBigUint64(0, true));
      });
      call.DsFreeSpnArrayW(read(count), address);
      assertNotEquals(names.length, 0);
      for (const name of names) {
        assertEquals(Spn.parse(name).toString(), name);
        assertEquals([Spn.parse(name).serviceClass, Spn.parse(name).port], ["HTTP", 8080]);
      }
    });
  } finally {
    ucrtbase.close();
  }
}, {
  skip: onWindows ? stubAnswer("ntdsapi.dll", "DsGetSpnW", 9) : null,
});

declareTests();
