/** Getting and copying tickets, call by call: what libkrb5 is asked for, and that all of it is released. */

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { test } from "@test";
import { AuthenticationError } from "../../../../errors.ts";
import { KRB5_PRINCIPAL_PARSE } from "../../../../ffi/raw/gssapi.ts";
import { StructBuilder } from "../../../../ffi/security/gss/structs.ts";
import { dataView, type Gss, NO_HINTS } from "../../../../ffi/security/gss/gss.ts";
import { initialTicket, MemoryCache, type TicketRequest } from "../../../../ffi/security/gss/tickets.ts";
import { watchSecret } from "../../../support/secret_watch.ts";

/** Which argument a function writes a handle to, and how many bytes that needs at least and at most. */
const OPENS: { readonly [fn: string]: readonly [kind: string, argument: number, least?: number] } = {
  krb5_init_context: ["context", 0],
  krb5_cc_resolve: ["cache", 2],
  krb5_cc_get_principal: ["principal", 2],
  krb5_kt_resolve: ["keytab", 2],
  krb5_kt_start_seq_get: ["cursor", 2],
  krb5_kt_next_entry: ["entry", 2, 64],
  krb5_copy_principal: ["principal", 2],
  krb5_parse_name_flags: ["principal", 3],
  krb5_get_init_creds_opt_alloc: ["options", 1],
  krb5_get_init_creds_password: ["credentials", 1, 64],
  krb5_get_init_creds_keytab: ["credentials", 1, 64],
};
/** Which argument of a function is what it releases. */
const CLOSES: { readonly [fn: string]: number } = {
  krb5_free_context: 0,
  krb5_cc_close: 1,
  krb5_cc_destroy: 1,
  krb5_free_principal: 1,
  krb5_kt_close: 1,
  krb5_kt_end_seq_get: 2,
  krb5_free_keytab_entry_contents: 1,
  krb5_get_init_creds_opt_free: 1,
  krb5_free_cred_contents: 1,
};

/** A libkrb5 that writes down its calls, in which `failing` fails. */
class Written {
  readonly calls: string[] = [];
  readonly open = new Map<bigint, string>();
  readonly secrets: Uint8Array[] = [];
  readonly gss: Gss;
  #last = 0n;

