/** The provider: the operations of the ABI over one mechanism and what carries it. */

import {
  Acquire,
  Attribute,
  attributes,
  equal,
  failProtocol,
  failState,
  Guest,
  Impersonation,
  input,
  leg,
  needs,
  nobody,
  output,
  peer,
  PeerKind,
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

/** What records that are signed and numbered give. */
const SIGNED: u32 = Attribute.Integrity | Attribute.ReplayDetection | Attribute.SequenceDetection;

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
      (mechanism.keyed ? SIGNED : 0) | (mechanism.sealed ? Attribute.Confidentiality : 0) |
        (mechanism.channelBound ? Attribute.ChannelBound : 0),
      Impersonation.Identify,
      "ntlm",
      String.UTF16.decodeUnsafe(mechanism.peer.ptr, mechanism.peer.len),
      mechanism.target.len == 0 ? null : toUtf8(mechanism.target),
      0,
      SIGNATURE_SIZE,
    );
  }

  override peerIdentity(): void {
    const server = this.server;
    if (server === null) return nobody();
    const username = server.username(), domain = server.domain();
    peer(
      PeerKind.Unknown,
      String.UTF16.decodeUnsafe(username.ptr, username.len),
      String.UTF16.decodeUnsafe(domain.ptr, domain.len),
    );
  }

  sessionKey(): void {
    if (!this.keyed()) return;
    output.bytes(new Slice(SESSION_KEY, KEY_SIZE));
  }

  wrap(plain: usize, len: u32): void {
    this.protect(plain, len, this.mechanism.sealed);
  }

  override wrapUnencrypted(plain: usize, len: u32): void {
    this.protect(plain, len, false);
  }

  private protect(plain: usize, len: u32, sealed: bool): void {
    if (!this.keyed()) return;
    const outgoing = this.mechanism.outgoing;
    if (outgoing.exhausted()) return protocol(ProtocolReason.SequenceExhausted);
    outgoing.wrap(plain, len, sealed, output.reserve(len + SIGNATURE_SIZE));
  }

  override wrapSizeLimit(recordLen: u32, _encrypt: bool): void {
    output.word(recordLen < SIGNATURE_SIZE ? 0 : recordLen - SIGNATURE_SIZE);
  }

  override unwrapAny(record: usize, len: u32): void {
    const mechanism = this.mechanism;
    if (!mechanism.sealed) return this.unwrap(record, len);
    if (len < SIGNATURE_SIZE) return protocol(ProtocolReason.Truncated);
    const answer = output.reserve(4 + len - SIGNATURE_SIZE);
    const problem = mechanism.incoming.unwrapEither(record, len, answer + 4);
    store<u32>(answer, mechanism.incoming.wasSealed ? 1 : 0);
    if (problem != FINE) protocol(problem);
  }

  unwrap(record: usize, len: u32): void {
    const mechanism = this.mechanism;
    if (!this.keyed()) return;
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
    if (!this.keyed()) return;
    const outgoing = this.mechanism.outgoing;
    if (outgoing.exhausted()) return protocol(ProtocolReason.SequenceExhausted);
    outgoing.sign(message, len, output.reserve(SIGNATURE_SIZE));
  }

  verify(signature: usize, signatureLen: u32, message: usize, len: u32): void {
    if (!this.keyed()) return;
    if (signatureLen != SIGNATURE_SIZE) return protocol(ProtocolReason.Malformed);
    const problem = this.mechanism.incoming.verify(message, len, signature);
    if (problem != FINE) protocol(problem);
  }

  release(): void {
    memory.fill(ACCOUNT_HASH, 0, KEY_SIZE);
    memory.fill(BINDINGS, 0, KEY_SIZE);
    if (this.carrier !== null) this.mechanism.wipe();
  }

  /** Whether there are keys; where not, the call fails. */
  private keyed(): bool {
    if (this.mechanism.keyed) return true;
    failState(
      "the client asked for no session key, so nothing can be signed; require integrity to refuse such clients",
    );
    return false;
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
