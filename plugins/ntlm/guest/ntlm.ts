/** The provider: the operations of the ABI over one mechanism and what carries it. */

import {
  Acquire,
  Attribute,
  attributes,
  equal,
  failProtocol,
  Guest,
  Impersonation,
  input,
  leg,
  needs,
  output,
  ProtocolReason,
  Slice,
} from "../../sdk/assembly/index";
import { Carrier } from "./carrier";
import { Client } from "./client";
import { ACCOUNT_HASH, BINDINGS, Config } from "./config";
import { DESCRIPTION } from "./description";
import { report } from "./failure";
import { Mechanism, SESSION_KEY, Stage } from "./mechanism";
import { KEY_SIZE } from "./proof";
import { Server } from "./server";
import { FINE, SIGNATURE_SIZE } from "./session";
import { SpnegoClient } from "./spnego/client";
import { SpnegoServer } from "./spnego/server";
import { toUtf8 } from "./text/utf16";

/** The place of the one question in the description. */
const ACCOUNT: u32 = 0;

export class Ntlm extends Guest {
  private config: Config | null = null;
  private server: Server | null = null;
  private carrier: Carrier | null = null;

  describe(): string {
    return DESCRIPTION;
  }

  acquire(request: Acquire): void {
    const config = Config.read(request);
    if (config === null) return report(null);
    this.config = config;
    if (config.client) {
      const client = new Client(config);
      this.carrier = config.spnego ? new SpnegoClient(client) : new Carrier(client);
    } else {
      const server = new Server(config);
      this.server = server;
      this.carrier = config.spnego ? new SpnegoServer(server) : new Carrier(server);
    }
  }

  step(token: Slice | null): void {
    const carrier = this.carrier!;
    this.answer(carrier, carrier.step(token));
  }

  override resume(answers: Slice[] | null): void {
    const carrier = this.carrier!;
    this.server!.judge(answers === null ? null : answers[0]);
    this.answer(carrier, carrier.finish());
  }

  private answer(carrier: Carrier, token: Slice | null): void {
    if (carrier.stage == Stage.Failed) return report(carrier.refusal());
    if (carrier.stage != Stage.Asking) return leg(carrier.stage == Stage.Done, token);
    const server = this.server!;
    needs(ACCOUNT, [toUtf8(server.domain()), toUtf8(server.username())]);
  }

  attributes(): void {
    const mechanism = this.mechanism;
    attributes(
      Attribute.Integrity | Attribute.ReplayDetection | Attribute.SequenceDetection |
        (mechanism.sealed ? Attribute.Confidentiality : 0) |
        (mechanism.channelBound ? Attribute.ChannelBound : 0),
      Impersonation.Identify,
      "ntlm",
      String.UTF16.decodeUnsafe(mechanism.peer.ptr, mechanism.peer.len),
      mechanism.target.len == 0 ? null : toUtf8(mechanism.target),
      0,
      SIGNATURE_SIZE,
    );
  }

  sessionKey(): void {
    output.bytes(new Slice(SESSION_KEY, KEY_SIZE));
  }

  wrap(plain: usize, len: u32): void {
    const mechanism = this.mechanism;
    if (mechanism.outgoing.exhausted()) return protocol(ProtocolReason.SequenceExhausted);
    mechanism.outgoing.wrap(plain, len, mechanism.sealed, output.reserve(len + SIGNATURE_SIZE));
  }

  unwrap(record: usize, len: u32): void {
    const mechanism = this.mechanism;
    if (len < SIGNATURE_SIZE) return protocol(ProtocolReason.Truncated);
    output.word(mechanism.sealed ? 1 : 0);
    const problem = mechanism.incoming.unwrap(
      record,
      len,
      mechanism.sealed,
      output.reserve(len - SIGNATURE_SIZE),
    );
    if (problem != FINE) protocol(problem);
  }

  sign(message: usize, len: u32): void {
    const outgoing = this.mechanism.outgoing;
    if (outgoing.exhausted()) return protocol(ProtocolReason.SequenceExhausted);
    outgoing.sign(message, len, output.reserve(SIGNATURE_SIZE));
  }

  verify(signature: usize, signatureLen: u32, message: usize, len: u32): void {
    if (signatureLen != SIGNATURE_SIZE) return protocol(ProtocolReason.Malformed);
    const problem = this.mechanism.incoming.verify(message, len, signature);
    if (problem != FINE) protocol(problem);
  }

  release(): void {
    memory.fill(ACCOUNT_HASH, 0, KEY_SIZE);
    memory.fill(BINDINGS, 0, KEY_SIZE);
    if (this.carrier !== null) this.mechanism.wipe();
  }

  private get mechanism(): Mechanism {
    return this.carrier!.mechanism;
  }
}

function protocol(reason: ProtocolReason): void {
  failProtocol(reason, sentence(reason));
}

function sentence(reason: ProtocolReason): string {
  if (reason == ProtocolReason.Truncated) {
    return "the record is shorter than its signature; close the connection";
  }
  if (reason == ProtocolReason.Malformed) return "the signature is not 16 bytes long";
  if (reason == ProtocolReason.Replayed) return "the record was seen before; close the connection";
  if (reason == ProtocolReason.Gap) return "records before this one are missing; close the connection";
  if (reason == ProtocolReason.SequenceExhausted) {
    return "every record number is used up; open a new connection";
  }
  return "the record was altered on its way; close the connection";
}
