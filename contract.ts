/**
 * The contract between the library and a security provider, as plain data and small interfaces.
 *
 * A provider of layer `context` exchanges tokens until both ends are authenticated and then wraps each record;
 * the library carries the tokens and records over any byte stream with the framing of [MS-NNS].
 *
 * A provider of layer `socket` has the operating system secure the socket itself: it turns requirements into the
 * bytes of the system's calls, which the library reads before it makes them.
 *
 * @module
 */

/** How far a server may act in the name of its client, weakest first. */
export type ImpersonationLevel = "anonymous" | "identify" | "impersonate" | "delegate";

/** What an application asks of a connection. Everything left out is the strict default. */
export interface Requirements {
  /** The one provider to use, by name; left out: the first suitable one of the registry. */
  provider?: string;
  /** Every byte is protected against change, replay and reordering. Default `true`. */
  integrity?: boolean;
  /** Every byte is encrypted. Default `true`. */
  confidentiality?: boolean;
  /** Each end has proved its identity to the other. Default `true`. */
  mutualAuthentication?: boolean;
  /**
   * On a client: the most the server may do in its name. On a server: the least it must be able to do in its
   * client's name. For datagrams, whose socket cannot impersonate: the most any peer may do. Default `"identify"`, or
   * `"delegate"` with `delegation`; a server that gives up `mutualAuthentication` is held to `"identify"` by a provider
   * of the socket layer only where it says so. No built-in provider can serve a client that wants to be `"anonymous"`.
   */
  impersonation?: ImpersonationLevel;
  /** The client hands the server credentials to reach further servers with. Default `false`. */
  delegation?: boolean;
}

/** {@linkcode Requirements} with every default filled in. */
export interface ResolvedRequirements extends Readonly<Required<Omit<Requirements, "provider">>> {
  /** The one provider to use, by name. */
  readonly provider?: string;
}

/** What a provider can give, seen before any connection. */
export interface Offers {
  /** It protects records against change, replay and reordering. */
  readonly integrity: boolean;
  /** It encrypts records. */
  readonly confidentiality: boolean;
  /** It proves each end to the other. Never true of NTLM. */
  readonly mutualAuthentication: boolean;
  /** The furthest impersonation level it can give a server. */
  readonly impersonation: ImpersonationLevel;
  /** It can delegate credentials. */
  readonly delegation: boolean;
}

/** Whether something is to be had here, and if not, why. */
export type Availability =
  | { readonly available: true }
  | { readonly available: false; readonly reason: string; readonly cause?: unknown };

/** What this machine and process can do, as plain data: what a registry chooses by. */
export interface Capabilities {
  /** The operating system. */
  readonly os: "windows" | "linux" | "darwin" | "other";
  /** The JavaScript runtime. */
  readonly runtime: "deno" | "node";
  /** True where the native side is a simulator and nothing is really secured. */
  readonly simulated: boolean;
  /** Whether SSPI (Windows) or GSS-API (elsewhere) can be called. */
  readonly securityContexts: Availability;
  /** Whether the Winsock secure socket extensions can be called. */
  readonly ipsec: Availability;
  /** The machine's policy; it can only tighten what the application allows. */
  readonly machinePolicy: MachinePolicy;
}

/**
 * What stands at the place of the machine's policy: its text, which the registry parses.
 *
 * `unread`: nothing here may look (no permission at all). `unreadable`: it is there and cannot be read, and then
 * nothing may be chosen.
 */
export type MachinePolicy =
  | { readonly state: "absent"; readonly path: string }
  | { readonly state: "present"; readonly path: string; readonly text: string }
  | { readonly state: "unread"; readonly path: string; readonly reason: string }
  | { readonly state: "unreadable"; readonly path: string; readonly reason: string };

/** Which providers may serve, and the least they must give. Plain JSON. */
export interface Policy {
  /** The version of this format: 1. */
  readonly version: 1;
  /** Names in the order to try them; a provider that is not named is not used. Left out: the registry's order. */
  readonly order?: readonly string[];
  /** Names that never serve: of providers, and of mechanisms, which no provider negotiates then. */
  readonly deny?: readonly string[];
  /** Requirements that hold even where the application asks for less. */
  readonly floor?: {
    readonly integrity?: true;
    readonly confidentiality?: true;
    readonly mutualAuthentication?: true;
  };
}

