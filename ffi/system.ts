/**
 * `openSystem()`: the only access to native code. A system can do only what it was granted. Each library is opened
 * once, on first use, by its absolute path.
 *
 * @module
 */

import { StateError, UnsupportedPlatformError } from "../errors.ts";
import type { Availability, Capabilities } from "../contract.ts";
import type { Backend, Library, LibrarySpec } from "./abi.ts";
import { denoBackend } from "./backends/deno.ts";
import { koffiBackend } from "./backends/koffi.ts";
import { ReferenceCount, track } from "./handles.ts";
import { type FileCalls, MACHINE_POLICY_PATHS, MachinePolicyReader } from "./machine_policy.ts";
import { type Memory, type MEMORY_FNS, memoryOf } from "./memory/memory.ts";
import {
  candidatePaths,
  checkGrants,
  currentPlatform,
  currentRuntime,
  type Grant,
  librariesOf,
  notGranted,
  notPermitted,
  type Platform,
  type RequiredPermissions,
  requiredPermissions,
} from "./permissions.ts";
import { GSSAPI } from "./raw/gssapi.ts";
import { UCRTBASE } from "./raw/ucrtbase.ts";

/** Options of {@linkcode openSystem}. */
export interface SystemOptions {
  /** What the system may do. It can do nothing else. */
  grants: readonly Grant[];
  /** Windows' system directory; not read from the environment. Default `C:\Windows\System32`. */
  systemDirectory?: string;
}

/** Access to native code, limited to its grants. One owner; closing twice is harmless. */
export interface System extends Disposable {
  /** What it may do. */
  readonly grants: readonly Grant[];
  /** The command-line flags its grants need. */
  readonly permissions: RequiredPermissions;
  /**
   * Returns what this machine and process can do now. Opens the granted libraries on first use, reads the machine's
   * policy on every call, and never prompts.
   *
   * @throws StateError where it is closed.
   */
  capabilities(): Capabilities;
  /**
   * Closes the system: nothing new can be opened or acquired. What is open stays usable; the libraries are closed
   * when the last credentials and contexts that use them are closed.
   */
  close(): void;
}

/** Replacements for parts of a system; tests use them for fault injection and other policy paths. */
export interface SystemSeams {
  /** The backend; default: the runtime's. */
  backend?: Backend;
  /** Where libraries are looked for; default: this machine. */
  platform?: Platform;
  /** The path of the machine's policy; default: the operating system's path for it. */
  machinePolicyPath?: string;
  /** The most records that one direction of a context may carry; default: as many as its sequence numbers allow. */
  maxRecords?: number;
  /** `"system"`: records of GSS-API contexts are never protected by libcrypto. */
  records?: "system";
}

/** The implementation of a system, for the code in `ffi/`. */
export class NativeSystem implements System {
  readonly grants: readonly Grant[];
  readonly platform: Platform;
  readonly #backend: Backend;
  /** See {@linkcode SystemSeams}. */
  readonly seams: SystemSeams;
  readonly #libraries = new Map<LibrarySpec, { library: Library; untrack: () => void }>();
  /** Closed with the others, and not counted: they are used only through contexts, which are counted. */
  readonly #optional = new Map<LibrarySpec, Library | null>();
  readonly #beforeClose: (() => void)[] = [];
  readonly #policy: MachinePolicyReader;
  /** What this system can never do: it was opened without the grant, or the operating system does not support it. */
  readonly #never = new Map<Grant, Availability>();
  readonly #references = new ReferenceCount(() => this.#closeLibraries());