  constructor(failing = "") {
    const build = new StructBuilder({ addressOf: () => 0n } as never, undefined);
    const entries = build.layouts.keytabEntry;
    const handleIn = (fn: string, arg: unknown): bigint => {
      if (!(arg instanceof Uint8Array)) return arg as bigint;
      if (fn === "krb5_free_keytab_entry_contents") return entries.read(dataView(arg)).principal;
      return dataView(arg).getBigUint64(0, true);
    };
    const table = (suffix: string): object =>
      new Proxy({}, {
        get: (_, fn: string) => (...args: unknown[]): number => {
          const [kind, out, least] = OPENS[fn] ?? ["", -1];
          const closed = CLOSES[fn] ?? -1;
          const texts = args.map((arg, at) => {
            if (at === out) return "out";
            if (!(arg instanceof Uint8Array)) return typeof arg === "bigint" ? this.#name(arg) : String(arg);
            if (at === closed || fn === "krb5_kt_next_entry") return this.#name(handleIn(fn, arg));
            const text = new TextDecoder().decode(arg);
            assertEquals(text.indexOf("\0"), text.length - 1, "one NUL ends a text");
            if (fn === "krb5_get_init_creds_password") this.secrets.push(arg);
            return text.slice(0, -1);
          });
          if (closed < 0 || fn === "krb5_cc_destroy") {
            this.calls.push(`${fn}${suffix}(${texts.join(", ").replace(/secure-.*?(?=,|$)/, "new")})`);
          }
          if (closed >= 0) {
            assert(this.open.delete(handleIn(fn, args[closed])), `${fn} releases what is not open`);
          }
          if (fn === failing) return 13;
          if (kind !== "") {
            const bytes = args[out] as Uint8Array;
            assert(least === undefined ? bytes.length === 8 : bytes.length >= least, `${fn} needs its size`);
            this.open.set(++this.#last, kind);
            if (kind === "entry") entries.write(dataView(bytes), { principal: this.#last });
            else dataView(bytes).setBigUint64(0, this.#last, true);
          }
          return 0;
        },
      });
    this.gss = {
      build,
      call: table(""),
      threaded: table("*"),
      kerberosFailure: (fn: string) => new AuthenticationError("other", `${fn} failed`),
      memory: {},
    } as unknown as Gss;
  }

  #name(handle: bigint): string {
    if (handle === 0n) return "0";
    assert(this.open.has(handle), `${handle} is not open`);
    return this.open.get(handle)!;
  }

  /** The calls since the last time; nothing may be open. */
  take(): string[] {
    assertEquals([...this.open.values()], []);
    return this.calls.splice(0).filter((call) => !/init_context|error_message/.test(call));
  }
}

/** The calls for a ticket; an asterisk marks those that wait on another thread. */
function ticketCalls(request: Partial<TicketRequest>, library = new Written()): Promise<string[]> {
  const { gss } = library;
  const whole: TicketRequest = {
    proof: { password: "secret" },
    forwardable: false,
    doing: "test",
    hints: NO_HINTS,
    ...request,
  };
  return initialTicket(gss, new MemoryCache(gss), whole).then(() => library.take());
}

const RESOLVE = "krb5_cc_resolve(context, MEMORY:new, out)";
const ALLOC = "krb5_get_init_creds_opt_alloc(context, out)";
const FORWARDABLE = "krb5_get_init_creds_opt_set_forwardable(options, 1)";
const OUT = "krb5_get_init_creds_opt_set_out_ccache(context, options, cache)";
const alice = { text: "alice", enterprise: false };

test("initialTicket() asks for the principal by its password, and for a forwardable ticket where that is wanted", async () => {
  for (const forwardable of [false, true]) {
    for (const [enterprise, flags] of [[false, 0], [true, KRB5_PRINCIPAL_PARSE.ENTERPRISE]] as const) {
      assertEquals(await ticketCalls({ principal: { text: "alice", enterprise }, forwardable }), [
        RESOLVE,
        `krb5_parse_name_flags(context, alice, ${flags}, out)`,
        ALLOC,
        ...forwardable ? [FORWARDABLE] : [],
        OUT,
        "krb5_get_init_creds_password*(context, out, principal, secret, 0, 0, 0, null, options)",
      ]);
    }
  }
});

test("initialTicket() zeroes the text of a password, right or wrong, and leaves the caller's bytes", async () => {
  for (const failing of ["", "krb5_get_init_creds_password"]) {
    for (const password of ["secret", new TextEncoder().encode("secret")]) {
      const library = new Written(failing);
      const own = typeof password === "string" ? undefined : password;
      const watched = await watchSecret("secret", async () => {
        const asked = ticketCalls({ principal: alice, proof: { password } }, library);
        await (failing === "" ? asked : assertRejects(() => asked, AuthenticationError, failing));
      }, own);
      assert(watched.held >= 1, "no buffer held it: this test sees nothing");
      assertEquals(watched.left, 0);
      assertEquals(library.secrets.map((secret) => [...secret]), [Array(7).fill(0)]);
      if (own !== undefined) assertEquals(new TextDecoder().decode(own), "secret");
    }
  }
});

const START = "krb5_kt_start_seq_get(context, keytab, out)";
const NEXT = "krb5_kt_next_entry(context, keytab, out, cursor)";
const proof = { keytab: "FILE:/keys" };

test("initialTicket() asks by a key table for its first principal, or for the given one", async () => {
  for (
    const [principal, calls] of [
      [undefined, [START, NEXT, "krb5_copy_principal(context, entry, out)"]],
      [alice, ["krb5_parse_name_flags(context, alice, 0, out)"]],
    ] as const
  ) {
    assertEquals(await ticketCalls({ principal, proof }), [
      RESOLVE,
      "krb5_kt_resolve(context, FILE:/keys, out)",
      ...calls,
      ALLOC,
      OUT,
      "krb5_get_init_creds_keytab*(context, out, principal, keytab, 0, null, options)",
    ]);
  }
});

test("initialTicket() stops at the call that fails, and releases everything", async () => {
  const failures: [fn: string, reported?: string][] = [
    ["krb5_cc_resolve"],
    ["krb5_kt_resolve"],
    ["krb5_kt_start_seq_get", "krb5_kt_next_entry"],
    ["krb5_kt_next_entry"],
    ["krb5_copy_principal", "krb5_kt_next_entry"],
    ["krb5_get_init_creds_opt_alloc"],
    ["krb5_get_init_creds_opt_set_out_ccache"],
    ["krb5_get_init_creds_keytab"],
  ];
  for (const [fn, reported = fn] of failures) {
    const library = new Written(fn);
    await assertRejects(() => ticketCalls({ proof }, library), AuthenticationError, `${reported} failed`);
    const calls = library.take();
    assert(calls.at(-1)!.startsWith(fn), calls.join("\n"));
  }
});

const copied = (file: string, star: string): string[] => [
  `krb5_cc_resolve(context, ${file}, out)`,
  ...star === "" ? [RESOLVE] : [],
  `krb5_cc_get_principal${star}(context, cache, out)`,
  ...star === "" ? [] : [RESOLVE],
  "krb5_cc_initialize(context, cache, principal)",
  `krb5_cc_copy_creds${star}(context, cache, cache)`,
];

test("MemoryCache.copyFrom() copies on this thread, copyFromFile() on another, and both release everything", async () => {
  for (
    const fn of ["", "krb5_cc_resolve", "krb5_cc_get_principal", "krb5_cc_initialize", "krb5_cc_copy_creds"]
  ) {
    const library = new Written(fn);
    const cache = new MemoryCache(library.gss);
    const here = () => cache.copyFrom("KEYRING:a", "test", NO_HINTS);
    const elsewhere = () => cache.copyFromFile("/a");
    if (fn === "") {
      here();
      assertEquals(library.take(), copied("KEYRING:a", ""));
      await elsewhere();
      assertEquals(library.take(), copied("FILE:/a", "*"));
      continue;
    }
    assertThrows(here, AuthenticationError, `${fn} failed`);
    assert(library.take().at(-1)!.startsWith(fn));
    await assertRejects(elsewhere, AuthenticationError, `${fn} failed`);
    assert(library.take().at(-1)!.startsWith(fn));
  }
});

test("MemoryCache.destroy() removes the cache, and does nothing where the library fails", () => {
  const calls = ["krb5_init_context(out)", RESOLVE, "krb5_cc_destroy(context, cache)"];
  for (const [fn, made] of [["krb5_init_context", 1], ["krb5_cc_resolve", 2], ["", 3]] as const) {
    const library = new Written(fn);
    new MemoryCache(library.gss).destroy();
    assertEquals(library.calls, calls.slice(0, made));
    library.take();
  }
});
