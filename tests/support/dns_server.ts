/** A DNS server for tests: SRV and address records from a table, over UDP on 127.0.0.1. */

import { Buffer } from "node:buffer";
import { createSocket } from "node:dgram";
import { once } from "node:events";

/** The records of one name: SRV records, or IPv4 addresses. */
export type Zone = Readonly<Record<string, readonly (SrvRecord | string)[]>>;

/** An SRV record's data. */
export interface SrvRecord {
  /** The host. */
  readonly target: string;
  /** The port. */
  readonly port: number;
  /** Lower ones first. */
  readonly priority?: number;
  /** Share among one priority. */
  readonly weight?: number;
}

/** A running server. */
export interface DnsServer extends AsyncDisposable {
  /** Its address, with the port. */
  readonly address: string;
  /** The names that were asked for, in order, each with its type. */
  readonly questions: readonly string[];
}

const [A, SRV] = [1, 33];
const NXDOMAIN = 3;

/** Starts a server. */
export async function startDnsServer(zone: Zone): Promise<DnsServer> {
  const questions: string[] = [];
  const socket = createSocket("udp4");
  socket.on("message", (query: Buffer, from) => {
    const { name, type, end } = question(query);
    questions.push(`${name} ${type === SRV ? "SRV" : type === A ? "A" : type}`);
    const records = zone[name.toLowerCase()];
    const answers = (records ?? []).flatMap((record) => {
      const data = typeof record === "string" ? address(record) : service(record);
      return (typeof record === "string" ? A : SRV) === type ? [answer(type, data)] : [];
    });
    const header = Buffer.alloc(12);
    query.copy(header, 0, 0, 2);
    header.writeUInt16BE(0x8180 | (records === undefined ? NXDOMAIN : 0), 2);
    header.writeUInt16BE(1, 4);
    header.writeUInt16BE(answers.length, 6);
    socket.send(Buffer.concat([header, query.subarray(12, end), ...answers]), from.port, from.address);
  });
  socket.bind(0, "127.0.0.1");
  await once(socket, "listening");
  return {
    address: `127.0.0.1:${socket.address().port}`,
    questions,
    async [Symbol.asyncDispose]() {
      await new Promise<void>((resolve) => socket.close(() => resolve()));
    },
  };
}

function question(query: Buffer): { name: string; type: number; end: number } {
  const labels: string[] = [];
  let at = 12;
  for (; query[at] !== 0; at += query[at] + 1) {
    labels.push(query.toString("latin1", at + 1, at + 1 + query[at]));
  }
  return { name: labels.join("."), type: query.readUInt16BE(at + 1), end: at + 5 };
}

/** A record whose name is the question's. */
function answer(type: number, data: Uint8Array): Uint8Array {
  const header = Buffer.from([0xc0, 12, 0, type, 0, 1, 0, 0, 0, 60, data.length >> 8, data.length & 0xff]);
  return Buffer.concat([header, data]);
}

function address(text: string): Uint8Array {
  return Uint8Array.from(text.split(".").map(Number));
}

function service({ target, port, priority = 0, weight = 0 }: SrvRecord): Uint8Array {
  const numbers = Buffer.alloc(6);
  [priority, weight, port].forEach((number, index) => numbers.writeUInt16BE(number, 2 * index));
  const labels = target.split(".").filter((label) => label !== "");
  const name = labels.map((label) => Buffer.concat([Uint8Array.of(label.length), Buffer.from(label)]));
  return Buffer.concat([numbers, ...name, Uint8Array.of(0)]);
}
