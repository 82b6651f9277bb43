/**
 * The face of an authenticated connection.
 *
 * @module
 */

import type { PeerIdentity, ProviderCredentials, SecurityInfo } from "../contract.ts";
import type { NetAddress } from "./transport.ts";

/** Options of {@linkcode SecureConn.querySecurity}. */
export interface QuerySecurityOptions {
  /** Asks for the peer's access tokens too. Only for providers of the socket layer, with the grant `impersonation`. */
  readonly tokens?: boolean;
}

/** What {@linkcode SecureConn.querySecurity} tells. */
export interface QueriedSecurity extends SecurityInfo {
  /** The peer's tokens, where they were asked for. */
  readonly tokens?: PeerTokens;
}

/** An account or a group. */
export interface PeerAccount {
  /** The security identifier: `S-1-5-21-…`. */
  readonly sid: string;
  /** The domain or computer it belongs to; empty where nobody knows the SID. */
  readonly domain: string;
  /** Its name; empty where nobody knows the SID. */
  readonly name: string;
}

/** An access token of the peer. Closed with the connection at the latest; closing it before is harmless. */
export interface PeerToken extends Disposable {
  /** The account. */
  readonly account: PeerAccount;
  /** The groups it belongs to. */
  readonly groups: readonly PeerAccount[];
  /** Whether a group (a SID, or `DOMAIN\\name`) counts for it in access checks. */
  isMember(group: string): boolean;
  /** Closes it. */
  close(): void;
}

/** The tokens of a peer; the system may have none, one or both. */
export interface PeerTokens {
  /** Who runs the peer's program. */
  readonly user: PeerToken | null;
  /** The peer's computer. */
  readonly computer: PeerToken | null;
}

/**
 * A connection whose peer is authenticated and whose bytes are protected as was required.
 *
 * It has one owner, who calls `close()`. Each direction is used either by calls (`read`, `write`) or by its web
 * stream: once the stream has moved a byte, or while it is locked, calls are refused with a `StateError`, and a
 * stream is refused while a call waits. The refusal does no harm to the connection.
 *
 * Every other failure is final: a record that is truncated, altered, replayed, out of order or not encrypted, a
 * transport that breaks, a context that has run out (`AuthenticationError` with reason `"context-expired"`). The
 * transport is closed, the keys are forgotten, and this call and each one after it rejects with the same error.
 *
 * @example
 * ```ts
 * import { connect } from "@winsock/secure-sockets";
 *
 * await using conn = await connect({ hostname: "files.example.test", port: 7777 });
 * await conn.write(new TextEncoder().encode("hello"));
 * ```
 */
export interface SecureConn extends AsyncDisposable, Disposable {
  /**
   * What the peer sends, with backpressure; reads nothing before it is asked. Cancelling it ends reading.
   *
   * When both streams have ended the connection closes by itself.
   */
  readonly readable: ReadableStream<Uint8Array<ArrayBuffer>>;
  /**
   * What is sent to the peer, with backpressure. Closing it is `closeWrite()` where the transport can do that and
   * else sends nothing; aborting it is a failure of the connection.
   */
  readonly writable: WritableStream<Uint8Array>;
  /** This end of the transport, where the transport tells. */
  readonly localAddr: NetAddress | null;
  /** The peer's end of the transport, where the transport tells. */
  readonly remoteAddr: NetAddress | null;
  /** What was proved when the connection was made. */
  readonly security: SecurityInfo;
  /**
   * Who the peer is: what to authorise by, for instance with `isMember()`. `undefined` where the peer did not
   * prove it (a client that gave up mutual authentication has such a server), and on connections of the socket layer,
   * whose peers have access tokens instead: {@linkcode SecureConn.querySecurity}.
   */
  readonly peer: PeerIdentity | undefined;
  /**
   * `null` until reading has come to the end. Then `"unauthenticated"`: the protocol has no goodbye, so that
   * anyone on the network could have ended the stream between two records. Where the end matters, let the
   * application's own protocol say how much is to come.
   */
  readonly endOfStream: "unauthenticated" | null;
  /**
   * Reads up to `p.length` bytes into `p` and tells how many; `null` at the end of the stream.
   *
   * One read at a time: a second one is refused with a `StateError`. An end of the stream inside a record is a
   * `ProtocolError` with reason `"truncated"`.
   *
   * @throws TypeError where `p` is no `Uint8Array`.
   */
  read(p: Uint8Array): Promise<number | null>;
  /**
   * Protects and writes all of `p`, which is never changed and must not change before the promise settles.
   *
   * Writes that overlap are carried out in the order they were called. The promise settles when the transport has
   * taken every byte, which does not say that the peer has read any.
   *
   * @returns `p.length`.
   * @throws TypeError where `p` is no `Uint8Array`.
   */
  write(p: Uint8Array): Promise<number>;
  /**
   * Ends the direction to the peer after all writes; reading goes on.
   *
   * @throws UnsupportedPlatformError where the transport cannot; the connection goes on as it was.
   */
  closeWrite(): Promise<void>;
  /**
   * Reads again what the context, or the system, tells, holds it against what was required, and tells it.
   *
   * @throws UnsupportedPlatformError where tokens are asked for and the provider's layer has none; the connection
   * goes on.
   */
  querySecurity(options?: QuerySecurityOptions): Promise<QueriedSecurity>;
  /**
   * On a server: the credentials its client delegated, to connect onward with as
   * `connect({ credentials: { delegated } })`. The caller's to close; `null` where there are none, and from the
   * second call on.
   */
  takeDelegated(): ProviderCredentials | null;
  /**
   * Runs `fn` as the client, on a server, and returns what it returns.
   *
   * `fn` must be synchronous: the impersonation ends when it returns. What it hands out to be called later runs as the
   * server. No call inside another, of any connection: the thread would not be the first client again.
   *
   * @throws TypeError where `fn` is asynchronous, or what it returned is a promise or an iterator.
   * @throws StateError where this thread is impersonating already, or this end is the client.
   * @throws UnsupportedPlatformError where the provider or the platform cannot.
   */
  impersonate<T>(fn: () => T): T;
  /**
   * Closes both directions at once and forgets the keys; calling it again does nothing.
   *
   * Calls that wait are rejected with a `StateError`, and what they had not yet handed to the transport is lost:
   * await your writes first. Later calls are rejected likewise. Resolves when the transport has closed.
   */
  close(): Promise<void>;
}

/**
 * A listening socket that hands out connections whose handshake has succeeded.
 *
 * A failed handshake neither ends it nor vanishes: it is told to `onHandshakeError`, or to `console.warn`. Iterating
 * ends when it is closed; leaving the loop closes it.
 */
export interface SecureListener extends AsyncIterable<SecureConn>, AsyncDisposable {
  /** Where it listens. */
  readonly addr: NetAddress;
  /**
   * The next connection, in the order in which handshakes succeed.
   *
   * @throws StateError where the listener is closed, and the signal's reason where the signal closed it.
   */
  accept(): Promise<SecureConn>;
  /**
   * Stops listening, ends every handshake that is under way and closes the connections nobody has accepted;
   * calling it again does nothing. Connections handed out go on. Resolves when all of that is released.
   */
  close(): Promise<void>;
}
