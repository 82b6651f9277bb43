/**
 * The contract between the library and a security provider, as plain data and small interfaces.
 *
 * A provider of layer `context` exchanges tokens until both ends are authenticated, and then wraps each record. The
 * library transports tokens and records over any byte stream, with the framing of [MS-NNS].
 *
 * With a provider of layer `socket`, the operating system protects the socket itself. The provider writes
 * requirements as the bytes that the system's calls take; the library reads these bytes before it makes the calls.
 *
 * @module
 */

/** How far a server may act in the name of its client, weakest first. */
export type ImpersonationLevel = "anonymous" | "identify" | "impersonate" | "delegate";

/** What an application requires of a connection or context. What is left out has the strict default. */
export interface Requirements {
  /** The name of the provider to use. Left out: the first suitable provider of the registry. */
  provider?: string;
  /** Every byte is protected against change, replay and reordering. Default `true`. */
  integrity?: boolean;
  /** Every byte is encrypted. Default `true`. */
  confidentiality?: boolean;
  /** Each end has proved its identity to the other. Default `true`. */
  mutualAuthentication?: boolean;
  /**
   * The impersonation level. On a client: the most that the server may do as the client. On a server: the least that
   * it must be able to do as its client. For datagrams, whose socket cannot impersonate: the most that any peer may
   * do. Default `"identify"`, or `"delegate"` with `delegation`. On a server with `mutualAuthentication: false`, a
   * provider of the socket layer requires `"identify"` only where this option is given. No built-in provider supports
   * an `"anonymous"` client.
   */
  impersonation?: ImpersonationLevel;
  /** The client delegates credentials, with which the server can reach further servers. Default `false`. */
  delegation?: boolean;
}

/** {@linkcode Requirements} with every default filled in. */
export interface ResolvedRequirements extends Readonly<Required<Omit<Requirements, "provider">>> {
  /** The name of the provider to use. */
  readonly provider?: string;
}

/** What a provider can provide, known before any connection is made. */
export interface Offers {
  /** It protects records against change, replay and reordering. */
  readonly integrity: boolean;
  /** It encrypts records. */
  readonly confidentiality: boolean;
  /** It can prove the identity of each end to the other. NTLM cannot. */
  readonly mutualAuthentication: boolean;
  /** The highest impersonation level it can give a server. */
  readonly impersonation: ImpersonationLevel;
  /** It can delegate credentials. */
  readonly delegation: boolean;
}

/** Whether a feature is available, and if not, why. */
export type Availability =
  | { readonly available: true }
  | { readonly available: false; readonly reason: string; readonly cause?: unknown };

/** What this machine and process can do, as plain data. A registry selects a provider by it. */
export interface Capabilities {
  /** The operating system. */
  readonly os: "windows" | "linux" | "darwin" | "other";
  /** The JavaScript runtime. */
  readonly runtime: "deno" | "node";
  /** True where the simulator stands in for the operating system: nothing is protected. */
  readonly simulated: boolean;
  /** Whether SSPI (Windows) or GSS-API (elsewhere) can be called. */
  readonly securityContexts: Availability;
  /** Whether the Winsock secure socket extensions can be called. */
  readonly ipsec: Availability;
  /** The machine's policy. It can only restrict what the application allows. */
  readonly machinePolicy: MachinePolicy;
}

/**
 * The machine's policy file: whether it exists, and its text, which the registry parses.
 *
 * `unread`: this process has no permission to look for it. `unreadable`: it exists and cannot be read; no provider is
 * then selected.
 */
export type MachinePolicy =
  | { readonly state: "absent"; readonly path: string }
  | { readonly state: "present"; readonly path: string; readonly text: string }
  | { readonly state: "unread"; readonly path: string; readonly reason: string }
  | { readonly state: "unreadable"; readonly path: string; readonly reason: string };

