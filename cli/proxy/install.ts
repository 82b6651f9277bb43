/**
 * Starts `secure-sockets proxy` with the user's session: a systemd user unit on Linux, the registry's Run key on
 * Windows.
 *
 * @module
 */

import { execFile } from "node:child_process";
import { existsSync, rmSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import type { Io } from "../io.ts";
import { configFolder, writePrivate } from "./files.ts";

const NAME = "secure-sockets-proxy";
const RUN_KEY = String.raw`HKCU\Software\Microsoft\Windows\CurrentVersion\Run`;
const INTERNET_SETTINGS = String.raw`HKCU\Software\Microsoft\Windows\CurrentVersion\Internet Settings`;

/** The command line of this program with other arguments. */
export function ownCommand(args: readonly string[]): string[] {
  const runtime = process.versions.deno === undefined ? [] : ["run", "-A"];
  // An executable of `deno compile` is the program itself.
  const { Deno: deno } = globalThis as { Deno?: { readonly build: { readonly standalone?: boolean } } };
  if (deno?.build.standalone) return [process.execPath, ...args];
  return [process.execPath, ...runtime, process.argv[1], ...args];
}

/** The text of a systemd user unit that runs `command`. */
export function unitText(command: readonly string[]): string {
  // In a unit "%" begins a specifier and "$" a variable; both are written twice.
  const quoted = command.map((word) => {
    const plain = word.replace(/[\\"]/g, "\\$&").replace(/[%$]/g, "$&$&");
    // deno-lint-ignore no-control-regex
    return `"${plain.replace(/[\x00-\x1f]/g, (c) => `\\x${c.charCodeAt(0).toString(16).padStart(2, "0")}`)}"`;
  });
  return [
    "[Unit]",
    "Description=Signs on to the company's proxy with Kerberos (secure-sockets proxy)",
    "",
    "[Service]",
    `ExecStart=${quoted.join(" ")}`,
    "PassEnvironment=KRB5CCNAME KRB5_CONFIG",
    "Restart=on-failure",
    "RestartSec=5",
    "NoNewPrivileges=yes",
    "",
    "[Install]",
    "WantedBy=default.target",
    "",
  ].join("\n");
}

/** The command line as one text, quoted as Windows' programs read it. */
export function windowsCommand(command: readonly string[]): string {
  return command.map((word) => `"${word.replace(/(\\*)"/g, '$1$1\\"').replace(/(\\+)$/, "$1$1")}"`).join(" ");
}

function unitPath(io: Io): string {
  return join(configFolder(io.env), "systemd", "user", `${NAME}.service`);
}

/** Starts the proxy now and with each session. Returns the exit status. */
export async function install(config: string, io: Io): Promise<number> {
  const command = ownCommand(["proxy", "--config", config]);
  switch (process.platform) {
    case "linux": {
      writePrivate(unitPath(io), unitText(command));
      await io.print(`Wrote ${unitPath(io)}`);
      const started = await systemctl(io, ["daemon-reload"]) &&
        await systemctl(io, ["enable", "--now", NAME]);
      if (started) {
        await io.print(`It runs now, and with each session. Its log: journalctl --user -u ${NAME}`);
      }
      return started ? 0 : 1;
    }
    case "win32":
      await call("reg", ["add", RUN_KEY, "/v", NAME, "/t", "REG_SZ", "/d", windowsCommand(command), "/f"]);
      await io.print("It starts when you log on next");
      return 0;
    default:
      throw new Error(
        `--install supports systemd and Windows. On ${process.platform} let the session start: ${
          command.join(" ")
        }`,
      );
  }
}

/** Undoes {@linkcode install}. Returns the exit status. */
export async function uninstall(io: Io): Promise<number> {
  if (process.platform === "win32") {
    await call("reg", ["delete", RUN_KEY, "/v", NAME, "/f"]);
    await io.print("It no longer starts when you log on");
    return 0;
  }
  const path = unitPath(io);
  if (!existsSync(path)) {
    await io.note(`There is no ${path}: nothing was installed`);
    return 1;
  }
  const stopped = await systemctl(io, ["disable", "--now", NAME]);
  rmSync(path);
  await io.print(`Removed ${path}`);
  return stopped && await systemctl(io, ["daemon-reload"]) ? 0 : 1;
}

async function systemctl(io: Io, args: readonly string[]): Promise<boolean> {
  try {
    await call("systemctl", ["--user", ...args]);
    return true;
  } catch (error) {
    await io.note(`systemctl --user ${args.join(" ")} failed: ${(error as Error).message}`);
    await io.note(`Run it in your session: systemctl --user ${args.join(" ")}`);
    return false;
  }
}

/** Returns what `reg query` prints of Windows' Internet settings; empty off Windows, and where it fails. */
export async function internetSettings(): Promise<string> {
  if (process.platform !== "win32") return "";
  return await call("reg", ["query", INTERNET_SETTINGS]).catch(() => "");
}

function call(program: string, args: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile(
      program,
      [...args],
      { encoding: "utf8", windowsHide: true, timeout: 30_000 },
      (error, stdout, stderr) => {
        if (error) reject(new Error(stderr.trim().split("\n")[0] || error.message));
        else resolve(stdout);
      },
    );
  });
}
