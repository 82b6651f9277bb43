/**
 * The directory over an LDAP connection. Loaded with the first connection, and ldapts with it.
 *
 * @module
 */

import type { Duplex } from "node:stream";
import {
  AddRequest,
  Attribute,
  Change,
  DeleteRequest,
  ModifyRequest,
  PagedResultsControl,
  PresenceFilter,
  SearchRequest,
} from "ldapts";
import { checkInteger, checkKeys, checkSignal } from "../contexts/check.ts";
import { ProtocolError } from "../errors.ts";
import { checkAttribute, checkDn, toBuffer } from "./check.ts";
import { completeEntry, type Entry, inParts, type ReadMore } from "./entries.ts";
import { type Answer, LdapConnection, succeeded } from "./ldap_connection.ts";
import { toFilter } from "./ldap_filter.ts";
import type { RawEntry } from "./ldap_messages.ts";
import { domainOf, parseDn } from "./names.ts";
import { type Partitioned, searchForest } from "./referrals.ts";
import { directoryError, quoted, SUCCESS } from "./results.ts";
import type {
  AttributeValue,
  Directory,
  DirectoryChange,
  DirectoryEntry,
  DirectorySearch,
  DirectorySecurity,
  DirectoryServer,
  NewAttributes,
  OperationOptions,
  RootDse,
} from "./types.ts";

const [REFERRAL, NO_SUCH_OBJECT] = [10, 32];
/** The most empty pages one after the other. */
const MAX_EMPTY = 10_000;
const [DEFAULT_PAGE, MAX_PAGE] = [500, 1000];
const SCOPES = { base: "base", one: "one", subtree: "sub" } as const;
const OPERATIONS = ["add", "delete", "replace"];
/** How a search asks for no attributes (RFC 4511, 4.5.1.8). */
const NO_ATTRIBUTES = "1.1";
const SEARCH_KEYS = [
  "base",
  "scope",
  "filter",
  "attributes",
  "pageSize",
  "valuesPerRequest",
  "followReferrals",
  "signal",
];
const ROOT_DSE = [
  "defaultNamingContext",
  "configurationNamingContext",
  "schemaNamingContext",
  "rootDomainNamingContext",
  "namingContexts",
  "dnsHostName",
  "serverName",
  "isGlobalCatalogReady",
];

/** What a bound connection is. */
export interface Bound {
  /** The stream; owned from here on. */
  readonly stream: Duplex;
  /** The server. */
  readonly server: Required<Pick<DirectoryServer, "hostname" | "port">>;
  /** How it is protected. */
  readonly security: DirectorySecurity;
  /** How long an answer may take. */
  readonly timeoutMs: number;
  /** Whether the server's port is a global catalog's. */
  readonly globalCatalog: boolean;
  /** Opens a global catalog of the same forest. */
  openGlobalCatalog(root: RootDse, signal?: AbortSignal): Promise<Directory>;
  /** Opens a controller of another domain. */
  openDomain(domain: string, signal?: AbortSignal): Promise<Directory>;
}

/** Makes a directory of a bound connection: reads what the server says of itself. */
export async function openClient(bound: Bound, signal?: AbortSignal): Promise<Directory> {
  const { stream, server, timeoutMs } = bound;
  const connection = new LdapConnection(stream, `${server.hostname}:${server.port}`, timeoutMs);
  try {
    const client = new Client(connection, bound);
    client.rootDse = await client.readRoot(signal);
    return client;
  } catch (error) {
    await connection.close();
    throw error;
  }
}

interface Query {
  readonly base: string;
  readonly scope: keyof typeof SCOPES;
  readonly filter: SearchRequest["filter"];
  readonly attributes: string[];
  readonly valuesPerRequest?: number;
  readonly signal?: AbortSignal;
}

class Client implements Partitioned {
  readonly server: Bound["server"];
  readonly security: DirectorySecurity;
  rootDse!: RootDse;
  readonly #connection: LdapConnection;
  readonly #globalCatalog: boolean;
  readonly #bound: Bound;

  constructor(connection: LdapConnection, bound: Bound) {
    const { server, security, globalCatalog } = bound;
    this.#connection = connection;
    this.server = Object.freeze({ hostname: server.hostname, port: server.port });
    this.security = Object.freeze(security);
    this.#globalCatalog = globalCatalog;
    this.#bound = bound;
  }

  async *search(search: DirectorySearch): AsyncGenerator<DirectoryEntry, void, undefined> {
    checkKeys(search, SEARCH_KEYS, "search");
    const { followReferrals = false } = search;
    if (typeof followReferrals !== "boolean") {
      throw new TypeError("search.followReferrals must be true or false");
    }
    if (followReferrals) yield* searchForest(this, search);
    else yield* this.pages(search, null);
  }

