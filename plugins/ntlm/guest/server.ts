/** The end that answers ([MS-NLMP] 3.2.5.1): CHALLENGE for NEGOTIATE, then the verdict on AUTHENTICATE. */

import { AuthenticationReason, equal, host, RequirementReason, Slice } from "../../sdk/assembly/index";
import { EPOCH_MS } from "./client";
import { BINDINGS, Config } from "./config";
import { deny, distrust, fallShort } from "./failure";
import { Mechanism, qualified, SESSION_KEY, Stage } from "./mechanism";
import { baseKey, exchangeKey, KEY_SIZE, messageCode, proof, responseKey } from "./proof";
import { fromOem, isName, LONGEST_NAME, LONGEST_TARGET, toOem } from "./text/utf16";
import { Authenticate } from "./wire/authenticate";
import { Av, AvFlag, find, List } from "./wire/av_pairs";
import { challengeNonce, writeChallenge } from "./wire/challenge";
import { Flag, INDISPENSABLE, SESSION } from "./wire/flags";
import { isNegotiate, negotiateFlags } from "./wire/negotiate";

// One after the other: response key, expected proof, key exchange key, the code that came, the one expected.
const RESPONSE_KEY: usize = memory.data(80, 16);
const PROOF: usize = RESPONSE_KEY + 16;
const EXCHANGE_KEY: usize = RESPONSE_KEY + 32;
const CODE: usize = RESPONSE_KEY + 48;
const EXPECTED_CODE: usize = RESPONSE_KEY + 64;
const NOBODY: usize = memory.data(16, 16);

export class Server extends Mechanism {
  private negotiate: Slice = new Slice();
  private challenge: Slice = new Slice();
  private flags: u32 = 0;
  /** What the client says in its AV pairs, where its proof covers it: bits of `AvFlag`. */
  private said: u32 = 0;
  private claim: Authenticate | null = null;

  constructor(private readonly config: Config) {
    super();
  }

  /** The names the client goes by, in UTF-16, from when the account's hash is asked for. */
  username(): Slice {
    return this.claim!.username;
  }

  domain(): Slice {
    return this.claim!.domain;
  }

  next(message: Slice | null): Slice | null {
    if (message === null) {
      distrust("the client sent nothing, and NTLM begins with it");
      return this.fail();
    }
    if (this.negotiate.len == 0) return this.begin(message);
    const claim = Authenticate.read(message.copy());
    if (claim === null) {
      distrust("the client's answer is not an NTLM authentication message");
      return this.fail();
    }
    if (!this.admits(claim)) return this.fail();
    this.claim = claim;
    this.stage = Stage.Asking;
    return null;
  }

  private begin(message: Slice): Slice | null {
    if (!isNegotiate(message)) {
      distrust("the client's first message is not an NTLM negotiation");
      return this.fail();
    }
    const wanted = negotiateFlags(message), config = this.config;
    this.keyed = this.mustBeKeyed || config.integrity || config.confidentiality ||
      (wanted & SESSION) == SESSION;
    if (!this.suffices(wanted)) return this.fail();
    this.flags = this.keyed ? this.session(wanted) : this.authentication(wanted);
    this.negotiate = message.copy();
    host.random(CODE, 8);
    const name = this.speaksUnicode ? config.computerName : toOem(config.computerName);
    this.challenge = writeChallenge(this.flags, CODE, name, this.info());
    return this.challenge;
  }

  /** What is agreed on with a client that signs. */
  private session(wanted: u32): u32 {
    return SESSION | Flag.Ntlm | Flag.AlwaysSign | Flag.TargetTypeServer | Flag.TargetInfo |
      (wanted & (Flag.RequestTarget | Flag.Seal | Flag.Version | Flag.Key56 | Flag.Identify));
  }

  /** What is agreed on with a client that only authenticates, as clients of HTTP do: no key leaves it. */
  private authentication(wanted: u32): u32 {
    return Flag.ExtendedSecurity | Flag.Ntlm | Flag.TargetTypeServer | Flag.TargetInfo |
      ((wanted & Flag.Unicode) != 0 ? Flag.Unicode : Flag.Oem) |
      (wanted & (Flag.RequestTarget | Flag.AlwaysSign | Flag.Version | Flag.Identify));
  }

  private get speaksUnicode(): bool {
    return (this.flags & Flag.Unicode) != 0;
  }

  private suffices(flags: u32): bool {
    if (!this.keyed) return this.authenticates(flags);
    if ((flags & INDISPENSABLE) != INDISPENSABLE) {
      deny(
        AuthenticationReason.Mechanism,
        "the client lacks extended session security, key exchange, 128-bit keys or Unicode; NTLM below that is refused",
      );
      return false;
    }
    if ((flags & Flag.Sign) == 0) {
      fallShort(RequirementReason.Integrity, "the client does not sign; ask for signing there too");
      return false;
    }
    if (this.config.confidentiality && (flags & Flag.Seal) == 0) {
      fallShort(RequirementReason.Confidentiality, "the client does not encrypt; ask for sealing there too");
      return false;
    }
    return true;
  }

  private authenticates(flags: u32): bool {
    if ((flags & Flag.ExtendedSecurity) != 0 && (flags & (Flag.Unicode | Flag.Oem)) != 0) return true;
    deny(
      AuthenticationReason.Mechanism,
      "the client lacks extended session security, or a way to write names; NTLM below that is refused",
    );
    return false;
  }

  private info(): Slice {
    const config = this.config, list = new List(config.domainName.len + config.computerName.len + 24);
    list.add(Av.DomainName, config.domainName);
    list.add(Av.ComputerName, config.computerName);
    store<u64>(PROOF, (<u64> host.clock() + EPOCH_MS) * 10000);
    list.add(Av.Timestamp, new Slice(PROOF, 8));
    list.add(Av.End, new Slice());
    return list.bytes;
  }

