/**
 * The manifest: what the application states about a module that it loads. The module's description of itself is
 * compared with the manifest, never the other way round.
 *
 * @module
 */

import { builtInName } from "../names.ts";
import { reject } from "./bytes.ts";
import type { SocketGrants } from "../../contract.ts";
import type { ModuleDescription } from "./description.ts";
import type { GuardedModule } from "./guard.ts";
import { IMPORT_SIGNATURES, type ImportGrants, type ImportName } from "./host_functions.ts";
import type { Limits } from "./limits.ts";
import type { Answers } from "./questions.ts";
import { checkSocketGrants } from "./socket_grants.ts";

/** What the application states about a module, and what it grants to it. `O` is the type of its options. */
export interface Manifest<O extends object = Record<string, unknown>> {
  /** The SHA-256 of the module, in hexadecimal. `deno task plugin:check` prints it. */
  readonly sha256: string;
  /** The name it must have; left out: any. */
  readonly name?: string;
  /** The version it must have; left out: any. */
  readonly version?: string;
  /** The host functions it may call; left out: none. */
  readonly imports?: ImportGrants;
  /** Its limits; left out: the defaults. */
  readonly limits?: Limits;
  /** The values of its options. */
  readonly options?: O;
  /** The application's answers to its questions. */
  readonly answers?: Answers;
  /**
   * Only for a module of layer `socket`: what its settings may contain. `{}`: the system's own policy, no clear
   * text, and no flag.
   */
  readonly socket?: SocketGrants;
}

const KEYS: readonly string[] = [
  "sha256",
  "name",
  "version",
  "imports",
  "limits",
  "options",
  "answers",
  "socket",
];

/**
 * Checks the form of a manifest. Its limits, options and answers are checked where they are used.
 *
 * @throws TypeError that names the key.
 */
export function checkManifest(manifest: Manifest<object>): void {
  if (typeof manifest !== "object" || manifest === null) {
    throw new TypeError("manifest must be an object with at least sha256");
  }
  for (const key of Object.keys(manifest)) {
    if (!KEYS.includes(key)) throw new TypeError(`${key} is not known in a manifest; use ${KEYS.join(", ")}`);
  }
  const { sha256, imports = {}, socket } = manifest;
  if (typeof sha256 !== "string" || !/^[0-9a-f]{64}$/i.test(sha256)) {
    throw new TypeError("sha256 must be the module's hash in 64 hexadecimal digits; plugin:check prints it");
  }
  if (socket !== undefined) checkSocketGrants(socket, "socket.");
  if (typeof imports !== "object" || imports === null) throw new TypeError("imports must be an object");
  for (const [name, grant] of Object.entries(imports)) {
    if (!Object.hasOwn(IMPORT_SIGNATURES, name)) {
      throw new TypeError(`imports.${name} is not known; use ${Object.keys(IMPORT_SIGNATURES).join(", ")}`);
    }
    const right = name === "log" ? typeof grant === "function" : grant === true;
    if (!right) {
      throw new TypeError(`imports.${name} must be ${name === "log" ? "a function" : "true"}, or left out`);
    }
  }
}

/** The functions that a manifest grants, with their types. */
export function grantedSignatures(imports: ImportGrants): Map<string, string> {
  const names = Object.keys(IMPORT_SIGNATURES) as ImportName[];
  return new Map(names.filter((name) => imports[name]).map((name) => [name, IMPORT_SIGNATURES[name]]));
}

/**
 * Compares a module's description of itself with the manifest and with what the guard found.
 *
 * @param builtIn Whether it is a part of this package: a policy that names a built-in provider does not refer to a
 * third party's module with the same name.
 * @throws ProviderRejectedError that names the difference.
 */
export function compareWithManifest(
  description: ModuleDescription,
  guarded: GuardedModule,
  manifest: Manifest<object>,
  builtIn: boolean,
): void {
  for (const key of ["name", "version"] as const) {
    const wanted = manifest[key];
    if (wanted !== undefined && wanted !== description[key]) {
      reject(
        "manifest",
        -1,
        `its ${key} is ${description[key]}, the manifest says ${wanted}; correct the manifest`,
      );
    }
  }
  const owner = builtIn ? null : builtInName(description.name);
  if (owner !== null) {
    reject(
      "name",
      -1,
      `its name is ${description.name}, and names that contain ${owner}, or look like it, are ` +
        "reserved for built-in providers; rename it",
    );
  }
  const described = [...description.imports].sort().join(), actual = [...guarded.imports].sort().join();
  if (described !== actual) {
    reject(
      "description",
      -1,
      `its description lists the imports ${described || "none"}, but it imports ` +
        `${actual || "nothing"}; correct it`,
    );
  }
}
