/** The end that speaks first ([MS-NLMP] 3.1.5.1): NEGOTIATE, then AUTHENTICATE for the server's CHALLENGE. */

import { AuthenticationReason, host, RequirementReason, Slice } from "../../sdk/assembly/index";
import { ACCOUNT_HASH, BINDINGS, Config } from "./config";
import { deny, distrust, fallShort } from "./failure";
import { Mechanism, SESSION_KEY } from "./mechanism";
import { baseKey, exchangeKey, KEY_SIZE, messageCode, proof, responseKey } from "./proof";
import { Av, AvFlag, find, List } from "./wire/av_pairs";
import { codeOf, writeAuthenticate, writeBlob } from "./wire/authenticate";
import { Challenge } from "./wire/challenge";
import { Flag, INDISPENSABLE } from "./wire/flags";
import { writeNegotiate } from "./wire/negotiate";

// One after the other: response key, proof, key exchange key, encrypted session key, own challenge.
const RESPONSE_KEY: usize = memory.data(72, 16);
const PROOF: usize = RESPONSE_KEY + 16;
const EXCHANGE_KEY: usize = RESPONSE_KEY + 32;
const ENCRYPTED_KEY: usize = RESPONSE_KEY + 48;
const NONCE: usize = RESPONSE_KEY + 64;
const SAID: usize = memory.data(4, 4);

/** Milliseconds from 1601, where Windows' time begins, to 1970. */
export const EPOCH_MS: u64 = 11644473600000;

export class Client extends Mechanism {
  private negotiate: Slice = new Slice();

  constructor(private readonly config: Config) {
    super();
    // What the server calls itself proves no more than what the application calls it.
    this.peer = config.target;
  }

  next(message: Slice | null): Slice | null {
    if (this.negotiate.len == 0) {
      if (message !== null) {
        distrust("the server spoke first, and NTLM begins with the client");
        return this.fail();
      }
      this.negotiate = writeNegotiate(this.offered());
      return this.negotiate;
    }
    if (message !== null) {
      const challenge = Challenge.read(message);
      if (challenge !== null) return this.accepts(challenge) ? this.answer(message, challenge) : this.fail();
    }
    distrust("the server's answer is not an NTLM challenge with target information");
    return this.fail();
  }

  private offered(): u32 {
    return INDISPENSABLE | Flag.RequestTarget | Flag.Sign | Flag.Ntlm | Flag.AlwaysSign | Flag.Version |
      Flag.Identify | (this.config.confidentiality ? Flag.Seal : 0);
  }

  private accepts(challenge: Challenge): bool {
    if ((challenge.flags & INDISPENSABLE) != INDISPENSABLE) {
      deny(
        AuthenticationReason.Mechanism,
        "the server lacks extended session security, key exchange, 128-bit keys or Unicode; NTLM below that is refused",
      );
      return false;
    }
    if ((challenge.flags & Flag.Sign) == 0) {
      fallShort(RequirementReason.Integrity, "the server does not sign; ask for signing there too");
      return false;
    }
    if (this.config.confidentiality && (challenge.flags & Flag.Seal) == 0) {
      fallShort(RequirementReason.Confidentiality, "the server does not encrypt; ask for sealing there too");
      return false;
    }
    return true;
  }

  private answer(message: Slice, challenge: Challenge): Slice {
    const config = this.config, flags = this.offered() & challenge.flags;
    this.sealed = (flags & Flag.Seal) != 0;
    const stamp = find(challenge.info, Av.Timestamp);
    const time = stamp !== null && stamp.len == 8
      ? load<u64>(stamp.ptr)
      : (<u64> host.clock() + EPOCH_MS) * 10000;
    host.random(NONCE, 8);
    const blob = writeBlob(time, NONCE, this.heard(challenge.info));
    responseKey(ACCOUNT_HASH, config.username, config.domain, RESPONSE_KEY);
    config.forget();
    proof(RESPONSE_KEY, challenge.nonce, blob, PROOF);
    baseKey(RESPONSE_KEY, PROOF, EXCHANGE_KEY);
    host.random(SESSION_KEY, KEY_SIZE);
    exchangeKey(EXCHANGE_KEY, SESSION_KEY, ENCRYPTED_KEY);
    const third = writeAuthenticate(
      flags,
      config.domain,
      config.username,
      config.workstation,
      PROOF,
      blob,
      ENCRYPTED_KEY,
    );
    messageCode(SESSION_KEY, this.negotiate, message, third, codeOf(third));
    memory.fill(RESPONSE_KEY, 0, 72);
    this.channelBound = config.bound;
    this.open(true);
    return third;
  }

  /** What the client proves that it heard, with what it says itself: a code, the bindings, the target. */
  private heard(info: Slice): Slice {
    const list = new List(info.len + 8 + 20 + 4 + this.config.target.len + 4);
    list.addHeard(info);
    const said = find(info, Av.Flags);
    store<u32>(SAID, (said !== null && said.len == 4 ? load<u32>(said.ptr) : 0) | AvFlag.CodePresent);
    list.add(Av.Flags, new Slice(SAID, 4));
    list.add(Av.ChannelBindings, new Slice(BINDINGS, KEY_SIZE));
    list.add(Av.TargetName, this.config.target);
    list.add(Av.End, new Slice());
    return list.bytes;
  }
}
