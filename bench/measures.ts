/**
 * What is measured, of whom, and how fast it has to be.
 *
 * @module
 */

import type { Measure, Target } from "./measure.ts";
import type { Columns } from "./table.ts";

/** Who is measured: a C program on libgssapi_krb5, this library on two runtimes, and npm `kerberos` on Node. */
export type PeerName = "C" | "Deno" | "Node" | "npm";

/** What the table of these measures shows. */
export const COLUMNS: Columns = {
  peers: ["C", "Deno", "Node", "npm"],
  pairs: [["Deno", "C"], ["Node", "C"], ["Deno", "npm"], ["Node", "npm"]],
};

const HANDSHAKES: readonly Target[] = [
  { of: "Deno", over: "C", least: 0.9 },
  { of: "Deno", over: "npm", least: 2.5 },
];
const STREAMS = (least: number): readonly Target[] => [
  { of: "Deno", over: "C", least },
  { of: "Node", over: "C", least },
];

function ours(request: string): { Deno: string; Node: string } {
  return { Deno: request, Node: request };
}

function handshake(mechanism: "kerberos" | "negotiate", name: string): Measure[] {
  const request = `handshake ${mechanism} file`;
  const anew = `handshake-new ${mechanism} file`;
  const memory = `handshake ${mechanism} memory`;
  return [
    {
      name: `handshake-${mechanism}`,
      titles: [`${name} handshakes, /s`],
      requests: { C: request, ...ours(request), npm: anew },
      targets: HANDSHAKES,
    },
    {
      name: `handshake-${mechanism}-memory`,
      titles: [`${name}, tickets in memory, /s`],
      requests: { C: memory, ...ours(memory) },
      targets: HANDSHAKES.slice(0, 1),
    },
    {
      name: `handshake-${mechanism}-new`,
      titles: [`${name}, credentials anew, /s`],
      requests: { C: anew, ...ours(anew), npm: anew },
    },
    {
      name: `handshake-${mechanism}-kept`,
      titles: [`${name}, C keeping as much, /s`],
      requests: { C: `handshake-kept ${mechanism} file`, ...ours(request) },
      targets: [{ of: "Deno", over: "C", least: 0.8 }],
    },
  ];
}

function seal(size: number, text: string, sealing: number, opening: number): Measure[] {
  const request = `seal kerberos ${size}`;
  return [
    {
      name: `seal-${text.replace(" ", "").toLowerCase()}`,
      titles: [`Seal ${text}, MiB/s`, `Open ${text}, MiB/s`],
      requests: { C: request, ...ours(request) },
      targets: [sealing, opening].map((least, number) => ({ of: "Deno", over: "C", least, number })),
    },
    {
      name: `seal-${text.replace(" ", "").toLowerCase()}-copy`,
      titles: [`Seal ${text}, C by gss_wrap, MiB/s`, `Open ${text}, C by gss_unwrap, MiB/s`],
      requests: { C: `seal-copy kerberos ${size}`, ...ours(request) },
    },
  ];
}

function stream(size: number, text: string, targets?: readonly Target[]): Measure {
  return {
    name: `stream-${text.replace(" ", "").toLowerCase()}`,
    titles: [`Stream, writes of ${text}, MiB/s`],
    requests: { C: `bare kerberos ${size}`, ...ours(`stream kerberos ${size}`) },
    targets,
  };
}

/** The same through `openInitiator()` and `openAcceptor()`: what the checks of a verified context cost. */
function context(mechanism: "kerberos" | "negotiate", name: string): Measure {
  return {
    name: `context-${mechanism}`,
    titles: [`${name} contexts by openInitiator(), /s`],
    requests: {
      C: `handshake ${mechanism} file`,
      ...ours(`context ${mechanism}`),
      npm: `handshake-new ${mechanism} file`,
    },
  };
}

function wrap(size: number, text: string): Measure {
  return {
    name: `wrap-${text.replace(" ", "").toLowerCase()}`,
    titles: [`wrap() of SecurityContext, ${text}, MiB/s`, `unwrap() of SecurityContext, ${text}, MiB/s`],
    requests: { C: `seal kerberos ${size}`, ...ours(`wrap kerberos ${size}`) },
  };
}

/** Twice what Deno and Node reached when C was first measured beside them. */
const CONNECTIONS: readonly Target[] = [
  { of: "Deno", over: "C", least: 0.25 },
  { of: "Node", over: "C", least: 0.2 },
];

function connection(name: string, mechanism: string, size: number, title: string): Measure {
  const request = `connect ${mechanism} ${size}`;
  return { name, titles: [title], requests: { C: request, ...ours(request) }, targets: CONNECTIONS };
}

/** Everything, in the order of the table. */
export const MEASURES: readonly Measure[] = [
  ...handshake("kerberos", "Kerberos"),
  ...handshake("negotiate", "Negotiate"),
  context("kerberos", "Kerberos"),
  context("negotiate", "Negotiate"),
  ...seal(1024, "1 KiB", 2, 2),
  ...seal(65536, "64 KiB", 2.5, 5),
  wrap(1024, "1 KiB"),
  wrap(65536, "64 KiB"),
  stream(61440, "60 KiB", STREAMS(2)),
  stream(1024, "1 KiB", STREAMS(1.5)),
  {
    name: "stream-1kib-queued",
    titles: ["Stream, 64 writes of 1 KiB under way, MiB/s"],
    requests: { C: "bare kerberos 1024", ...ours("stream-queued kerberos 1024") },
  },
  { name: "echo-1kib", titles: ["Echo of 1 KiB, round trips/s"], requests: ours("echo negotiate 1024") },
  connection("connect", "negotiate", 0, "connect() and listen(), /s"),
  connection("connect-1kib", "kerberos", 1024, "connect(), 1 KiB there and back, /s"),
];
