/**
 * The machine's policy is read by the runtime or the C library, and a policy that cannot be read is never reported as
 * absent.
 */

import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { test } from "@test";
import { chmodSync, mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { StateError } from "../../errors.ts";
import type { LibrarySpec } from "../../ffi/abi.ts";
import type { MachinePolicy } from "../../contract.ts";
import { type FileCalls, MachinePolicyReader } from "../../ffi/machine_policy.ts";
import type { Grant } from "../../ffi/permissions.ts";
import { GSSAPI } from "../../ffi/raw/gssapi.ts";
import { NativeSystem, openSystem } from "../../ffi/system.ts";
import { childOutcome, children } from "../support/child.ts";
import { cannotChangeUser, runtimeBackend } from "../support/native.ts";

const USER = {
  name: "libc",
  instead: "",
  files: {},
  fns: {
    setresuid: { params: [["real", "u32"], ["effective", "u32"], ["saved", "u32"]], result: "i32" },
  },
} as const satisfies LibrarySpec;

/** What a system reports of the policy at the path on the command line, as the user given there. */
function look(): MachinePolicy {
  const [path, grant, user] = process.argv.slice(-3);
  const system = new NativeSystem({ grants: grant === "none" ? [] : [grant as Grant] }, {
    machinePolicyPath: path,
  });
  if (user !== "self") {
    // The library is opened before its file becomes unreadable.
    const library = runtimeBackend().open(system.library("sspi", GSSAPI).path, USER);
    if (library.call.setresuid(Number(user), Number(user), Number(user)) !== 0) {
      throw new Error("setresuid failed");
    }
  }
  return system.capabilities().machinePolicy;
}

await children({ look });

const { securityContexts } = openSystem({ grants: ["sspi"] }).capabilities();
const skip = securityContexts.available ? null : securityContexts.reason;
const root = cannotChangeUser();
const deno = process.versions.deno !== undefined;

type Way = "runtime" | "native" | "neither";

/** The flags that allow a program only this way to read. */
function flagsFor(way: Way): string[] {
  if (deno) {
    const ffi = openSystem({ grants: ["sspi"] }).permissions.deno;
    return { runtime: ["--allow-read", ffi], native: [ffi], neither: [] }[way];
  }
  if (way === "runtime") return [];
  const koffi = createRequire(import.meta.url).resolve("koffi");
  const folders = [dirname(fileURLToPath(import.meta.url)), koffi.replace(/node_modules.*/, "node_modules")];
  return ["--permission", "--allow-addons", ...folders.map((folder) => `--allow-fs-read=${folder}`)];
}

async function outcome(way: Way, path: string, user = "self"): Promise<MachinePolicy> {
  const grant = way === "neither" ? "none" : "sspi";
  return await childOutcome(import.meta.url, "look", { flags: flagsFor(way), args: [path, grant, user] });
}

/** Runs `body` with a folder that every user may search. */
async function inFolder(body: (folder: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "secure-sockets-policy-"));
  chmodSync(folder, 0o755);
  try {
    await body(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

for (const [way, by] of [["runtime", "by the runtime"], ["native", "by the C library"]] as const) {
  test(
    `MachinePolicyReader ${by} reads an existing policy unchanged`,
    () =>
      inFolder(async (folder) => {
        const path = join(folder, "policy.json");
        const text = '{ "version": 1, "deny": ["ntlm"], "ä": "中" }\n';
        writeFileSync(path, text);
        assertEquals(await outcome(way, path), { state: "present", path, text });
      }),
    { skip },
  );

  test(
    `MachinePolicyReader ${by} reports a missing policy as absent`,
    () =>
      inFolder(async (folder) => {
        writeFileSync(join(folder, "file"), "");
        for (const path of ["policy.json", "no/folder/policy.json"]) {
          const at = join(folder, path);
          assertEquals(await outcome(way, at), { state: "absent", path: at });
        }
        // The C library of a Unix cannot distinguish this from a folder that cannot be searched.
        const { state } = await outcome(way, join(folder, "file/policy.json"));
        const untold = way === "native" && process.platform !== "win32";
        assertEquals(state, untold ? "unreadable" : "absent");
      }),
    { skip },
  );

  test(
    `MachinePolicyReader ${by} reports a file that is too long or not UTF-8 as unreadable`,
    () =>
      inFolder(async (folder) => {
        const path = join(folder, "policy.json");
        const most = `"${"x".repeat(65534)}"`;
        writeFileSync(path, most);
        assertEquals(await outcome(way, path), { state: "present", path, text: most });
        const cases: [content: string | Uint8Array, reason: string][] = [
          [`${most} `, "longer than 65536"],
          [`"${"中".repeat(30000)}"`, "longer than 65536"],
          [Uint8Array.of(0x22, 0xff, 0xfe, 0x22), "UTF-8"],
        ];
        for (const [content, reason] of cases) {
          writeFileSync(path, content);
          const found = await outcome(way, path);
          assert(found.state === "unreadable", found.state);
          assertStringIncludes(found.reason, reason);
        }
      }),
    { skip },
  );

  test(
    `MachinePolicyReader ${by} reports a policy that this account cannot read as unreadable`,
    () =>
      inFolder(async (folder) => {
        const closed = join(folder, "closed");
        mkdirSync(join(closed, "deeper"), { recursive: true });
        const inside = [
          join(closed, "policy.json"),
          join(closed, "deeper", "policy.json"),
          join(closed, "none.json"),
        ];
        for (const path of inside.slice(0, 2)) writeFileSync(path, "{}");
        const file = join(folder, "policy.json");
        writeFileSync(file, "{}");
        chmodSync(file, 0o600);
        chmodSync(closed, 0o700);
        for (const path of [file, ...inside]) {
          assertEquals((await outcome(way, path, "65534")).state, "unreadable", path);
        }
        // Links to them, where the folder of the links can be searched.
        symlinkSync(inside[0], join(folder, "link.json"));
        symlinkSync(join(closed, "deeper"), join(folder, "link"));
        for (const path of [join(folder, "link.json"), join(folder, "link", "policy.json")]) {
          assertEquals((await outcome(way, path, "65534")).state, "unreadable", path);
        }
        // Where the folder can be searched, the file is certainly absent.
        const absent = join(folder, "none.json");
        assertEquals(await outcome(way, absent, "65534"), { state: "absent", path: absent });
      }),
    { skip: skip ?? root },
  );
}

test(
  "MachinePolicyReader without permission reports the policy as unread, with the flag to add",
  () =>
    inFolder(async (folder) => {
      const path = join(folder, "policy.json");
      writeFileSync(path, "{}");
      const found = await outcome("neither", path);
      assert(found.state === "unread", found.state);
      assertStringIncludes(found.reason, `${deno ? "--allow-read" : "--allow-fs-read"}=${path}`);
    }),
  { skip },
);

/** Ways in which deep/policy.json comes into being after it was missed. */
const COMING: readonly (readonly [name: string, make: (inside: string, folder: string) => void])[] = [
  ["folder", (inside) => {
    mkdirSync(join(inside, "deep"));
    writeFileSync(join(inside, "deep/policy.json"), "{}");
  }],
  ["moved", (inside, folder) => {
    mkdirSync(join(folder, "elsewhere"));
    writeFileSync(join(folder, "elsewhere/policy.json"), "{}");
    renameSync(join(folder, "elsewhere"), join(inside, "deep"));
  }],
];

test("MachinePolicyReader keeps no absence where a link to nothing may become the policy", () =>
  inFolder((folder) => {
    symlinkSync(join(folder, "target"), join(folder, "policy.json"));
    const old = { changed: Math.floor(Date.now() / 1000) - 60, inode: 1 };
    const call = {
      ...filesWithState(old),
      access: (path: Uint8Array | null) => new TextDecoder().decode(path!).includes("policy") ? -1 : 0,
    };
    const reader = new MachinePolicyReader({
      path: join(folder, "policy.json"),
      native: () => call,
      wide: false,
    });
    assertEquals(reader.read().state, "absent");
    writeFileSync(join(folder, "target"), "{}");
    assertEquals(reader.read().state, "present");
    return Promise.resolve();
  }));

test("MachinePolicyReader keeps an absence while the folder has the same state", () =>
  inFolder((folder) => {
    const path = join(folder, "policy.json");
    const state = { changed: Math.floor(Date.now() / 1000) - 60, inode: 1 };
    const files = filesWithState(state);
    const call: FileCalls = {
      ...files,
      access: (name: Uint8Array | null) => new TextDecoder().decode(name!).includes("policy.json") ? -1 : 0,
      statx: (dirfd, name, flags, mask, into) =>
        flags === 0 ? files.statx!(dirfd, name, flags, mask, into) : -1,
    };
    const reader = new MachinePolicyReader({ path, native: () => call, wide: false });
    assertEquals(reader.read().state, "absent");
    writeFileSync(path, "{}");
    assertEquals(reader.read().state, "absent", "as the C library says, nothing has changed");
    state.inode = 2;
    assertEquals(reader.read().state, "present");
    return Promise.resolve();
  }));

test("capabilities() finds a policy in a folder that did not exist before", () =>
  inFolder(async (folder) => {
    for (const [name] of COMING) mkdirSync(join(folder, name));
    // Until the folders are old enough for another change to show.
    await new Promise((resolve) => setTimeout(resolve, 2100));
    for (const [name, make] of COMING) {
      const inside = join(folder, name);
      using system = new NativeSystem({ grants: ["sspi"] }, {
        machinePolicyPath: join(inside, "deep/policy.json"),
      });
      const state = (): string => system.capabilities().machinePolicy.state;
      assertEquals([state(), state()], ["absent", "absent"]);
      make(inside, folder);
      assertEquals([state(), state()], ["present", "present"], name);
    }
  }), { skip });

test("capabilities() reports the current policy on every call", () =>
  inFolder((folder) => {
    const machinePolicyPath = join(folder, "policy.json");
    using system = new NativeSystem({ grants: ["sspi"] }, { machinePolicyPath });
    const found = (): string => {
      const { machinePolicy } = system.capabilities();
      return machinePolicy.state === "present" ? machinePolicy.text : machinePolicy.state;
    };
    const [one, two] = ['{ "deny": ["a"] }', '{ "deny": ["b"] }'];
    for (let round = 0; round < 3; round++) {
      assertEquals(found(), "absent");
      writeFileSync(machinePolicyPath, one);
      assertEquals([found(), found()], [one, one]);
      writeFileSync(machinePolicyPath, two);
      assertEquals([found(), found()], [two, two]);
      rmSync(machinePolicyPath);
    }
    system.close();
    // Its libraries are closed, so the policy cannot be read: the result must not be "unread".
    assertThrows(() => system.capabilities(), StateError);
    return Promise.resolve();
  }));

/** The functions of a C library for a file that exists, whose state is what the test says. */
function filesWithState(state: { changed: number; inode: number }): FileCalls {
  return {
    access: () => 0,
    fopen: () => 0n,
    fread: () => 0n,
    fclose: () => 0,
    statx(_dirfd, _path, _flags, _mask, into) {
      const view = new DataView(into.buffer);
      view.setBigUint64(32, BigInt(state.inode), true);
      view.setBigInt64(96, BigInt(state.changed), true);
      return 0;
    },
  };
}

test("MachinePolicyReader reads a policy again when its state differs, or has changed just now", () =>
  inFolder((folder) => {
    const path = join(folder, "policy.json");
    const now = Math.floor(Date.now() / 1000);
    const state = { changed: now - 60, inode: 1 };
    const files = filesWithState(state);
    const reader = new MachinePolicyReader({ path, native: () => files, wide: false });
    const read = (): string => {
      const policy = reader.read();
      return policy.state === "present" ? policy.text : policy.state;
    };
    writeFileSync(path, "one");
    assertEquals(read(), "one");
    writeFileSync(path, "two");
    assertEquals(read(), "one", "as the C library says, nothing has changed");
    state.inode = 2;
    assertEquals(read(), "two");
    state.changed = now;
    assertEquals(read(), "two");
    writeFileSync(path, "three");
    assertEquals(read(), "three", "the same state could be that of a later change");
    state.changed = now + 60;
    assertEquals(read(), "three");
    writeFileSync(path, "four");
    assertEquals(read(), "four", "a time in the future says nothing");
    const without = new MachinePolicyReader({ path, native: () => null, wide: false });
    assertEquals(without.read().state, "present");
    writeFileSync(path, "five");
    assertEquals(without.read(), { state: "present", path, text: "five" });
    return Promise.resolve();
  }));
