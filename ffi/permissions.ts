/**
 * Grants: what a `System` may do, which libraries each grant opens, and the command-line flags that allow it.
 *
 * @module
 */

import { PermissionError, UnsupportedPlatformError } from "../errors.ts";
import type { LibraryOs, LibrarySpec } from "./abi.ts";
import { ADVAPI32 } from "./raw/advapi32.ts";
import { FWPUCLNT } from "./raw/fwpuclnt.ts";
import { GSSAPI } from "./raw/gssapi.ts";
import { KERNEL32 } from "./raw/kernel32.ts";
import { LIBCRYPTO } from "./raw/libcrypto.ts";
import { MSWSOCK } from "./raw/mswsock.ts";
import { NTDSAPI } from "./raw/ntdsapi.ts";
import { NTDLL } from "./raw/ntdll.ts";
import { OLEAUT32 } from "./raw/oleaut32.ts";
import { SECUR32 } from "./raw/secur32.ts";
import { UCRTBASE } from "./raw/ucrtbase.ts";
import { WS2_32 } from "./raw/ws2_32.ts";

/** What a `System` may be used for. */
export type Grant =
  | "sockets"
  | "ipsec"
  | "ipsec.policy"
  | "sspi"
  | "impersonation"
  | "directory";

/** Where libraries are looked for. */
export interface Platform {
  /** The operating system. */
  readonly os: "windows" | "linux" | "darwin" | "other";
  /** The processor, as Rust and GNU spell it: `x86_64`, `aarch64`. */
  readonly arch: string;
  /** The Windows system directory. */
  readonly systemDirectory: string;
}

/** The libraries that overlapped sockets on a completion port need. */
const WINSOCK: readonly LibrarySpec[] = [WS2_32, MSWSOCK, KERNEL32, NTDLL, OLEAUT32, UCRTBASE];

/**
 * The libraries each grant opens, by operating system; an operating system that is left out does not support the
 * grant.
 */
export const GRANT_LIBRARIES: {
  readonly [G in Grant]: { readonly [os in LibraryOs]?: readonly LibrarySpec[] };
} = {
  "sockets": { windows: WINSOCK, linux: [], darwin: [] },
  "ipsec": { windows: [...WINSOCK, FWPUCLNT] },
  "ipsec.policy": { windows: [FWPUCLNT, UCRTBASE] },
  "sspi": { windows: [SECUR32, UCRTBASE], linux: [GSSAPI], darwin: [GSSAPI] },
  "impersonation": { windows: [ADVAPI32, KERNEL32, UCRTBASE] },
  "directory": { windows: [NTDSAPI, UCRTBASE] },
};

/** A library that a grant can do without. */
interface OptionalLibrary {
  readonly spec: LibrarySpec;
  readonly gives: string;
}

const RECORDS: readonly OptionalLibrary[] = [{
  spec: LIBCRYPTO,
  gives: "records of Kerberos by the processor's AES and SHA instructions, several times as fast",
}];

/** The libraries that a grant also opens where it can, by operating system. */
const OPTIONAL_LIBRARIES: {
  readonly [G in Grant]?: { readonly [os in LibraryOs]?: readonly OptionalLibrary[] };
} = {
  "sspi": { linux: RECORDS, darwin: RECORDS },
};

/** Every grant, in the order of the design. */
export const GRANTS: readonly Grant[] = Object.keys(GRANT_LIBRARIES) as Grant[];

/** Returns the absolute paths to try for a library, in order. */
export function candidatePaths(spec: LibrarySpec, platform: Platform): string[] {
  const files = platform.os === "other" ? [] : spec.files[platform.os] ?? [];
  if (platform.os === "windows") return files.map((file) => `${platform.systemDirectory}\\${file}`);
  const triplet = platform.os === "linux" ? `${platform.arch}-linux-gnu` : platform.arch;
  return files.map((file) => file.replace("{multiarch}", triplet));
}

/** The flags that allow what the grants need. */
export interface RequiredPermissions {
  /** The files Deno must be allowed to open. */
  readonly files: readonly string[];
  /** The flags for Deno; empty where none is needed. */
  readonly deno: string;
  /**
   * The flags for Node when it runs with `--permission`: for this version of Node, or on another runtime for versions
   * before 25.
   */
  readonly node: string;
  /** Files without which everything works, and what each buys. */
  readonly optional: readonly OptionalFiles[];
}

/** The files of a library that a grant can do without. */
export interface OptionalFiles {
  /** The files Deno may be allowed to open. */
  readonly files: readonly string[];
  /** The flag for Deno, with these files and the required ones. */
  readonly deno: string;
  /** What the library gives. */
  readonly gives: string;
}

/**
 * Returns the flags that allow what `grants` need on `platform`.
 *
 * @param limitsNet whether this Node's `--permission` covers the network.
 * @throws UnsupportedPlatformError where the operating system does not support a grant.
 */
