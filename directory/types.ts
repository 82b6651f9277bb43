/**
 * What a directory connection is, as types.
 *
 * @module
 */

import type { SecurityInfo } from "../contract.ts";

/** A domain controller. */
export interface DirectoryServer {
  /** Its DNS name, which it proves: `dc1.example.test`. */
  readonly hostname: string;
  /** Its port; left out: 389, 636 for `ldaps`, and the global catalog's 3268 and 3269. */
  readonly port?: number;
  /** The IP address to connect to, where the name is not to be resolved. */
  readonly address?: string;
}

/** How the bytes of a connection are protected. */
export type DirectoryProtection = "seal" | "sign" | "ldaps" | "starttls";

/** What is known of a connection's security, verified before the first operation. */
export interface DirectorySecurity {
  /** `seal`: each byte is encrypted by the security context; `sign`: signed; `ldaps` and `starttls`: encrypted by TLS. */
  readonly protection: DirectoryProtection;
  /** The security context of the bind; left out where the bind was simple. */
  readonly context?: SecurityInfo;
}

/** What a server says of itself and its forest, in the root of its directory. */
export interface RootDse {
  /** The distinguished name of the server's domain: `DC=example,DC=test`. */
  readonly defaultNamingContext: string;
  /** Where the forest's configuration is: `CN=Configuration,DC=example,DC=test`. */
  readonly configurationNamingContext: string;
  /** Where the forest's schema is. */
  readonly schemaNamingContext: string;
  /** The distinguished name of the forest's root domain. */
  readonly rootDomainNamingContext: string;
  /** All naming contexts of the server. */
  readonly namingContexts: readonly string[];
  /** The DNS name of the server's domain: `example.test`. */
  readonly domain: string;
  /** The DNS name of the forest's root domain. */
  readonly forest: string;
  /** The server's DNS name, as it says. */
  readonly dnsHostName: string;
  /** The site that the server is in; left out where it does not say. */
  readonly site?: string;
  /** True where the server has a global catalog, on port 3268, that is complete. */
  readonly isGlobalCatalogReady: boolean;
}

/** A value of an attribute: text, which is sent in UTF-8, or bytes. */
export type AttributeValue = string | Uint8Array;

/** An object of the directory, or the part of it that was asked for. Values are what the directory holds: untrusted. */
export interface DirectoryEntry {
  /** Its distinguished name. */
  readonly dn: string;
  /** The names of its attributes, as the directory writes them. */
  readonly attributes: readonly string[];
  /**
   * The one value of an attribute, as text; `undefined` where it has none. The case of the name is ignored.
   *
   * @throws DirectoryError where it has several values, or one that is not UTF-8.
   */
  text(attribute: string): string | undefined;
  /** All values of an attribute, as text. @throws DirectoryError where one is not UTF-8. */
  texts(attribute: string): readonly string[];
  /** All values of an attribute, as bytes. */
  bytes(attribute: string): readonly Uint8Array[];
}

/** A condition for objects. Values are data: nothing in them has a meaning, so nothing has to be escaped. */
export type DirectoryFilter =
  | { readonly and: readonly DirectoryFilter[] }
  | { readonly or: readonly DirectoryFilter[] }
  | { readonly not: DirectoryFilter }
  | { readonly attribute: string; readonly present: true }
  | { readonly attribute: string; readonly equals: AttributeValue }
  | { readonly attribute: string; readonly atLeast: string }
  | { readonly attribute: string; readonly atMost: string }
  | {
    readonly attribute: string;
    readonly startsWith?: string;
    readonly contains?: string;
    readonly endsWith?: string;
  }
  | {
    readonly attribute: string;
    /** The matching rule, for instance `1.2.840.113556.1.4.803`: all of these bits are set. */
    readonly rule: string;
    readonly matches: string;
  };

/** What to search for. */
export interface DirectorySearch {
  /** The distinguished name of where to search; left out: the domain, or the whole forest in a global catalog. */
  readonly base?: string;
  /** `base`: that object alone; `one`: what is directly below it; `subtree` (the default): it and everything below it. */
  readonly scope?: "base" | "one" | "subtree";
  /** The condition; left out: every object. */
  readonly filter?: DirectoryFilter;
  /** The attributes to read; left out: all but the operational ones; an empty list: none. */
  readonly attributes?: readonly string[];
  /** How many objects to ask for at a time, 1 to 1,000. Default 500. That many are held in memory. */
  readonly pageSize?: number;
  /** The most values of an attribute to ask for at a time. All values are returned. Left out: as the server decides. */
  readonly valuesPerRequest?: number;
  /**
   * Whether to go on in the other partitions of the forest that the server refers to: its configuration, and the domains
   * below. Their controllers are found by DNS and prove themselves as this one did; a referral out of the forest is an
   * error. Default `false`: what other partitions hold is left out.
   */
  readonly followReferrals?: boolean;
  /** Ends the search; its reason is rethrown unchanged. */
  readonly signal?: AbortSignal;
}

/** Options of an operation. */
export interface OperationOptions {
  /** Ends the wait; its reason is rethrown unchanged. Whether the server has done the operation is then not known. */
  readonly signal?: AbortSignal;
}

/** One change of an object. */
export interface DirectoryChange {
  /** `add` and `delete` change exactly these values; `replace` puts them in the place of all; none: delete all. */
  readonly operation: "add" | "delete" | "replace";
  /** The attribute's name. */
  readonly attribute: string;
  /** The values. */
  readonly values: readonly AttributeValue[];
}

/** The attributes of a new object. */
export interface NewAttributes {
  /** A value, or all values, by the attribute's name. */
  readonly [attribute: string]: AttributeValue | readonly AttributeValue[];
}

/** A bound connection to a directory. Operations may run at the same time. One owner. */
export interface Directory extends AsyncDisposable {
  /** The server it is connected to. */
  readonly server: Required<Pick<DirectoryServer, "hostname" | "port">>;
  /** How it is protected, and what the bind has proved. */
  readonly security: DirectorySecurity;
  /** What the server says of itself. */
  readonly rootDse: RootDse;
  /**
   * Searches page by page. Nothing is sent before the first object is asked for.
   *
   * @throws DirectoryError where the directory refuses; TransportError where the connection ends; TimeoutError;
   * the signal's reason. Objects that were returned before stay valid.
   */
  search(search: DirectorySearch): AsyncGenerator<DirectoryEntry, void, undefined>;
  /** Reads one object; `null` where there is none, or this account may not see it. */
  read(
    dn: string,
    options?: Pick<DirectorySearch, "attributes" | "valuesPerRequest" | "signal">,
  ): Promise<DirectoryEntry | null>;
  /** Makes an object. */
  add(dn: string, attributes: NewAttributes, options?: OperationOptions): Promise<void>;
  /** Changes an object: all changes, or none. */
  modify(dn: string, changes: readonly DirectoryChange[], options?: OperationOptions): Promise<void>;
  /** Deletes an object below which there are none. */
  delete(dn: string, options?: OperationOptions): Promise<void>;
  /**
   * Opens a global catalog of the forest, with the same credentials and protection: this server's where it has one, else
   * one that DNS knows. The caller closes it.
   *
   * @throws What `openDirectory()` throws. A password that was given as bytes must still be in them.
   */
  openGlobalCatalog(options?: OperationOptions): Promise<Directory>;
  /** Ends the connection; operations under way reject. Closing twice is harmless. */
  close(): Promise<void>;
}
