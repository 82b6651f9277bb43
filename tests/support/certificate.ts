/** A server's certificate for tests: self-signed, for `localhost`, made by OpenSSL. */

import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Why none can be made here; `null` where it can. */
export const noOpenssl: string | null = spawnSync("openssl", ["version"]).status === 0
  ? null
  : "openssl is not installed";

/** A certificate and its key. */
export interface TestCertificate extends Disposable {
  /** The certificate, as PEM text. */
  readonly cert: string;
  /** Its private key, as PEM text. */
  readonly key: string;
  /** The path of the certificate, until this is disposed. */
  readonly file: string;
}

/** Makes a certificate. */
export function makeCertificate(): TestCertificate {
  const folder = mkdtempSync(join(tmpdir(), "secure-sockets-certificate-"));
  const [file, keyFile] = ["cert.pem", "key.pem"].map((name) => join(folder, name));
  execFileSync("openssl", [
    ...["req", "-x509", "-nodes", "-days", "2", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"],
    ...["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"],
    ...["-keyout", keyFile, "-out", file],
  ], { stdio: ["ignore", "ignore", "pipe"] });
  return {
    cert: readFileSync(file, "utf8"),
    key: readFileSync(keyFile, "utf8"),
    file,
    [Symbol.dispose]: () => rmSync(folder, { recursive: true }),
  };
}
