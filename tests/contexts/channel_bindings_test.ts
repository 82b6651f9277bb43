/** Channel bindings of a certificate, compared with OpenSSL's; and values that are not certificates. */

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { test } from "@test";
import fc from "fast-check";
import { Buffer } from "node:buffer";
import { execFileSync, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { bindingBytes, checkBindings } from "../../contexts/channel_bindings.ts";

const PREFIX = "tls-server-end-point:";
const noOpenssl = spawnSync("openssl", ["version"]).status === 0 ? null : "openssl is not installed";

/** A self-signed certificate in DER, made by OpenSSL. */
function certificate(...args: string[]): Uint8Array {
  const folder = mkdtempSync(join(tmpdir(), "bindings-"));
  try {
    const out = join(folder, "cert.der");
    execFileSync("openssl", [
      ...["req", "-x509", "-nodes", "-days", "2", "-subj", "/CN=web.example.test", "-outform", "DER"],
      ...["-keyout", join(folder, "key.pem"), "-out", out],
      ...args,
    ], { stdio: ["ignore", "ignore", "pipe"] });
    return new Uint8Array(readFileSync(out));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const RSA = ["-newkey", "rsa:2048"];
const EC = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"];
const PSS = ["-newkey", "rsa:2048", "-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:digest"];
const CASES: readonly (readonly [name: string, args: readonly string[], hash: string])[] = [
  ["RSA with SHA-1, which becomes SHA-256", [...RSA, "-sha1"], "sha256"],
  ["RSA with SHA-256", [...RSA, "-sha256"], "sha256"],
  ["RSA with SHA-384", [...RSA, "-sha384"], "sha384"],
  ["RSA with SHA-512", [...RSA, "-sha512"], "sha512"],
  ["ECDSA with SHA-256", [...EC, "-sha256"], "sha256"],
  ["ECDSA with SHA-384", [...EC, "-sha384"], "sha384"],
  ["RSA-PSS with SHA-1, its default", [...PSS, "-sha1"], "sha256"],
  ["RSA-PSS with SHA-256", [...PSS, "-sha256"], "sha256"],
  ["RSA-PSS with SHA-512", [...PSS, "-sha512"], "sha512"],
];

for (const [name, args, hash] of CASES) {
  test(`bindingBytes() returns the tls-server-end-point of a certificate signed by ${name}`, async () => {
    const der = certificate(...args);
    const bytes = await bindingBytes(checkBindings({ type: "tls-server-end-point", certificate: der }, "x"));
    const expected = Buffer.concat([Buffer.from(PREFIX), createHash(hash).update(der).digest()]);
    assertEquals(Buffer.from(bytes).toString("hex"), expected.toString("hex"));
  }, { skip: noOpenssl });
}

test(
  "bindingBytes() refuses a certificate signed by Ed25519, which has no tls-server-end-point, and says so",
  () => {
    const der = certificate("-newkey", "ed25519");
    assertThrows(
      () => checkBindings({ type: "tls-server-end-point", certificate: der }, "options.channelBindings"),
      TypeError,
      "Ed25519",
    );
  },
  { skip: noOpenssl },
);

test(
  "bindingBytes() of a certificate cut at any byte, or with one byte changed, returns bindings or a " +
    "TypeError, and ends",
  async () => {
    const der = certificate(...EC, "-sha256");
    for (let length = 0; length < der.length; length++) {
      assertThrows(
        () => checkBindings({ type: "tls-server-end-point", certificate: der.slice(0, length) }, "x"),
        TypeError,
      );
    }
    await fc.assert(
      fc.asyncProperty(fc.nat(der.length - 1), fc.integer({ min: 1, max: 255 }), async (at, bits) => {
        const changed = der.slice();
        changed[at] ^= bits;
        try {
          const bytes = await bindingBytes({ type: "tls-server-end-point", certificate: changed });
          assert(bytes.length > PREFIX.length);
        } catch (error) {
          assert(error instanceof TypeError, String(error));
        }
      }),
    );
  },
  { skip: noOpenssl },
);

test("bindingBytes() of bytes that are not a certificate is a TypeError", async () => {
  await fc.assert(fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), async (certificate) => {
    await assertRejects(() => bindingBytes({ type: "tls-server-end-point", certificate }), TypeError);
  }));
});

test("bindingBytes() copies application data unchanged, and refuses anything else by the argument's name", async () => {
  const given = Uint8Array.of(1, 2, 3);
  const checked = checkBindings(given, "x") as Uint8Array;
  given[0] = 9;
  assertEquals([...await bindingBytes(checked)], [1, 2, 3]);
  for (
    const wrong of [null, undefined, "text", new Uint8Array(), {}, { type: "tls-unique" }, [1], 5, {
      type: "tls-server-end-point",
      certificate: "-----BEGIN CERTIFICATE-----",
    }]
  ) {
    assertThrows(() => checkBindings(wrong, "options.channelBindings"), TypeError, "options.channelBindings");
  }
});
