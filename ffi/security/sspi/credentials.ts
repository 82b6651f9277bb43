/**
 * SSPI credentials: acquired without blocking the event loop, with NTLM excluded from Negotiate where it must not be
 * used, and released when their last user is closed.
 *
 * @module
 */

import { CredentialsBase, type CredentialsRequest, type Identity } from "../credentials_base.ts";
import { pinned, wideString } from "../../memory/memory.ts";
import {
  SEC_WINNT_AUTH_IDENTITY_EXW,
  SEC_WINNT_AUTH_IDENTITY_UNICODE,
  SEC_WINNT_AUTH_IDENTITY_VERSION,
  SecHandle,
  SECPKG_CRED,
} from "../../raw/secur32.ts";
import type { ContextRequest } from "../context.ts";
import { SspiContext } from "./context.ts";
import type { Clients } from "./peer.ts";
import { passwordUnits } from "../../windows/password.ts";
import { isError, type Sspi } from "./sspi.ts";

const USES = { client: SECPKG_CRED.OUTBOUND, server: SECPKG_CRED.INBOUND } as const;
const PACKAGES = { negotiate: "Negotiate", kerberos: "Kerberos" } as const;

type PasswordIdentity = Extract<Identity, { password: unknown }>;

/** What {@linkcode SspiCredentials} pass to their contexts. */
export interface SspiCredentialsOptions extends Pick<CredentialsRequest, "package" | "requirements"> {
  /** The longest token the package makes, in bytes. */
  readonly maxToken: number;
  /** Whether NTLM was excluded when they were acquired. */
  readonly excludeNtlm: boolean;
  /** Whether Kerberos was excluded then. */
  readonly excludeKerberos: boolean;
  /** What the grant `impersonation` allows with clients; `null` without it. */
  readonly clients: Clients | null;
}

/** Credentials of secur32.dll. */
export class SspiCredentials extends CredentialsBase {
  readonly #sspi: Sspi;
  readonly #handle: Uint8Array;
  readonly #options: SspiCredentialsOptions;

  /** Becomes the owner of a handle. */
  constructor(sspi: Sspi, handle: Uint8Array, options: SspiCredentialsOptions) {
    super(options, sspi.hold());
    this.#sspi = sspi;
    this.#handle = handle;
    this.#options = options;
  }

  protected override nativeContext(
    role: "client" | "server",
    request: ContextRequest,
    release: () => void,
  ): SspiContext {
    return new SspiContext(this.#sspi, {
      ...this.#options,
      role,
      request,
      credentials: this.#handle,
      release,
    });
  }

  protected override nativeRelease(): void {
    this.#sspi.call.FreeCredentialsHandle(this.#handle);
  }
}

/**
 * Acquires credentials, on another thread: this may contact a domain controller.
 *
 * @throws AuthenticationError where credentials are missing or wrong; TypeError where Windows does not support the
 * kind of identity.
 */
export async function acquireSspiCredentials(
  sspi: Sspi,
  request: CredentialsRequest,
  clients: Clients | null,
): Promise<SspiCredentials> {
  const { identity } = request;
  if (identity !== undefined && !("password" in identity)) {
    throw new TypeError(
      "credentials with a keytab or a cache are not supported on Windows; give username and password",
    );
  }
  const releaseLibrary = sspi.hold();
  try {
    return await acquireHandle(sspi, request, identity, clients);
  } finally {
    releaseLibrary();
  }
}

async function acquireHandle(
  sspi: Sspi,
  request: CredentialsRequest,
  identity: PasswordIdentity | undefined,
  clients: Clients | null,
): Promise<SspiCredentials> {
  const name = PACKAGES[request.package];
  const maxToken = sspi.package(name).maxToken;
  const handle = pinned(SecHandle.size);
  const { excludeNtlm, excludeKerberos = false } = request;
  const excluded = [...(excludeNtlm ? ["!ntlm"] : []), ...(excludeKerberos ? ["!kerberos"] : [])];
  const auth = authIdentity(sspi, identity, request.package === "negotiate" ? excluded.join() : "");
  try {
    const status = await sspi.threaded.AcquireCredentialsHandleW(
      null,
      wideString(name),
      USES[request.role],
      null,
      auth?.bytes ?? null,
      0n,
      0n,
      handle,
      pinned(8),
    );
    if (isError(status)) {
      const who = identity === undefined ? "the current user" : identity.username;
      throw sspi.failure("AcquireCredentialsHandleW", status, `acquire credentials as ${who}`);
    }
  } finally {
    auth?.password.fill(0);
  }
  return new SspiCredentials(sspi, handle, { ...request, excludeKerberos, maxToken, clients });
}

interface AuthIdentity {
  readonly bytes: Uint8Array;
  readonly password: Uint8Array;
  /** Keeps the memory reachable that the struct points to. */
  readonly holds: readonly Uint8Array[];
}

/**
 * The identity to acquire credentials with. Its package list excludes the mechanisms that must not be used, before
 * any token: a refusal at the end would come after NTLM's response had reached a possible relay. Without a user the
 * struct means the user that runs the process.
 */
function authIdentity(
  sspi: Sspi,
  identity: PasswordIdentity | undefined,
  packages: string,
): AuthIdentity | null {
  if (identity === undefined && packages === "") return null;
  const user = wideString(identity?.username ?? "");
  const domain = wideString(identity?.domain ?? "");
  const given = identity?.password ?? "";
  const password = passwordUnits(given);
  const list = wideString(packages);
  const units = (text: Uint8Array): number => text.length / 2 - 1;
  const address = (text: Uint8Array): bigint => units(text) === 0 ? 0n : sspi.memory.addressOf(text);
  const bytes = pinned(SEC_WINNT_AUTH_IDENTITY_EXW.size);
  SEC_WINNT_AUTH_IDENTITY_EXW.write(new DataView(bytes.buffer), {
    Version: SEC_WINNT_AUTH_IDENTITY_VERSION,
    Length: SEC_WINNT_AUTH_IDENTITY_EXW.size,
    User: address(user),
    UserLength: units(user),
    Domain: address(domain),
    DomainLength: units(domain),
    // An empty password is still a password; without a user there is none.
    Password: identity === undefined ? 0n : sspi.memory.addressOf(password),
    PasswordLength: units(password),
    Flags: SEC_WINNT_AUTH_IDENTITY_UNICODE,
    PackageList: address(list),
    PackageListLength: units(list),
  });
  return { bytes, password, holds: [user, domain, list] };
}
