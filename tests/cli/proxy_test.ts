/** `secure-sockets proxy` as a program. */

import { spawn, spawnSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { assert, assertEquals, assertMatch } from "@std/assert";
import { test } from "@test";
import { CLI, runCli, start } from "../support/cli.ts";
import { rawClient, writtenProxy } from "../support/http_proxy.ts";
import { findProgram, run } from "../../scripts/process.ts";

const posix = process.platform === "win32" ? "file modes and systemd are not Windows'" : null;

/** Runs `body` with an empty home. */
async function inHome(body: (env: Record<string, string>, home: string) => Promise<void>): Promise<void> {
  const home = mkdtempSync(join(tmpdir(), "secure-sockets-home-"));
  const none = {
    HTTPS_PROXY: "",
    HTTP_PROXY: "",
    ALL_PROXY: "",
    https_proxy: "",
    http_proxy: "",
    all_proxy: "",
  };
  try {
    await body({ HOME: home, XDG_CONFIG_HOME: join(home, "config"), ...none }, home);
  } finally {
    rmSync(home, { recursive: true });
  }
}

const UPSTREAM = ["proxy", "--upstream", "http://proxy.example.test:8080"];

test("proxy says which options are wrong, and that it knows no proxy", async () => {
  await inHome(async (env) => {
    for (
      const [args, message] of [
        [["proxy"], /which proxy to sign on to is not known; give --upstream/],
        [["proxy", "--upstream", "ftp://a.test"], /must begin with http/],
        [[...UPSTREAM, "--gateway"], /must name the networks/],
        [
          [...UPSTREAM, "--config", "/nosuch/proxy.json"],
          /there is no \/nosuch\/proxy\.json; make it with --save/,
        ],
        [[...UPSTREAM, "--no-proxy", "a/b"], /noProxy contains "a\/b"/],
      ] as const
    ) {
      const { code, stderr } = await runCli(args, { env });
      assertEquals(code, 2, stderr);
      assertMatch(stderr, message);
    }
  });
});

test("proxy --save, --print-env and --require-token keep files that only their owner can read", async () => {
  await inHome(async (env, home) => {
    const saved = await runCli([...UPSTREAM, "--require-token", "--no-proxy", "a.test", "--save"], { env });
    assertEquals(saved.code, 0, saved.stderr);
    const folder = join(home, "config", "secure-sockets");
    assertEquals(JSON.parse(readFileSync(join(folder, "proxy.json"), "utf8")).upstreams, [UPSTREAM[2]]);
    const token = readFileSync(join(folder, "proxy.token"), "utf8").trim();
    for (const name of ["proxy.json", "proxy.token"]) {
      assertEquals(statSync(join(folder, name)).mode & 0o777, 0o600);
    }
    const { stdout } = await runCli(["proxy", "--print-env"], { env });
    assertMatch(stdout, new RegExp(`^export HTTPS_PROXY='http://user:${token}@127\\.0\\.0\\.1:3128' `, "m"));
    assertMatch(stdout, /^export NO_PROXY='localhost,127\.0\.0\.1,::1,a\.test' /m);
    chmodSync(join(folder, "proxy.token"), 0o644);
    const { code, stderr } = await runCli(["proxy", "--print-env"], { env });
    assertEquals(code, 1);
    assertMatch(stderr, /Other users can read the token/);
    assert(!stderr.includes(token));
  });
}, { skip: posix });

test("proxy serves until it is asked to stop, and logs in JSON", async () => {
  await using upstream = await writtenProxy(() => "HTTP/1.1 200 OK\r\n\r\n");
  await inHome(async (env, home) => {
    const [program, ...first] = CLI;
    const args = ["proxy", "--upstream", `http://localhost:${upstream.port}`, "--port", "0", "--json"];
    const none = {
      KRB5CCNAME: `FILE:${home}/none`,
      KRB5_CLIENT_KTNAME: `${home}/none`,
      KRB5_CONFIG: `${home}/none`,
    };
    const child = spawn(program, [...first, ...args], {
      env: { ...process.env, ...env, ...none },
      stdio: ["ignore", "ignore", "pipe"],
    });
    let log = "";
    const ended = new Promise<number | null>((resolve) => child.once("close", resolve));
    try {
      const url = await new Promise<string>((resolve, reject) => {
        child.stderr.on("data", (chunk: unknown) => {
          log += chunk;
          const found = /"message":"Listening on (\S+?)"/.exec(log);
          if (found) resolve(found[1]);
        });
        void ended.then(() => reject(new Error(log)));
      });
      using client = await rawClient(Number(new URL(url).port));
      client.send("CONNECT web.test:443 HTTP/1.1\r\nHost: a\r\n\r\n");
      assertMatch(await client.rest(), /^HTTP\/1\.1 502 /);
      process.kill(child.pid!, "SIGTERM");
      assertEquals(await ended, 0, log);
    } finally {
      child.kill("SIGKILL");
      await ended;
    }
    const events = log.trim().split("\n").map((line) => JSON.parse(line));
    assertEquals(events.map(({ event }) => event), ["listening", "failed", "closed"]);
    assertEquals(events[1].destination, "web.test:443");
  });
}, { skip: posix });

test("proxy --pac reads its file without the proxy that HTTP_PROXY names", async () => {
  const file =
    'HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nfunction FindProxyForURL() { return "PROXY a.test:1" }';
  await using server = await writtenProxy((_, socket) => {
    socket.end(file);
    return null;
  });
  await inHome(async (env) => {
    const none = {
      ...env,
      HTTP_PROXY: "http://127.0.0.1:1",
      http_proxy: "http://127.0.0.1:1",
      NO_PROXY: "",
      no_proxy: "",
    };
    const [program, ...first] = CLI;
    const pac = `http://127.0.0.1:${server.port}/proxy.pac`;
    await using proxy = start(program, [...first, "proxy", "--pac", pac, "--port", "0"], none);
    const [, port] = await proxy.until("stderr", /Listening on http:\/\/127\.0\.0\.1:(\d+)/);
    using client = await rawClient(Number(port));
    client.send("CONNECT web.test:443 HTTP/1.1\r\nHost: a\r\n\r\n");
    assertMatch(await client.rest(), /^HTTP\/1\.1 502 [^]*a\.test/);
    assertMatch(server.headers.join(), /^GET \/proxy\.pac HTTP/);
  });
}, { skip: posix });

test("proxy --install writes a unit that systemd can read, and --uninstall removes it", async () => {
  await inHome(async (env, home) => {
    const bin = join(home, "bin");
    mkdirSync(bin);
    writeFileSync(join(bin, "systemctl"), `#!/bin/sh\necho "$@" >> ${home}/calls\n`, { mode: 0o755 });
    const with_ = { ...env, PATH: `${bin}:${process.env.PATH}` };
    const installed = await runCli([...UPSTREAM, "--install"], { env: with_ });
    assertEquals(installed.code, 0, installed.stderr);
    const unit = join(home, "config", "systemd", "user", "secure-sockets-proxy.service");
    assertMatch(readFileSync(unit, "utf8"), /^ExecStart="[^\n]*" "proxy" "--config" "[^\n]*proxy\.json"$/m);
    const analyze = findProgram("systemd-analyze");
    if (analyze !== null) {
      const { stderr } = await run(analyze, ["verify", "--user", unit], {
        env: { ...env, XDG_RUNTIME_DIR: home },
      });
      assert(!/secure-sockets-proxy\.service:\d+:/.test(stderr), stderr);
    }
    assertEquals((await runCli(["proxy", "--uninstall"], { env: with_ })).code, 0);
    assert(!existsSync(unit));
    assertEquals(readFileSync(join(home, "calls"), "utf8").split("\n"), [
      "--user daemon-reload",
      "--user enable --now secure-sockets-proxy",
      "--user disable --now secure-sockets-proxy",
      "--user daemon-reload",
      "",
    ]);
    const again = await runCli(["proxy", "--uninstall"], { env: with_ });
    assertMatch(again.stderr, /nothing was installed/);
    writeFileSync(join(bin, "systemctl"), "#!/bin/sh\necho 'Failed to connect to bus' >&2\nexit 1\n", {
      mode: 0o755,
    });
    const failed = await runCli([...UPSTREAM, "--install"], { env: with_ });
    assertEquals(failed.code, 1);
    assertMatch(
      failed.stderr,
      /Failed to connect to bus[^]*Run it in your session: systemctl --user daemon-reload/,
    );
  });
}, { skip: process.platform === "linux" ? null : "systemd is Linux's" });

/** Why no networks can be made for a test, or null. */
function networksUnavailable(): string | null {
  if (process.platform !== "linux") return "network namespaces are Linux's";
  if (process.getuid!() !== 0) return "making network namespaces needs root";
  if (findProgram("ip") === null) return "ip is missing: apt-get install iproute2";
  const probe = `ss${process.pid}-probe`;
  if (spawnSync("ip", ["netns", "add", probe]).status !== 0) {
    return "the kernel makes no network namespaces here";
  }
  spawnSync("ip", ["netns", "del", probe]);
  return null;
}

/** A machine with a container at 10.88.0.2, behind a bridge as Docker names it, and a neighbour at 10.89.0.2. */
async function machine(): Promise<
  AsyncDisposable & { readonly name: string; from(place: string): string[] }
> {
  const name = `ss${process.pid}`;
  const ip = async (line: string): Promise<void> => {
    const { code, stderr } = await run("ip", line.split(" "));
    assertEquals(code, 0, `ip ${line}: ${stderr}`);
  };
  const names = [name, `${name}-container`, `${name}-neighbour`];
  const from = (place: string): string[] => ["netns", "exec", `${name}-${place}`];
  const remove = async (): Promise<void> => {
    for (const namespace of names) await run("ip", ["netns", "del", namespace]);
  };
  try {
    for (const namespace of names) await ip(`netns add ${namespace}`);
    await ip(`-n ${name} link set lo up`);
    for (const [place, link, network] of [["container", "br-0123456789ab", 88], ["neighbour", "eth0", 89]]) {
      await ip(`-n ${name} link add ${link} type veth peer name eth0 netns ${name}-${place}`);
      await ip(`-n ${name} addr add 10.${network}.0.1/24 dev ${link}`);
      await ip(`-n ${name} link set ${link} up`);
      await ip(`-n ${name}-${place} addr add 10.${network}.0.2/24 dev eth0`);
      await ip(`-n ${name}-${place} link set eth0 up`);
    }
  } catch (error) {
    await remove();
    throw error;
  }
  return { name, from, [Symbol.asyncDispose]: remove };
}

test(
  "proxy --host-only serves containers, --gateway the networks of --allow, and others not a byte",
  async () => {
    await using net = await machine();
    /** The status of the proxy's answer to CONNECT; empty where it says nothing. */
    const ask = async (place: string, wanted: string): Promise<string> => {
      const address = place === "container" ? "10.88.0.1" : "10.89.0.1";
      const script =
        `exec 3<>/dev/tcp/${address}/3128 && printf 'CONNECT ${wanted} HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n' >&3
      read -r -u 3 _ status _; echo "$status"`;
      return (await run("ip", [...net.from(place), "bash", "-c", script])).stdout.trim();
    };
    const none = ["proxy", "--upstream", "http://proxy.example.test:8080", "--no-proxy", "10.0.0.0/8"];
    // The address to reach is the machine's own, where the proxy itself listens.
    const cases: [options: string[], container: string, neighbour: string, refused: string][] = [
      [[], "", "", ""],
      [["--host-only"], "200", "", "10.89.0.2"],
      [["--gateway", "--allow", "10.89.0.0/24"], "", "200", "10.88.0.2"],
    ];
    await inHome(async (env) => {
      for (const [options, container, neighbour, refused] of cases) {
        await using proxy = start("ip", ["netns", "exec", net.name, ...CLI, ...none, ...options], env);
        await proxy.until("stderr", /Listening on .*\n/);
        const warned = /Everyone who can connect to it acts as the user/.test(proxy.written.stderr);
        assertEquals(warned, options.length > 0, proxy.written.stderr);
        assertEquals(await ask("container", "10.88.0.1:3128"), container, `${options}`);
        assertEquals(await ask("neighbour", "10.89.0.1:3128"), neighbour, `${options}`);
        if (refused === "") continue;
        await proxy.until("stderr", new RegExp(`Refused a client at \\S*${refused.replaceAll(".", "\\.")}:`));
        // What listens on loopback alone stays out of reach.
        assertEquals(await ask(container === "" ? "neighbour" : "container", "127.0.0.1:3128"), "403");
      }
    });
  },
  { skip: networksUnavailable() },
);
