/** What one end is told before the first token: who it is and what the session must be. */

import {
  Acquire,
  Impersonation,
  Requirement,
  RequirementReason,
  Role,
  Slice,
} from "../../sdk/assembly/index";
import { fallShort, misuse } from "./failure";
import { bindingsHash, KEY_SIZE, ntHash } from "./proof";
import { LONGEST_NAME, LONGEST_TARGET, toUtf16 } from "./text/utf16";

/** Indices of the options in the description. */
enum Option {
  Spnego,
  Workstation,
  ComputerName,
  DomainName,
}

/** The client's NT hash, until its answer is made. */
export const ACCOUNT_HASH: usize = memory.data(16, 16);
/** The hash that stands for the channel bindings of this end; zeros where it has none. */
export const BINDINGS: usize = memory.data(16, 16);

/** Texts are UTF-16. */
export class Config {
  client: bool = false;
  integrity: bool = false;
  confidentiality: bool = false;
  spnego: bool = false;
  /** Whether this end was given channel bindings. */
  bound: bool = false;
  /** Whether a client that gave none is served anyway. */
  boundIfGiven: bool = false;
  username: Slice = new Slice();
  domain: Slice = new Slice();
  target: Slice = new Slice();
  workstation: Slice = new Slice();
  computerName: Slice = new Slice();
  domainName: Slice = new Slice();

  /** Reads the request; null where it cannot be served. */
  static read(request: Acquire): Config | null {
    const config = new Config();
    config.client = request.role == Role.Client;
    config.integrity = (request.requirements & Requirement.Integrity) != 0;
    config.confidentiality = (request.requirements & Requirement.Confidentiality) != 0;
    config.spnego = request.options.boolean(Option.Spnego, false);
    if (!suffices(request)) return null;
    const bindings = request.channelBindings;
    if (bindings !== null) {
      if (bindings.len == 0) {
        misuse("channelBindings is empty; give the bindings of the channel, or leave it out");
        return null;
      }
      bindingsHash(bindings, BINDINGS);
      config.bound = true;
      config.boundIfGiven = request.allowMissingBindings;
    }
    const fine = config.client ? config.readClient(request) : config.readServer(request);
    return fine ? config : null;
  }

  private readClient(request: Acquire): bool {
    if (!request.hasCredentials || request.username.len == 0) {
      misuse("credentials are missing; NTLM needs a user name and a password, and never stays anonymous");
      return false;
    }
    const password = toUtf16(request.password);
    if (password === null) {
      misuse("credentials.password is not UTF-8");
      return false;
    }
    ntHash(password, ACCOUNT_HASH);
    password.wipe();
    this.username = text(request.username);
    this.domain = text(request.domain);
    const target = request.target;
    if (target !== null) this.target = text(target);
    this.workstation = option(request, Option.Workstation, "");
    const named = max(this.username.len, this.domain.len) <= LONGEST_NAME;
    if (named && this.target.len <= LONGEST_TARGET) return true;
    misuse("a name is longer than 170 characters, or a target than 340");
    return false;
  }

  private readServer(request: Acquire): bool {
    this.computerName = option(request, Option.ComputerName, "SERVER");
    this.domainName = option(request, Option.DomainName, "WORKGROUP");
    return true;
  }

  /** Forgets the hash of the client's account. */
  forget(): void {
    memory.fill(ACCOUNT_HASH, 0, KEY_SIZE);
  }
}

function suffices(request: Acquire): bool {
  if ((request.requirements & Requirement.MutualAuthentication) != 0) {
    fallShort(
      RequirementReason.MutualAuthentication,
      "NTLM never proves the server to the client; use Kerberos, or set mutualAuthentication: false",
    );
    return false;
  }
  if ((request.requirements & Requirement.Delegation) != 0) {
    fallShort(RequirementReason.Delegation, "NTLM hands no credentials on; use Kerberos");
    return false;
  }
  if (request.impersonation > <u32> Impersonation.Identify) {
    fallShort(RequirementReason.Impersonation, 'this provider goes as far as impersonation: "identify"');
    return false;
  }
  return true;
}

function option(request: Acquire, index: i32, absent: string): Slice {
  const value = request.options.text(index);
  return value === null
    ? text(new Slice(changetype<usize>(String.UTF8.encode(absent)), absent.length))
    : text(value);
}

// What the host hands over as text is UTF-8: it has checked that.
function text(bytes: Slice): Slice {
  const units = toUtf16(bytes);
  return units === null ? new Slice() : units;
}
