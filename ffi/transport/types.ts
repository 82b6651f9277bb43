/**
 * The interface of a plain TCP connection, the same on every runtime.
 *
 * @module
 */

/** The address of one end of a TCP connection. */
export interface NetAddress {
  /** Always `"tcp"`. */
  readonly transport: "tcp";
  /** The host, as an IP address. */
  readonly hostname: string;
  /** The port, 0 to 65535. */
  readonly port: number;
}

/** One TCP connection. */
export interface TcpTransport {
  /** Reads up to `p.length` bytes into `p`; `null` at the end. One read at a time. */
  read(p: Uint8Array): Promise<number | null>;
  /** Writes all of `p`, which must not change meanwhile; settles when `p` is no longer needed. */
  write(p: Uint8Array): Promise<number>;
  /** Sends the end of the stream; reading stays possible. */
  closeWrite(): Promise<void>;
  /** Closes both directions immediately; pending calls are rejected. Calling it again does nothing. */
  close(): void;
  /** This end. */
  readonly localAddr: NetAddress;
  /** The peer. */
  readonly remoteAddr: NetAddress;
}

/** A listening TCP socket. */
export interface TcpListener {
  /** Returns the next connection. After a rejection, accept can be called again unless the listener was closed. */
  accept(): Promise<TcpTransport>;
  /**
   * Whether the last connection left almost no file descriptors. Present where the runtime takes connections from the
   * system's queue before they are accepted; left out where they stay in the system's queue until then.
   */
  readonly scarce?: boolean;
  /** The address it listens on; with the actual port where 0 was given. */
  readonly addr: NetAddress;
  /** Stops listening; a pending accept is rejected. Calling it again does nothing. */
  close(): void;
}

/** Where to connect to. */
export interface ConnectTcpOptions {
  /** A host's name or IP address. */
  readonly hostname: string;
  /** The port, 1 to 65535. */
  readonly port: number;
  /** Aborts connecting; its reason is rethrown unchanged. It has no effect after that. */
  readonly signal?: AbortSignal;
}

/** Where to listen. */
export interface ListenTcpOptions {
  /** The address to listen on. */
  readonly hostname: string;
  /** The port, 0 to 65535; 0: any free port. */
  readonly port: number;
}
