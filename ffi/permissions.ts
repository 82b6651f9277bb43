/**
 * Grants: what a `System` may do, which libraries that opens, and the command-line flags that allow it.
 *
 * @module
 */

import { PermissionError, UnsupportedPlatformError } from "../errors.ts";
import type { LibraryOs, LibrarySpec } from "./abi.ts";
import { ADVAPI32 } from "./raw/advapi32.ts";
import { FWPUCLNT } from "./raw/fwpuclnt.ts";
import { GSSAPI } from "./raw/gssapi.ts";
import { KERNEL32 } from "./raw/kernel32.ts";
import { MSWSOCK } from "./raw/mswsock.ts";
import { NTDLL } from "./raw/ntdll.ts";
import { OLEAUT32 } from "./raw/oleaut32.ts";
import { SECUR32 } from "./raw/secur32.ts";
import { UCRTBASE } from "./raw/ucrtbase.ts";
import { WS2_32 } from "./raw/ws2_32.ts";

/** Something a `System` may be opened for. */
export type Grant =
  | "sockets"
  | "ipsec"
  | "ipsec.policy"
  | "sspi"
  | "impersonation";

/** Where libraries are looked for. */
export interface Place {
  /** The operating system. */
  readonly os: "windows" | "linux" | "darwin" | "other";
  /** The processor, as Rust and GNU spell it: `x86_64`, `aarch64`. */
  readonly arch: string;
  /** The Windows system directory. */
  readonly systemDirectory: string;
}

/** What overlapped sockets on a completion port need. */
const WINSOCK: readonly LibrarySpec[] = [WS2_32, MSWSOCK, KERNEL32, NTDLL, OLEAUT32, UCRTBASE];

/** The libraries each grant opens, by operating system; a system that is left out cannot serve the grant. */
export const GRANT_LIBRARIES: {
  readonly [G in Grant]: { readonly [os in LibraryOs]?: readonly LibrarySpec[] };
} = {
  "sockets": { windows: WINSOCK, linux: [], darwin: [] },
  "ipsec": { windows: [...WINSOCK, FWPUCLNT] },
  "ipsec.policy": { windows: [FWPUCLNT, UCRTBASE] },
  "sspi": { windows: [SECUR32, UCRTBASE], linux: [GSSAPI], darwin: [GSSAPI] },
  "impersonation": { windows: [ADVAPI32, KERNEL32, UCRTBASE] },
};

/** Every grant, in the order of the design. */
export const GRANTS: readonly Grant[] = Object.keys(GRANT_LIBRARIES) as Grant[];

/** The absolute paths to try for a library, in order. */
export function candidatePaths(spec: LibrarySpec, place: Place): string[] {
  const files = place.os === "other" ? [] : spec.files[place.os] ?? [];
  if (place.os === "windows") return files.map((file) => `${place.systemDirectory}\\${file}`);
  const triplet = place.os === "linux" ? `${place.arch}-linux-gnu` : place.arch;
  return files.map((file) => file.replace("{multiarch}", triplet));
}

/** The flags that allow what the grants need. */
export interface RequiredPermissions {
  /** The files Deno must be allowed to open. */
  readonly files: readonly string[];
  /** For Deno; empty where nothing is needed. */
  readonly deno: string;
  /** For Node, where it runs with `--permission`: this version of it, or on another runtime one before Node 25. */
  readonly node: string;
}

/**
 * The flags that allow what `grants` need on `place`.
 *
 * @param limitsNet whether Node is one whose `--permission` covers the network.
 * @throws UnsupportedPlatformError where the operating system cannot serve a grant.
 */
export function requiredPermissions(
  grants: readonly Grant[],
  place: Place,
  limitsNet: boolean = nodeLimitsNet(),
): RequiredPermissions {
  const files = new Set<string>();
  for (const grant of grants) {
    for (const spec of librariesOf(grant, place)) {
      for (const path of candidatePaths(spec, place)) files.add(path);
    }
  }
  const list = [...files];
  return {
    files: list,
    deno: denoFlag(list),
    node: [
      ...(list.length === 0 ? [] : [NODE_FLAGS]),
      ...(limitsNet && grants.some(usesNetOnNode) ? [NODE_NET_FLAG] : []),
    ].join(" "),
  };
}

/** The flag that lets Node connect and listen where its `--permission` covers the network: from Node 25 on. */
export const NODE_NET_FLAG = "--allow-net";