  constructor(options: SystemOptions, seams: SystemSeams = {}) {
    this.grants = checkGrants(options?.grants);
    const directory = options.systemDirectory ?? "C:\\Windows\\System32";
    if (!/^[A-Za-z]:\\[^/]*[^\\/]$/.test(directory)) {
      throw new TypeError(
        `systemDirectory must be an absolute path such as C:\\Windows\\System32, not ${directory}`,
      );
    }
    this.platform = seams.platform ?? currentPlatform(directory);
    this.#backend = seams.backend ?? (currentRuntime() === "deno" ? denoBackend() : koffiBackend());
    this.seams = seams;
    this.#policy = new MachinePolicyReader({
      path: seams.machinePolicyPath ?? MACHINE_POLICY_PATHS[this.platform.os],
      native: () => this.#files(),
      wide: this.platform.os === "windows",
    });
  }

  get permissions(): RequiredPermissions {
    return requiredPermissions(this.grants, this.platform);
  }

  /**
   * Returns a library that a grant covers, opened on first use.
   *
   * @throws PermissionError, UnsupportedPlatformError, StateError (closed).
   */
  library<L extends LibrarySpec>(grant: Grant, spec: L): Library<L> {
    this.requireOpen();
    // Checked first: a missing grant does not matter where the operating system does not support it.
    const libraries = librariesOf(grant, this.platform);
    if (!this.grants.includes(grant)) throw notGranted(grant);
    if (!libraries.includes(spec)) {
      throw new UnsupportedPlatformError(
        `The grant "${grant}" does not open ${spec.name} on ${this.platform.os}`,
        {
          dll: spec.name,
          instead: spec.instead,
        },
      );
    }
    const known = this.#libraries.get(spec);
    if (known) return known.library as Library<L>;
    const library = openFirst(this.#backend, grant, spec, this.platform);
    this.#libraries.set(spec, { library: library as unknown as Library, untrack: track("library") });
    return library;
  }

  /**
   * Returns a library that a grant can do without, opened on first use; `null` where it is missing, or where the
   * runtime's permissions do not let it be opened. Tries once.
   *
   * @throws PermissionError (no grant), StateError (closed).
   */
  optionalLibrary<L extends LibrarySpec>(grant: Grant, spec: L): Library<L> | null {
    this.requireOpen();
    if (!this.grants.includes(grant)) throw notGranted(grant);
    let library = this.#optional.get(spec);
    if (library === undefined) {
      library = openOptional(this.#backend, grant, spec, this.platform);
      this.#optional.set(spec, library);
    }
    return library as Library<L> | null;
  }

  /** Returns access to native memory through a library whose table contains `MEMORY_FNS`. */
  memory(grant: Grant, spec: LibrarySpec & { readonly fns: typeof MEMORY_FNS }): Memory {
    return memoryOf(this.library(grant, spec).call);
  }

  capabilities(): Capabilities {
    // A closed system has no library to read the policy with, and to continue without the policy would bypass it.
    this.requireOpen();
    return {
      os: this.platform.os,
      runtime: this.#backend.runtime,
      simulated: this.#backend.simulated ?? false,
      securityContexts: this.#probe("sspi"),
      ipsec: this.#probe("ipsec"),
      // Looked at on every call: what an administrator restricts applies from the next connection on.
      machinePolicy: this.#policy.read(),
    };
  }

  #files(): FileCalls | null {
    if (this.#never.has("sspi")) return null;
    try {
      return this.library("sspi", this.platform.os === "windows" ? UCRTBASE : GSSAPI).call as FileCalls;
    } catch {
      return null;
    }
  }

  #probe(grant: Grant): Availability {
    const never = this.#never.get(grant);
    if (never !== undefined) return never;
    const unavailable = (cause: unknown): Availability => {
      return { available: false, reason: (cause as Error).message, cause };
    };
    let libraries: readonly LibrarySpec[];
    try {
      libraries = librariesOf(grant, this.platform);
      if (!this.grants.includes(grant)) throw notGranted(grant);
    } catch (cause) {
      const found = unavailable(cause);
      this.#never.set(grant, found);
      return found;
    }
    try {
      for (const spec of libraries) this.library(grant, spec);
      return { available: true };
    } catch (cause) {
      return unavailable(cause);
    }
  }

  /** Throws a StateError where it is closed. */
  requireOpen(): void {
    if (this.#references.closed) {
      throw new StateError("This system is closed; open another with openSystem()");
    }
  }

  /**
   * Keeps the libraries open, even after `close()`, until the returned function is called. Owners of native memory,
   * and calls that run on another thread, must hold the system: unloading code that runs or is called later ends the
   * process.
   */
  hold(): () => void {
    return this.#references.hold();
  }

  close(): void {
    this.#references.close();
  }

  /** Registers a function that is called once, just before the libraries are closed. */
  beforeClose(release: () => void): void {
    this.#beforeClose.push(release);
  }

  #closeLibraries(): void {
    for (const release of this.#beforeClose.splice(0)) release();
    const open = [...this.#libraries.values()];
    this.#libraries.clear();
    for (const { library, untrack } of open) {
      untrack();
      library.close();
    }
    for (const library of this.#optional.values()) library?.close();
    this.#optional.clear();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

function openFirst<L extends LibrarySpec>(
  backend: Backend,
  grant: Grant,
  spec: L,
  platform: Platform,
): Library<L> {
  const paths = candidatePaths(spec, platform);
  const denied: string[] = [];
  const failures: Error[] = [];
  for (const path of paths) {
    if (!backend.permits(path)) {
      denied.push(path);
      continue;
    }
    try {
      return backend.open(path, spec);
    } catch (error) {
      if (error instanceof UnsupportedPlatformError) throw error;
      if (["ERR_ACCESS_DENIED", "ERR_DLOPEN_DISABLED"].includes((error as { code?: string }).code ?? "")) {
        throw notPermitted(grant, "node", platform, [path], error);
      }
      failures.push(error as Error);
    }
  }
  if (denied.length > 0) throw notPermitted(grant, backend.runtime, platform, denied, failures[0]);
  const said = failures.map(({ message }, index) => `${paths[index]}: ${message.trim()}`).join("; ");
  throw new UnsupportedPlatformError(`${spec.name} could not be opened (${said})`, {
    dll: spec.name,
    instead: spec.instead,
  }, { cause: failures[0] });
}

function openOptional(backend: Backend, grant: Grant, spec: LibrarySpec, platform: Platform): Library | null {
  try {
    return openFirst(backend, grant, spec, platform);
  } catch {
    return null;
  }
}

/**
 * Opens a system that can do what `grants` list and nothing else. Does not open a library yet.
 *
 * @example
 * ```ts
 * import { openSystem } from "@winsock/secure-sockets";
 *
 * using system = openSystem({ grants: ["sspi"] });
 * console.log(system.permissions.deno); // the exact flag this needs
 * ```
 * @throws TypeError where a grant is unknown.
 */
export function openSystem(options: SystemOptions): System {
  return new NativeSystem(options);
}

/**
 * Returns the implementation of a system.
 *
 * @throws TypeError where it was not made by `openSystem`.
 */
export function nativeSystem(system: unknown): NativeSystem {
  if (system instanceof NativeSystem) return system;
  throw new TypeError("system must come from openSystem() of this same copy of the package");
}
