/**
 * Queries the security of one connection. A codec, which is not trusted, writes the queries; the library reads the
 * answers.
 *
 * @module
 */

import { readTemplate } from "../../ffi/ipsec/codec_reader.ts";
import type { OverlappedSocket } from "../../ffi/winsock/overlapped.ts";
import type { SecureSockets } from "../../ffi/ipsec/secure_sockets.ts";
import { readAnswer, type SecurityAnswer } from "../../ffi/ipsec/query.ts";
import type { AssociationField, SocketCodec } from "../../contract.ts";

const NO_ADDRESS = new Uint8Array();

/** What is queried. The caller owns all of it. */
export interface QueryOptions {
  /** The secure socket functions. */
  readonly secure: SecureSockets;
  /** The socket: connected with its context updated, or for datagrams. */
  readonly socket: OverlappedSocket;
  /** The peer of datagrams, as the system's structure; left out: the peer that the socket is connected to. */
  readonly peer?: Uint8Array;
  /** Writes the queries. */
  readonly codec: SocketCodec;
}

/** Queries the security of one connection. */
export class SocketQuery {
  readonly #options: QueryOptions;

  constructor(options: QueryOptions) {
    this.#options = options;
  }

  /** Queries without access to tokens. The system watches the fields in `watched` from then on. */
  ask(watched: readonly AssociationField[] = []): SecurityAnswer {
    return this.#ask(0, watched);
  }

  /** Queries with access to tokens; the caller closes those in the answer. */
  tokens(access: number): SecurityAnswer {
    return this.#ask(access, []);
  }

  #ask(access: number, watched: readonly AssociationField[]): SecurityAnswer {
    const { secure, socket, codec, peer = NO_ADDRESS } = this.#options;
    const template = codec.queryTemplate(peer, access, watched);
    return readAnswer(secure.query(socket, readTemplate(template, peer, access, watched)));
  }
}