/** Whether connections of a grant go through Node's own sockets. */
export function usesNetOnNode(grant: string): boolean {
  return grant === "sockets" || grant === "sspi";
}

/** An older Node does not start with a flag that it does not know. */
function nodeLimitsNet(): boolean {
  const { process } = globalThis as { process?: { allowedNodeEnvironmentFlags?: ReadonlySet<string> } };
  return currentRuntime() === "node" && (process?.allowedNodeEnvironmentFlags?.has(NODE_NET_FLAG) ?? false);
}

/** What Node needs to load the koffi add-on when it runs with `--permission`. */
const NODE_FLAGS = "--allow-addons --allow-fs-read=<the application's node_modules folder>";

/** The flag that lets Deno open these files. */
function denoFlag(files: readonly string[]): string {
  return files.length === 0 ? "" : `--allow-ffi=${files.join(",")}`;
}

const SIMULATED = "Use Windows; to try a program out, use simulate() of ./testing";
/** What to do where an operating system cannot serve a grant; left out: use Windows. */
const INSTEAD: { readonly [grant in Grant]?: string } = {
  "sspi": "Use Windows, Linux or macOS",
  "ipsec": SIMULATED,
  "ipsec.policy": SIMULATED,
};

/**
 * The libraries a grant opens here.
 *
 * @throws UnsupportedPlatformError where the operating system cannot serve it.
 */
export function librariesOf(grant: Grant, place: Place): readonly LibrarySpec[] {
  const libraries = place.os === "other" ? undefined : GRANT_LIBRARIES[grant][place.os];
  if (libraries === undefined) {
    throw new UnsupportedPlatformError(`The grant "${grant}" has no meaning on ${place.os}`, {
      instead: INSTEAD[grant] ?? "Use Windows",
    });
  }
  return libraries;
}

/** The refusal for a system that was opened without a grant. */
export function notGranted(grant: Grant): PermissionError {
  const flag = `openSystem({ grants: ["${grant}"] })`;
  return new PermissionError(
    grant,
    flag,
    `This system was opened without the grant "${grant}". Open it with ${flag}`,
  );
}

/**
 * The refusal of a runtime that may not open any of `denied`; the flag is enough for all that the grant opens, so
 * that nobody is sent for it file by file.
 */
export function notPermitted(
  grant: Grant,
  runtime: "deno" | "node",
  place: Place,
  denied: readonly string[],
  cause?: unknown,
): PermissionError {
  const flag = requiredPermissions([grant], place)[runtime];
  return new PermissionError(
    grant,
    flag,
    `The grant "${grant}" opens ${denied.join(" or ")}, which this process may not. Run it with ${flag}`,
    { cause },
  );
}

/**
 * Checks a list of grants.
 *
 * @throws TypeError where it is no list or an entry is unknown.
 */
export function checkGrants(grants: unknown): readonly Grant[] {
  if (!Array.isArray(grants)) {
    throw new TypeError(
      `grants must be an array of ${GRANTS.join(", ")}; [] opens a system that can do nothing`,
    );
  }
  for (const grant of grants) {
    if (!GRANTS.includes(grant)) {
      throw new TypeError(`${JSON.stringify(grant)} is no grant; use ${GRANTS.join(", ")}`);
    }
  }
  return Object.freeze([...new Set(grants)]) as readonly Grant[];
}

interface Globals {
  Deno?: { build: { os: string; arch: string } };
  process?: { platform: string; arch: string };
}

const OS: { readonly [name: string]: Place["os"] } = {
  windows: "windows",
  win32: "windows",
  linux: "linux",
  darwin: "darwin",
};

const ARCH: { readonly [name: string]: string } = { x64: "x86_64", arm64: "aarch64" };

/** The runtime this module was loaded into. */
export function currentRuntime(): "deno" | "node" {
  return (globalThis as Globals).Deno === undefined ? "node" : "deno";
}

/** Where libraries are looked for on this machine. */
export function currentPlace(systemDirectory: string): Place {
  const { Deno, process } = globalThis as Globals;
  const os = Deno?.build.os ?? process?.platform ?? "other";
  const arch = Deno?.build.arch ?? process?.arch ?? "";
  return { os: OS[os] ?? "other", arch: ARCH[arch] ?? arch, systemDirectory };
}
