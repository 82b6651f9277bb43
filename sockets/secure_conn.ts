/**
 * The interfaces of authenticated connections and of their listeners.
 *
 * @module
 */

import type { PeerIdentity, ProviderCredentials, SecurityInfo } from "../contract.ts";
import type { NetAddress } from "./transport.ts";

/** Options of {@linkcode SecureConn.querySecurity}. */
export interface QuerySecurityOptions {
  /**
   * Also requests the peer's access tokens. Only for providers of the socket layer, with the grant `impersonation`.
   */
  readonly tokens?: boolean;
}

/** The result of {@linkcode SecureConn.querySecurity}. */
export interface QueriedSecurity extends SecurityInfo {
  /** The peer's access tokens, if requested. */
  readonly tokens?: PeerTokens;
}

/** An account or a group. */
export interface PeerAccount {
  /** The security identifier (SID): `S-1-5-21-…`. */
  readonly sid: string;
  /** The domain or computer it belongs to; empty if the system does not know the SID. */
  readonly domain: string;
  /** Its name; empty if the system does not know the SID. */
  readonly name: string;
}

/** An access token of the peer. The connection closes it at the latest; you may close it earlier. */
export interface PeerToken extends Disposable {
  /** The account. */
  readonly account: PeerAccount;
  /** The groups it belongs to. */
  readonly groups: readonly PeerAccount[];
  /** Whether a group (a SID, or `DOMAIN\\name`) counts in access checks of this token. */
  isMember(group: string): boolean;
  /** Closes the token. */
  close(): void;
}

/** The access tokens of a peer; the system may have neither, one or both. */
export interface PeerTokens {
  /** The account that runs the peer's program. */
  readonly user: PeerToken | null;
  /** The peer's computer. */
  readonly computer: PeerToken | null;
}

/**
 * A connection whose peer is authenticated and whose bytes are protected as required.
 *
 * It has one owner, who calls `close()`. Use each direction either by calls (`read`, `write`) or by its web stream.
 * Once the stream has moved a byte, or while it is locked, calls are refused with a `StateError`; while a call is
 * pending, the stream is refused. Such a refusal does not affect the connection.
 *
 * Every other failure is final: a record that is truncated, altered, replayed, out of order or not encrypted, a
 * broken transport, an expired context (`AuthenticationError` with reason `"context-expired"`). The transport is
 * closed, the keys are discarded, and the failed call and every later one reject with the same error.
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
   * The bytes from the peer, with backpressure: nothing is read before the stream is read. Cancelling it ends
   * reading.
   *
   * The connection closes by itself when both streams have ended.
   */
  readonly readable: ReadableStream<Uint8Array<ArrayBuffer>>;
  /**
   * The bytes to the peer, with backpressure. Closing it calls `closeWrite()` if the transport supports that, and
   * else sends nothing; aborting it makes the connection fail.
   */
  readonly writable: WritableStream<Uint8Array>;
  /** The local address of the transport; `null` if the transport does not report one. */
  readonly localAddr: NetAddress | null;
  /** The peer's address; `null` if the transport does not report one. */
  readonly remoteAddr: NetAddress | null;
  /** The security that was verified when the connection was made. */
  readonly security: SecurityInfo;
  /**
   * The peer's identity, for authorisation, for instance with `isMember()`. `undefined` if the peer did not prove it
   * (a server, where the client gave up mutual authentication), and on connections of the socket layer, whose
   * peers have access tokens instead: {@linkcode SecureConn.querySecurity}.
   */
  readonly peer: PeerIdentity | undefined;
  /**
   * `null` until reading has reached the end. Then `"unauthenticated"`: the protocol does not protect the end of
   * the stream, so anyone on the network could have ended it between two records. Where the end matters, let the
   * application's own protocol state how much data to expect.
   */
  readonly endOfStream: "unauthenticated" | null;
  /**
   * Reads up to `p.length` bytes into `p` and returns their number; `null` at the end of the stream.
   *
   * One read at a time: a second one is refused with a `StateError`. If the stream ends inside a record, the read
   * rejects with a `ProtocolError` with reason `"truncated"`.
   *
   * @throws TypeError if `p` is not a `Uint8Array`.
   */
  read(p: Uint8Array): Promise<number | null>;
  /**
   * Protects and writes all of `p`. It does not change `p`; the caller must not change it before the promise
   * settles.
   *
   * Overlapping writes run in the order of the calls. The promise settles when the transport has taken every byte,
   * which does not mean that the peer has read any.
   *
   * @returns `p.length`.
   * @throws TypeError if `p` is not a `Uint8Array`.
   */
  write(p: Uint8Array): Promise<number>;
  /**
   * Closes the sending direction after all pending writes; reading continues.
   *
   * @throws UnsupportedPlatformError if the transport cannot close one direction; the connection is not affected.
   */
  closeWrite(): Promise<void>;
  /**
   * Reads the security again from the context, or from the system, checks it against the requirements, and returns
   * it.
   *
   * @throws SecurityRequirementError if it falls short of the requirements; the connection is closed.
   * @throws UnsupportedPlatformError if tokens are requested and the provider's layer has none; the connection
   * stays open.
   */
  querySecurity(options?: QuerySecurityOptions): Promise<QueriedSecurity>;
  /**
   * On a server: the credentials that the client delegated, for connections to others with
   * `connect({ credentials: { delegated } })`. The caller closes them. `null` if there are none, and from the
   * second call on.
   */
  takeDelegated(): ProviderCredentials | null;
  /**
   * On a server: runs `fn` as the client, and returns its result.
   *
   * `fn` must be synchronous: the impersonation ends when it returns, and functions that it leaves for later run as
   * the server. Calls cannot be nested, not even across connections: the thread would not return to the first
   * client.
   *
   * @throws TypeError if `fn` is asynchronous, or returned a promise or an iterator.
   * @throws StateError if this thread is already impersonating, or this end is the client.
   * @throws UnsupportedPlatformError if the provider or the platform cannot impersonate.
   */
  impersonate<T>(fn: () => T): T;
  /**
   * Closes both directions at once and discards the keys. Calling it again has no effect.
   *
   * Pending calls reject with a `StateError`, and bytes that they had not yet passed to the transport are lost:
   * await your writes first. Later calls reject too. Resolves when the transport has closed.
   */
  close(): Promise<void>;
}

/**
 * A listener that returns connections whose handshake has succeeded.
 *
 * A failed handshake does not end it: the error goes to `onHandshakeError`, or to `console.warn`. Iteration ends
 * when the listener is closed; leaving the loop closes it.
 */
export interface SecureListener extends AsyncIterable<SecureConn>, AsyncDisposable {
  /** The address it listens on. */
  readonly addr: NetAddress;
  /**
   * The next connection, in the order in which handshakes succeed.
   *
   * @throws StateError if the listener is closed, or the signal's reason if the signal closed it.
   */
  accept(): Promise<SecureConn>;
  /**
   * Stops listening, ends every pending handshake and closes the connections that were not accepted. Calling it
   * again has no effect. Connections that were accepted stay open. Resolves when all of that is released.
   */
  close(): Promise<void>;
}
