/**
 * The options of `connect`, `listen` and `secure`.
 *
 * @module
 */

import type { Credentials, ProviderSystem, Requirements } from "../contract.ts";
import type { Registry } from "../plugins/registry.ts";
import type { NetAddress } from "./transport.ts";

/** What both ends may say. */
export interface CommonOptions {
  /** Who to be; left out: whoever runs the process. A password of type `Uint8Array` is the caller's to zero. */
  readonly credentials?: Credentials;
  /**
   * What binds the authentication to an outer channel such as TLS (RFC 5929 application data, for instance
   * `tls-server-end-point:` and a hash); copied. Once given, proof of them is required.
   */
  readonly channelBindings?: Uint8Array;
  /** What the connection must be; left out: integrity, confidentiality and mutual authentication. */
  readonly requirements?: Requirements;
  /** The providers to choose from; left out: `[negotiate()]`. Both ends must choose alike. */
  readonly registry?: Registry;
  /** The system to work on; left out: the one of this process. It stays the caller's. */
  readonly system?: ProviderSystem;
}

/** What a client may say. */
export interface ClientOptions extends CommonOptions {
  /** The server's principal, `class/host`, as its administrator registered it. */
  readonly target?: string;
  /** The principal of the peer's computer; only providers of the socket layer use it. */
  readonly computer?: string;
  /** Gives up; its `reason` is rethrown unchanged. No effect once connected. */
  readonly signal?: AbortSignal;
  /** Milliseconds for everything until the connection is ready. Default 30,000. */
  readonly timeoutMs?: number;
}

/** What a server may say. */
export interface ServerOptions extends CommonOptions {
  /**
   * The names a client may have asked for, `class/host`, compared without regard to case; one without `@REALM`
   * holds in any realm. Left out: every name the credentials hold.
   *
   * Outside Windows nothing protects the name in a Kerberos ticket, which is held against the key that opened it. Where
   * one key serves several names this stops mistakes and plain relays, not an attacker who rewrites the name: an account
   * for each service does, or `channelBindings`.
   */
  readonly acceptedTargets?: readonly string[];
  /** Milliseconds a peer has for its whole handshake; waiting for a place does not count. Default 10,000. */
  readonly handshakeTimeoutMs?: number;
}

/** The options of `connect`. */
export interface ConnectOptions extends ClientOptions {
  /**
   * The server's name, or its IP address. After a name `target` and `computer` are `host/` and the name as typed,
   * without the dot at the end of an absolute one; with an address one must be given: `computer` for providers of the socket layer, else `target`.
   */
  readonly hostname: string;
  /** The server's port, 1 to 65535. */
  readonly port: number;
}

/** Where a failed handshake came from. */
export interface HandshakeOrigin {
  /** The peer's address; left out where no connection was had at all. */
  readonly remoteAddr?: NetAddress;
}

/** The options of `listen`. */
export interface ListenOptions extends ServerOptions {
  /** The address to listen on. Default `"0.0.0.0"`: every IPv4 address of this machine. */
  readonly hostname?: string;
  /** The port to listen on, 0 to 65535; 0 takes any free one. */
  readonly port: number;
  /**
   * The most handshakes that run at once, and the most connections that may wait to be accepted. Default 64.
   *
   * A handshake runs from the peer's first whole token on. 16 times as many connections may wait to begin; a
   * newcomer beyond these takes the room of the one that has been silent longest, and one that could begin the place
   * of the one that has waited longest for its peer, neither before it has had a quarter of a second at least.
   */
  readonly maxHandshakes?: number;
  /**
   * Told of each handshake that failed. Left out: failures go to `console.warn`, at most one line a second; so do both
   * where it throws, or its promise rejects, which ends nothing.
   */
  readonly onHandshakeError?: (error: unknown, origin: HandshakeOrigin) => void;
  /** Closes the listener; its `reason` is what `accept()` rejects with. Connections already handed out go on. */
  readonly signal?: AbortSignal;
}

/** The options of `secure`. */
export type SecureOptions =
  | ClientOptions & {
    /** The end that speaks first. */
    readonly role: "client";
    /** The server's principal, `class/host`, as its administrator registered it. */
    readonly target: string;
  }
  | ServerOptions & {
    /** The end that answers. */
    readonly role: "server";
    /** Gives up; its `reason` is rethrown unchanged. No effect once connected. */
    readonly signal?: AbortSignal;
  };
