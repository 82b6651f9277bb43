/**
 * Certificates of `localhost`, or of another host, for servers of tests, each signed by itself.
 *
 * @module
 */

import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findProgram, mustRun } from "../../scripts/process.ts";

/** A private key and its certificate, both in PEM. */
export interface Certificate {
  /** The private key. */
  readonly key: string;
  /** The certificate, which is its own authority. */
  readonly cert: string;
}

/** Why no certificate can be made here; null where one can. */
export function certificatesUnavailable(): string | null {
  return findProgram("openssl") === null ? "certificates need openssl: install openssl" : null;
}

/** Makes a certificate; `ed25519` has no tls-server-end-point. */
export async function makeCertificate(
  kind: "rsa" | "ed25519" = "rsa",
  hostname = "localhost",
): Promise<Certificate> {
  const dir = mkdtempSync(join(tmpdir(), "secure-sockets-certificate-"));
  const [key, cert] = [join(dir, "key.pem"), join(dir, "cert.pem")];
  try {
    await mustRun(findProgram("openssl")!, [
      ...["req", "-x509", "-nodes", "-days", "2", "-subj", `/CN=${hostname}`, "-keyout", key, "-out", cert],
      ...["-newkey", kind === "rsa" ? "rsa:2048" : kind],
      ...["-addext", `subjectAltName=DNS:${hostname},IP:127.0.0.1`],
    ]);
    return { key: readFileSync(key, "utf8"), cert: readFileSync(cert, "utf8") };
  } finally {
    rmSync(dir, { recursive: true });
  }
}