/** The system a provider is asked to work on; providers that need native calls know its concrete class. */
export interface ProviderSystem {
  /** What this machine and process can do. */
  capabilities(): Capabilities;
}

/** How a provider presents itself, for tables and logs. */
export interface ProviderDescription {
  /** The provider's name. */
  readonly name: string;
  /** `context`: tokens, then wrapped records. `socket`: the operating system secures the socket itself. */
  readonly layer: "context" | "socket";
  /** `native`: this process calls system libraries. `sandboxed`: WebAssembly without access to anything. */
  readonly isolation: "native" | "sandboxed";
  /** SHA-256 of a sandboxed provider's module, in lower-case hexadecimal. */
  readonly sha256?: string;
  /** The host functions a sandboxed provider may call. */
  readonly imports?: readonly string[];
  /** What it can give. */
  readonly offers: Offers;
  /**
   * The mechanisms it negotiates, by the names that policies spell. One that a policy denies is left out before the
   * first token; where all are, the provider does not serve. Left out: it negotiates none.
   */
  readonly mechanisms?: readonly string[];
}

/**
 * Who to be: a user's name and password, a key table, or a credential cache. Left out: whoever runs the process.
 *
 * The password is copied and the copy zeroed after use; a `string` cannot be zeroed, a `Uint8Array` (UTF-8) is
 * the caller's to zero.
 */
export type Credentials =
  | {
    /** `user`, `DOMAIN\user` or a UPN (`user@suffix`); `docs/credentials.md` has what each mechanism makes of it. */
    readonly username: string;
    /** The domain, or outside Windows the realm; the same as in the name where that says one. */
    readonly domain?: string;
    /** The password; outside Windows neither empty nor with a NUL in it. */
    readonly password: string | Uint8Array;
  }
  | {
    /** A key table, for instance `FILE:/etc/krb5.keytab`. Not on Windows. */
    readonly keytab: string;
    /** The principal to be, as `klist -k` prints it; left out: on a server any of the key table, on a client its first. */
    readonly principal?: string;
  }
  | {
    /** A credential cache, for instance `FILE:/tmp/krb5cc_1000`. Not on Windows. */
    readonly cache: string;
  }
  | {
    /** What a client delegated to this server: from its context's `takeDelegated()`. */
    readonly delegated: ProviderCredentials;
  };

/** What a provider is told when credentials are acquired. */
export interface AcquireOptions {
  /** The end this process is. */
  readonly role: "client" | "server";
  /** The system to work on. */
  readonly system: ProviderSystem;
  /** What the connection must be. */
  readonly requirements: ResolvedRequirements;
  /** Who to be; left out: whoever runs the process. */
  readonly credentials?: Credentials;
  /** Names that a policy denies: who negotiates leaves mechanisms of these names out before the first token. */
  readonly denied?: readonly string[];
  /** Abandons the wait; a native call under way is left to finish and its result released. */
  readonly signal?: AbortSignal;
}

/** What one context is told. */
export interface ContextOptions {
  /** The server's principal as the client typed it (`class/host`); required of a client. */
  readonly target?: string;
  /** Channel bindings (RFC 5929 application data, for instance `tls-server-end-point:` and a hash). */
  readonly channelBindings?: Uint8Array;
  /** On a server: a client that sends no channel bindings is served, too. Default `false`. */
  readonly allowMissingBindings?: boolean;
}

/** What one leg of the token exchange produced. */
export interface StepResult {
  /** To send to the peer; `null`: nothing to send. */
  readonly token: Uint8Array | null;
  /** True once this end is satisfied. */
  readonly done: boolean;
}

/** What was in a record. */
export interface Unwrapped {
  /** The data, a part of the record. */
  readonly data: Uint8Array;
  /** Whether the record was encrypted; if not, it was signed. */
  readonly encrypted: boolean;
}

/** What the exchange really agreed on. */
export interface ContextAttributes {
  /**
   * The mechanism that authenticated, in lower case: `kerberos`, `ntlm`, or a third party's name. That of a provider
   * loaded by `loadProvider()` is the provider's name, alone or as `provider/mechanism`.
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
  /** Channel bindings were given and are bound: on a server proved to match; a client's are in every token. */
  readonly channelBound: boolean;
  /** What the server may do in the client's name. */
  readonly impersonation: ImpersonationLevel;
}

