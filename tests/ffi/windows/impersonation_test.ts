/** Impersonation with a simulated thread: what is checked, in which order, and what ends the process. */

import { assertEquals, assertThrows } from "@std/assert";
import { test } from "@test";
import { AuthenticationError, SecurityRequirementError, StateError } from "../../../errors.ts";
import type { LibrarySpec } from "../../../ffi/abi.ts";
import { ADVAPI32, TOKEN } from "../../../ffi/raw/advapi32.ts";
import { Impersonator } from "../../../ffi/windows/impersonation.ts";
import type { NativeSystem } from "../../../ffi/system.ts";

const LEVEL = { anonymous: 0, identify: 1, impersonate: 2, delegate: 3 } as const;

/** A thread, and the functions that read its state. */
class Thread {
  /** The level of the client's token; `null`: the thread has none. */
  token: number | null = null;
  /** The error of OpenThreadToken where there is no token. */
  noToken: number = TOKEN.ERROR_NO_TOKEN;
  /** Tokens opened and not closed. */
  open = 0;
  readonly exits: number[] = [];
  #error = 0;

  impersonator(): Impersonator {
    const advapi = {
      OpenThreadToken: (_thread: bigint, _access: number, _self: number, out: Uint8Array) => {
        this.#error = this.token === null ? this.noToken : 0;
        if (this.token === null) return 0;
        out[0] = 1;
        this.open++;
        return 1;
      },
      GetTokenInformation: (_token: bigint, _class: number, out: Uint8Array) => {
        out[0] = this.token!;
        return 1;
      },
    };
    const kernel = {
      GetLastError: () => this.#error,
      CloseHandle: () => (this.open--, 1),
      TerminateProcess: (_process: bigint, code: number) => this.exits.push(code),
    };
    const library = (_grant: string, spec: LibrarySpec) => ({ call: spec === ADVAPI32 ? advapi : kernel });
    return new Impersonator({ library } as unknown as NativeSystem);
  }

  /** Runs `fn` as a client of `level`; `leave` is the result of reverting. */
  run<T>(level: keyof typeof LEVEL, fn: () => T, leave: () => boolean = () => this.revert()): T {
    return this.impersonator().run(() => void (this.token = LEVEL.impersonate), leave, level, fn);
  }

  revert(): boolean {
    this.token = null;
    return true;
  }
}

test("run() runs the function with the client's token, and removes the token afterwards", () => {
  const thread = new Thread();
  assertEquals(thread.run("impersonate", () => thread.token), LEVEL.impersonate);
  assertThrows(() => thread.run("identify", () => JSON.parse("no JSON")), SyntaxError);
  assertEquals([thread.token, thread.open, thread.exits], [null, 0, []]);
});

test("run() does not call the function where the client allows less than the required level", () => {
  const thread = new Thread();
  let runs = 0;
  const error = assertThrows(() => thread.run("delegate", () => runs++), SecurityRequirementError);
  assertEquals([error.required, error.got, runs], ["impersonation", "impersonate", 0]);
  assertEquals([thread.token, thread.open, thread.exits], [null, 0, []]);
});

test("run() refuses a thread that has a token already, and leaves the token", () => {
  const thread = new Thread();
  const ran: string[] = [];
  thread.run("impersonate", () => {
    const inner = () =>
      thread.impersonator().run(
        () => ran.push("entered"),
        () => thread.revert(),
        "identify",
        () => ran.push("fn"),
      );
    assertThrows(inner, StateError, "already impersonating");
    ran.push(thread.token === LEVEL.impersonate ? "still the client" : "the server");
  });
  assertEquals(ran, ["still the client"]);
  assertEquals([thread.token, thread.open, thread.exits], [null, 0, []]);
});

test("run() refuses where the thread's token cannot be read", () => {
  const thread = new Thread();
  thread.noToken = 5;
  const error = assertThrows(
    () => thread.run("identify", () => 1),
    AuthenticationError,
    "this thread's token",
  );
  assertEquals((error.cause as Error).name, "NativeError");
  assertEquals([thread.token, thread.open, thread.exits], [null, 0, []]);
});

test("run() refuses a promise or an iterator as the result, and reverts the thread", () => {
  const thread = new Thread();
  let ran = 0;
  function* rows() {
    yield ran++;
  }
  async function* arriving() {
    yield await Promise.resolve(ran++);
  }
  for (const fn of [() => rows(), () => arriving(), () => Promise.reject(new Error("late"))]) {
    assertThrows(() => thread.run<unknown>("identify", fn), TypeError, "fn returned");
    assertEquals(thread.token, null);
  }
  assertEquals([ran, thread.open, thread.exits], [0, 0, []]);
});

const STUCK: [string, (thread: Thread) => () => boolean][] = [
  ["reverting fails", () => () => false],
  ["reverting throws", () => () => {
    throw new Error("no such function");
  }],
  ["the thread still has a token", () => () => true],
  ["the thread's token cannot be read", (thread) => () => {
    thread.noToken = 5;
    return thread.revert();
  }],
];
for (const [what, leave] of STUCK) {
  test(`run() ends the process where ${what}, whatever the function returned`, () => {
    for (const fn of [() => 1, () => JSON.parse("no JSON")]) {
      const thread = new Thread();
      assertThrows(() => thread.run("identify", fn, leave(thread)), Error, "TerminateProcess returned");
      assertEquals(thread.exits, [70]);
    }
  });
}
