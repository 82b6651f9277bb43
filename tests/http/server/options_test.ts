/** The options of httpSignOn(): each wrong one is refused before anything is opened, and the error says what is right. */

import { assertEquals, assertRejects } from "@std/assert";
import { test } from "@test";
import { httpSignOn, type HttpSignOnOptions } from "../../../http/mod.ts";
import { readOptions } from "../../../http/server/options.ts";
import { certificatesUnavailable, makeCertificate } from "../../rig/certificates.ts";

const skip = certificatesUnavailable();

/** A certificate as PEM text and as DER. */
async function certificate(): Promise<{ readonly pem: string; readonly der: Uint8Array }> {
  const { cert } = await makeCertificate();
  const base64 = cert.replace(/-----[A-Z ]+-----|\s/g, "");
  return { pem: cert, der: Uint8Array.from(atob(base64), (unit) => unit.charCodeAt(0)) };
}

test("httpSignOn() refuses wrong options by name", async () => {
  const wrong: [unknown, string][] = [
    [null, "options must be an object"],
    [{ persist: true }, "options.persist is not known"],
    [{ acceptedTargets: [] }, "options.acceptedTargets"],
    [{ acceptedTargets: ["HTTP/*"] }, "is not a wildcard"],
    [{ allowedOrigins: ["*"] }, "options.allowedOrigins[0]"],
    [{ acceptDelegation: 1 }, "options.acceptDelegation must be true or false"],
    [{ maxTokenBytes: 10 }, "options.maxTokenBytes"],
    [{ maxTokenBytes: 70_000 }, "options.maxTokenBytes"],
    [{ maxPending: 0 }, "options.maxPending"],
    [{ exchangeTimeoutMs: 0 }, "options.exchangeTimeoutMs"],
    [{ onRefused: "log" }, "options.onRefused"],
    [{ requirements: null }, "options.requirements"],
    [{ channelBindings: {} }, "options.channelBindings.certificate must be PEM text"],
    [{ channelBindings: { certificate: "text" } }, "BEGIN CERTIFICATE"],
    [{ channelBindings: { certificate: new Uint8Array(9) } }, "options.channelBindings.certificate:"],
    [{ channelBindings: { certificate: () => 5 } }, "options.channelBindings.certificate must be PEM text"],
    [
      { channelBindings: { certificate: "", policy: "sometimes" } },
      "options.channelBindings.policy must be one of",
    ],
  ];
  for (const [options, message] of wrong) {
    const error = await assertRejects(() => httpSignOn(options as HttpSignOnOptions), Error, message);
    assertEquals(["TypeError", "RangeError"].includes(error.name), true, `${error}`);
  }
});

test(
  "channelBindings.certificate may be PEM text, its bytes, DER, or a function that returns the current one",
  async () => {
    const { pem, der } = await certificate();
    const bytes = new TextEncoder().encode(`subject=web\n${pem}`);
    let current: string | Uint8Array = der;
    const bindings = async (certificate: string | Uint8Array | (() => string | Uint8Array)) =>
      new TextDecoder("latin1").decode(
        await readOptions({ channelBindings: { certificate } }).channelBindings!.current(),
      );
    const expected = await bindings(der);
    assertEquals(expected.startsWith("tls-server-end-point:"), true);
    assertEquals([await bindings(pem), await bindings(bytes), await bindings(() => current)], [
      expected,
      expected,
      expected,
    ]);
    const { channelBindings } = readOptions({ channelBindings: { certificate: () => current } });
    const before = await channelBindings!.current();
    assertEquals(await channelBindings!.current() === before, true);
    const renewed = der.slice();
    renewed[renewed.length - 1] ^= 1;
    current = renewed;
    assertEquals(new TextDecoder("latin1").decode(await channelBindings!.current()) === expected, false);
    // One that cannot be read is refused each time: the bindings of the one before are not its own.
    current = "not a certificate";
    for (let time = 0; time < 2; time++) {
      await assertRejects(async () => await channelBindings!.current(), TypeError, "BEGIN CERTIFICATE");
    }
  },
  { skip },
);