/**
 * Who a peer is: what its mechanism authenticated. What is not known is left out; nothing here is guessed.
 *
 * Authorise by {@linkcode PeerIdentity.sid} and {@linkcode PeerIdentity.groups} where they are known: an account that
 * is renamed keeps its SID, and a new account of an old name gets another. By name compare `name` as a whole, or `user`
 * and `realm` both: `user` alone is the same in every realm.
 */
export interface PeerIdentity {
  /** The whole name, as its mechanism writes it: `alice@EXAMPLE.TEST`, `EXAMPLE\alice`. */
  readonly name: string;
  /** The account's name within its realm: `alice`; a service's with its class: `HTTP/web.example.test`. */
  readonly user: string;
  /** The Kerberos realm, or NTLM's domain, in the letters of `name`; empty where `name` has none. */
  readonly realm: string;
  /** What the name stands for; `"unknown"` where nothing that was authenticated says it. */
  readonly kind: "user" | "service" | "computer" | "unknown";
  /** The account's security identifier: `S-1-5-21-…-1104`. */
  readonly sid?: string;
  /**
   * The SIDs of all groups that count for the account: of its domain, of others, and of the resource's domain. Left
   * out where they are not known; an empty array is an account without groups.
   */
  readonly groups?: readonly string[];
  /** The user principal name in the directory: `alice@example.test`. */
  readonly upn?: string;
  /** The account's full name in the directory. Anybody may have the same. */
  readonly displayName?: string;
  /** The account's domain under its NetBIOS name: `EXAMPLE`. */
  readonly netbiosDomain?: string;
  /** The local account that this machine's Kerberos configuration maps the name to (`auth_to_local`). */
  readonly localName?: string;
  /** Why SID and groups are left out although the peer's mechanism carried some; for a log, never for the peer. */
  readonly incomplete?: string;
}

/** Credentials held by a provider, and the source of its contexts. One owner; closing twice is harmless. */
export interface ProviderCredentials extends Disposable {
  /** A context for the end that speaks first. */
  client(options: ContextOptions & { readonly target: string }): ProviderContext;
  /** A context for the end that answers. */
  server(options: ContextOptions): ProviderContext;
  /** Releases the credentials; contexts made from them stay usable. */
  close(): void;
}

/**
 * One end of one authenticated conversation. One owner; closing twice is harmless.
 *
 * Only `step` and `close` may be called before `done`; a call out of turn is a `StateError`.
 */
export interface ProviderContext extends Disposable {
  /**
   * Consumes the peer's token (`null` on a client's first leg) and produces the next.
   *
   * Rejects with `AuthenticationError`; a peer learns only that it failed.
   */
  step(token: Uint8Array | null): Promise<StepResult>;
  /** True once this end is satisfied. */
  readonly done: boolean;
  /** What was agreed on. */
  readonly attributes: ContextAttributes;
  /** Who the peer is, as its mechanism writes it: `alice@EXAMPLE.TEST`, `EXAMPLE\alice`. */
  readonly peerName: string;
  /**
   * Who the peer is. Left out where the peer did not prove it: a server without mutual authentication, an anonymous
   * client. A provider without the member tells `peerName` alone.
   */
  readonly peerIdentity?: PeerIdentity;
  /**
   * On a server: the name the client asked for; left out where the mechanism does not tell it, or what it tells cannot be
   * relied on. Never another name.
   *
   * How far it can be relied on differs. SSPI's Kerberos, and NTLM with a message integrity code, have it from a part of
   * the client's message that is protected. GSS-API's Kerberos has it from the ticket in clear, held against the key that
   * opened the ticket: where one key serves several names, somebody between the two ends can write one for another.
   */
  readonly requestedTarget?: string;
  /** When the context stops working; left out where the mechanism sets no end. */
  readonly expiresAt?: Date;
  /** The most bytes that {@linkcode ProviderContext.wrap} adds to a message. */
  readonly maxOverhead: number;
  /** The session key: a copy, the caller's to zero. */
  sessionKey(): Uint8Array;
  /**
   * Protects `plain` (never changed) into `out` and returns the part of `out` that was filled.
   *
   * `out` must hold `plain.length + maxOverhead` bytes. On failure `out` holds no plain text.
   */
  wrap(plain: Uint8Array, out: Uint8Array): Uint8Array;
  /** Checks and opens one record in place; the result is a part of `record`. */
  unwrap(record: Uint8Array): Uint8Array;
  /**
   * As {@linkcode ProviderContext.wrap}, signed and not encrypted, although confidentiality was agreed on: RFC 4752 and
   * RFC 1961 negotiate in such messages. Only where the provider can.
   */
  wrapUnencrypted?(plain: Uint8Array, out: Uint8Array): Uint8Array;
  /** As {@linkcode ProviderContext.unwrap}, for records that need not be encrypted. Only where the provider can. */
  unwrapAny?(record: Uint8Array): Unwrapped;
  /**
   * The most bytes of data whose record has at most `recordBytes` bytes (`gss_wrap_size_limit`); 0: no record is that
   * short. Left out: `recordBytes - maxOverhead` is safe.
   */
  wrapSizeLimit?(recordBytes: number, encrypt: boolean): number;
  /**
   * Protects `data` in place and returns the header that travels apart from it, as WinRM carries the two. On failure
   * `data` is zeroed. Only where the provider can.
   */
  wrapDetached?(data: Uint8Array): Uint8Array;
  /** Checks and opens `data`, whose header came apart from it, in place. On failure `data` is zeroed. */
  unwrapDetached?(header: Uint8Array, data: Uint8Array): Uint8Array;
  /** A signature over `context`, which travels apart from it. */
  sign(message: Uint8Array): Uint8Array;
  /** Throws a `ProtocolError` unless `signature` is the peer's over `context`. */
  verify(message: Uint8Array, signature: Uint8Array): void;
  /** On a server: the credentials the client delegated, once, the caller's to close; `null`: none. */
  takeDelegated?(): ProviderCredentials | null;
  /** Runs `fn`, which must be synchronous, as the client. Only where the provider and platform can. */
  impersonate?<T>(fn: () => T): T;
  /** Ends the context and forgets its keys. */
  close(): void;
}

