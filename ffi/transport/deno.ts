/**
 * Plain TCP over Deno's own sockets.
 *
 * @module
 */

import { closedFailure, socketFailure } from "./failure.ts";
import type { ConnectTcpOptions, ListenTcpOptions, NetAddress, TcpListener, TcpTransport } from "./types.ts";

/** Connects; see {@linkcode ConnectTcpOptions}. */
export async function connectTcp({ hostname, port, signal }: ConnectTcpOptions): Promise<TcpTransport> {
  const address = `${hostname}:${port}`;
  signal?.throwIfAborted();
  try {
    return wrap(await Deno.connect({ hostname, port, signal }));
  } catch (cause) {
    signal?.throwIfAborted();
    throw socketFailure(cause, `connect to ${address}`, address);
  }
}

/** Listens; see {@linkcode ListenTcpOptions}. */
// deno-lint-ignore require-await -- asynchronous, because Node's is
export async function listenTcp({ hostname, port }: ListenTcpOptions): Promise<TcpListener> {
  const address = `${hostname}:${port}`;
  let listener: Deno.TcpListener;
  try {
    listener = Deno.listen({ hostname, port });
  } catch (cause) {
    throw socketFailure(cause, `listen on ${address}`, address);
  }
  let closed = false;
  return {
    addr: toAddress(listener.addr),
    async accept() {
      if (closed) throw closedFailure("accept");
      try {
        return wrap(await listener.accept());
      } catch (cause) {
        throw closed ? closedFailure("accept") : socketFailure(cause, `accept on ${address}`, address);
      }
    },
    close() {
      if (closed) return;
      closed = true;
      listener.close();
    },
  };
}

function toAddress({ hostname, port }: Deno.NetAddr): NetAddress {
  return { transport: "tcp", hostname, port };
}

function wrap(conn: Deno.TcpConn): TcpTransport {
  // A record is written as a whole: waiting for more data only adds delay.
  conn.setNoDelay(true);
  const remoteAddr = toAddress(conn.remoteAddr);
  const address = `${remoteAddr.hostname}:${remoteAddr.port}`;
  let closed = false;
  const fail = (what: string) => (cause: unknown): never => {
    throw closed ? closedFailure(what) : socketFailure(cause, `${what} ${address}`, address);
  };
  const [readFailed, writeFailed] = [fail("read from"), fail("write to")];
  return {
    localAddr: toAddress(conn.localAddr),
    remoteAddr,
    read: (p) => conn.read(p).catch(readFailed),
    async write(p) {
      let written = 0;
      while (written < p.length) written += await conn.write(p.subarray(written)).catch(writeFailed);
      return written;
    },
    closeWrite: () => conn.closeWrite().catch(fail("half-close the connection to")),
    close() {
      if (closed) return;
      closed = true;
      conn.close();
    },
  };
}
