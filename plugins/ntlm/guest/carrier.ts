/** What carries the messages of the mechanism: nothing at all, or SPNEGO. */

import { Slice } from "../../sdk/assembly/index";
import { distrust } from "./failure";
import { Mechanism, Stage } from "./mechanism";

/** Carries the messages as they are. */
export class Carrier {
  stage: Stage = Stage.Going;

  constructor(readonly mechanism: Mechanism) {}

  /** The next token, given the peer's; `stage` reports the state afterwards. */
  step(token: Slice | null): Slice | null {
    return this.pass(this.mechanism.next(token));
  }

  /** The last token, after the mechanism has been given the account's hash. */
  finish(): Slice | null {
    return this.pass(null);
  }

  /** The token which reports a failed authentication to the peer, where the carrier has one. */
  refusal(): Slice | null {
    return null;
  }

  protected pass(message: Slice | null): Slice | null {
    this.stage = this.mechanism.stage;
    return message;
  }

  protected failed(): Slice | null {
    this.stage = Stage.Failed;
    return null;
  }

  protected distrusted(text: string): Slice | null {
    distrust(text);
    return this.failed();
  }
}