  async *pages(
    search: DirectorySearch,
    references: string[] | null,
  ): AsyncGenerator<DirectoryEntry, void, undefined> {
    const { base = this.#globalCatalog ? "" : this.rootDse.defaultNamingContext, scope = "subtree" } = search;
    checkDn(base, "search.base");
    if (!Object.hasOwn(SCOPES, scope)) throw new TypeError("search.scope must be base, one or subtree");
    const { pageSize = DEFAULT_PAGE } = search;
    checkInteger(pageSize, "search.pageSize", 1, MAX_PAGE);
    const filter = search.filter === undefined ? everything() : toFilter(search.filter);
    const { signal, ...options } = readOptions(search, "search");
    // Ends the question for a page that nobody reads.
    const reading = new AbortController();
    const given = signal === undefined ? [] : [signal];
    const query = { base, scope, filter, ...options, signal: AbortSignal.any([...given, reading.signal]) };
    const ask = (cookie?: Uint8Array): Promise<Answer> => {
      const value = { size: pageSize, ...(cookie && { cookie: toBuffer(cookie, "cookie") }) };
      const answer = scope === "base"
        ? this.#ask(query, [], 1)
        : this.#ask(query, [new PagedResultsControl({ value })], pageSize);
      // Awaited once the page before it is read.
      answer.catch(() => {});
      return answer;
    };
    let empty = 0;
    try {
      for (let next: Promise<Answer> | null = ask(); next !== null;) {
        const { result, entries, references: further, cookie }: Answer = await next;
        if (result.status === REFERRAL && references !== null) return void references.push(base);
        if (result.status !== SUCCESS) throw directoryError(result, `search ${quoted(base)}`);
        for (const each of further) references?.push(each);
        // A page may be empty although others follow.
        empty = entries.length === 0 ? empty + 1 : 0;
        if (empty === MAX_EMPTY) throw this.#endless();
        // The server makes the next page while this one is read.
        next = cookie?.length ? ask(cookie) : null;
        for (const entry of entries) yield await this.#entry(entry, query);
      }
    } finally {
      reading.abort();
    }
  }

  #endless(): ProtocolError {
    const why = `${this.server.hostname} does not come to an end of the search`;
    return new ProtocolError("unexpected-message", why);
  }

  async read(
    dn: string,
    options: Pick<DirectorySearch, "attributes" | "valuesPerRequest" | "signal"> = {},
  ): Promise<DirectoryEntry | null> {
    checkDn(dn, "dn");
    checkKeys(options, ["attributes", "valuesPerRequest", "signal"], "options");
    return await this.#readEntry(dn, options);
  }

