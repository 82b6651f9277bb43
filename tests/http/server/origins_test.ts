/** Which requests of other origins' pages are refused, and which fields allow them. */

import { assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { test } from "@test";
import { checkOrigins, corsFields, isCrossOrigin, preflightFields } from "../../../http/server/origins.ts";
import { headOf, proxyField, valuesOf } from "../../../http/server/request.ts";

const APP = "https://app.example.test";
const NONE = checkOrigins(undefined);
const LISTED = checkOrigins([APP]);
type Fields = Record<string, string>;

/** Whether a request to web.example.test is refused. */
function refused(method: string | undefined, fields: Fields, allowed = NONE): boolean {
  return isCrossOrigin({ method, headers: { host: "web.example.test", ...fields } }, allowed);
}

test("isCrossOrigin() lets pages of the same origin and clients that are not browsers change something", () => {
  assertEquals(refused("POST", {}), false);
  assertEquals(
    refused("POST", { "sec-fetch-site": "same-origin", origin: "https://web.example.test" }),
    false,
  );
  assertEquals(refused("POST", { "sec-fetch-site": "none" }), false);
  assertEquals(refused("DELETE", { origin: "https://web.example.test" }), false);
  assertEquals(
    refused("POST", { origin: "https://web.example.test:8443", host: "web.example.test:8443" }),
    false,
  );
  assertEquals(refused("POST", { origin: "https://web.example.test", host: "WEB.example.test" }), false);
});

test("isCrossOrigin() refuses requests of other origins that change something, also of the same site", () => {
  for (const method of ["POST", "PUT", "PATCH", "DELETE", "ANYTHING", "post", "get"]) {
    assertEquals(refused(method, { "sec-fetch-site": "cross-site" }), true, method);
    assertEquals(refused(method, { "sec-fetch-site": "same-site" }), true, method);
    assertEquals(refused(method, { origin: "https://evil.example.test" }), true, method);
    assertEquals(refused(method, { origin: "null" }), true, method);
    assertEquals(refused(method, { origin: "https://web.example.test:8443" }), true, method);
  }
  // What Sec-Fetch-Site says is not overruled by an Origin that equals Host.
  assertEquals(refused("POST", { "sec-fetch-site": "cross-site", origin: "https://web.example.test" }), true);
  assertEquals(refused("POST", { "sec-fetch-site": "same-origin, cross-site" }), true);
});

test("isCrossOrigin() lets other origins' pages read, and refuses their WebSockets", () => {
  for (const method of ["GET", "HEAD", "OPTIONS", undefined]) {
    assertEquals(
      refused(method, { "sec-fetch-site": "cross-site", origin: "https://evil.example.test" }),
      false,
    );
  }
  assertEquals(refused("GET", { upgrade: "websocket", origin: "https://evil.example.test" }), true);
  assertEquals(refused("GET", { upgrade: "websocket", origin: "https://web.example.test" }), false);
  assertEquals(refused("GET", { upgrade: "websocket" }), false);
});

test("isCrossOrigin() lets listed origins change something, and every origin with any", () => {
  const foreign = { "sec-fetch-site": "cross-site", origin: APP };
  assertEquals(refused("POST", foreign, LISTED), false);
  assertEquals(refused("POST", { ...foreign, origin: "https://app.example.test.evil.test" }, LISTED), true);
  assertEquals(refused("POST", { "sec-fetch-site": "cross-site" }, LISTED), true);
  assertEquals(refused("POST", { "sec-fetch-site": "cross-site" }, checkOrigins("any")), false);
});

test("isCrossOrigin() refuses a request with two origins, one of them listed", () => {
  const rawHeaders = ["Origin", APP, "origin", "https://evil.example.test", "Host", "web.example.test"];
  assertEquals(isCrossOrigin({ method: "POST", headers: {}, rawHeaders }, LISTED), true);
});

test("checkOrigins() takes origins as browsers send them, and says what is wrong with others", () => {
  for (const good of ["https://a.test", "http://localhost:8080", "https://a.test:8443"]) {
    assertEquals(checkOrigins([good]), new Set([good]));
  }
  const bad = [
    "*",
    "null",
    "a.test",
    "https://a.test/",
    "https://A.test",
    "https://a.test:443",
    "https://a.test/x",
    1,
  ];
  for (const origin of bad) {
    assertThrows(() => checkOrigins([origin]), TypeError, "options.allowedOrigins[0]");
  }
  assertThrows(() => checkOrigins("https://a.test"), TypeError, '"any"');
});

test("preflightFields() answers preflights of listed origins, and nothing else", () => {
  const preflight = {
    origin: APP,
    "access-control-request-method": "PUT",
    "access-control-request-headers": "x-a",
  };
  const answer = preflightFields({ method: "OPTIONS", headers: preflight }, LISTED)!;
  assertEquals(Object.fromEntries(answer), {
    "access-control-allow-origin": APP,
    "access-control-allow-credentials": "true",
    "vary": "Origin",
    "access-control-allow-methods": "PUT",
    "access-control-allow-headers": "x-a",
  });
  assertEquals(preflightFields({ method: "OPTIONS", headers: preflight }, NONE), null);
  assertEquals(preflightFields({ method: "OPTIONS", headers: preflight }, checkOrigins("any")), null);
  assertEquals(preflightFields({ method: "POST", headers: preflight }, LISTED), null);
  assertEquals(preflightFields({ method: "OPTIONS", headers: { origin: APP } }, LISTED), null);
  const other = { ...preflight, origin: "https://evil.example.test" };
  assertEquals(preflightFields({ method: "OPTIONS", headers: other }, LISTED), null);
  assertEquals(corsFields({ headers: {} }, LISTED), []);
});

test("valuesOf() finds every field of a name, in each form of header fields", () => {
  const rawHeaders = ["Authorization", "a", "X", "authorization", "AUTHORIZATION", "b"];
  assertEquals(valuesOf({ headers: { authorization: "a" }, rawHeaders }, "authorization"), ["a", "b"]);
  assertEquals(
    valuesOf(headOf({ Authorization: "a", authorization: ["b", "c"], x: undefined }), "authorization"),
    [
      "a",
      "b",
      "c",
    ],
  );
  assertEquals(valuesOf(headOf(new Headers({ authorization: "a" })), "authorization"), ["a"]);
  assertEquals(valuesOf(headOf(new Headers()), "authorization"), []);
  assertEquals(valuesOf(headOf(new Request("http://a.test", { headers: { via: "x" } })), "via"), ["x"]);
});

test("valuesOf() of rawHeaders is what Headers say, for any fields", () => {
  const name = fc.constantFrom("via", "Via", "VIA", "x-a", "authorization");
  const fields = fc.array(fc.tuple(name, fc.stringMatching(/^[a-z]{1,5}$/)));
  fc.assert(fc.property(fields, (list) => {
    const headers = new Headers(list);
    const joined = valuesOf({ headers, rawHeaders: list.flat() }, "via").join(", ");
    assertEquals(joined, valuesOf({ headers }, "via").join(", "));
  }));
});

test("headOf() never takes header fields for a request, whatever a client sends", () => {
  for (const headers of ["x", ["x"], undefined]) {
    const fields = { headers, method: "GET", authorization: "Negotiate AAAA" };
    assertEquals(valuesOf(headOf(fields), "authorization"), ["Negotiate AAAA"]);
  }
  for (const wrong of [null, undefined, "GET"]) {
    assertThrows(() => headOf(wrong as never), TypeError, "a request, or its headers");
  }
});

test("proxyField() finds the fields that proxies add", () => {
  for (const name of ["Via", "Forwarded", "X-Forwarded-For", "X-Real-IP"]) {
    assertEquals(proxyField({ headers: { [name]: "" } }), name.toLowerCase());
  }
  assertEquals(proxyField({ headers: { "x-forwarded": "a" } }), undefined);
});
