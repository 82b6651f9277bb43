/**
 * Questions to the system about the security of one connection. A codec that is not trusted writes them; the library
 * reads the answers.
 *
 * @module
 */

import { readTemplate } from "../../ffi/ipsec/codec_reader.ts";
import type { OverlappedSocket } from "../../ffi/winsock/overlapped.ts";
import type { SecureSockets } from "../../ffi/ipsec/secure_sockets.ts";
import { readAnswer, type SecurityAnswer } from "../../ffi/ipsec/query.ts";
import type { AssociationField, SocketCodec } from "../../contract.ts";

const NO_ADDRESS = new Uint8Array();

/** Whom to ask about what; it stays the caller's. */
export interface QueryMeans {
  /** The functions. */
  readonly secure: SecureSockets;
  /** The socket: connected with its context updated, or for datagrams. */
  readonly socket: OverlappedSocket;
  /** The peer of datagrams, as the system's structure; left out: the one a socket is connected to. */
  readonly peer?: Uint8Array;
  /** Writes the questions. */
  readonly codec: SocketCodec;
}

/** Asks about one connection. */
export class SocketQuery {
  readonly #means: QueryMeans;

  constructor(means: QueryMeans) {
    this.#means = means;
  }

  /** Asks without access to tokens, and has the system watch the fields from then on. */
  ask(watched: readonly AssociationField[] = []): SecurityAnswer {
    return this.#ask(0, watched);
  }

  /** Asks with access to tokens; those in the answer are the caller's to close. */
  tokens(access: number): SecurityAnswer {
    return this.#ask(access, []);
  }

  #ask(access: number, watched: readonly AssociationField[]): SecurityAnswer {
    const { secure, socket, codec, peer = NO_ADDRESS } = this.#means;
    const template = codec.queryTemplate(peer, access, watched);
    return readAnswer(secure.query(socket, readTemplate(template, peer, access, watched)));
  }
}