/** Which providers may be selected, and the least protection they must give. Plain JSON. */
export interface Policy {
  /** The version of this format: 1. */
  readonly version: 1;
  /**
   * Names of providers, in the order to try them. A provider that is not named is not used. Left out: the registry's
   * order.
   */
  readonly order?: readonly string[];
  /** Names of providers that are never used, and of mechanisms that no provider may negotiate. */
  readonly deny?: readonly string[];
  /** Requirements that apply even where the application requires less. */
  readonly floor?: {
    readonly integrity?: true;
    readonly confidentiality?: true;
    readonly mutualAuthentication?: true;
  };
}

/** The system that a provider works on. Providers that make native calls need the system's concrete class. */
export interface ProviderSystem {
  /** What this machine and process can do. */
  capabilities(): Capabilities;
}

/** Describes a provider, for tables and logs. */
export interface ProviderDescription {
  /** The provider's name. */
  readonly name: string;
  /** `context`: it makes security contexts. `socket`: the operating system protects the socket itself. */
  readonly layer: "context" | "socket";
  /** `native`: it calls system libraries in this process. `sandboxed`: WebAssembly, which can use its grants only. */
  readonly isolation: "native" | "sandboxed";
  /** SHA-256 of a sandboxed provider's module, in lower-case hexadecimal. */
  readonly sha256?: string;
  /** The host functions a sandboxed provider may call. */
  readonly imports?: readonly string[];
  /** What it can provide. */
  readonly offers: Offers;
  /**
   * The mechanisms that it can negotiate, by the names that policies use. A mechanism that a policy denies is left
   * out before the first token; where a policy denies all of them, the provider is not used. Left out: it negotiates
   * none.
   */
  readonly mechanisms?: readonly string[];
}

/**
 * What to authenticate with: a user's name and password, a key table, or a credential cache. Left out: the logon of
 * the user that runs the process.
 *
 * The library copies the password and zeroes its copy after use. A `string` cannot be zeroed; a `Uint8Array` (UTF-8)
 * stays the caller's, who zeroes it.
 */
export type Credentials =
  | {
    /** `user`, `DOMAIN\user` or a UPN (`user@suffix`); `docs/credentials.md` states how each mechanism reads it. */
    readonly username: string;
    /** The domain; outside Windows the realm. Where the name contains a domain too, both must be the same. */
    readonly domain?: string;
    /** The password. Outside Windows it must not be empty or contain a NUL. */
    readonly password: string | Uint8Array;
  }
  | {
    /** A key table, for instance `FILE:/etc/krb5.keytab`. Not on Windows. */
    readonly keytab: string;
    /**
     * The principal, as `klist -k` prints it. Left out: on a server any principal of the key table, on a client the
     * first.
     */
    readonly principal?: string;
  }
  | {
    /** A credential cache, for instance `FILE:/tmp/krb5cc_1000`. Not on Windows. */
    readonly cache: string;
  }
  | {
    /** Credentials that a client delegated to this server: the result of its context's `takeDelegated()`. */
    readonly delegated: ProviderCredentials;
  };

/** Options of {@linkcode ContextProvider.acquire}. */
export interface AcquireOptions {
  /** Which end this process is. */
  readonly role: "client" | "server";
  /** The system to work on. */
  readonly system: ProviderSystem;
  /** What every context must provide. */
  readonly requirements: ResolvedRequirements;
  /** What to authenticate with. Left out: the logon of the user that runs the process. */
  readonly credentials?: Credentials;
  /**
   * Names that a policy denies. A provider that negotiates must leave out the mechanisms of these names before the
   * first token.
   */
  readonly denied?: readonly string[];
  /** Ends the wait. A native call that has begun runs to its end, and its result is released. */
  readonly signal?: AbortSignal;
}

/** Options of one context. */
export interface ContextOptions {
  /** The server's SPN as the application gave it (`class/host`). Required on a client. */
  readonly target?: string;
  /** Channel bindings (RFC 5929 application data, for instance `tls-server-end-point:` and a hash). */
  readonly channelBindings?: Uint8Array;
  /** On a server: accepts a client that sends no channel bindings. Default `false`. */
  readonly allowMissingBindings?: boolean;
}

