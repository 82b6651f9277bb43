/** SPNEGO for the end that speaks first: NTLM is all it offers. */

import { AuthenticationReason, Slice } from "../../../sdk/assembly/index";
import { Carrier } from "../carrier";
import { deny, distrust } from "../failure";
import { Mechanism, Stage } from "../mechanism";
import { FINE, SIGNATURE_SIZE } from "../session";
import { isNtlmMechanism, NegState, ownMechanisms, Reply, writeInit, writeReply } from "./token";

export class SpnegoClient extends Carrier {
  private readonly mechanisms: Slice = ownMechanisms();
  private chosen: bool = false;

  constructor(mechanism: Mechanism) {
    super(mechanism);
  }

  step(token: Slice | null): Slice | null {
    if (token === null) {
      const first = this.mechanism.next(null);
      return first === null ? this.failed() : writeInit(this.mechanisms, first);
    }
    const reply = Reply.read(token);
    if (reply === null) return this.distrusted("the server's token is not a SPNEGO answer");
    if (reply.state == NegState.Reject) {
      deny(
        AuthenticationReason.PeerRefused,
        "the server refused; look at its log, or at the user name and password",
      );
      return this.failed();
    }
    return this.chosen ? this.conclude(reply) : this.answer(reply);
  }

  private answer(reply: Reply): Slice | null {
    const mechanism = reply.mechanism;
    if (mechanism === null || !isNtlmMechanism(mechanism)) {
      deny(
        AuthenticationReason.Mechanism,
        "the server did not choose NTLM, the only mechanism it was offered",
      );
      return this.failed();
    }
    if (reply.state != NegState.Incomplete && reply.state != NegState.RequestMic) {
      return this.distrusted("the server's first answer is not one that goes on");
    }
    const message = this.mechanism.next(reply.message);
    if (message === null) return this.failed();
    this.chosen = true;
    const code = new Slice(heap.alloc(SIGNATURE_SIZE), SIGNATURE_SIZE);
    this.mechanism.outgoing.signApart(this.mechanisms, code.ptr);
    return writeReply(NegState.Incomplete, false, message, code);
  }

  private conclude(reply: Reply): Slice | null {
    const message = reply.message, code = reply.code;
    if (reply.state != NegState.Completed || (message !== null && message.len != 0)) {
      return this.distrusted("the server's last answer does not end the exchange");
    }
    if (code === null || this.mechanism.incoming.verifyApart(this.mechanisms, code) != FINE) {
      return this.distrusted("the server did not sign the list of mechanisms, or not with the session's key");
    }
    this.stage = Stage.Done;
    return null;
  }
}