/** A provider that authenticates by tokens and protects by records. */
export interface ContextProvider {
  /** Always `"context"`. */
  readonly layer: "context";
  /** The provider's name, as policies and requirements spell it. */
  readonly name: string;
  /** How it presents itself. */
  readonly description: ProviderDescription;
  /** Whether it can work here; never throws, never prompts. */
  available(capabilities: Capabilities): Availability;
  /** Acquires credentials; may take as long as a directory server takes. */
  acquire(options: AcquireOptions): Promise<ProviderCredentials>;
}

/** Who a socket's settings are for. The password itself is appended by the library: no password enters a codec. */
export interface SettingsIdentity {
  /** The user's name; empty: whoever runs the process. */
  readonly username: string;
  /** The user's domain; may be empty. */
  readonly domain: string;
  /** How many bytes of password (UTF-16) will be appended. */
  readonly passwordBytes: number;
}

/** An identifier of a connection's security association: what main mode, or quick mode, agreed on. */
export type AssociationField = "mainModeSa" | "quickModeSa";

/**
 * Writes the bytes of the system's socket security calls; pure. The library reads them before the system gets them, and
 * refuses what is weaker than granted, or other. What the system answers, the library reads by itself.
 */
export interface SocketCodec extends Disposable {
  /** A `SOCKET_SECURITY_SETTINGS_IPSEC`, complete but for the password, which the library appends. */
  settings(requirements: ResolvedRequirements, identity: SettingsIdentity): Uint8Array;
  /** A `SOCKET_PEER_TARGET_NAME`; `peerAddress` is the system's address structure, or empty. */
  target(peerAddress: Uint8Array, target: string): Uint8Array;
  /**
   * A `SOCKET_SECURITY_QUERY_TEMPLATE_IPSEC2`; with `watched`, one by which the system aborts the connection when these
   * change.
   */
  queryTemplate(
    peerAddress: Uint8Array,
    accessMask: number,
    watched?: readonly AssociationField[],
  ): Uint8Array;
  /** Drops it; closing twice is harmless. */
  close(): void;
}

/**
 * What an application grants a provider of the socket layer besides its requirements. The library reads what a codec
 * writes, and refuses settings without a flag that is granted here, with one that is not, or with another policy.
 */