/** The result of one step of the token exchange. */
export interface StepResult {
  /** The token to send to the peer; `null`: nothing to send. */
  readonly token: Uint8Array | null;
  /** True once the exchange is complete on this end. */
  readonly done: boolean;
}

/** The contents of a record. */
export interface Unwrapped {
  /** The data: a view into the record's memory. */
  readonly data: Uint8Array;
  /** True where the record was encrypted, false where it was signed only. */
  readonly encrypted: boolean;
}

/** What the exchange agreed on. */
export interface ContextAttributes {
  /**
   * The mechanism that authenticated, in lower case: `kerberos`, `ntlm`, or a third party's name. For a provider that
   * `loadProvider()` loaded it is the provider's name, alone or as `provider/mechanism`.
   */
  readonly mechanism: string;
  /** Each end has proved its identity to the other. */
  readonly mutualAuthentication: boolean;
  /** Records are protected against change. */
  readonly integrity: boolean;
  /** Records are encrypted. */
  readonly confidentiality: boolean;
  /** A replayed record is refused. */
  readonly replayDetection: boolean;
  /** A record out of order is refused. */
  readonly sequenceDetection: boolean;
  /** Credentials were delegated. */
  readonly delegation: boolean;
  /**
   * Channel bindings were given and used: a server has verified that they match; a client has them in every token.
   */
  readonly channelBound: boolean;
  /** What the server may do as the client. */
  readonly impersonation: ImpersonationLevel;
  /**
   * What protects the records: `system`, the library that authenticates; `accelerated`, libcrypto with that library's
   * keys. Left out where there is no such choice.
   */
  readonly records?: "accelerated" | "system";
}

/**
 * Who a peer is, as its mechanism authenticated it. What is not known is left out, never guessed.
 *
 * Authorise by {@linkcode PeerIdentity.sid} and {@linkcode PeerIdentity.groups} where they are known: an account that
 * is renamed keeps its SID, and a new account with an old name gets another SID. To authorise by name, compare the
 * whole `name`, or both `user` and `realm`: every realm can have the same `user`.
 */
export interface PeerIdentity {
  /** The whole name, as its mechanism writes it: `alice@EXAMPLE.TEST`, `EXAMPLE\alice`. */
  readonly name: string;
  /** The account's name within its realm: `alice`. A service's includes its class: `HTTP/web.example.test`. */
  readonly user: string;
  /** The Kerberos realm, or NTLM's domain, spelled as in `name`; empty where `name` has none. */
  readonly realm: string;
  /** What the name belongs to; `"unknown"` where the authenticated data does not contain it. */
  readonly kind: "user" | "service" | "computer" | "unknown";
  /** The account's security identifier: `S-1-5-21-…-1104`. */
  readonly sid?: string;
  /**
   * The SIDs of all groups of the account: of its domain, of other domains, and of the resource's domain. Left out
   * where they are not known; an empty array means an account without groups.
   */
  readonly groups?: readonly string[];
  /** The user principal name in the directory: `alice@example.test`. */
  readonly upn?: string;
  /** The account's full name in the directory. It is not unique. */
  readonly displayName?: string;
  /** The NetBIOS name of the account's domain: `EXAMPLE`. */
  readonly netbiosDomain?: string;
  /** The local account that this machine's Kerberos configuration maps the name to (`auth_to_local`). */
  readonly localName?: string;
  /**
   * Why SID and groups are left out although the peer's mechanism carried them. For a log; do not send it to the
   * peer.
   */
  readonly incomplete?: string;
}

/** A provider's credentials, from which its contexts are made. One owner; closing twice is harmless. */
export interface ProviderCredentials extends Disposable {
  /** Makes a context for the initiator. */
  client(options: ContextOptions & { readonly target: string }): ProviderContext;
  /** Makes a context for the acceptor. */
  server(options: ContextOptions): ProviderContext;
  /** Releases the credentials; contexts made from them stay usable. */
  close(): void;
}

