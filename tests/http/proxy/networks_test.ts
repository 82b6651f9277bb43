/** Which addresses and hosts a local proxy takes for what: networks, NO_PROXY, and the clients it admits. */

import { networkInterfaces } from "node:os";
import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { test } from "@test";
import { Guard, isVirtual } from "../../../http/proxy/guard.ts";
import { LOCAL, LOOPBACK, Networks, NoProxy, plainAddress } from "../../../http/proxy/networks.ts";

test("Networks holds addresses and networks of both versions, and addresses of IPv4 written as IPv6", () => {
  const set = new Networks();
  for (const entry of ["10.0.0.0/8", "192.0.2.7", "2001:db8::/32", "[fd00::1]"]) {
    assert(set.add(entry), entry);
  }
  for (const inside of ["10.255.0.1", "192.0.2.7", "2001:db8:1::5", "fd00::1", "::ffff:10.1.2.3"]) {
    assert(set.has(inside), inside);
  }
  for (const outside of ["11.0.0.1", "192.0.2.8", "2001:db9::1", "::ffff:11.0.0.1", "example.test", ""]) {
    assert(!set.has(outside), outside);
  }
  const refused = [
    "10.0.0.0/33",
    "::/129",
    "10.0.0/8",
    "example.test",
    "10.0.0.0/-1",
    "fe80::1%eth0",
    "",
    "/8",
  ];
  for (const entry of refused) assert(!set.add(entry), entry);
  assertEquals(set.size, 4);
  const all = new Networks();
  assert(all.add("0.0.0.0/0") && all.has("1.2.3.4") && all.has("203.0.113.9") && !all.has("2001:db8::1"));
});

test("LOOPBACK and LOCAL are this machine, and what only its neighbours reach", () => {
  for (const address of ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"]) {
    assert(LOOPBACK.has(plainAddress(address)) && LOCAL.has(plainAddress(address)), address);
  }
  for (const address of ["0.0.0.0", "::", "169.254.1.1", "fe80::1%eth0"]) {
    assert(!LOOPBACK.has(plainAddress(address)) && LOCAL.has(plainAddress(address)), address);
  }
  assert(!LOCAL.has("192.0.2.1"));
});

test("NoProxy reads names with subdomains, suffixes, wildcards, addresses, networks, ports and <local>", () => {
  const has = (entry: string, host: string, port = 443) => new NoProxy([entry]).has({ host, port });
  for (const entry of ["example.test", ".example.test", "*.example.test", "EXAMPLE.test."]) {
    for (const host of ["example.test", "a.example.test", "A.B.Example.Test", "a.example.test."]) {
      assert(has(entry, host), `${entry} ${host}`);
    }
    for (const host of ["badexample.test", "example.test.evil.test", "test"]) {
      assert(!has(entry, host), entry + host);
    }
  }
  assert(has("10.*", "10.1.2.3") && !has("10.*", "110.1.2.3"));
  assert(has("web*.test", "web7.a.test") && !has("web*.test", "web7.a.test.evil"));
  assert(has("10.0.0.0/8", "10.1.2.3") && !has("10.0.0.0/8", "ten.test"));
  assert(has("2001:db8::/32", "2001:db8::1") && has("[2001:db8::1]:443", "2001:db8::1"));
  assert(has("a.test:8443", "b.a.test", 8443) && !has("a.test:8443", "a.test", 443));
  assert(has("<local>", "intranet") && !has("<local>", "a.test") && !has("<local>", "::1"));
  assert(has("*", "anything.test") && has("*", "10.0.0.1"));
  for (const wrong of ["a b", "http://a.test", "a.test/x", "10.0.0.0/99", ".", "*."]) {
    assertThrows(() => new NoProxy([wrong]), TypeError, "not a host name");
  }
});

test("NoProxy takes any list: it answers in linear time, or throws TypeError", () => {
  const part = fc.constantFrom("*", ".", "a", "test", "[", "]", ":", "1", "/", "<local>", "é");
  fc.assert(
    fc.property(fc.array(fc.array(part).map((parts) => parts.join(""))), fc.string(), (entries, host) => {
      try {
        const found = new NoProxy(entries).has({ host, port: 1 });
        assertEquals(typeof found, "boolean");
      } catch (error) {
        assert(error instanceof TypeError);
      }
    }),
  );
  // A regular expression of this pattern would not end.
  assert(!new NoProxy([`${"a*".repeat(40)}b`]).has({ host: "a".repeat(250), port: 1 }));
});

test("Guard admits loopback always, its own addresses as a host, and the networks of a gateway", () => {
  const allowed = new Networks();
  allowed.add("203.0.113.0/24");
  const [loopback, host, gateway] = (["loopback", "host", "gateway"] as const)
    .map((access) => new Guard(access, allowed, undefined));
  for (const guard of [loopback, host, gateway]) {
    assert(guard.admits("127.0.0.1") && guard.admits("::1") && guard.admits("::ffff:127.0.0.1"));
    assert(!guard.admits(undefined) && !guard.admits("198.51.100.1"));
  }
  assert(gateway.admits("203.0.113.9") && gateway.admits("::ffff:203.0.113.9"));
  assert(!host.admits("203.0.113.9") && !loopback.admits("203.0.113.9"));
  const own = Object.values(networkInterfaces()).flatMap((all) => all ?? []).filter(({ internal }) =>
    !internal
  );
  for (const { address } of own) assert(host.admits(address) && !loopback.admits(address), address);
});

test("Guard compares the token of clients, and takes no other scheme", () => {
  const guard = new Guard("loopback", new Networks(), "0123456789abcdef");
  const basic = (text: string) => `Basic ${btoa(text)}`;
  assert(guard.knowsToken(basic("anyone:0123456789abcdef")) && guard.knowsToken(basic(":0123456789abcdef")));
  const wrong = ["user:0123456789abcde", "user:0123456789abcdeff", "0123456789abcdeX", "user"];
  for (const text of wrong) assert(!guard.knowsToken(basic(text)), text);
  for (const field of [undefined, "", "Basic", "Basic ?", "Negotiate YWJj"]) assert(!guard.knowsToken(field));
  fc.assert(fc.property(fc.string(), (field) => !guard.knowsToken(field)));
});

test("isVirtual knows the networks of containers, and not bridges that people have named", () => {
  for (
    const name of ["docker0", "br-0123456789ab", "podman1", "virbr0", "vEthernet (WSL (Hyper-V firewall))"]
  ) {
    assertEquals(isVirtual(name), true, name);
  }
  for (const name of ["br-lan", "br-eth0", "br0", "eth0", "vEthernet (External)", "Wi-Fi"]) {
    assertEquals(isVirtual(name), false, name);
  }
});
