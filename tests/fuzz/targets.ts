/**
 * What `deno task fuzz` gives bytes to: each parser that reads a stranger's bytes, with valid inputs to start from
 * and what must hold for every input.
 */

import assert from "node:assert/strict";
import { SearchRequest } from "ldapts";
import { element, elements, MessageReader } from "../../directory/ber.ts";
import { toFilter } from "../../directory/ldap_filter.ts";
import {
  ENTRY,
  readCookie,
  readEntry,
  readMessage,
  readReference,
  readResult,
  REFERENCE,
} from "../../directory/ldap_messages.ts";
import { escapeDn, parseDn } from "../../directory/names.ts";
import type { DirectoryFilter } from "../../directory/types.ts";
import { SecureSocketError, TransportError } from "../../errors.ts";
import { clientTargets, TicketName } from "../../ffi/security/gss/ticket_name.ts";
import { readPac } from "../../ffi/security/gss/pac.ts";
import { holdsKerberos, holdsNtlm, otherMechanismAdvice } from "../../ffi/security/other_mechanism.ts";
import { decodeToken, formatToken, parseChallenges, parseCredentials, tokenOf } from "../../http/fields.ts";
import { parsePolicy } from "../../plugins/policy.ts";
import { FrameReader } from "../../sasl/frames.ts";
import { decodeErrorCode, decodeHandshakeHeader, refuseTls } from "../../sockets/framing.ts";
import { Spn } from "../../spn.ts";
import { client, server } from "../plugins/ntlm/pair.ts";
import { done, entry, message, page } from "../support/fake_ldap_server.ts";
import { guardAny, instantiate, outcomeOf } from "../support/guarding.ts";
import { hostileModules } from "../support/hostile.ts";
import {
  apReq,
  authorizationData,
  kerberosToken,
  negTokenInit,
  negTokenResp,
  OID,
  utf16,
} from "../support/kerberos_tokens.ts";
import { ALICE, MADE, WEB1 } from "../support/pac_fixtures.ts";
import { generateModule } from "../support/wasm_generator.ts";

/** One parser. */
export interface FuzzTarget {
  /** Valid inputs, and others worth starting from. */
  readonly seeds: () => Promise<Uint8Array[]> | Uint8Array[];
  /**
   * Gives it one input. Returns in a few words what came of it: an input with a new answer is kept to start from.
   * Throws where something does not hold; typed refusals of the parser are answers.
   */
  readonly run: (input: Uint8Array) => Promise<string> | string;
}

const text = new TextDecoder();
const bytesOf = (value: string): Uint8Array => new TextEncoder().encode(value);

/** The parser's answer, or its refusal, which must be one of the errors that callers know. */
function answer(read: () => unknown, also: readonly string[] = []): string {
  try {
    return `ok ${shapeOf(read())}`;
  } catch (error) {
    return refusal(error, also);
  }
}

function refusal(error: unknown, also: readonly string[]): string {
  const { name, message } = error as Error;
  const known = error instanceof SecureSocketError && !(error instanceof TransportError);
  assert(known || also.includes(name), `an error that callers do not know: ${(error as Error).stack}`);
  assert(message.length < 2_000, `a message of ${message.length} characters`);
  return `${name} ${message.replace(/"(?:\\.|[^"\\])*"|0x[0-9a-f]+|\d+/g, "#").slice(0, 120)}`;
}

function shapeOf(value: unknown): string {
  if (value === null || typeof value !== "object") return typeof value;
  return Object.keys(value).sort().join();
}

/** A record of two parts: the length of the first in two bytes, then both. */
function join(first: Uint8Array, second: Uint8Array): Uint8Array {
  return Uint8Array.from([first.length & 0xff, first.length >> 8, ...first, ...second]);
}

function split(input: Uint8Array): [Uint8Array, Uint8Array] {
  const length = Math.min((input[0] ?? 0) | (input[1] ?? 0) << 8, Math.max(0, input.length - 2));
  return [input.subarray(2, 2 + length), input.subarray(2 + length)];
}

