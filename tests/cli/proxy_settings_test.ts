/** The settings of `secure-sockets proxy`: options, configuration file, environment, Windows' registry, unit file. */

import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import fc from "fast-check";
import { test } from "@test";
import { UsageError } from "../../cli/command.ts";
import { unitText, windowsCommand } from "../../cli/proxy/install.ts";
import {
  formatConfig,
  fromEnvironment,
  fromOptions,
  fromRegistry,
  isComplete,
  libraryOptions,
  merge,
  parseConfig,
  type ProxySettings,
} from "../../cli/proxy/settings.ts";

test("fromOptions reads lists and numbers, and refuses what is not a number", () => {
  assertEquals(
    fromOptions({
      upstream: ["http://a.test"],
      "no-proxy": ["a, b", "c"],
      port: "3129",
      "connect-timeout": "5",
    }),
    { upstreams: ["http://a.test"], noProxy: ["a", "b", "c"], port: 3129, connectTimeoutMs: 5000 },
  );
  assertEquals(fromOptions({ "host-only": true }), { access: "host" });
  assertEquals(fromOptions({ gateway: true, allow: ["10.0.0.0/8"] }), {
    access: "gateway",
    allow: ["10.0.0.0/8"],
  });
  assertThrows(() => fromOptions({ port: "x" }), UsageError, "--port");
  assertThrows(() => fromOptions({ gateway: true, "host-only": true }), UsageError, "together");
});

test("fromEnvironment takes the first variable that names another proxy, in lower case first", () => {
  const read = (env: Record<string, string>) => fromEnvironment((name) => env[name], 3128);
  assertEquals(read({ HTTPS_PROXY: "http://a.test:1", NO_PROXY: "b.test,.c.test" }), {
    upstreams: ["http://a.test:1"],
    noProxy: ["b.test", ".c.test"],
  });
  assertEquals(read({ HTTPS_PROXY: "http://a.test", https_proxy: "http://b.test" }), {
    upstreams: ["http://b.test"],
  });
  assertEquals(read({ HTTPS_PROXY: "http://127.0.0.1:3128", HTTP_PROXY: "a.test:8080" }), {
    upstreams: ["a.test:8080"],
  });
  assertEquals(read({ HTTPS_PROXY: "http://user:x@localhost:3128/" }), {});
  assertEquals(read({ HTTPS_PROXY: "http://127.0.0.1:3129" }), { upstreams: ["http://127.0.0.1:3129"] });
  assertEquals(read({ ALL_PROXY: "socks5://a.test" }), {});
  assertEquals(read({}), {});
});

const QUERY = (lines: string[]) =>
  `\r\nHKEY_CURRENT_USER\\Software\\Microsoft\\Windows\\CurrentVersion\\Internet Settings\r\n${
    lines.map((line) => `    ${line}\r\n`).join("")
  }\r\n`;

test("fromRegistry reads what reg query prints of Windows' Internet settings", () => {
  const on = "ProxyEnable    REG_DWORD    0x1";
  assertEquals(
    fromRegistry(
      QUERY([
        on,
        "ProxyServer    REG_SZ    proxy.test:8080",
        "ProxyOverride    REG_SZ    *.a.test;10.*;<local>",
      ]),
    ),
    { upstreams: ["proxy.test:8080"], noProxy: ["*.a.test", "10.*", "<local>"] },
  );
  assertEquals(
    fromRegistry(QUERY([on, "ProxyServer    REG_SZ    http=a.test:80;https=b.test:81;socks=c.test:82"]))
      .upstreams,
    ["b.test:81"],
  );
  assertEquals(fromRegistry(QUERY([on, "ProxyServer    REG_SZ    socks=c.test:82"])), {});
  assertEquals(
    fromRegistry(QUERY(["ProxyEnable    REG_DWORD    0x0", "ProxyServer    REG_SZ    proxy.test:8080"])),
    {},
  );
  assertEquals(fromRegistry(QUERY(["AutoConfigURL    REG_SZ    http://a.test/p.pac", on])), {
    pac: "http://a.test/p.pac",
  });
  assertEquals(fromRegistry(""), {});
  fc.assert(fc.property(fc.string(), (text) => void fromRegistry(text)));
});

test("parseConfig reads what formatConfig writes, and refuses anything else", () => {
  const settings: ProxySettings = {
    upstreams: ["http://a.test"],
    noProxy: ["b.test"],
    port: 1,
    access: "gateway",
    allow: ["10.0.0.0/8"],
    requireToken: true,
  };
  assertEquals(parseConfig(formatConfig(settings), "FILE"), settings);
  for (
    const [text, message] of [
      ["{", /FILE is not JSON/],
      ["[]", /must contain an object/],
      ["null", /must contain an object/],
      ["{}", /"version": 1/],
      ['{"version":1,"upstream":[]}', /"upstream", which is unknown/],
      ['{"version":1,"__proto__":1}', /unknown/],
      ['{"version":1,"upstreams":"a"}', /list of strings/],
      ['{"version":1,"port":"1"}', /must be a number/],
    ] as const
  ) {
    const error = assertThrows(() => parseConfig(text, "FILE"), UsageError);
    assertMatch((error as Error).message, message);
  }
  fc.assert(fc.property(fc.json(), (text) => {
    try {
      parseConfig(text, "FILE");
    } catch (error) {
      assert(error instanceof UsageError);
    }
  }));
});

test("merge lets an upstream replace a PAC file, and the reverse", () => {
  assertEquals(merge({ upstreams: ["a"] }, { pac: "p", port: 1 }), { upstreams: ["a"], port: 1 });
  assertEquals(merge({ pac: "p" }, { upstreams: ["a"], target: "t" }), { pac: "p" });
  assertEquals(merge({ port: 2 }, { upstreams: ["a"], port: 1 }), { upstreams: ["a"], port: 2 });
  assert(isComplete({ pac: "p" }) && isComplete({ upstreams: ["a"] }) && !isComplete({ upstreams: [] }));
});

test("libraryOptions gives every upstream the target, and leaves out what are the command's", () => {
  assertEquals(libraryOptions({ upstreams: ["a"], target: "HTTP/b", requireToken: true, ca: "f", port: 1 }), {
    port: 1,
    upstreams: [{ proxy: "a", target: "HTTP/b" }],
  });
});

test("unitText quotes words as systemd reads them", () => {
  const unit = unitText(["/opt/a b/deno", "run", 'C:\\x"y', "100%", "$HOME"]);
  assertMatch(unit, /^ExecStart="\/opt\/a b\/deno" "run" "C:\\\\x\\"y" "100%%" "\$\$HOME"$/m);
});

test("windowsCommand quotes words as Windows' programs read them", () => {
  assertEquals(
    windowsCommand(["C:\\a b\\node.exe", 'say "x"', "end\\"]),
    String.raw`"C:\a b\node.exe" "say \"x\"" "end\\"`,
  );
});
