/**
 * A provider to begin from. It does not authenticate and does not protect, and its description offers nothing: the
 * registry never selects it unless every requirement is set to false. Add your mechanism, then raise `offers`.
 */

import {
  Acquire,
  attributes,
  AuthenticationReason,
  failAuthentication,
  failProtocol,
  failState,
  Guest,
  Impersonation,
  leg,
  output,
  ProtocolReason,
  Role,
  serve,
  Slice,
} from "../../assembly/index";

export { abi_version, alloc, call } from "../../assembly/index";

const DESCRIPTION = `{
  "abi": 1,
  "name": "template",
  "version": "0.1.0",
  "layer":"context",
  "offers": {
    "integrity": false,
    "confidentiality": false,
    "mutualAuthentication": false,
    "impersonation": "anonymous",
    "delegation": false
  },
  "imports": [],
  "options": [
    { "name": "greeting", "type": "text", "maxLength": 64, "doc": "The text that the peer receives." }
  ],
  "credentials": { "client": ["password", "none"], "server": ["none"] }
}`;

/** The index of the option in the description. */
const GREETING: i32 = 0;
const LONGEST_GREETING: u32 = 64;
/** What `wrap` adds. */
const OVERHEAD: u32 = 4;

class Template extends Guest {
  private client: bool = false;
  private sent: bool = false;
  private greeting: Slice = new Slice();
  /** The peer's greeting. */
  private peer: Slice = new Slice();

  describe(): string {
    return DESCRIPTION;
  }

  acquire(request: Acquire): void {
    this.client = request.role == Role.Client;
    const greeting = request.options.text(GREETING);
    // What is kept is copied: the request is valid only during this call.
    this.greeting = greeting === null ? literal("hello") : greeting.copy();
    // Derive keys from the password here, then overwrite it.
    request.password.wipe();
  }

  /** The client greets, the server greets back. */
  step(token: Slice | null): void {
    if (this.client && !this.sent) {
      this.sent = true;
      return leg(false, this.greeting);
    }
    if (token === null || token.len == 0 || token.len > LONGEST_GREETING) {
      return failAuthentication(AuthenticationReason.BadToken, "the peer's token is not a greeting");
    }
    this.peer = token.copy();
    leg(true, this.client ? null : this.greeting);
  }

  attributes(): void {
    attributes(0, Impersonation.Anonymous, "template", "", null, 0, OVERHEAD);
  }

  sessionKey(): void {
    failState("there is no session key: nothing was authenticated");
  }

  /** A record is the length, then the plain text. */
  wrap(plain: usize, len: u32): void {
    output.word(len);
    output.raw(plain, len);
  }

  unwrap(record: usize, len: u32): void {
    if (len < OVERHEAD) return failProtocol(ProtocolReason.Truncated, "the record has no length");
    if (load<u32>(record) != len - OVERHEAD) {
      return failProtocol(ProtocolReason.Malformed, "the record's length is wrong");
    }
    // 0: it was not encrypted.
    output.word(0);
    output.raw(record + OVERHEAD, len - OVERHEAD);
  }

  sign(_message: usize, len: u32): void {
    output.word(len);
  }

  verify(signature: usize, signatureLen: u32, _message: usize, len: u32): void {
    if (signatureLen != 4 || load<u32>(signature) != len) {
      failProtocol(ProtocolReason.Altered, "the message's length differs from its signature");
    }
  }

  release(): void {
    // Overwrite every key here.
    this.peer.wipe();
  }
}

function literal(text: string): Slice {
  const bytes = String.UTF8.encode(text);
  return new Slice(changetype<usize>(bytes), <u32> bytes.byteLength).copy();
}

serve(new Template());
