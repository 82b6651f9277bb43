/** The parsers of ./postgres by themselves: any bytes in any pieces. */

import { Buffer } from "node:buffer";
import { EventEmitter } from "node:events";
import type { Socket } from "node:net";
import { assert, assertEquals } from "@std/assert";
import { test } from "@test";
import fc from "fast-check";
import type { SecurityContext } from "../../contract.ts";
import { Authentication, MAX_MESSAGE } from "../../postgres/authentication.ts";
import { Incoming } from "../../postgres/incoming.ts";
import { Records } from "../../postgres/encryption.ts";
import { bytesOf, message } from "../support/postgres.ts";

/** A context that is done after one token of the server's. */
function fakeContext(): SecurityContext {
  let steps = 0;
  return {
    get done() {
      return steps > 1;
    },
    step: () => Promise.resolve({ token: steps++ === 0 ? Uint8Array.of(1, 2, 3) : null, done: steps > 1 }),
  } as unknown as SecurityContext;
}

interface Outcome {
  readonly passed: string;
  readonly sent: string;
  readonly done: boolean;
  readonly error: string | null;
}

async function outcomeOf(bytes: Buffer, cuts: readonly number[], encrypted: boolean): Promise<Outcome> {
  const sent: Buffer[] = [];
  const context = encrypted ? null : fakeContext();
  const send = (bytes: Uint8Array) => Promise.resolve(void sent.push(Buffer.from(bytes)));
  const authentication = new Authentication({ context, send });
  const passed: Buffer[] = [];
  let error: string | null = null;
  const ends = [...cuts.map((cut) => cut % (bytes.length + 1)), bytes.length].sort((one, other) =>
    one - other
  );
  try {
    let at = 0;
    for (const end of ends) {
      passed.push(Buffer.from(await authentication.receive(bytes.subarray(at, end))));
      at = end;
    }
  } catch (cause) {
    error = (cause as Error).name;
  }
  const hex = (parts: Buffer[]) => Buffer.concat(parts).toString("hex");
  return { passed: hex(passed), sent: hex(sent), done: authentication.done, error };
}

const messages = fc.oneof(
  fc.constantFrom(message("R", 0), message("R", 7), message("R", 8, "tok"), message("R", 9), message("R", 3)),
  fc.uint8Array({ maxLength: 40 }).map((bytes) => message("N", bytes)),
  fc.constantFrom(message("E", "SFATAL\0\0"), message("v", 0, 0), message("Z", "I"), bytesOf("R", 4)),
  fc.uint8Array({ maxLength: 12 }).map((bytes) => bytesOf(bytes)),
);
const streams = fc.array(messages, { maxLength: 8 }).map((parts) => Buffer.concat(parts));
const cuts = fc.array(fc.nat(400), { maxLength: 6 });

test("the server's messages mean the same in whatever pieces they come", () =>
  fc.assert(
    fc.asyncProperty(streams, cuts, fc.boolean(), async (bytes, cuts, encrypted) => {
      const whole = await outcomeOf(bytes, [], encrypted);
      const pieces = await outcomeOf(bytes, cuts, encrypted);
      // What is whole before an error is passed on where it came in a piece of its own.
      if (whole.error === null) assertEquals(pieces, whole);
      else assertEquals([pieces.error, pieces.done, pieces.sent], [whole.error, whole.done, whole.sent]);
    }),
    { numRuns: 1000 },
  ));

test("no bytes make a driver see success, or a request for GSS, before the context is done", () =>
  fc.assert(
    fc.asyncProperty(streams, cuts, async (bytes, cuts) => {
      const { passed, done, error } = await outcomeOf(bytes, cuts, false);
      let rest = Buffer.from(passed, "hex");
      let tokens = 0;
      while (rest.length > 0) {
        const type = String.fromCharCode(rest[0]);
        if (type === "R") break;
        assert("ENv".includes(type), type);
        rest = rest.subarray(1 + rest.readUInt32BE(1));
      }
      for (let at = 0; at + 12 <= bytes.length; at++) {
        if (bytes.subarray(at, at + 9).equals(message("R", 8, "tok").subarray(0, 9))) tokens++;
      }
      if (done) assert(tokens > 0 && rest.subarray(0, 9).equals(message("R", 0)));
      else assertEquals(rest.length, 0);
      assert(error === null || ["ProtocolError", "AuthenticationError"].includes(error), error ?? "");
    }),
    { numRuns: 1000 },
  ));

