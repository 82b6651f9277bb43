/**
 * What is measured on Windows, of whom, and how fast it has to be.
 *
 * @module
 */

import type { Measure } from "../measure.ts";
import type { Columns } from "../table.ts";

/** What the table of these measures shows: a C program on secur32.dll, Deno's own TCP, and this library. */
export const WINDOWS_COLUMNS: Columns = {
  peers: ["C", "Deno", "ours"],
  pairs: [["ours", "C"], ["ours", "Deno"]],
};

/** Whether it needs the C program, and a Kerberos realm for it and for the library. */
export function needsRealm({ requests }: Measure): boolean {
  return requests.C !== undefined;
}

const AS_C = [{ of: "ours", over: "C", least: 0.8 }] as const;

function seal(size: number, text: string): Measure {
  const request = `seal ${size}`;
  return {
    name: `seal-${text.replace(" ", "").toLowerCase()}`,
    titles: [`Kerberos, seal ${text}, MiB/s`, `Kerberos, open ${text}, MiB/s`],
    requests: { C: request, ours: request },
    targets: AS_C,
  };
}

/** Everything, in the order of the table. */
export const WINDOWS_MEASURES: readonly Measure[] = [
  {
    name: "round-trip",
    titles: ["TCP, round trip of 64 bytes, us"],
    requests: { Deno: "round-trip 64", ours: "round-trip 64" },
    targets: [{ of: "ours", over: "Deno", most: 1.5 }],
  },
  {
    name: "bulk",
    titles: ["TCP, writes of 64 KiB, MiB/s"],
    requests: { Deno: "bulk 65536", ours: "bulk 65536" },
    targets: [{ of: "ours", over: "Deno", least: 0.8 }],
  },
  {
    name: "handshake",
    titles: ["Kerberos handshakes, /s"],
    requests: { C: "handshake", ours: "handshake 1" },
    targets: AS_C,
  },
  {
    name: "handshake-8",
    titles: ["the same, 8 at a time, /s"],
    requests: { C: "handshake", ours: "handshake 8" },
  },
  {
    name: "handshake-here",
    titles: ["the same, no other threads, /s"],
    requests: { C: "handshake", ours: "handshake-here 1" },
  },
  {
    name: "handshake-loop",
    titles: ["Handshakes, C in an event loop, /s"],
    requests: { C: "handshake-loop 1", ours: "handshake 1" },
    targets: AS_C,
  },
  {
    name: "handshake-loop-8",
    titles: ["the same, 8 at a time, /s"],
    requests: { C: "handshake-loop 8", ours: "handshake 8" },
    targets: AS_C,
  },
  seal(1024, "1 KiB"),
  seal(65536, "64 KiB"),
];
