/** SPNEGO for the end that answers: it picks NTLM out of what the client offers. */

import { AuthenticationReason, Slice } from "../../../sdk/assembly/index";
import { Carrier } from "../carrier";
import { deny } from "../failure";
import { Mechanism, Stage } from "../mechanism";
import { FINE, SIGNATURE_SIZE } from "../session";
import { isNtlm } from "../wire/message";
import { Init, NegState, Reply, writeReply } from "./token";

export class SpnegoServer extends Carrier {
  private mechanisms: Slice = new Slice();
  private code: Slice | null = null;
  // Windows' Negotiate sends NTLM bare where it has nothing else to offer. That gives nothing away: NTLM is all
  // there is to choose from, and its proof covers what it says.
  private bare: bool = false;

  constructor(mechanism: Mechanism) {
    super(mechanism);
  }

  step(token: Slice | null): Slice | null {
    if (token === null) return this.distrusted("the client sent nothing, and SPNEGO begins with it");
    if (this.mechanisms.len == 0 && !this.bare) {
      this.bare = isNtlm(token);
      if (!this.bare) return this.choose(token);
    }
    if (this.bare) return this.pass(this.mechanism.next(token));
    const reply = Reply.read(token);
    if (reply === null) return this.distrusted("the client's token is not a SPNEGO answer");
    if (reply.state == NegState.Reject) {
      deny(AuthenticationReason.PeerRefused, "the client refused to go on");
      return this.failed();
    }
    const code = reply.code;
    this.code = code === null ? null : code.copy();
    const message = this.mechanism.next(reply.message);
    return message === null ? this.pass(null) : writeReply(NegState.Incomplete, false, message, null);
  }

  private choose(token: Slice): Slice | null {
    const init = Init.read(token);
    if (init === null) return this.distrusted("the client's first token is neither SPNEGO nor NTLM");
    if (init.rank < 0) {
      deny(AuthenticationReason.Mechanism, "the client offers no NTLM, the only mechanism there is here");
      return this.failed();
    }
    this.mechanisms = init.mechanisms.copy();
    // The list is to be signed.
    this.mechanism.mustBeKeyed = true;
    // A first message is for the mechanism the client likes best; for another it is asked again.
    if (init.rank > 0 || init.message === null) return writeReply(NegState.RequestMic, true, null, null);
    const message = this.mechanism.next(init.message);
    return message === null ? this.failed() : writeReply(NegState.Incomplete, true, message, null);
  }

  finish(): Slice | null {
    if (this.bare || this.mechanism.stage != Stage.Done) return this.pass(null);
    const code = this.code;
    if (code === null || this.mechanism.incoming.verifyApart(this.mechanisms, code) != FINE) {
      return this.distrusted("the client did not sign the list of mechanisms, or not with the session's key");
    }
    const own = new Slice(heap.alloc(SIGNATURE_SIZE), SIGNATURE_SIZE);
    this.mechanism.outgoing.signApart(this.mechanisms, own.ptr);
    this.stage = Stage.Done;
    return writeReply(NegState.Completed, false, null, own);
  }

  refusal(): Slice | null {
    return this.bare ? null : writeReply(NegState.Reject, false, null, null);
  }
}