function pac(input: Uint8Array): string {
  const [logonInfo, upnDnsInfo] = split(input);
  return answer(() => {
    const account = readPac(logonInfo, upnDnsInfo.length > 0 ? upnDnsInfo : null);
    assert(/^S-1-\d+(-\d+){0,15}$/.test(account.sid) && account.groups.length <= 4097);
    for (const name of [account.displayName, account.netbiosDomain, account.upn]) {
      assert(name === undefined || (name !== "" && name.isWellFormed() && !/\p{Cc}/u.test(name)));
    }
    return account;
  });
}

const REQUEST = apReq(["HTTP", "web.example.test"]);
const KERBEROS_TOKENS = [
  REQUEST,
  kerberosToken(REQUEST),
  kerberosToken(REQUEST, OID.microsoft),
  negTokenInit([OID.kerberos], kerberosToken(REQUEST)),
  negTokenInit([OID.microsoft, OID.kerberos, OID.ntlm], kerberosToken(REQUEST, OID.microsoft)),
  negTokenResp(kerberosToken(REQUEST)),
];

function tokens(input: Uint8Array): string {
  const before = input.slice();
  const kinds = [holdsNtlm(input), holdsKerberos(input)];
  const advice = otherMechanismAdvice(input, "spnego");
  assert(typeof advice === "string" && advice.length < 1_000);
  const name = new TicketName();
  // In two pieces, as a peer may send them.
  const half = input.length >> 1;
  if (input.length % 3 === 0) name.add(input.subarray(0, half));
  name.add(input.length % 3 === 0 ? input.subarray(half) : input);
  const found = name.ticket?.name ?? null;
  assert(found === null || found.isWellFormed());
  assert.deepEqual(input, before, "the token was changed");
  return `${kinds} ${found === null ? "no name" : "name"} ${advice.slice(0, 40)}`;
}

async function ntlmToken(input: Uint8Array, spnego: boolean): Promise<string> {
  const index = (input[0] ?? 0) % (spnego ? 4 : 3);
  let [turn, other] = [await client({ ntlm: { spnego } }), await server({ ntlm: { spnego } })];
  let token: Uint8Array | null = null;
  try {
    for (let i = 0; i <= index; i++) {
      token = (await turn.step(token)).token;
      [turn, other] = [other, turn];
    }
    const changed = input.length < 2 ? input : patch(token!, input.subarray(1));
    const { done } = await turn.step(changed);
    return `${index} ${done ? "done" : "goes on"}`;
  } catch (error) {
    return `${index} ${refusal(error, [])}`;
  } finally {
    turn.close();
    other.close();
  }
}

/** `token` with changes that `script` describes: three bytes each, place (two) and value. */
function patch(token: Uint8Array, script: Uint8Array): Uint8Array {
  const out = token.slice();
  for (let at = 0; at + 2 < script.length; at += 3) {
    const place = (script[at] << 8 | script[at + 1]) % (out.length + 1);
    if (place === out.length) return out.subarray(0, script[at + 2] % (out.length + 1));
    out[place] = script[at + 2];
  }
  return out;
}

function framing(input: Uint8Array): string {
  return [
    answer(() => input.length >= 5 && refuseTls(input.subarray(0, 5), input.subarray(5))),
    // The reader waits for the whole header.
    answer(() => input.length >= 5 && decodeHandshakeHeader(input.subarray(0, 5))),
    answer(() => decodeErrorCode(input)),
    answer(() => {
      const reader = new FrameReader(4096);
      let records = 0;
      for (let at = 0, size = 1; at < input.length; at += size, size = size * 3 % 61 + 1) {
        for (const record of reader.push(input.subarray(at, at + size))) {
          assert(record.length > 0 && record.length <= 4096);
          records++;
        }
      }
      return { [`records${Math.min(records, 3)}`]: true };
    }),
  ].join(" | ");
}

function spn(input: Uint8Array): string {
  const source = text.decode(input);
  return answer(() => {
    const parsed = Spn.parse(source);
    const again = Spn.parse(String(parsed));
    assert.deepEqual(String(again), String(parsed));
    assert(parsed.equals(again));
    return parsed;
  }, ["TypeError"]);
}