export interface SocketGrants {
  /** Clear text is allowed where nothing at all is required. Default `false`. */
  readonly allowInsecure?: boolean;
  /**
   * The keys (GUIDs) of main-mode policies, of which the settings must have one. A key of zeros stands for the system's
   * own policy. Left out: only that.
   */
  readonly mainModePolicies?: readonly string[];
  /** The keys (GUIDs) of quick-mode policies, likewise. */
  readonly quickModePolicies?: readonly string[];
  /** Accepts a peer that does not prove to be the computer that was named. Default `false`. */
  readonly optionalPeerName?: boolean;
  /** The computer's name is not a service principal name. Default `false`. */
  readonly rawPeerName?: boolean;
  /** Makes no filters for the socket. Default `false`. */
  readonly skipFilters?: boolean;
  /** Accepts a peer's first packet in clear text, where `allowInsecure` has an effect. Default `false`. */
  readonly firstPacketInClear?: boolean;
  /** What must stay as it was when the connection was made: where it changes, the connection is aborted. */
  readonly abortOnAssociationChange?: readonly AssociationField[];
}

/** A provider that has the operating system secure the socket itself. */
export interface SocketProvider extends SocketGrants {
  /** Always `"socket"`. */
  readonly layer: "socket";
  /** The provider's name, as policies and requirements spell it. */
  readonly name: string;
  /** How it presents itself. */
  readonly description: ProviderDescription;
  /** Whether it can work here; never throws, never prompts. */
  available(capabilities: Capabilities): Availability;
  /** A codec for one connection, or for one listener and all it accepts; the caller closes it. */
  codec(): Promise<SocketCodec>;
}

/** A provider of any layer. */
export type Provider = ContextProvider | SocketProvider;

/** What is known of a connection's security, verified. */
export interface SecurityInfo {
  /** The provider that serves. */
  readonly provider: string;
  /** The mechanism that authenticated, in lower case: `kerberos`, `ntlm`, `ipsec`, or a third party's name. */
  readonly mechanism: string;
  /** Every byte is protected against change, replay and reordering; true wherever `confidentiality` is. */
  readonly integrity: boolean;
  /** Every byte is encrypted. */
  readonly confidentiality: boolean;
  /** Each end has proved its identity to the other; `"unknown"` where nothing proves it either way. */
  readonly mutualAuthentication: boolean | "unknown";
  /** Who the peer is, as its mechanism writes it; empty where it is not known. */
  readonly peer: string;
  /** What a server may do in its client's name; `"unknown"` where nothing reports it. */
  readonly impersonation: ImpersonationLevel | "unknown";
  /** On a server: the name the client asked for; left out where it cannot be read. */
  readonly requestedTarget?: string;
  /**
   * `verified`: this server has compared the client's channel bindings with its own. `sent`: this client's are in its
   * tokens; whether the server looked at them, no client can know.
   */
  readonly channelBindings: "none" | "sent" | "verified";
  /** When the context stops working. */
  readonly expiresAt?: Date;
  /** True where a simulator answered and nothing is really secured. */
  readonly simulated: boolean;
  /** What else the provider reports; plain JSON. */
  readonly details: { readonly [key: string]: JsonValue };
}

/**
 * Channel bindings: RFC 5929 application data (`tls-server-end-point:` and a hash), or the server's certificate in DER,
 * from which the library makes them.
 */
export type ChannelBindings =
  | Uint8Array
  | { readonly type: "tls-server-end-point"; readonly certificate: Uint8Array };

/**
 * What a server does with channel bindings. `always`: a client without them is refused. `whenSupported`: a client that
 * sends some must send these. `never`: they are not looked at.
 */
export type ChannelBindingPolicy = "never" | "whenSupported" | "always";

/** Options of {@linkcode Initiator.initiate}. */
export interface InitiateOptions {
  /** The server's SPN, for instance `HTTP/web.example.test`. */
  readonly target: string;
  /** What ties the authentication to an outer TLS connection; sent in every token. */
  readonly channelBindings?: ChannelBindings;
  /** Ends every wait of the context; its reason is rethrown unchanged. */
  readonly signal?: AbortSignal;
}

/** Options of {@linkcode Acceptor.accept}. */
export interface AcceptOptions {
  /** What a client's channel bindings must be. */
  readonly channelBindings?: ChannelBindings;
  /** Default `"always"` where `channelBindings` are given. */
  readonly channelBindingPolicy?: ChannelBindingPolicy;
  /** Ends every wait of the context; its reason is rethrown unchanged. */
  readonly signal?: AbortSignal;
}

/** Credentials of a client, kept for many contexts and acquired anew when they have run out. One owner. */
export interface Initiator extends Disposable {
  /** Begins a context with a server; nothing is sent or asked before its first `step()`. */
  initiate(options: InitiateOptions): SecurityContext;
  /** Releases the credentials; contexts made from them stay usable. Closing twice is harmless. */
  close(): void;
}

