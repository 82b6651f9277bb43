/**
 * What a plain TCP connection looks like to this library, on every runtime.
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
  /** Sends the end of the stream; reading goes on. */
  closeWrite(): Promise<void>;
  /** Closes both directions at once; waiting calls are rejected. Calling it again does nothing. */
  close(): void;
  /** This end. */
  readonly localAddr: NetAddress;
  /** The peer. */
  readonly remoteAddr: NetAddress;
}

/** A listening TCP socket. */
export interface TcpListener {
  /** The next connection. A rejection does not end the listening unless it was closed. */
  accept(): Promise<TcpTransport>;
  /**
   * Given where the runtime takes connections from the system's queue by itself, accepted or not: whether the last one
   * left hardly a file descriptor. Left out where the system's queue holds them until they are accepted.
   */
  readonly scarce?: boolean;
  /** Where it listens; with the real port where 0 was asked for. */
  readonly addr: NetAddress;
  /** Stops listening; a waiting accept is rejected. Calling it again does nothing. */
  close(): void;
}

/** Where to connect to. */
export interface ConnectTcpOptions {
  /** A host's name or IP address. */
  readonly hostname: string;
  /** The port, 1 to 65535. */
  readonly port: number;
  /** Gives up connecting; its reason is rethrown unchanged. No effect once connected. */
  readonly signal?: AbortSignal;
}

/** Where to listen. */
export interface ListenTcpOptions {
  /** The address to listen on. */
  readonly hostname: string;
  /** The port, 0 to 65535; 0 takes any free one. */
  readonly port: number;
}