/**
 * One end of a security context, as a provider makes it. One owner; closing twice is harmless.
 *
 * Before `done`, only `step` and `close` may be called; every other call throws a `StateError`.
 */
export interface ProviderContext extends Disposable {
  /**
   * Takes the peer's token (`null` on a client's first step) and returns the next one.
   *
   * @throws AuthenticationError; the peer learns only that authentication failed.
   */
  step(token: Uint8Array | null): Promise<StepResult>;
  /** True once the exchange is complete on this end. */
  readonly done: boolean;
  /** What was agreed on. */
  readonly attributes: ContextAttributes;
  /** Who the peer is, as its mechanism writes it: `alice@EXAMPLE.TEST`, `EXAMPLE\alice`. */
  readonly peerName: string;
  /**
   * Who the peer is. Left out where the peer did not prove it (a server without mutual authentication, an anonymous
   * client), or where the provider reports `peerName` only.
   */
  readonly peerIdentity?: PeerIdentity;
  /**
   * On a server: the target that the client requested. Left out where the mechanism does not report it, or where what
   * it reports cannot be relied on. Never another name.
   *
   * How far it can be relied on depends on the mechanism. SSPI's Kerberos, and NTLM with a message integrity code,
   * read it from a protected part of the client's message. GSS-API's Kerberos reads it from the clear part of the
   * ticket and compares it with the key that decrypted the ticket: where several names have the same key, an attacker
   * between the two ends can replace one of them with another.
   */
  readonly requestedTarget?: string;
  /** When the context expires; left out where the mechanism sets no end. */
  readonly expiresAt?: Date;
  /** The most bytes that {@linkcode ProviderContext.wrap} adds to a message. */
  readonly maxOverhead: number;
  /** Returns a copy of the session key, which the caller zeroes. */
  sessionKey(): Uint8Array;
  /**
   * Protects `plain`, which is not changed, writes the record to `out` and returns the part of `out` that was filled.
   *
   * `out` must have `plain.length + maxOverhead` bytes. On failure `out` contains no plain text.
   */
  wrap(plain: Uint8Array, out: Uint8Array): Uint8Array;
  /** Verifies and opens one record in place; the result is a view into `record`. */
  unwrap(record: Uint8Array): Uint8Array;
  /**
   * Like {@linkcode ProviderContext.wrap}, but signs without encrypting, even where confidentiality was agreed on:
   * RFC 4752 and RFC 1961 negotiate in such messages. Left out where the provider cannot do it.
   */
  wrapUnencrypted?(plain: Uint8Array, out: Uint8Array): Uint8Array;
  /**
   * Like {@linkcode ProviderContext.unwrap}, but accepts records that are not encrypted. Left out where the provider
   * cannot do it.
   */
  unwrapAny?(record: Uint8Array): Unwrapped;
  /**
   * Returns the most bytes of data whose record has at most `recordBytes` bytes (`gss_wrap_size_limit`); 0: no record
   * is that short. Left out where `recordBytes - maxOverhead` is safe.
   */
  wrapSizeLimit?(recordBytes: number, encrypt: boolean): number;
  /**
   * Protects `data` in place and returns its header, which is sent separately, as WinRM does. On failure `data` is
   * zeroed. Left out where the provider cannot do it.
   */
  wrapDetached?(data: Uint8Array): Uint8Array;
  /** Verifies and opens `data` in place; `header` was sent separately. On failure `data` is zeroed. */
  unwrapDetached?(header: Uint8Array, data: Uint8Array): Uint8Array;
  /** A signature over `message`, which travels apart from it. */
  sign(message: Uint8Array): Uint8Array;
  /** Throws a `ProtocolError` unless `signature` is the peer's over `message`. */
  verify(message: Uint8Array, signature: Uint8Array): void;
  /** On a server: returns the credentials that the client delegated, once; the caller closes them. `null`: none. */
  takeDelegated?(): ProviderCredentials | null;
  /**
   * Runs `fn`, which must be synchronous, as the client. Left out where the provider or the platform cannot do it.
   */
  impersonate?<T>(fn: () => T): T;
  /** Closes the context and erases its keys. */
  close(): void;
}