function policy(input: Uint8Array): string {
  let source: unknown;
  try {
    source = JSON.parse(text.decode(input));
  } catch {
    return "not JSON";
  }
  return answer(() => parsePolicy(source), ["TypeError"]);
}

function http(input: Uint8Array): string {
  const field = text.decode(input);
  return [
    answer(() => {
      const challenges = parseChallenges(field);
      for (const { scheme, token, parameters } of challenges) {
        assert(scheme === scheme.toLowerCase() && scheme !== "" && (token === null || parameters.size === 0));
      }
      const token = tokenOf(challenges, "negotiate");
      return typeof token === "string" ? decodeToken(token) : {};
    }),
    answer(() => {
      const { scheme, token } = parseCredentials(field);
      if (token === null) return {};
      const bytes = decodeToken(token);
      assert.deepEqual(parseCredentials(formatToken(scheme, bytes)).token, token);
      return [];
    }),
  ].join(" | ");
}

function ldap(input: Uint8Array): string {
  return answer(() => {
    const reader = new MessageReader();
    // In two pieces, as a server may send them.
    const half = input.length >> 1;
    const whole = [...reader.push(input.subarray(0, half)), ...reader.push(input.subarray(half))];
    const kinds = whole.map((bytes) => {
      const { operation, controls } = readMessage(bytes);
      const { tag } = operation;
      const cookie = readCookie(controls) === null ? "" : " cookie";
      if (tag === ENTRY) return `entry ${Math.min(readEntry(operation).attributes.length, 3)}${cookie}`;
      if (tag === REFERENCE) return `reference ${Math.min(readReference(operation).length, 3)}`;
      const { status, errorMessage } = readResult(operation);
      assert(errorMessage.isWellFormed());
      return `${status === 0 ? "success" : "refusal"}${cookie}`;
    });
    return { [kinds.slice(0, 3).join()]: true };
  });
}

const octets = (value: string): Uint8Array => element(0x04, bytesOf(value));

/** Whatever a value is, it is one value in a name and in a filter, and nothing else. */
function ldapValue(input: Uint8Array): string {
  const value = new TextDecoder("utf-8", { ignoreBOM: true }).decode(input);
  const dn = `CN=${escapeDn(value)},DC=test`;
  assert.deepEqual(parseDn(dn), [{ type: "CN", value }, { type: "DC", value: "test" }]);
  const substring = element(0x30, element(0x80, bytesOf(value)));
  const forms: [DirectoryFilter, Uint8Array][] = [
    [{ attribute: "cn", equals: value }, element(0xa3, octets("cn"), octets(value))],
  ];
  if (value !== "") {
    forms.push([{ attribute: "cn", startsWith: value }, element(0xa4, octets("cn"), substring)]);
  }
  for (const [filter, expected] of forms) {
    const request = new SearchRequest({ messageId: 1, baseDN: dn, filter: toFilter(filter), attributes: [] });
    const [, { content }] = elements(elements(new Uint8Array(request.write()))[0].content);
    const parts = elements(content);
    assert.deepEqual([text.decode(parts[0].content), parts.length], [dn, 8]);
    assert.deepEqual(element(parts[6].tag, parts[6].content), expected);
  }
  return answer(() => parseDn(value), ["TypeError"]);
}

const AMPLE = 2_000_000;

function sandbox(input: Uint8Array): string {
  let bytes: Uint8Array<ArrayBuffer>;
  try {
    ({ bytes } = guardAny(input));
  } catch (error) {
    return refusal(error, []);
  }
  // The guard itself does not check types: the engine does, after it.
  if (!WebAssembly.validate(bytes)) return "the engine refuses it";
  assert(WebAssembly.validate(Uint8Array.from(input)), "the guard made a valid module of an invalid one");
  let exports: ReturnType<typeof instantiate>;
  try {
    exports = instantiate(bytes);
  } catch (error) {
    return `instantiation ${(error as Error).name}`;
  }
  const answers = Object.entries(exports).filter(([name, value]) =>
    typeof value === "function" && /^(f\d|call|abi)/.test(name)
  ).map(([, call]) => {
    exports.fuel.value = AMPLE;
    return outcomeOf(() => (call as CallableFunction)(1, 2)).slice(0, 8);
  });
  return `runs ${answers}`;
}

