/**
 * `openSystem()`: the one door to native code. What it was not granted it cannot do; what it can do is opened
 * when first used, once, by absolute path.
 *
 * @module
 */

import { StateError, UnsupportedPlatformError } from "../errors.ts";
import type { Availability, Capabilities } from "../contract.ts";
import type { Backend, Library, LibrarySpec } from "./abi.ts";
import { denoBackend } from "./backends/deno.ts";
import { koffiBackend } from "./backends/koffi.ts";
import { ReferenceCount, track } from "./handles.ts";
import { type FileCalls, MACHINE_POLICY_PATHS, readMachinePolicy } from "./machine_policy.ts";
import { type Memory, type MEMORY_FNS, memoryOf } from "./memory/memory.ts";
import {
  candidatePaths,
  checkGrants,
  currentPlace,
  currentRuntime,
  type Grant,
  librariesOf,
  notGranted,
  notPermitted,
  type Place,
  type RequiredPermissions,
  requiredPermissions,
} from "./permissions.ts";
import { GSSAPI } from "./raw/gssapi.ts";
import { UCRTBASE } from "./raw/ucrtbase.ts";

/** Options of {@linkcode openSystem}. */
export interface SystemOptions {
  /** What the system may do; nothing else. */
  grants: readonly Grant[];
  /** Windows' system directory. Never taken from the environment; default `C:\Windows\System32`. */
  systemDirectory?: string;
}

/** A door to native code that opens only what it was granted. One owner; closing twice is harmless. */
export interface System extends Disposable {
  /** What it may do. */
  readonly grants: readonly Grant[];
  /** The command-line flags its grants need. */
  readonly permissions: RequiredPermissions;
  /**
   * What this machine and process can do now; opens the granted libraries on first use, reads the machine's policy
   * each time, and never prompts.
   *
   * @throws StateError where it is closed.
   */
  capabilities(): Capabilities;
  /**
   * Ends it: nothing new can be opened or acquired. What is open goes on; the libraries are closed with the last of
   * the credentials and contexts that use them.
   */
  close(): void;
}

/** How a system's insides are made; tests put fault injection and other policy paths here. */
export interface SystemSeams {
  /** The backend; default: the runtime's. */
  backend?: Backend;
  /** Where libraries are looked for; default: this machine. */
  place?: Place;
  /** Where the machine policy stands; default: the operating system's place for it. */
  machinePolicyPath?: string;
  /** The most records one direction of a context carries; default: as many as its tokens can number. */
  maxRecords?: number;
}

/** The insides of a system, for the owners in `ffi/`. */
export class NativeSystem implements System {
  readonly grants: readonly Grant[];
  readonly place: Place;
  readonly #backend: Backend;
  /** See {@linkcode SystemSeams}. */
  readonly seams: SystemSeams;
  readonly #libraries = new Map<LibrarySpec, { library: Library; untrack: () => void }>();
  readonly #beforeClose: (() => void)[] = [];
  readonly #references = new ReferenceCount(() => this.#closeLibraries());

  constructor(options: SystemOptions, seams: SystemSeams = {}) {
    this.grants = checkGrants(options?.grants);
    const directory = options.systemDirectory ?? "C:\\Windows\\System32";
    if (!/^[A-Za-z]:\\[^/]*[^\\/]$/.test(directory)) {
      throw new TypeError(
        `systemDirectory must be an absolute path such as C:\\Windows\\System32, not ${directory}`,
      );
    }
    this.place = seams.place ?? currentPlace(directory);
    this.#backend = seams.backend ?? (currentRuntime() === "deno" ? denoBackend() : koffiBackend());
    this.seams = seams;
  }

  get permissions(): RequiredPermissions {
    return requiredPermissions(this.grants, this.place);
  }

