/**
 * The options of `connect`, `listen` and `secure`.
 *
 * @module
 */

import type { Credentials, ProviderSystem, Requirements } from "../contract.ts";
import type { Registry } from "../plugins/registry.ts";
import type { NetAddress } from "./transport.ts";

/** Options of both ends. */
export interface CommonOptions {
  /**
   * What this end authenticates with; left out: the account that runs the process. The caller zeroes a password of
   * type `Uint8Array`.
   */
  readonly credentials?: Credentials;
  /**
   * Channel bindings: data that identifies the outer channel, such as TLS (RFC 5929 application data, for instance
   * `tls-server-end-point:` and a hash). Copied. If given, the peer must prove that it has the same ones.
   */
  readonly channelBindings?: Uint8Array;
  /** What the connection must provide; left out: integrity, confidentiality and mutual authentication. */
  readonly requirements?: Requirements;
  /** The providers to select from; left out: `[negotiate()]`. Both ends must select the same provider. */
  readonly registry?: Registry;
  /** The system to use; left out: the system of this process. The caller closes it. */
  readonly system?: ProviderSystem;
}

/** Options of a client. */
export interface ClientOptions extends CommonOptions {
  /** The server's SPN, `class/host`, as its administrator registered it. */
  readonly target?: string;
  /** The principal of the peer's computer. Only providers of the socket layer use it. */
  readonly computer?: string;
  /** Aborts the operation with its `reason`, unchanged. It has no effect once connected. */
  readonly signal?: AbortSignal;
  /** Milliseconds until the connection must be ready. Default 30,000. */
  readonly timeoutMs?: number;
}

/** Options of a server. */
export interface ServerOptions extends CommonOptions {
  /**
   * The SPNs that a client may request, `class/host`, compared without regard to case; one without `@REALM` matches
   * any realm. Left out: every name of the credentials.
   *
   * Outside Windows the name in a Kerberos ticket is not protected; it is compared with the key that decrypted the
   * ticket. If one key serves several names, this option stops mistakes and plain relay attacks, but not an
   * attacker who rewrites the name. For that, use one account per service, or `channelBindings`.
   */
  readonly acceptedTargets?: readonly string[];
  /** Milliseconds that a peer has for its handshake; waiting for a slot does not count. Default 10,000. */
  readonly handshakeTimeoutMs?: number;
}

/** The options of `connect`. */
export interface ConnectOptions extends ClientOptions {
  /**
   * The server's name, or its IP address. With a name, `target` and `computer` default to `host/` and the name as
   * typed, without the dot at the end of an absolute name. With an address one of them must be given: `computer`
   * for providers of the socket layer, else `target`.
   */
  readonly hostname: string;
  /** The server's port, 1 to 65535. */
  readonly port: number;
}

/** Where a failed handshake came from. */
export interface HandshakeOrigin {
  /** The peer's address; left out if no connection was accepted at all. */
  readonly remoteAddr?: NetAddress;
}

/** The options of `listen`. */
export interface ListenOptions extends ServerOptions {
  /** The address to listen on. Default `"0.0.0.0"`: every IPv4 address of this machine. */
  readonly hostname?: string;
  /** The port to listen on, 0 to 65535; 0 selects any free port. */
  readonly port: number;
  /**
   * The most handshakes that run at once (slots), and the most finished connections that wait for `accept()`.
   * Default 64.
   *
   * A handshake takes a slot once the peer's first token has arrived whole. 16 times as many connections may wait
   * to begin. Beyond that, a new connection evicts the peer that has been silent longest; and a peer that is ready
   * to begin evicts the active one that has been idle longest. No peer is evicted before it has had at least a
   * quarter of a second.
   */
  readonly maxHandshakes?: number;
  /**
   * Called with the error of each failed handshake. Left out: failures are written with `console.warn`, at most one
   * line a second. If the function throws, or its promise rejects, both errors are written there, and the listener
   * continues.
   */
  readonly onHandshakeError?: (error: unknown, origin: HandshakeOrigin) => void;
  /** Closes the listener; `accept()` rejects with its `reason`. Connections that were already accepted stay open. */
  readonly signal?: AbortSignal;
}

/** The options of `secure`. */
export type SecureOptions =
  | ClientOptions & {
    /** The end that sends the first token. */
    readonly role: "client";
    /** The server's SPN, `class/host`, as its administrator registered it. */
    readonly target: string;
  }
  | ServerOptions & {
    /** The end that answers. */
    readonly role: "server";
    /** Aborts the operation with its `reason`, unchanged. It has no effect once connected. */
    readonly signal?: AbortSignal;
  };
