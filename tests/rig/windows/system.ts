/**
 * The rig's Debian system as one run sees it: read from the cache, written to in memory. Works only in mount
 * namespaces of its own, and all of it goes with them.
 *
 * @module
 */

import { mustRun } from "../../../scripts/process.ts";
import { REPOSITORY, RUN } from "./wine_paths.ts";

/** What a run is made of. */
export interface SystemParts {
  /** The cached system. */
  readonly rootfs: string;
  /** An empty folder to mount on. */
  readonly mountPoint: string;
  /** The repository. */
  readonly repository: string;
  /** The folder that both sides see: what was prepared, and the results. */
  readonly staged: string;
}

/** Mounts it, with loopback up; returns its root. */
export async function mountSystem(parts: SystemParts): Promise<string> {
  const at = parts.mountPoint;
  await mustRun("mount", ["-t", "tmpfs", "-o", "size=75%", "tmpfs", at]);
  for (const name of ["upper", "work", "root"]) await Deno.mkdir(`${at}/${name}`);
  const root = `${at}/root`;
  const layers = `lowerdir=${parts.rootfs},upperdir=${at}/upper,workdir=${at}/work`;
  await mustRun("mount", ["-t", "overlay", "overlay", "-o", layers, root]);
  await mustRun("mount", ["-t", "proc", "proc", `${root}/proc`]);
  await mustRun("mount", ["--bind", "/dev", `${root}/dev`]);
  // debootstrap leaves this file to the network's set-up.
  await Deno.writeTextFile(`${root}/etc/hosts`, "127.0.0.1 localhost\n::1 localhost\n");
  await Deno.mkdir(root + REPOSITORY, { recursive: true });
  await mustRun("mount", ["--bind", parts.repository, root + REPOSITORY]);
  await mustRun("mount", ["-o", "remount,bind,ro", root + REPOSITORY]);
  await Deno.mkdir(root + RUN, { recursive: true });
  await mustRun("mount", ["--bind", parts.staged, root + RUN]);
  // And where Linux sees it too: the realm's files name each other by absolute paths.
  await Deno.mkdir(root + parts.staged, { recursive: true });
  await mustRun("mount", ["--bind", parts.staged, root + parts.staged]);
  await mustRun("chroot", [root, "ip", "link", "set", "lo", "up"]);
  return root;
}