/** All targets, by name. */
export const TARGETS: Readonly<Record<string, FuzzTarget>> = {
  pac: {
    seeds: () => [ALICE, WEB1, MADE].map((one) => join(one.logonInfo, one.upnDnsInfo)),
    run: pac,
  },
  tokens: { seeds: () => KERBEROS_TOKENS, run: tokens },
  "authorization-data": {
    seeds: () => [
      authorizationData([141, [1, 2]], [144, utf16("HTTP/web.example.test@EXAMPLE.TEST")]),
      authorizationData([1, authorizationData([144, utf16("host/a")])]),
      Uint8Array.of(0x30, 0),
    ],
    run: (input) => {
      const names = clientTargets(input);
      assert(names === null || names.every((name) => name.isWellFormed()));
      return names === null ? "none" : `${Math.min(names.length, 3)}`;
    },
  },
  ntlm: {
    seeds: () => [0, 1, 2].map((index) => Uint8Array.of(index, 0, 0, 0x4e)),
    run: (input) => ntlmToken(input, false),
  },
  spnego: {
    seeds: () => [0, 1, 2, 3].map((index) => Uint8Array.of(index, 0, 0, 0x60)),
    run: (input) => ntlmToken(input, true),
  },
  framing: {
    seeds: () => [
      Uint8Array.of(0x16, 1, 0, 0, 3, 1, 2, 3),
      Uint8Array.of(0x15, 1, 0, 0, 8, 0, 0, 0, 0, 0x80, 9, 3, 0x0c),
      bytesOf("GET / HTTP/1.1\r\n"),
      Uint8Array.of(0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3),
      Uint8Array.of(0, 0, 0, 2, 9, 9, 0, 0, 0, 1, 7),
    ],
    run: framing,
  },
  spn: {
    seeds: () =>
      [
        "HTTP/web.example.test",
        "MSSQLSvc/db.example.test:1433",
        "MSSQLSvc/db.example.test:INSTANCE",
        "ldap/dc1.example.test/example.test@EXAMPLE.TEST",
        "Hyper-V Replica Service/hv1:80",
      ].map(bytesOf),
    run: spn,
  },
  policy: {
    seeds: () =>
      [
        { version: 1, deny: ["ntlm"], order: ["kerberos"], floor: { confidentiality: true } },
        { version: 1, floor: { integrity: true, mutualAuthentication: true } },
      ].map((value) => bytesOf(JSON.stringify(value))),
    run: policy,
  },
  ldap: {
    seeds: () => {
      const object = message(1, entry("CN=a,DC=test", { servicePrincipalName: ["HTTP/a", "b"] }));
      const end = message(1, done(), page("next"));
      const referral = element(0x73, octets("ldap://other.example.test/DC=other,DC=test"));
      const both = Uint8Array.from([...object, ...end]);
      return [object, end, both, message(1, done(19, "0000207C: AtrErr")), message(1, referral)];
    },
    run: ldap,
  },
  "ldap-value": {
    seeds: () =>
      ["web1", " Sales, EMEA ", "#1+2=\\,;<>", "CN=a\\2c b,DC=test", "*)(objectClass=*", "\ufeffa\0b"].map(
        bytesOf,
      ),
    run: ldapValue,
  },
  http: {
    seeds: () =>
      [
        'Basic realm="a, Negotiate b", Negotiate',
        "Negotiate YIIBAQ==, NTLM",
        'Digest realm="x", nonce="a\\"b", qop=auth , negotiate  oYG3',
        "Negotiate YII+/w==",
        "Bearer error=invalid_token",
      ].map(bytesOf),
    run: http,
  },
  guard: {
    seeds: async () => [
      ...Array.from(
        { length: 20 },
        (_, seed) =>
          generateModule(Uint8Array.from({ length: 200 }, (_, at) => (seed * 37 + at * (seed + 11)) & 0xff)),
      ),
      ...(await hostileModules()).map(({ bytes }) => bytes).filter((bytes) => bytes.length < 4096),
    ],
    run: sandbox,
  },
};
