/**
 * Questions to the system about the security of one connection, by a codec that is not trusted.
 *
 * @module
 */

import { ProviderTrapError } from "../../errors.ts";
import { checkTemplate } from "../../ffi/ipsec/codec_checks.ts";
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
  /** Writes questions and reads answers. */
  readonly codec: SocketCodec;
}

/** Asks about one connection. */
export class SocketQuery {
  readonly #means: QueryMeans;

  constructor(means: QueryMeans) {
    this.#means = means;
  }

  /** What the codec and the library read of an answer: at most what the system told. */
  ask(watched: readonly AssociationField[] = []): SecurityAnswer {
    const bytes = this.#ask(0, watched);
    const answer = readAnswer(bytes);
    const read = this.#means.codec.queryAnswer(bytes.slice());
    if (read.secured && !answer.secured || read.encrypted && !answer.encrypted) {
      throw new ProviderTrapError(
        "The provider says more of the connection than the system told it; the connection was closed",
      );
    }
    return { ...answer, secured: read.secured, encrypted: read.encrypted };
  }

  /** Asks with access to tokens; those in the answer are the caller's to close. */
  tokens(access: number): SecurityAnswer {
    return readAnswer(this.#ask(access, []));
  }

  #ask(access: number, watched: readonly AssociationField[]): Uint8Array {
    const { secure, socket, codec, peer = NO_ADDRESS } = this.#means;
    const template = codec.queryTemplate(peer, access, watched);
    return secure.query(socket, checkTemplate(template, { peer, access, watched }));
  }
}
