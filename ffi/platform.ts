/**
 * Detects the runtime, the operating system and the processor, without any permission.
 *
 * @module
 */

import type { Platform } from "./permissions.ts";

interface Globals {
  Deno?: { build: { os: string; arch: string } };
  process?: { platform: string; arch: string };
}

const OS: { readonly [name: string]: Platform["os"] } = {
  windows: "windows",
  win32: "windows",
  linux: "linux",
  darwin: "darwin",
};

const ARCH: { readonly [name: string]: string } = { x64: "x86_64", arm64: "aarch64" };

/** Returns the runtime that loaded this module. */
export function currentRuntime(): "deno" | "node" {
  return (globalThis as Globals).Deno === undefined ? "node" : "deno";
}

/** Returns where libraries are looked for on this machine. */
export function currentPlatform(systemDirectory: string): Platform {
  const { Deno, process } = globalThis as Globals;
  const os = Deno?.build.os ?? process?.platform ?? "other";
  const arch = Deno?.build.arch ?? process?.arch ?? "";
  return { os: OS[os] ?? "other", arch: ARCH[arch] ?? arch, systemDirectory };
}
