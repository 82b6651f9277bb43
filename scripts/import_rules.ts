/**
 * Who may import whom, as data. `scripts/check_imports.ts` enforces it.
 *
 * @module
 */

/** A set of files that may import the same things. */
export interface Layer {
  /** Its name, as messages write it. */
  name: string;
  /** The files in it, as paths from the root; `*` stands for part of a name, `**` for any number of folders. */
  files: readonly string[];
  /** The layers its files may import from. */
  mayImport: readonly string[];
  /** True where a folder of the layer is closed to the other folders of the layer. */
  foldersApart?: boolean;
}

const GROUND = ["errors", "spn", "contract", "credentials"] as const;
const FFI = ["memory", "raw", "core", "native"] as const;

/** From the ground up; a file belongs to the first layer that names it. */
export const LAYERS: readonly Layer[] = [
  { name: "errors", files: ["errors.ts"], mayImport: [] },
  { name: "spn", files: ["spn.ts"], mayImport: ["errors"] },
  { name: "contract", files: ["contract.ts"], mayImport: ["errors"] },
  { name: "credentials", files: ["credentials.ts"], mayImport: ["errors", "contract"] },
  { name: "memory", files: ["ffi/abi.ts", "ffi/memory/**"], mayImport: ["errors", "memory"] },
  { name: "raw", files: ["ffi/raw/**"], mayImport: ["errors", "memory", "raw"] },
  {
    name: "core",
    files: [
      "ffi/backends/**",
      "ffi/handles.ts",
      "ffi/machine_policy.ts",
      "ffi/permissions.ts",
      "ffi/status.ts",
      "ffi/system.ts",
      "ffi/transport/**",
    ],
    mayImport: ["errors", "contract", "memory", "raw", "core"],
  },
  { name: "native", files: ["ffi/**"], mayImport: [...GROUND, ...FFI] },
  {
    name: "registry",
    files: [
      "plugins/names.ts",
      "plugins/policy.ts",
      "plugins/registry.ts",
      "plugins/requirements.ts",
      "plugins/sandbox/**",
    ],
    mayImport: ["errors", "contract", "credentials", "registry"],
  },
  { name: "plugins", files: ["plugins/mod.ts"], mayImport: [...GROUND, "registry", "providers"] },
  {
    name: "providers",
    files: ["plugins/*/**"],
    mayImport: [...GROUND, ...FFI, "registry"],
    foldersApart: true,
  },
  {
    name: "contexts",
    files: ["contexts/**"],
    mayImport: [...GROUND, "memory", "core", "native", "registry", "providers", "contexts"],
  },
  {
    name: "connections",
    files: ["sockets/**"],
    mayImport: [...GROUND, "memory", "core", "native", "registry", "providers", "contexts", "connections"],
  },
  {
    name: "protocols",
    files: ["http/**", "sasl/**", "postgres/**"],
    mayImport: [
      ...GROUND,
      "memory",
      "core",
      "native",
      "registry",
      "providers",
      "contexts",
      "connections",
      "protocols",
    ],
    foldersApart: true,
  },
  {
    // It binds by SASL.
    name: "directory",
    files: ["directory/**"],
    mayImport: [
      ...GROUND,
      "memory",
      "core",
      "native",
      "registry",
      "providers",
      "contexts",
      "connections",
      "protocols",
      "directory",
    ],
  },
  {
    name: "conformance",
    files: ["testing/conformance/**", "testing/test_provider.ts"],
    mayImport: [...GROUND, ...FFI, "registry", "providers", "connections", "conformance"],
  },
  { name: "simulator", files: ["testing/simulator/**"], mayImport: [...GROUND, ...FFI, "simulator"] },
  {
    name: "face",
    files: ["mod.ts", "testing/mod.ts"],
    mayImport: [
      ...GROUND,
      "memory",
      "core",
      "native",
      "registry",
      "plugins",
      "providers",
      "contexts",
      "connections",
      "simulator",
      "conformance",
      "face",
    ],
  },
  {
    name: "cli",
    files: ["cli.ts", "cli/**"],
    mayImport: [
      ...GROUND,
      ...FFI,
      "registry",
      "plugins",
      "providers",
      "contexts",
      "connections",
      "protocols",
      "directory",
      "conformance",
      "face",
      "cli",
    ],
  },
];