test("a message before success may be as long as libpq allows, and no longer", async () => {
  const longest = message("E", new Uint8Array(MAX_MESSAGE - 4));
  assertEquals((await outcomeOf(longest, [7, 9000], false)).passed.length, 2 * longest.length);
  const longer = message("E", new Uint8Array(MAX_MESSAGE - 3));
  assertEquals((await outcomeOf(longer.subarray(0, 5), [], false)).error, "ProtocolError");
});

class FakeSocket extends EventEmitter {
  paused = false;
  pause = () => void (this.paused = true);
  resume = () => void (this.paused = false);
}

test("what a socket delivers is read in pieces of any length", () =>
  fc.assert(fc.asyncProperty(
    fc.array(fc.uint8Array({ minLength: 1, maxLength: 50 }), { maxLength: 20 }),
    fc.array(fc.integer({ min: 1, max: 120 }), { maxLength: 20 }),
    async (chunks, lengths) => {
      const socket = new FakeSocket();
      const incoming = new Incoming(socket as unknown as Socket);
      const all = Buffer.concat(chunks);
      const [early, late] = [chunks.slice(0, chunks.length / 2), chunks.slice(chunks.length / 2)];
      for (const chunk of early) socket.emit("data", Buffer.from(chunk));
      queueMicrotask(() => {
        for (const chunk of late) socket.emit("data", Buffer.from(chunk));
        socket.emit("end");
      });
      let at = 0;
      for (const length of lengths) {
        const read = await incoming.read(length, "it").catch((error) => error.reason);
        if (at + length <= all.length) {
          assert(all.subarray(at, at += length).equals(read));
        } else {
          assertEquals(read, at === all.length ? null : "truncated");
          return;
        }
      }
      while (at < all.length) {
        const chunk = (await incoming.any())!;
        assert(all.subarray(at, at += chunk.length).equals(chunk));
      }
      assertEquals(await incoming.any(), null);
    },
  )));

test("a socket is paused while nobody asks for what it delivers, and goes on when somebody does", async () => {
  const socket = new FakeSocket();
  const incoming = new Incoming(socket as unknown as Socket);
  let delivered = 0;
  const deliver = () => {
    while (!socket.paused && delivered < 10_000_000) {
      socket.emit("data", Buffer.alloc(1000));
      delivered += 1000;
    }
  };
  deliver();
  assert(delivered <= 300_000, `${delivered}`);
  let read = 0;
  while (read < 1_000_000) {
    const reading = incoming.read(16_384, "a record");
    deliver();
    read += (await reading)!.length;
    assert(incoming.waiting <= 300_000, `${incoming.waiting}`);
  }
});

test("records are as long as PostgreSQL takes them, and made a few at a time", async () => {
  const overhead = 60;
  const context = {
    maxOverhead: overhead + 4,
    wrapSizeLimit: (bytes: number) => bytes - overhead,
    wrap: (plain: Uint8Array, { into, encrypt }: { into: Uint8Array; encrypt: boolean }) => {
      assert(encrypt && into.length >= plain.length + overhead + 4);
      into.fill(0xee, 0, overhead);
      into.set(plain, overhead);
      return into.subarray(0, plain.length + overhead);
    },
  } as unknown as SecurityContext;
  for (const length of [0, 1, 16_320, 16_321, 1_000_000]) {
    const data = Buffer.alloc(length, "abcdefg");
    const sent: Buffer[] = [];
    await new Records(context).send(data, (bytes) => Promise.resolve(void sent.push(Buffer.from(bytes))));
    assert(sent.every((part) => part.length <= 16 * 16_384));
    let all = Buffer.concat(sent);
    const opened: Buffer[] = [];
    while (all.length > 0) {
      const record = all.readUInt32BE(0);
      assert(record <= 16_380 && record > overhead);
      opened.push(all.subarray(4 + overhead, 4 + record));
      all = all.subarray(4 + record);
    }
    assert(Buffer.concat(opened).equals(data), `${length}`);
  }
});
