/**
 * Builds the rig's Debian system: the first process of its own namespaces, started by `rootfs.ts`.
 *
 * @module
 */

import { mustRun, npm } from "../../../scripts/process.ts";
import { endWithParent } from "./namespace.ts";
import { progress, runWatched } from "./progress.ts";
import { DEBIAN_MIRROR, DEBIAN_PACKAGES, DEBIAN_SUITE, NPM_PINS, type NpmPin } from "./versions.ts";
import { RIG, WINE, wineEnvironment } from "./wine_paths.ts";

async function debootstrap(root: string): Promise<void> {
  progress(`Debian ${DEBIAN_SUITE}: debootstrap (about a minute)`);
  await runWatched("debootstrap", [
    "--variant=minbase",
    `--include=${DEBIAN_PACKAGES.join(",")}`,
    DEBIAN_SUITE,
    root,
    DEBIAN_MIRROR,
  ]);
}

/** Removes what no test needs: half of the size. */
async function slim(root: string): Promise<void> {
  const unneeded = [
    "var/cache/apt/archives",
    "var/lib/apt/lists",
    "usr/share/doc",
    "usr/share/man",
    "usr/share/locale",
    "usr/lib/x86_64-linux-gnu/wine/i386-windows",
  ];
  for (const path of unneeded) await Deno.remove(`${root}/${path}`, { recursive: true });
}

async function fetchPin(root: string, pin: NpmPin, folder: string): Promise<void> {
  const { name, version, integrity } = pin;
  progress(`npm: ${name} ${version}`);
  const { stdout } = await npm([
    "pack",
    "--silent",
    "--pack-destination",
    folder,
    `${name}@${version}`,
  ]);
  const tarball = `${folder}/${stdout.trim().split("\n").pop()}`;
  const digest = await crypto.subtle.digest("SHA-512", await Deno.readFile(tarball));
  const got = `sha512-${btoa(String.fromCharCode(...new Uint8Array(digest)))}`;
  if (got !== integrity) {
    throw new Error(
      `${name} ${version} has the integrity ${got}, not the pinned ${integrity}; it was not unpacked`,
    );
  }
  const into = `${root}${RIG}/${pin.into}`;
  await Deno.mkdir(into, { recursive: true });
  await mustRun("tar", ["xzf", tarball, "-C", into, "--strip-components=1"]);
  await Deno.remove(tarball);
}

async function bootWine(root: string): Promise<void> {
  progress("Wine: a new prefix");
  await mustRun("mount", ["-t", "proc", "proc", `${root}/proc`]);
  await mustRun("mount", ["--bind", "/dev", `${root}/dev`]);
  const options = { env: wineEnvironment(), clearEnv: true };
  const wine = (...args: string[]) => mustRun("chroot", [root, WINE, ...args], options);
  await wine("wineboot", "-i");
  // No test shows a window; without this every process first looks for a display.
  await wine("reg", "add", "HKCU\\Software\\Wine\\Drivers", "/v", "Graphics", "/d", "null", "/f");
  await mustRun("chroot", [root, "/usr/lib/wine/wineserver", "-w"], options);
  await mustRun("umount", [`${root}/dev`, `${root}/proc`]);
}

async function writeManifest(root: string): Promise<void> {
  const { stdout } = await mustRun("chroot", [root, "dpkg-query", "-W", "-f", "${Package} ${Version}\\n"]);
  const debian = stdout.split("\n").filter((line) => DEBIAN_PACKAGES.includes(line.split(" ")[0]));
  const npm = NPM_PINS.map((pin) => `${pin.name} ${pin.version}`);
  await Deno.writeTextFile(`${root}${RIG}/manifest.txt`, [...debian, ...npm].join("\n") + "\n");
}

if (import.meta.main) {
  endWithParent();
  const [root] = Deno.args;
  try {
    await debootstrap(root);
    await slim(root);
    for (const pin of NPM_PINS) await fetchPin(root, pin, `${root}/tmp`);
    await bootWine(root);
    await writeManifest(root);
    Deno.exit(0);
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    Deno.exit(1);
  }
}