/** Files that are not the library: the library may not import them, and they may import anything. */
export const OUTSIDE: readonly string[] = [
  "scripts/**",
  "tests/**",
  "bench/**",
  "examples/**",
  "plugins/sdk/template/**",
  ".cache/**",
  "npm/**",
];

/** Sources in AssemblyScript: they share TypeScript's ending, not its rules. */
export const GUESTS: readonly string[] = [
  "plugins/**/guest/**",
  "examples/**/guest/**",
  "plugins/sdk/assembly/**",
  "bench/guests/**",
];

/** Modules from elsewhere that a file of the library may import by a plain import statement. */
export const EXTERNAL: Readonly<Record<string, readonly string[]>> = {
  "http/client/bodies.ts": ["node:stream", "node:zlib"],
  "http/client/connection.ts": ["node:http", "node:net", "node:tls"],
  "cli.ts": ["node:process"],
  "cli/proxy/install.ts": ["node:child_process", "node:fs", "node:path", "node:process"],
  "cli/**": [
    "node:fs",
    "node:dns/promises",
    "node:fs/promises",
    "node:module",
    "node:net",
    "node:os",
    "node:path",
    "node:process",
    "node:url",
    "node:util",
  ],
  // Loaded with the first connection, never by an import of an entry point.
  "directory/ldap*.ts": ["ldapts", "node:buffer"],
  "directory/**": ["node:buffer", "node:dns/promises", "node:net", "node:stream", "node:tls"],
  // QuickJS is loaded with the first PAC file.
  "http/proxy/pac_sandbox.ts": [
    "@jitl/quickjs-singlefile-mjs-release-sync",
    "node:os",
    "quickjs-emscripten-core",
  ],
  "http/proxy/pac.ts": ["node:dns/promises", "node:fs/promises", "node:https"],
  "http/proxy/**": ["node:crypto", "node:http", "node:net", "node:os", "node:stream", "node:tls"],
  "postgres/**": ["node:buffer", "node:net", "node:stream"],
  "sasl/protected_stream.ts": ["node:stream"],
};

/** Modules from elsewhere of which a file may import types: nothing of them is left at run time. */
export const EXTERNAL_TYPES: Readonly<Record<string, readonly string[]>> = {
  "ffi/transport/node*.ts": ["node:net"],
  "http/client/*.ts": ["node:http", "node:net"],
  "http/server/adapters.ts": ["node:http"],
  "sasl/exchange.ts": ["node:stream"],
};

/** Files that may reach built-in modules and packages of Node, through `getBuiltinModule` and `createRequire`. */
export const NODE_DOORS: readonly string[] = [
  "cli/**",
  "contexts/diagnostics.ts",
  "ffi/backends/koffi.ts",
  "ffi/machine_policy.ts",
  "ffi/transport/node.ts",
  // Where "require" is a word of PostgreSQL's.
  "postgres/mod.ts",
  "postgres/stream.ts",
];

/** Never to be named in the library, neither as an identifier nor in a string. */
export const FORBIDDEN_NAME = /Unsafe[A-Z]\w*/;

/** Whether `path` (from the root, with slashes) is one of `patterns`. */
export function matches(path: string, patterns: readonly string[]): boolean {
  return patterns.some((pattern) => toRegExp(pattern).test(path));
}

function toRegExp(pattern: string): RegExp {
  const source = pattern.replace(/[.+^${}()|[\]\\]/g, "\\$&")
    .replace(/\*\*\/?|\*/g, (stars) => stars === "*" ? "[^/]*" : ".*");
  return new RegExp(`^${source}$`);
}
