/**
 * The part of `deno task npm` that needs JSR: TypeScript to JavaScript with dnt. `scripts/build_npm.ts` runs it and
 * does the rest.
 *
 * @module
 */

import { build } from "@deno/dnt";
import { listFiles } from "./files.ts";
import { ENTRIES, packageJson } from "./npm_package.ts";
import { ROOT } from "./root.ts";

const OUT = `${ROOT}npm`;

await build({
  entryPoints: Object.entries(ENTRIES).map(([name, path]) => ({ name, path })),
  outDir: OUT,
  // The library asks for what each runtime has; nothing of Deno is to be imitated on Node.
  shims: {},
  scriptModule: false,
  // tests/npm type-checks the package as its users will, and runs the tests against it.
  test: false,
  typeCheck: false,
  skipNpmInstall: true,
  compilerOptions: { target: "ES2022", lib: ["ESNext", "DOM"] },
  package: { name: packageJson(".").name, version: packageJson(".").version },
});
// dnt writes maps of the declarations, of sources that the package does not have.
for (const file of (await listFiles(OUT)).filter((file) => /\.d\.ts(\.map)?$/.test(file))) {
  if (file.endsWith(".map")) await Deno.remove(`${OUT}/${file}`);
  else {
    const text = await Deno.readTextFile(`${OUT}/${file}`);
    await Deno.writeTextFile(`${OUT}/${file}`, text.replace(/^\/\/# sourceMappingURL=.*\n?/m, ""));
  }
}
for (const leftover of ["src", ".npmignore", "package-lock.json", "esm/package.json"]) {
  await Deno.remove(`${OUT}/${leftover}`, { recursive: true }).catch(() => {});
}