/** A provider that makes security contexts: tokens authenticate, records are wrapped. */
export interface ContextProvider {
  /** Always `"context"`. */
  readonly layer: "context";
  /** The provider's name, as policies and requirements use it. */
  readonly name: string;
  /** Its description, for tables and logs. */
  readonly description: ProviderDescription;
  /** Returns whether it is available on a system with these capabilities; never throws, never prompts. */
  available(capabilities: Capabilities): Availability;
  /** Acquires credentials. May wait for a domain controller or KDC. */
  acquire(options: AcquireOptions): Promise<ProviderCredentials>;
}

/** The user that a socket's settings are for. The library appends the password itself: no password enters a codec. */
export interface SettingsIdentity {
  /** The user's name; empty: the user that runs the process. */
  readonly username: string;
  /** The user's domain; may be empty. */
  readonly domain: string;
  /** How many bytes of password (UTF-16) will be appended. */
  readonly passwordBytes: number;
}

/** An identifier of a connection's security association: of main mode, or of quick mode. */
export type AssociationField = "mainModeSa" | "quickModeSa";

/**
 * Writes the arguments of the system's socket security calls as bytes; it is pure. The library reads these bytes
 * before it passes them to the system, and refuses what is weaker than granted or different from it. The library
 * itself reads the system's answers.
 */
export interface SocketCodec extends Disposable {
  /** Returns a `SOCKET_SECURITY_SETTINGS_IPSEC`, complete except for the password, which the library appends. */
  settings(requirements: ResolvedRequirements, identity: SettingsIdentity): Uint8Array;
  /** Returns a `SOCKET_PEER_TARGET_NAME`; `peerAddress` is the system's address structure, or empty. */
  target(peerAddress: Uint8Array, target: string): Uint8Array;
  /**
   * Returns a `SOCKET_SECURITY_QUERY_TEMPLATE_IPSEC2`. With `watched`, the system aborts the connection when one of
   * these identifiers changes.
   */
  queryTemplate(
    peerAddress: Uint8Array,
    accessMask: number,
    watched?: readonly AssociationField[],
  ): Uint8Array;
  /** Releases the codec; closing twice is harmless. */
  close(): void;
}

/**
 * What an application grants a provider of the socket layer in addition to its requirements. The library reads what a
 * codec writes, and refuses settings that lack a flag granted here, have a flag not granted here, or name another
 * policy.
 */
export interface SocketGrants {
  /** Allows clear text where no requirement is set. Default `false`. */
  readonly allowInsecure?: boolean;
  /**
   * The keys (GUIDs) of main-mode policies; the settings must name one of them. A key of zeros is the system's own
   * policy. Left out: only the system's own policy.
   */
  readonly mainModePolicies?: readonly string[];
  /** The keys (GUIDs) of quick-mode policies, in the same way. */
  readonly quickModePolicies?: readonly string[];
  /** Accepts a peer that does not prove that it is the named computer. Default `false`. */
  readonly optionalPeerName?: boolean;
  /** The computer's name is not a service principal name. Default `false`. */
  readonly rawPeerName?: boolean;
  /** Does not create filters for the socket. Default `false`. */
  readonly skipFilters?: boolean;
  /** Accepts a peer's first packet in clear text, where `allowInsecure` has an effect. Default `false`. */
  readonly firstPacketInClear?: boolean;
  /** The identifiers that must not change after the connection is made: when one does, the connection is aborted. */
  readonly abortOnAssociationChange?: readonly AssociationField[];
}

/** A provider whose protection the operating system applies to the socket itself. */
export interface SocketProvider extends SocketGrants {
  /** Always `"socket"`. */
  readonly layer: "socket";
  /** The provider's name, as policies and requirements use it. */
  readonly name: string;
  /** Its description, for tables and logs. */
  readonly description: ProviderDescription;
  /** Returns whether it is available on a system with these capabilities; never throws, never prompts. */
  available(capabilities: Capabilities): Availability;
  /** Returns a codec for one connection, or for one listener and all connections it accepts. The caller closes it. */
  codec(): Promise<SocketCodec>;
}