  /**
   * A library under a grant, opened on first use.
   *
   * @throws PermissionError, UnsupportedPlatformError, StateError (closed).
   */
  library<L extends LibrarySpec>(grant: Grant, spec: L): Library<L> {
    this.requireOpen();
    // First of all: no grant helps where the operating system cannot serve it.
    const libraries = librariesOf(grant, this.place);
    if (!this.grants.includes(grant)) throw notGranted(grant);
    if (!libraries.includes(spec)) {
      throw new UnsupportedPlatformError(
        `The grant "${grant}" does not open ${spec.name} on ${this.place.os}`,
        {
          dll: spec.name,
          instead: spec.instead,
        },
      );
    }
    const known = this.#libraries.get(spec);
    if (known) return known.library as Library<L>;
    const library = openFirst(this.#backend, grant, spec, this.place);
    this.#libraries.set(spec, { library: library as unknown as Library, untrack: track("library") });
    return library;
  }

  /** Native memory through a library whose table holds `MEMORY_FNS`. */
  memory(grant: Grant, spec: LibrarySpec & { readonly fns: typeof MEMORY_FNS }): Memory {
    return memoryOf(this.library(grant, spec).call);
  }

  capabilities(): Capabilities {
    // A closed one has no library to read the policy by; to go on without the policy would be to avoid it.
    this.requireOpen();
    return {
      os: this.place.os,
      runtime: this.#backend.runtime,
      simulated: this.#backend.simulated ?? false,
      securityContexts: this.#probe("sspi"),
      ipsec: this.#probe("ipsec"),
      // Read each time: what an administrator tightens must hold for the next connection.
      machinePolicy: readMachinePolicy(
        this.seams.machinePolicyPath ?? MACHINE_POLICY_PATHS[this.place.os],
        () => this.#files(),
        this.place.os === "windows",
      ),
    };
  }

  #files(): FileCalls {
    return this.library("sspi", this.place.os === "windows" ? UCRTBASE : GSSAPI).call as FileCalls;
  }

  #probe(grant: Grant): Availability {
    try {
      const libraries = librariesOf(grant, this.place);
      if (!this.grants.includes(grant)) throw notGranted(grant);
      for (const spec of libraries) this.library(grant, spec);
      return { available: true };
    } catch (cause) {
      return { available: false, reason: (cause as Error).message, cause };
    }
  }

  /** Throws a StateError where it is closed. */
  requireOpen(): void {
    if (this.#references.closed) {
      throw new StateError("This system is closed; open another with openSystem()");
    }
  }

  /**
   * Keeps the libraries open, past `close()` too, until the returned function is called: whoever holds native memory,
   * or has a call under way on another thread, holds the system. Code that is unloaded while it runs, or called
   * afterwards, ends the process.
   */
  hold(): () => void {
    return this.#references.hold();
  }

  close(): void {
    this.#references.close();
  }

  /** Has `release` called once, just before the libraries are closed. */
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
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

function openFirst<L extends LibrarySpec>(
  backend: Backend,
  grant: Grant,
  spec: L,
  place: Place,
): Library<L> {
  const paths = candidatePaths(spec, place);
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
        throw notPermitted(grant, "node", place, [path], error);
      }
      failures.push(error as Error);
    }
  }
  if (denied.length > 0) throw notPermitted(grant, backend.runtime, place, denied, failures[0]);
  const said = failures.map(({ message }, index) => `${paths[index]}: ${message.trim()}`).join("; ");
  throw new UnsupportedPlatformError(`${spec.name} could not be opened (${said})`, {
    dll: spec.name,
    instead: spec.instead,
  }, { cause: failures[0] });
}

/**
 * Opens a system that can do what `grants` say and nothing else. Opens no library yet.
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
 * The insides of a system.
 *
 * @throws TypeError where it was not made by `openSystem`.
 */
export function nativeSystem(system: unknown): NativeSystem {
  if (system instanceof NativeSystem) return system;
  throw new TypeError("system must come from openSystem() of this same copy of the package");
}