/** Credentials of a server, kept for many contexts. One owner. */
export interface Acceptor extends Disposable {
  /** Begins a context with a client; its first token decides which mechanism serves. */
  accept(options?: AcceptOptions): SecurityContext;
  /** Releases the credentials; contexts made from them stay usable. Closing twice is harmless. */
  close(): void;
}

/**
 * One end of one authenticated conversation, verified: `done` is never reported before everything that was required
 * (mutual authentication, protection, impersonation level, accepted target, channel bindings, policy) has been checked.
 *
 * One owner; closing twice is harmless. Members other than `step`, `done` and `close` throw a `StateError` before that.
 */
export interface SecurityContext extends Disposable {
  /**
   * Consumes the peer's token (none on a client's first leg) and returns the next one to send.
   *
   * @throws AuthenticationError, SecurityRequirementError and ProtocolError, each of which ends the context; a
   * StateError for a call out of turn; the signal's reason, unchanged.
   */
  step(token?: Uint8Array | null): Promise<StepResult>;
  /** True once this end is satisfied and everything required is verified. */
  readonly done: boolean;
  /** What was agreed on. */
  readonly security: SecurityInfo;
  /**
   * Who the peer is: what to authorise by, for instance with `isMember()`. `undefined` where the peer did not prove it:
   * a server without mutual authentication, an anonymous client.
   */
  readonly peer: PeerIdentity | undefined;
  /** The most bytes that {@linkcode SecurityContext.wrap} adds. */
  readonly maxOverhead: number;
  /**
   * Protects a message: encrypted where confidentiality was agreed on, else signed.
   *
   * @param plain never changed.
   * @param options `encrypt: false` signs without encrypting although confidentiality was agreed on, as RFC 4752 and RFC 1961
   * ask for. `encrypt: true` throws where it was not agreed on. `into` takes the record; left out: a new array.
   * @returns the record: the filled part of `into`, or an array of its own.
   */
  wrap(plain: Uint8Array, options?: WrapOptions): Uint8Array;
  /**
   * Checks and opens one record in place.
   *
   * @param options `allowUnencrypted: true` accepts a record that is only signed although confidentiality was agreed on.
   * @throws ProtocolError where it was changed, repeated, lost its place, or is not encrypted; the record is zeroed.
   */
  unwrap(record: Uint8Array, options?: UnwrapOptions): Unwrapped;
  /** The most bytes of data whose record has at most `recordBytes` bytes; 0: none fits. */
  wrapSizeLimit(recordBytes: number, options?: { readonly encrypt?: boolean }): number;
  /** Protects `data` in place and returns the header that travels apart from it, as WinRM carries the two. */
  wrapDetached(data: Uint8Array): Uint8Array;
  /** Checks and opens `data` in place, whose header came apart from it. */
  unwrapDetached(header: Uint8Array, data: Uint8Array): Uint8Array;
  /** A signature over `context`, which travels apart from it. */
  sign(message: Uint8Array): Uint8Array;
  /** Checks a signature over `context`. @throws ProtocolError unless `signature` is the peer's. */
  verify(message: Uint8Array, signature: Uint8Array): void;
  /** The session key: a copy, the caller's to zero. */
  sessionKey(): Uint8Array;
  /** On a server: the credentials that the client delegated, once, the caller's to close; `null`: none. */
  takeDelegated(): Initiator | null;
  /** On a server: runs `fn`, which must be synchronous, as the client. Only where the provider and platform can. */
  impersonate<T>(fn: () => T): T;
  /** Ends the context and forgets its keys. */
  close(): void;
}

/** Options of {@linkcode SecurityContext.wrap}. */
export interface WrapOptions {
  /** Whether to encrypt; left out: where confidentiality was agreed on. */
  readonly encrypt?: boolean;
  /** Takes the record; at least `plain.length + maxOverhead` bytes, and not those of `plain`. */
  readonly into?: Uint8Array;
}

/** Options of {@linkcode SecurityContext.unwrap}. */
export interface UnwrapOptions {
  /** Accepts a record that is signed and not encrypted. Default `false`. */
  readonly allowUnencrypted?: boolean;
}

/** A JSON value. */
export type JsonValue = string | number | boolean | null | readonly JsonValue[] | {
  readonly [key: string]: JsonValue;
};