  async #readEntry(dn: string, options: Parameters<Directory["read"]>[1] = {}): Promise<Entry | null> {
    const query: Query = {
      base: dn,
      scope: "base",
      filter: everything(),
      ...readOptions(options, "options"),
    };
    const answer = await this.#ask(query, [], 1);
    if (answer.result.status === NO_SUCH_OBJECT) return null;
    if (!succeeded(answer)) throw directoryError(answer.result, `read ${quoted(dn)}`);
    const [entry] = answer.entries;
    return entry === undefined ? null : await this.#entry(entry, query);
  }

  #ask(query: Query, controls: PagedResultsControl[], most: number): Promise<Answer> {
    const { base, filter, attributes, signal } = query;
    const scope = SCOPES[query.scope];
    const request = new SearchRequest({
      messageId: 0,
      baseDN: base,
      scope,
      filter,
      attributes,
      timeLimit: 0,
      controls,
    });
    return this.#connection.request(request, signal, most);
  }

  #entry({ dn, attributes }: RawEntry, { signal, valuesPerRequest }: Query): Promise<Entry> {
    const readMore: ReadMore = async (type) => {
      const query: Query = {
        base: dn,
        scope: "base",
        filter: everything(),
        attributes: [type],
        signal,
      };
      const answer = await this.#ask(query, [], 1);
      if (!succeeded(answer)) throw directoryError(answer.result, `read ${quoted(dn)}`);
      return answer.entries.flatMap(({ attributes }) => attributes);
    };
    return completeEntry(dn, attributes, readMore, valuesPerRequest);
  }

  async add(dn: string, attributes: NewAttributes, options: OperationOptions = {}): Promise<void> {
    checkDn(dn, "dn");
    if (typeof attributes !== "object" || attributes === null) {
      throw new TypeError("attributes must be an object of values by the attributes' names");
    }
    const written = Object.entries(attributes).map(([type, given]) => {
      const values = Array.isArray(given) ? given : [given];
      return toAttribute(checkAttribute(type, "attributes"), values, `attributes.${type}`);
    });
    await this.#change(
      new AddRequest({ messageId: 0, dn, attributes: written }),
      `add ${JSON.stringify(dn)}`,
      options,
    );
  }

  async modify(
    dn: string,
    changes: readonly DirectoryChange[],
    options: OperationOptions = {},
  ): Promise<void> {
    checkDn(dn, "dn");
    if (!Array.isArray(changes) || changes.length === 0) {
      throw new TypeError("changes must be a list of at least one change");
    }
    const written = changes.map((change: DirectoryChange, index) => {
      const name = `changes[${index}]`;
      checkKeys(change, ["operation", "attribute", "values"], name);
      const { operation, attribute, values } = change;
      if (!OPERATIONS.includes(operation)) {
        throw new TypeError(`${name}.operation must be add, delete or replace`);
      }
      checkAttribute(attribute, `${name}.attribute`);
      if (!Array.isArray(values)) throw new TypeError(`${name}.values must be a list of values`);
      return new Change({ operation, modification: toAttribute(attribute, values, `${name}.values`) });
    });
    const request = new ModifyRequest({ messageId: 0, dn, changes: written });
    await this.#change(request, `change ${JSON.stringify(dn)}`, options);
  }

  async delete(dn: string, options: OperationOptions = {}): Promise<void> {
    checkDn(dn, "dn");
    await this.#change(new DeleteRequest({ messageId: 0, dn }), `delete ${JSON.stringify(dn)}`, options);
  }

  async #change(
    request: AddRequest | ModifyRequest | DeleteRequest,
    doing: string,
    options: OperationOptions,
  ): Promise<void> {
    checkKeys(options, ["signal"], "options");
    const answer = await this.#connection.request(request, checkSignal(options.signal, "options.signal"));
    if (!succeeded(answer)) throw directoryError(answer.result, doing);
  }

  async readRoot(signal?: AbortSignal): Promise<RootDse> {
    const root = await this.#readEntry("", { attributes: ROOT_DSE, signal });
    const text = (attribute: string): string => {
      const value = root?.text(attribute);
      if (value !== undefined) return value;
      throw new ProtocolError(
        "unexpected-message",
        `${this.server.hostname} does not say its ${attribute}: it is not a domain controller of Active Directory`,
      );
    };
    const [defaultNamingContext, rootDomainNamingContext] = [
      "defaultNamingContext",
      "rootDomainNamingContext",
    ].map(text);
    const domain = (dn: string): string => this.#named(() => domainOf(dn));
    const site = this.#named(() => siteOf(root?.text("serverName")));
    return Object.freeze({
      defaultNamingContext,
      configurationNamingContext: text("configurationNamingContext"),
      schemaNamingContext: text("schemaNamingContext"),
      rootDomainNamingContext,
      namingContexts: Object.freeze(root!.texts("namingContexts")),
      domain: domain(defaultNamingContext),
      forest: domain(rootDomainNamingContext),
      dnsHostName: text("dnsHostName"),
      ...(site === undefined ? {} : { site }),
      isGlobalCatalogReady: root!.text("isGlobalCatalogReady")?.toUpperCase() === "TRUE",
    });
  }

  /** Reads a name that the server has written. */
  #named<T>(read: () => T): T {
    try {
      return read();
    } catch (cause) {
      if (!(cause instanceof TypeError)) throw cause;
      const why = `${this.server.hostname} names its domain wrongly: ${cause.message}`;
      throw new ProtocolError("malformed", why, { cause });
    }
  }

  openGlobalCatalog(options: OperationOptions = {}): Promise<Directory> {
    checkKeys(options, ["signal"], "options");
    return this.#bound.openGlobalCatalog(this.rootDse, options.signal);
  }

  async openDomain(domain: string, signal?: AbortSignal): Promise<Partitioned> {
    // Every directory that is opened is of this class.
    return await this.#bound.openDomain(domain, signal) as Client;
  }

  close(): Promise<void> {
    return this.#connection.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

function everything(): PresenceFilter {
  return new PresenceFilter({ attribute: "objectClass" });
}

function readOptions(
  { attributes, valuesPerRequest, signal }: Pick<
    DirectorySearch,
    "attributes" | "valuesPerRequest" | "signal"
  >,
  name: string,
): Pick<Query, "attributes" | "valuesPerRequest" | "signal"> {
  if (valuesPerRequest !== undefined) {
    checkInteger(valuesPerRequest, `${name}.valuesPerRequest`, 1, 100_000);
    if (!attributes?.length) throw new TypeError(`${name}.valuesPerRequest needs ${name}.attributes`);
  }
  checkSignal(signal, `${name}.signal`);
  if (attributes !== undefined && !Array.isArray(attributes)) {
    throw new TypeError(`${name}.attributes must be a list of attributes' names`);
  }
  const named = attributes?.map((attribute, index) => {
    if (attribute === "*" || attribute === "+") return attribute;
    const checked = checkAttribute(attribute, `${name}.attributes[${index}]`);
    return inParts(checked, valuesPerRequest);
  });
  return { attributes: named?.length === 0 ? [NO_ATTRIBUTES] : named ?? [], valuesPerRequest, signal };
}

function toAttribute(type: string, values: readonly AttributeValue[], name: string): Attribute {
  return new Attribute({ type, values: values.map((value, index) => toBuffer(value, `${name}[${index}]`)) });
}

/** `CN=DC1,CN=Servers,CN=Default-First-Site-Name,CN=Sites,...`: the name of the site. */
function siteOf(serverName: string | undefined): string | undefined {
  if (serverName === undefined) return undefined;
  const [, servers, site] = parseDn(serverName);
  return servers?.value.toLowerCase() === "servers" ? site?.value : undefined;
}