/** A provider of any layer. */
export type Provider = ContextProvider | SocketProvider;

/** The verified security of a connection or context. */
export interface SecurityInfo {
  /** The name of the provider in use. */
  readonly provider: string;
  /** The mechanism that authenticated, in lower case: `kerberos`, `ntlm`, `ipsec`, or a third party's name. */
  readonly mechanism: string;
  /** Every byte is protected against change, replay and reordering; true where `confidentiality` is true. */
  readonly integrity: boolean;
  /** Every byte is encrypted. */
  readonly confidentiality: boolean;
  /** Each end has proved its identity to the other; `"unknown"` where this cannot be determined. */
  readonly mutualAuthentication: boolean | "unknown";
  /** Who the peer is, as its mechanism writes it; empty where it is not known. */
  readonly peer: string;
  /** What the server may do as its client; `"unknown"` where the system does not report it. */
  readonly impersonation: ImpersonationLevel | "unknown";
  /** On a server: the target that the client requested; left out where it cannot be read. */
  readonly requestedTarget?: string;
  /**
   * `verified`: this server compared the client's channel bindings with its own. `sent`: this client's tokens include
   * its channel bindings; a client cannot know whether the server checked them.
   */
  readonly channelBindings: "none" | "sent" | "verified";
  /** When the context expires. */
  readonly expiresAt?: Date;
  /** True where the simulator answered: nothing is protected. */
  readonly simulated: boolean;
  /** Further data that the provider reports; plain JSON. */
  readonly details: { readonly [key: string]: JsonValue };
}

/**
 * Channel bindings: RFC 5929 application data (`tls-server-end-point:` and a hash), or the server's certificate in
 * DER, from which the library computes them.
 */
export type ChannelBindings =
  | Uint8Array
  | { readonly type: "tls-server-end-point"; readonly certificate: Uint8Array };

/**
 * How a server checks channel bindings. `always`: refuses a client that sends none. `whenSupported`: accepts a client
 * that sends none, and refuses one that sends others. `never`: does not check them.
 */
export type ChannelBindingPolicy = "never" | "whenSupported" | "always";

/** Options of {@linkcode Initiator.initiate}. */
export interface InitiateOptions {
  /** The server's SPN, for instance `HTTP/web.example.test`. */
  readonly target: string;
  /** The channel bindings of the outer TLS connection; sent in every token. */
  readonly channelBindings?: ChannelBindings;
  /** Aborts every wait of the context; its reason is rethrown unchanged. */
  readonly signal?: AbortSignal;
}

/** Options of {@linkcode Acceptor.accept}. */
export interface AcceptOptions {
  /** The channel bindings that a client must send. */
  readonly channelBindings?: ChannelBindings;
  /** Default `"always"` where `channelBindings` are given. */
  readonly channelBindingPolicy?: ChannelBindingPolicy;
  /** Aborts every wait of the context; its reason is rethrown unchanged. */
  readonly signal?: AbortSignal;
}

/** A client's credentials, used for many contexts and acquired again when they have expired. One owner. */
export interface Initiator extends Disposable {
  /** Begins a context with a server. Nothing is sent, and no server is contacted, before its first `step()`. */
  initiate(options: InitiateOptions): SecurityContext;
  /**
   * Releases the credentials. Contexts whose exchange has begun stay usable; the first `step()` of others is a
   * StateError. Closing twice is harmless.
   */
  close(): void;
}

/** A server's credentials, used for many contexts. One owner. */
export interface Acceptor extends Disposable {
  /** Begins a context with a client. The client's first token decides which mechanism is used. */
  accept(options?: AcceptOptions): SecurityContext;
  /**
   * Releases the credentials. Contexts whose exchange has begun stay usable; the first `step()` of others is a
   * StateError. Closing twice is harmless.
   */
  close(): void;
}

