/** Which tickets a cache holds, call by call. What the real library answers: gss_held_tickets_test.ts. */

import { assert, assertEquals, assertThrows } from "@std/assert";
import { test } from "@test";
import { AuthenticationError } from "../../../../errors.ts";
import { KRB5_GC_CACHED } from "../../../../ffi/raw/gssapi.ts";
import { pinned } from "../../../../ffi/memory/memory.ts";
import { CacheReader } from "../../../../ffi/security/gss/cache_reader.ts";
import { dataView, type Gss } from "../../../../ffi/security/gss/gss.ts";
import { StructBuilder } from "../../../../ffi/security/gss/structs.ts";

const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes).replace(/\0$/, "");

/** A libkrb5 with one cache, in which `failing` fails. */
class OneCache {
  /** Until when there is a ticket for a target. */
  readonly ends = new Map<string, number>();
  /** The targets that were looked for. */
  readonly asked: string[] = [];
  /** What is not released, by its handle. */
  readonly open = new Map<bigint, string>();
  failing = "";
  isProxy = false;
  now = 0;
  readonly gss: Gss;
  #last = 0n;

  constructor() {
    const build = new StructBuilder({ addressOf: () => 0n } as never, undefined);
    const { creds } = build.layouts;
    const fails = (fn: string): number => this.failing === fn ? 13 : 0;
    const opens = (fn: string, what: string, out: Uint8Array): number => {
      if (fails(fn)) return 13;
      assertEquals([out.length, out.byteOffset % 8], [8, 0]);
      this.open.set(++this.#last, what);
      dataView(out).setBigUint64(0, this.#last, true);
      return 0;
    };
    const is = (handle: bigint, what: string): void => assertEquals(this.open.get(handle), what);
    const closes = (handle: bigint): number => {
      assert(this.open.delete(handle), "something is released that is not open");
      return 0;
    };
    const call = {
      krb5_init_context: (out: Uint8Array) => opens("krb5_init_context", "context", out),
      krb5_free_context: closes,
      krb5_get_error_message: () => 0n,
      krb5_cc_resolve: (context: bigint, name: Uint8Array, out: Uint8Array) => {
        is(context, "context");
        return opens("krb5_cc_resolve", text(name), out);
      },
      krb5_cc_close: (_context: bigint, cache: bigint) => closes(cache),
      krb5_cc_get_principal: (_context: bigint, cache: bigint, out: Uint8Array) => {
        is(cache, "MEMORY:a");
        return opens("krb5_cc_get_principal", "owner", out);
      },
      krb5_free_principal: (_context: bigint, principal: bigint) => closes(principal),
      krb5_unparse_name: (_context: bigint, principal: bigint, out: Uint8Array) => {
        is(principal, "owner");
        return opens("krb5_unparse_name", "alice@A", out);
      },
      krb5_free_unparsed_name: (_context: bigint, name: bigint) => closes(name),
      krb5_cc_get_config: (
        _context: bigint,
        cache: bigint,
        principal: bigint,
        key: Uint8Array,
        data: Uint8Array,
      ) => {
        is(cache, "MEMORY:a");
        assertEquals([principal, text(key), data.length], [0n, "proxy_impersonator", 16]);
        return this.isProxy ? opens("krb5_cc_get_config", "data", data.subarray(0, 8)) : 13;
      },
      krb5_free_data_contents: (_context: bigint, data: Uint8Array) =>
        closes(dataView(data).getBigUint64(0, true)),
      krb5_timeofday: (_context: bigint, now: Uint8Array) => {
        assertEquals(now.length, 4);
        dataView(now).setInt32(0, this.now, true);
        return fails("krb5_timeofday");
      },
      krb5_parse_name_flags: (_context: bigint, name: Uint8Array, flags: number, out: Uint8Array) => {
        assertEquals(flags, 0);
        return opens("krb5_parse_name_flags", text(name), out);
      },
      krb5_get_credentials: (
        _context: bigint,
        options: number,
        cache: bigint,
        wanted: Uint8Array,
        out: Uint8Array,
      ) => {
        assertEquals(options, KRB5_GC_CACHED);
        is(cache, "MEMORY:a");
        const { client, server } = creds.read(dataView(wanted));
        is(client, "owner");
        const target = this.open.get(server)!;
        this.asked.push(target);
        return this.ends.has(target) ? opens("krb5_get_credentials", `ticket ${target}`, out) : 13;
      },
      krb5_free_creds: (_context: bigint, ticket: bigint) => closes(ticket),
    };
    const memory = {
      cString: (address: bigint) => this.open.get(address),
      read: (address: bigint, length: number) => {
        assertEquals(length, creds.size);
        const bytes = pinned(length);
        creds.write(dataView(bytes), { endtime: this.ends.get(this.open.get(address)!.slice(7))! });
        return bytes;
      },
    };
    const kerberosFailure = (fn: string) => new AuthenticationError("other", `${fn} failed`);
    this.gss = { build, call, memory, kerberosFailure } as unknown as Gss;
  }
}

/** Runs `body` with a reader, and checks that it releases what it has used, and everything at its end. */
function withReader(body: (reader: CacheReader, library: OneCache) => void): void {
  const library = new OneCache();
  const reader = new CacheReader(library.gss, "MEMORY:a");
  const held = ["context", "MEMORY:a", "owner"];
  assertEquals([...library.open.values()], held);
  body(reader, library);
  assertEquals([...library.open.values()], held);
  reader[Symbol.dispose]();
  assertEquals(library.open.size, 0);
}

test("CacheReader reports a cache that cannot be read, and leaves nothing open", () => {
  for (const fn of ["krb5_init_context", "krb5_cc_resolve", "krb5_cc_get_principal"]) {
    const library = new OneCache();
    library.failing = fn;
    assertThrows(() => new CacheReader(library.gss, "MEMORY:a"), AuthenticationError, `${fn} failed`);
    assertEquals(library.open.size, 0);
  }
});

test("CacheReader reads the owner, constrained delegation and the clock", () =>
  withReader((reader, library) => {
    assertEquals(reader.owner, "alice@A");
    assertEquals(reader.isProxy, false);
    library.isProxy = true;
    assertEquals(reader.isProxy, true);
    at(1_000_999, () => {
      for (const offset of [0, 30, -30]) {
        library.now = 1000 + offset;
        assertEquals(reader.clockOffset, offset);
      }
    });
    for (const fn of ["krb5_unparse_name", "krb5_timeofday"]) {
      library.failing = fn;
      assertThrows(() => [reader.owner, reader.clockOffset], AuthenticationError, `${fn} failed`);
    }
  }));

/** Runs `body` at a time, in milliseconds since 1970. */
function at(ms: number, body: () => void): void {
  const { now } = Date;
  Date.now = () => ms;
  try {
    body();
  } finally {
    Date.now = now;
  }
}

test("CacheReader.endOf() looks for a ticket again once it has ended, and where there was none", () =>
  withReader((reader, library) => {
    const look = (ms: number, end: number, asks: boolean): void =>
      at(ms, () => {
        assertEquals(reader.endOf("HTTP/a"), end);
        assertEquals(library.asked.splice(0), asks ? ["HTTP/a"] : []);
      });
    look(0, 0, true);
    look(0, 0, true);
    library.ends.set("HTTP/a", 1000);
    look(0, 1000, true);
    look(999_999, 1000, false);
    library.ends.set("HTTP/a", 2000);
    look(1_000_000, 2000, true);
    library.ends.delete("HTTP/a");
    look(2_000_000, 0, true);
    // The answer before does not count any more, whatever the time.
    look(0, 0, true);
    library.failing = "krb5_parse_name_flags";
    at(0, () => assertEquals(reader.endOf("HTTP/a"), 0));
  }));

test("CacheReader.endOf() remembers 64 answers, and begins again", () =>
  withReader((reader, library) => {
    at(0, () => {
      const targets = Array.from({ length: 65 }, (_, index) => `HTTP/${index}`);
      for (const target of targets) library.ends.set(target, 1000);
      for (const target of targets.slice(0, 64)) reader.endOf(target);
      assertEquals(library.asked.splice(0).length, 64);
      for (const target of targets.slice(0, 64)) reader.endOf(target);
      assertEquals(library.asked, []);
      reader.endOf(targets[64]);
      reader.endOf(targets[64]);
      reader.endOf(targets[0]);
      assertEquals(library.asked, [targets[64], targets[0]]);
    });
  }));

test("CacheReader.endOf() forgets no answer for targets without a ticket", () =>
  withReader((reader, library) => {
    library.ends.set("HTTP/a", 1000);
    at(0, () => {
      reader.endOf("HTTP/a");
      for (let index = 0; index < 65; index++) reader.endOf(`HTTP/${index}`);
      library.asked.length = 0;
      assertEquals(reader.endOf("HTTP/a"), 1000);
      assertEquals(library.asked, []);
    });
  }));