  /** Whether the message is one to look the account up for. What it proves is not known yet. */
  private admits(claim: Authenticate): bool {
    if (claim.username.len == 0 || (claim.flags & Flag.Anonymous) != 0) {
      deny(AuthenticationReason.NoCredentials, "the client stays anonymous, which is never accepted");
      return false;
    }
    if (!this.readsNames(claim)) return false;
    if (!isName(claim.username, LONGEST_NAME) || !isName(claim.domain, LONGEST_NAME)) {
      distrust("the client's name is not one that can be shown");
      return false;
    }
    const info = claim.info();
    if (info === null) {
      deny(
        AuthenticationReason.Mechanism,
        "the client answers with LM or NTLMv1, or with a broken NTLMv2 answer; only NTLMv2 is accepted",
      );
      return false;
    }
    if (!this.suffices(claim.flags)) return false;
    if (this.keyed && claim.encryptedKey.len != KEY_SIZE) {
      distrust("the client sent no session key of 16 bytes, and key exchange was agreed on");
      return false;
    }
    if (!this.keyed && (claim.flags & Flag.KeyExchange) != 0) {
      distrust("the client exchanges keys, and no key exchange was agreed on");
      return false;
    }
    const said = find(info, Av.Flags);
    if (said !== null && said.len != 4) {
      distrust("the client's flags are not four bytes");
      return false;
    }
    if (said !== null) this.said = load<u32>(said.ptr);
    if ((this.said & AvFlag.CodePresent) == 0 || claim.hasRoomForCode()) return true;
    distrust("the client's message has no room for the code that it says it has");
    return false;
  }

  /** Makes the names UTF-16, in which they are proved. */
  private readsNames(claim: Authenticate): bool {
    // With keys there is Unicode alone, which is seen to below.
    if (this.keyed) return true;
    if (((claim.flags & Flag.Unicode) != 0) != this.speaksUnicode) {
      distrust("the client writes names in another form than was agreed on");
      return false;
    }
    if (this.speaksUnicode) return true;
    const username = fromOem(claim.username), domain = fromOem(claim.domain);
    if (username === null || domain === null) {
      distrust("the client's names are neither Unicode nor ASCII, so nobody can tell what they are");
      return false;
    }
    claim.username = username;
    claim.domain = domain;
    return true;
  }

  /**
   * Ends the exchange, given the account's NT hash, or null where there is no such account: then a hash nobody has
   * takes its place, and the same work leads to the same answer as a wrong password.
   */
  judge(hash: Slice | null): void {
    const claim = this.claim!;
    host.random(NOBODY, KEY_SIZE);
    responseKey(hash === null ? NOBODY : hash.ptr, claim.username, claim.domain, RESPONSE_KEY);
    memory.fill(NOBODY, 0, KEY_SIZE);
    proof(RESPONSE_KEY, challengeNonce(this.challenge), claim.blob(), PROOF);
    const proved = equal(PROOF, claim.answer.ptr, KEY_SIZE) && hash !== null;
    baseKey(RESPONSE_KEY, PROOF, EXCHANGE_KEY);
    if (this.keyed) exchangeKey(EXCHANGE_KEY, claim.encryptedKey.ptr, SESSION_KEY);
    else memory.copy(SESSION_KEY, EXCHANGE_KEY, KEY_SIZE);
    const whole = (this.said & AvFlag.CodePresent) == 0 || this.fits(claim);
    memory.fill(RESPONSE_KEY, 0, 80);
    if (!proved) {
      deny(
        AuthenticationReason.BadCredentials,
        "there is no such account, or its password is another; check both",
      );
    } else if (!whole) distrust("the messages of the exchange were altered on their way");
    else if (this.accepts(claim)) {
      if (this.keyed) return this.open(false);
      this.stage = Stage.Done;
      memory.fill(SESSION_KEY, 0, KEY_SIZE);
      return;
    }
    this.stage = Stage.Failed;
    memory.fill(SESSION_KEY, 0, KEY_SIZE);
  }

  /** Whether the code over all three messages is right, so that none was altered. */
  private fits(claim: Authenticate): bool {
    claim.takeCode(CODE);
    messageCode(SESSION_KEY, this.negotiate, this.challenge, claim.message, EXPECTED_CODE);
    return equal(EXPECTED_CODE, CODE, KEY_SIZE);
  }

  private accepts(claim: Authenticate): bool {
    const info = claim.info()!, bindings = find(info, Av.ChannelBindings), target = find(info, Av.TargetName);
    if (this.config.bound && !(this.config.boundIfGiven && isNone(bindings))) {
      if (bindings === null || bindings.len != KEY_SIZE || !equal(bindings.ptr, BINDINGS, KEY_SIZE)) {
        deny(
          AuthenticationReason.ChannelBindings,
          "the client is not on this channel, or gave no channel bindings; give the same ones on both ends",
        );
        return false;
      }
      this.channelBound = true;
    }
    if (target !== null && !isName(target, LONGEST_TARGET)) {
      distrust("the target the client names is not one that can be shown");
      return false;
    }
    if (target !== null && (this.said & AvFlag.UntrustedTarget) == 0) this.target = target;
    this.peer = qualified(claim.domain, claim.username);
    this.sealed = this.keyed && (this.flags & claim.flags & Flag.Seal) != 0;
    return true;
  }
}

/** Whether a client gave no channel bindings: it says so by leaving them out, or by zeros. */
function isNone(bindings: Slice | null): bool {
  if (bindings === null) return true;
  let bits: u32 = 0;
  for (let at: u32 = 0; at < bindings.len; at++) bits |= load<u8>(bindings.ptr + at);
  return bindings.len == KEY_SIZE && bits == 0;
}
