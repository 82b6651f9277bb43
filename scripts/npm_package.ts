/**
 * What the npm package is, said once for both ways to build it.
 *
 * @module
 */

import denoJson from "../deno.json" with { type: "json" };

/** The oldest Node that is supported. */
export const OLDEST_NODE = 22;

/** The oldest TypeScript that reads the declarations without errors (tests/npm/types_test.ts). */
export const OLDEST_TYPESCRIPT = "5.4";

/** The entry points: the name under which each is imported, and its module in the sources. */
export const ENTRIES: Readonly<Record<string, string>> = denoJson.exports;

/** The module of the command line, as a path from the root. */
export const CLI = "cli.ts";

/** Files that go into the package as they are. */
export const DOCUMENTS: readonly string[] = ["README.md", "LICENSE", "CHANGELOG.md"];

/** The packages that the library needs; each is loaded when it is first used. */
export const DEPENDENCIES = [
  "@jitl/quickjs-singlefile-mjs-release-sync",
  "koffi",
  "ldapts",
  "quickjs-emscripten-core",
] as const;

function versionOf(name: typeof DEPENDENCIES[number]): string {
  return denoJson.imports[name].replace(`npm:${name}@`, "");
}

/** The part of package.json that is the same however the package is built. */
export interface PackageJson {
  /** Its name on the registry. */
  name: string;
  /** Its version. */
  version: string;
  /** What it is, in a sentence. */
  description: string;
  /** What to find it by. */
  keywords: string[];
  /** The licence's SPDX name. */
  license: string;
  /** Where its sources are; npm's provenance compares it with where it was built. Left out: not known. */
  repository?: { type: "git"; url: string };
  /** The page about it. */
  homepage?: string;
  /** Where faults are reported. */
  bugs?: string;
  /** ECMAScript modules only. */
  type: "module";
  /** The Node it runs on. */
  engines: { node: string };
  /** The oldest TypeScript for its declarations, in the field that the packages of DefinitelyTyped use. */
  typeScriptVersion: string;
  /** Programs it brings, by name. */
  bin: Record<string, string>;
  /** Each entry point's types and code. */
  exports: Record<string, { types: string; default: string } | string>;
  /** The modules that do something when imported; every other unused module may be left out of a bundle. */
  sideEffects: string[];
  /** The packages it needs. */
  dependencies: Record<string, string>;
}

/**
 * The address of the repository's page: from the variables of GitHub's workflows, else from git's remote `origin`;
 * `null` where neither names one.
 */
export function repositoryPage(
  { GITHUB_SERVER_URL: server, GITHUB_REPOSITORY: name }: Readonly<Record<string, string>>,
  origin: string,
): string | null {
  if (server && name) return `${server}/${name}`;
  const [, host, path] =
    /^(?:https:\/\/|(?:ssh:\/\/)?git@)([\w.-]+)[:/]([\w.-]+\/[\w.-]+?)(?:\.git)?\/?$/.exec(
      origin.trim(),
    ) ?? [];
  return path === undefined ? null : `https://${host}/${path}`;
}

/** A document of the package whose links lead to this version in the repository: the package has no other documents. */
export function withAbsoluteLinks(markdown: string, page: string): string {
  const relative = /(!?)\[((?:[^\]\\]|\\.)*)\]\((?![a-z]+:|#)([^)\s]+)\)/g;
  return markdown.replace(
    relative,
    (_, image, text, path) =>
      `${image}[${text}](${page}/${image ? "raw" : "blob"}/v${denoJson.version}/${path})`,
  );
}

/** package.json for a build whose modules lie in `folder` of the package (`"."` or `"./esm"`). */
export function packageJson(folder: string, page: string | null = null): PackageJson {
  const built = (module: string, ending: string): string =>
    `${folder}/${module.replace("./", "").replace(/\.ts$/, ending)}`;
  const exports: PackageJson["exports"] = {};
  for (const [name, module] of Object.entries(ENTRIES)) {
    exports[name] = { types: built(module, ".d.ts"), default: built(module, ".js") };
  }
  return {
    name: denoJson.name,
    version: denoJson.version,
    description:
      "Authenticated, signed and encrypted sockets with the security of Windows domains: Kerberos and Negotiate " +
      "through SSPI or GSS-API, interoperable with .NET's NegotiateStream.",
    keywords: [
      "kerberos",
      "negotiate",
      "spnego",
      "sspi",
      "gssapi",
      "ntlm",
      "ipsec",
      "ldap",
      "socket",
      "windows",
    ],
    license: denoJson.license,
    ...(page === null ? {} : {
      repository: { type: "git", url: `git+${page}.git` },
      homepage: `${page}#readme`,
      bugs: `${page}/issues`,
    }),
    type: "module",
    // process.getBuiltinModule, by which nothing is loaded at import, came with 22.3.
    engines: { node: `>=${OLDEST_NODE}.3` },
    typeScriptVersion: OLDEST_TYPESCRIPT,
    bin: { "secure-sockets": built(CLI, ".js") },
    exports: { ...exports, "./package.json": "./package.json" },
    sideEffects: [built(CLI, ".js")],
    dependencies: Object.fromEntries(DEPENDENCIES.map((name) => [name, versionOf(name)])),
  };
}
