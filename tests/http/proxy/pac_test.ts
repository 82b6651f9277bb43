/** PAC files: what they may decide, and what they may not do. */

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type ServerResponse } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import fc from "fast-check";
import { test } from "@test";
import { openPac, readResult } from "../../../http/proxy/pac.ts";
import type { Route } from "../../../http/proxy/routes.ts";
import { watched } from "../../support/http_proxy.ts";

/** Runs `body` with a PAC file of `text`. */
async function inFile<T>(text: string, body: (url: URL, folder: string) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), "secure-sockets-pac-"));
  try {
    writeFileSync(join(folder, "proxy.pac"), text);
    return await body(pathToFileURL(join(folder, "proxy.pac")), folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function names(routes: readonly Route[]): string {
  return routes.map((route) => route === "direct" ? route : `${route.secure ? "https " : ""}${route.label}`)
    .join(", ");
}

/** What a file with the body `code` of FindProxyForURL returns for a host. */
function choice(code: string, host = "web.example.test", url = `https://${host}/`): Promise<string> {
  const text = `function FindProxyForURL(url, host) { ${code} }`;
  return inFile(text, async (file) => names(await openPac(file, () => {}).find(url, host)));
}

const yes = (condition: string) => `return ${condition} ? "PROXY yes.test:1" : "PROXY no.test:1";`;

test("openPac runs FindProxyForURL with the functions of the specification", async () => {
  const holds: readonly [condition: string, host?: string][] = [
    ["isPlainHostName(host)", "intranet"],
    ["!isPlainHostName(host)"],
    ["dnsDomainIs(host, '.example.test')"],
    ["localHostOrDomainIs(host, 'web.example.test')"],
    ["localHostOrDomainIs(host, 'web.example.test')", "web"],
    ["!localHostOrDomainIs(host, 'web.example.test')", "web.other.test"],
    ["dnsDomainLevels(host) === 2"],
    ["shExpMatch(host, '*.example.*') && !shExpMatch(host, 'w?b.example') && shExpMatch(host, 'w?b.*')"],
    ["shExpMatch(url, 'https://*/')"],
    ["isInNet(host, '10.1.0.0', '255.255.0.0')", "10.1.2.3"],
    ["!isInNet(host, '10.1.0.0', '255.255.0.0')", "10.2.2.3"],
    ["isInNetEx(host, '2001:db8::/32') && !isInNetEx(host, '2001:db9::/32')", "2001:db8::7"],
    ["convert_addr('104.16.41.2') === 1745889538"],
    ["dnsResolve('localhost') === '127.0.0.1' && isResolvable('localhost')"],
    ["dnsResolve('nosuch.invalid') === null && !isResolvable('nosuch.invalid')"],
    ["/^\\d+\\.\\d+\\.\\d+\\.\\d+$/.test(myIpAddress())"],
    ["weekdayRange('SUN', 'SAT') && weekdayRange('SUN', 'SAT', 'GMT')"],
    ["timeRange(0, 23) && timeRange(0, 0, 23, 59) && timeRange(0, 0, 0, 23, 59, 59, 'GMT')"],
    ["dateRange(1, 31) && dateRange('JAN', 'DEC') && dateRange(2000, 2999) && !dateRange(1999)"],
    ["dateRange(1, 'JAN', 2000, 31, 'DEC', 2999, 'GMT')"],
  ];
  for (const [condition, host] of holds) {
    assertEquals(await choice(yes(condition), host), "yes.test:1", condition);
  }
});

test("openPac compares hours, days and months as browsers do, at each hour and across midnight", async () => {
  const at = (hours: number, minutes: number, code: string) =>
    choice(`
      Date = class {
        getHours() { return ${hours}; } getMinutes() { return ${minutes}; } getSeconds() { return 59; }
        getUTCHours() { return ${
      (hours + 12) % 24
    }; } getUTCMinutes() { return ${minutes}; } getUTCSeconds() { return 0; }
        getDay() { return 6; } getDate() { return 31; } getMonth() { return 11; } getFullYear() { return 2026; }
      };
      return "PROXY " + (${code}) + ".test:1"`);
  for (let hour = 0; hour < 24; hour++) {
    const expected = [
      true,
      hour >= 8 && hour <= 17,
      hour >= 22 || hour <= 5,
      hour === 12,
      hour < 12,
      hour === 9,
    ];
    const code =
      "timeRange(0, 23) + '-' + timeRange(8, 17) + '-' + timeRange(22, 5) + '-' + timeRange(12) + '-' + " +
      "timeRange(12, 23, 'GMT') + '-' + timeRange(9, 0, 9, 59)";
    assertEquals(await at(hour, 59, code), `${expected.join("-")}.test:1`, `at ${hour}:59:59`);
  }
  const days =
    "weekdayRange('FRI', 'MON') + '-' + weekdayRange('SUN', 'FRI') + '-' + dateRange(31, 2) + '-' + " +
    "dateRange('DEC', 'JAN') + '-' + dateRange(1, 30) + '-' + dateRange(31, 'DEC', 2026)";
  assertEquals(await at(23, 59, days), "true-false-true-true-false-true.test:1");
});

test("openPac reads the list of proxies, and refuses a result without one that can be used", async () => {
  assertEquals(
    await choice("return ' PROXY a.test:8080; HTTPS b.test ;HTTP c.test:1; SOCKS d.test:1; DIRECT'"),
    "a.test:8080, https b.test:443, c.test:1, direct",
  );
  for (
    const [code, detail] of [
      ["return 'SOCKS a.test:1'", /SOCKS a\.test:1 is not supported/],
      ["return 'PROXY 10.0.0.1:8080'", /10\.0\.0\.1 is an IP address, which has no service principal name/],
      ["return 'PROXY a.test:0'", /must be a host and a port/],
      ["return ''", /names no proxy/],
      ["return null", /null/],
      ["throw new Error('oops\\nforged line')", /failed: oops\?forged line\. Correct it/],
      ["return nosuch()", /failed: .*nosuch/],
    ] as const
  ) {
    const error = await assertRejects(() => choice(code)) as Error;
    assertMatch(error.message, detail);
    assert(!error.message.includes("\n"));
  }
});

test("openPac gives a file nothing but its functions", async () => {
  const globals = [
    "Deno",
    "process",
    "require",
    "fetch",
    "globalThis.constructor.constructor('return process')",
  ];
  for (const name of globals) {
    const code =
      `try { return typeof (${name}) === "undefined" ? "PROXY no.test:1" : "PROXY " + typeof (${name}) + ".test:1" } ` +
      `catch (e) { return "PROXY no.test:1" }`;
    const found = await choice(code);
    assert(found === "no.test:1" || name.startsWith("globalThis"), `${name}: ${found}`);
  }
  assertEquals(
    await choice(
      "return (function () {}).constructor('return typeof process')() === 'undefined' ? 'DIRECT' : ''",
    ),
    "direct",
  );
});

test("openPac stops a file that runs too long, and does not run it again for a while", async () => {
  const text = "function FindProxyForURL(url, host) { if (host === 'a.test') for (;;) ; return 'DIRECT' }";
  await inFile(text, async (file) => {
    const pac = openPac(file, () => {});
    const error = await assertRejects(() => pac.find("http://a.test/", "a.test")) as Error;
    assertEquals(error.name, "TimeoutError");
    assertMatch(error.message, /ran for more than 300 ms/);
    const next = await assertRejects(() => pac.find("http://b.test/", "b.test")) as Error;
    assertMatch(next.message, /tried again within a minute/);
  });
});

test("openPac stops a file that takes memory, nests calls or catches what stops it", async () => {
  for (
    const code of [
      "let a = 'x'; for (;;) a += a;",
      "const a = []; for (;;) a.push(new Array(1e3).fill(1));",
      "const f = () => f() + 1; return f();",
      "for (;;) try { for (;;) ; } catch (e) {}",
      "return 'PROXY ' + /^(a+)+$/.test('a'.repeat(60) + 'b') + ':1'",
    ]
  ) {
    const error = await assertRejects(() => choice(code)) as Error;
    assertMatch(error.name, /^(TimeoutError|ProtocolError)$/, `${code}: ${error}`);
  }
});

test("openPac serves a request whose lookup outlasts the failure of another", async () => {
  const text = `function FindProxyForURL(url, host) {
    if (host === "bad.test") throw new Error("a mistake");
    return dnsResolve("nosuch.invalid") === null ? "PROXY yes.test:1" : "DIRECT";
  }`;
  await inFile(text, async (file) => {
    const finder = openPac(file, () => {});
    await assertRejects(() => finder.find("https://bad.test/", "bad.test"), Error, "a mistake");
    const waiting = finder.find("https://web.test/", "web.test");
    const [other, routes] = await Promise.allSettled([finder.find("https://bad.test/", "bad.test"), waiting]);
    assertEquals(other.status, "rejected");
    assertEquals(names((routes as PromiseFulfilledResult<readonly Route[]>).value), "yes.test:1");
  });
});

test("openPac bounds how many names a file looks up", async () => {
  const code =
    "let n = 0; for (let i = 0; i < 1000; i++) if (dnsResolve('h' + i + '.invalid') === null) n++;" +
    "return 'PROXY n' + n + '.test:1';";
  assertEquals(await choice(code), "n1000.test:1");
});

test("openPac fetches a file by http, keeps it when it cannot be read again, and refuses a long one", async () => {
  let answer: (url: string) => [number, string] =
    () => [200, "function FindProxyForURL() { return 'PROXY a.test:1' }"];
  const moved: Record<string, string> = {
    "/moved": "here",
    "/circle": "circle",
    "/away": "file:///etc/passwd",
  };
  await using server = await watched(createServer((request, response) => {
    const location = moved[request.url!];
    if (location !== undefined) return void response.writeHead(302, { location }).end();
    const [status, text] = answer(request.url!);
    response.writeHead(status).end(text);
  }));
  const url = new URL(`http://127.0.0.1:${server.port}/proxy.pac`);
  const reports: string[] = [];
  const pac = openPac(url, (_, message) => void reports.push(message));
  assertEquals(names(await pac.find("http://b.test/", "b.test")), "a.test:1");
  assertMatch(reports.join(), /Read the PAC file/);
  const moves = openPac(new URL("/moved", url), () => {});
  assertEquals(names(await moves.find("http://b.test/", "b.test")), "a.test:1");
  for (
    const [path, problem] of [["/circle", /redirects more than 5 times/], [
      "/away",
      /redirects to file:/,
    ]] as const
  ) {
    const error = await assertRejects(() =>
      openPac(new URL(path, url), () => {}).find("http://b.test/", "b.test")
    ) as Error;
    assertMatch(error.message, problem);
  }
  answer = () => [404, "no"];
  const absent = await assertRejects(() => openPac(url, () => {}).find("http://b.test/", "b.test")) as Error;
  assertMatch(absent.message, /Cannot read the PAC file .*: the server answered 404\. Check its address/);
  answer = () => [200, "x".repeat(1024 * 1024 + 1)];
  const long = await assertRejects(() => openPac(url, () => {}).find("http://b.test/", "b.test")) as Error;
  assertMatch(long.message, /more than 1048576 characters/);
});

test("openPac reads a file again after ten minutes; until then, and where it cannot, the earlier content serves", async () => {
  const file = (name: string): string => `function FindProxyForURL() { return "PROXY ${name}.test:1" }`;
  let answer = (response: ServerResponse): void => void response.end(file("a"));
  await using server = await watched(createServer((_, response) => answer(response)));
  const reports: string[] = [];
  const pac = openPac(
    new URL(`http://127.0.0.1:${server.port}/`),
    (level, message) => void reports.push(`${level} ${message}`),
  );
  const found = async (): Promise<string> => names(await pac.find("http://b.test/", "b.test"));
  const until = async (holds: () => boolean | Promise<boolean>): Promise<void> => {
    for (let tries = 0; !await holds(); tries++) {
      assert(tries < 1000, reports.join());
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  };
  const now = Date.now;
  let laterMs = 0;
  Date.now = () => now() + laterMs;
  try {
    assertEquals(await found(), "a.test:1");
    let held: ServerResponse | undefined;
    answer = (response) => void (held = response);
    laterMs += 600_001;
    // The server does not answer.
    assertEquals(await found(), "a.test:1");
    await until(() => held !== undefined);
    assertEquals(await found(), "a.test:1");
    held!.writeHead(404).end();
    await until(() => reports.length > 1);
    assertMatch(reports[1], /^warn Cannot read .* 404\. .* The earlier content is still used$/);
    assertEquals(await found(), "a.test:1");
    answer = (response) => void response.end(file("c"));
    laterMs += 600_001;
    await until(async () => await found() === "c.test:1");
    assertEquals(reports.length, 3);
  } finally {
    Date.now = now;
  }
});

test("openPac reads a file that was not there when it is there", async () => {
  await inFile("", async (file, folder) => {
    const pac = openPac(pathToFileURL(join(folder, "later.pac")), () => {});
    await assertRejects(() => pac.find("http://b.test/", "b.test"));
    writeFileSync(join(folder, "later.pac"), "function FindProxyForURL() { return 'DIRECT' }");
    assertEquals(names(await pac.find("http://b.test/", "b.test")), "direct");
    void file;
  });
});

test("readResult takes any text and returns routes or an error of the library", () => {
  const url = new URL("file:///proxy.pac");
  const word = fc.oneof(
    fc.constantFrom("PROXY", "HTTPS", "DIRECT", ";", " ", "a.test:1", "[::1]:2", "\n"),
    fc.string(),
  );
  fc.assert(fc.property(fc.array(word), (words) => {
    try {
      const routes = readResult(words.join(" "), url);
      assert(routes.length > 0);
    } catch (error) {
      assertEquals((error as Error).name, "AuthenticationError");
      assert(!(error as Error).message.includes("\n"));
    }
  }));
});