export function requiredPermissions(
  grants: readonly Grant[],
  platform: Platform,
  limitsNet: boolean = nodeLimitsNet(),
): RequiredPermissions {
  const files = new Set<string>();
  for (const grant of grants) {
    for (const spec of librariesOf(grant, platform)) {
      for (const path of candidatePaths(spec, platform)) files.add(path);
    }
  }
  const list = [...files];
  const optional = platform.os === "other"
    ? []
    : grants.flatMap((grant) => OPTIONAL_LIBRARIES[grant]?.[platform.os as LibraryOs] ?? []);
  return {
    files: list,
    deno: denoFlag(list),
    node: [
      ...(list.length === 0 ? [] : [NODE_FLAGS]),
      ...(limitsNet && grants.some(usesNetOnNode) ? [NODE_NET_FLAG] : []),
    ].join(" "),
    optional: optional.map(({ spec, gives }) => {
      const more = candidatePaths(spec, platform);
      return { files: more, deno: denoFlag([...list, ...more]), gives };
    }),
  };
}

/** The flag that allows Node to connect and listen where its `--permission` covers the network: from Node 25 on. */
export const NODE_NET_FLAG = "--allow-net";

/** Whether connections of a grant use Node's own sockets. */
export function usesNetOnNode(grant: string): boolean {
  return grant === "sockets" || grant === "sspi";
}

/** Whether this Node knows {@linkcode NODE_NET_FLAG}. A Node does not start with a flag that it does not know. */
function nodeLimitsNet(): boolean {
  const { process } = globalThis as { process?: { allowedNodeEnvironmentFlags?: ReadonlySet<string> } };
  return currentRuntime() === "node" && (process?.allowedNodeEnvironmentFlags?.has(NODE_NET_FLAG) ?? false);
}

/** What Node needs to load the koffi add-on when it runs with `--permission`. */
const NODE_FLAGS = "--allow-addons --allow-fs-read=<the application's node_modules folder>";

/** The flag that allows Deno to open these files. */
function denoFlag(files: readonly string[]): string {
  return files.length === 0 ? "" : `--allow-ffi=${files.join(",")}`;
}

const SIMULATED = "Use Windows; to try a program out, use simulate() of ./testing";
/** What to do where an operating system does not support a grant; left out: use Windows. */
const INSTEAD: { readonly [grant in Grant]?: string } = {
  "sspi": "Use Windows, Linux or macOS",
  "ipsec": SIMULATED,
  "ipsec.policy": SIMULATED,
  "directory": "Use registerSpns() of ./directory, which works over LDAP",
};

/**
 * Returns the libraries that a grant opens here.
 *
 * @throws UnsupportedPlatformError where the operating system does not support it.
 */
export function librariesOf(grant: Grant, platform: Platform): readonly LibrarySpec[] {
  const libraries = platform.os === "other" ? undefined : GRANT_LIBRARIES[grant][platform.os];
  if (libraries === undefined) {
    throw new UnsupportedPlatformError(`The grant "${grant}" is not supported on ${platform.os}`, {
      instead: INSTEAD[grant] ?? "Use Windows",
    });
  }
  return libraries;
}

/** Returns the error for a system that was opened without a grant. */
export function notGranted(grant: Grant): PermissionError {
  const flag = `openSystem({ grants: ["${grant}"] })`;
  return new PermissionError(
    grant,
    flag,
    `This system was opened without the grant "${grant}". Open it with ${flag}`,
  );
}

/**
 * Returns the error for a runtime without permission to open any of `denied`. Its flag covers every file that the
 * grant opens, so that one change of the command line is sufficient.
 */
export function notPermitted(
  grant: Grant,
  runtime: "deno" | "node",
  platform: Platform,
  denied: readonly string[],
  cause?: unknown,
): PermissionError {
  const flag = requiredPermissions([grant], platform)[runtime];
  return new PermissionError(
    grant,
    flag,
    `The grant "${grant}" opens ${
      denied.join(" or ")
    }, for which this process has no permission. Run it with ${flag}`,
    { cause },
  );
}

/**
 * Checks a list of grants.
 *
 * @throws TypeError where it is not an array or contains an unknown grant.
 */
export function checkGrants(grants: unknown): readonly Grant[] {
  if (!Array.isArray(grants)) {
    throw new TypeError(
      `grants must be an array of ${GRANTS.join(", ")}; [] opens a system that can do nothing`,
    );
  }
  for (const grant of grants) {
    if (!GRANTS.includes(grant)) {
      throw new TypeError(`Unknown grant ${JSON.stringify(grant)}; use ${GRANTS.join(", ")}`);
    }
  }
  return Object.freeze([...new Set(grants)]) as readonly Grant[];
}

interface Globals {
  Deno?: { build: { os: string; arch: string } };
  process?: { platform: string; arch: string };
}

const OS: { readonly [name: string]: Platform["os"] } = {
  windows: "windows",
  win32: "windows",
  linux: "linux",
  darwin: "darwin",
};

const ARCH: { readonly [name: string]: string } = { x64: "x86_64", arm64: "aarch64" };

/** Returns the runtime that loaded this module. */
export function currentRuntime(): "deno" | "node" {
  return (globalThis as Globals).Deno === undefined ? "node" : "deno";
}

/** Returns where libraries are looked for on this machine. */
export function currentPlatform(systemDirectory: string): Platform {
  const { Deno, process } = globalThis as Globals;
  const os = Deno?.build.os ?? process?.platform ?? "other";
  const arch = Deno?.build.arch ?? process?.arch ?? "";
  return { os: OS[os] ?? "other", arch: ARCH[arch] ?? arch, systemDirectory };
}