/**
 * One end of a verified security context: `done` is true only after everything required (mutual authentication,
 * protection, impersonation level, accepted target, channel bindings, policy) has been verified.
 *
 * Before `done`, members other than `step`, `done` and `close` throw a `StateError`.
 */
export interface SecurityContext extends Disposable {
  /**
   * Takes the peer's token (none on a client's first step) and returns the next one to send.
   *
   * @throws AuthenticationError, SecurityRequirementError and ProtocolError, each of which ends the context;
   * StateError where the context does not expect a token; the signal's reason, unchanged.
   */
  step(token?: Uint8Array | null): Promise<StepResult>;
  /** True once the exchange is complete on this end and everything required is verified. */
  readonly done: boolean;
  /** What was agreed on. */
  readonly security: SecurityInfo;
  /**
   * Who the peer is. Use it to authorise, for instance with `isMember()`. `undefined` where the peer did not prove
   * it: a server without mutual authentication, an anonymous client.
   */
  readonly peer: PeerIdentity | undefined;
  /** The most bytes that {@linkcode SecurityContext.wrap} adds. */
  readonly maxOverhead: number;
  /**
   * Protects a message: encrypts it where confidentiality was agreed on, otherwise signs it.
   *
   * @param plain the message; not changed.
   * @param options `encrypt: false` signs without encrypting, even where confidentiality was agreed on, as RFC 4752
   * and RFC 1961 require. `encrypt: true` throws where confidentiality was not agreed on. `into` receives the record;
   * left out: a new array.
   * @returns the record: the filled part of `into`, or a new array.
   */
  wrap(plain: Uint8Array, options?: WrapOptions): Uint8Array;
  /**
   * Verifies and opens one record in place.
   *
   * @param options `allowUnencrypted: true` accepts a record that is signed only, even where confidentiality was
   * agreed on.
   * @throws ProtocolError where the record was changed, repeated, reordered, or is not encrypted; the record is
   * zeroed.
   */
  unwrap(record: Uint8Array, options?: UnwrapOptions): Unwrapped;
  /** Returns the most bytes of data whose record has at most `recordBytes` bytes; 0: no record is that short. */
  wrapSizeLimit(recordBytes: number, options?: { readonly encrypt?: boolean }): number;
  /** Protects `data` in place and returns its header, which is sent separately, as WinRM does. */
  wrapDetached(data: Uint8Array): Uint8Array;
  /** Verifies and opens `data` in place; `header` was sent separately. */
  unwrapDetached(header: Uint8Array, data: Uint8Array): Uint8Array;
  /** A signature over `message`, which travels apart from it. */
  sign(message: Uint8Array): Uint8Array;
  /** Checks a signature over `message`. @throws ProtocolError unless `signature` is the peer's. */
  verify(message: Uint8Array, signature: Uint8Array): void;
  /** Returns a copy of the session key, which the caller zeroes. */
  sessionKey(): Uint8Array;
  /** On a server: returns the credentials that the client delegated, once; the caller closes them. `null`: none. */
  takeDelegated(): Initiator | null;
  /**
   * On a server: runs `fn`, which must be synchronous, as the client. @throws StateError where that is not supported.
   */
  impersonate<T>(fn: () => T): T;
  /** Closes the context and erases its keys. */
  close(): void;
}

/** Options of {@linkcode SecurityContext.wrap}. */
export interface WrapOptions {
  /** Whether to encrypt. Left out: encrypts where confidentiality was agreed on. */
  readonly encrypt?: boolean;
  /** Receives the record: at least `plain.length + maxOverhead` bytes, in other memory than `plain`. */
  readonly into?: Uint8Array;
}

/** Options of {@linkcode SecurityContext.unwrap}. */
export interface UnwrapOptions {
  /** Accepts a record that is signed but not encrypted. Default `false`. */
  readonly allowUnencrypted?: boolean;
}

/** A JSON value. */
export type JsonValue = string | number | boolean | null | readonly JsonValue[] | {
  readonly [key: string]: JsonValue;
};
