/** The PAC reader beside Samba's own: what one writes the other reads alike, also where it was tampered with. */

import { assert, assertEquals } from "@std/assert";
import { test } from "@test";
import { fileURLToPath } from "node:url";
import { ProtocolError } from "../../errors.ts";
import { readPac } from "../../ffi/security/gss/pac.ts";
import { run } from "../../scripts/process.ts";
import { LinePeer } from "../support/line_peer.ts";
import { ALICE, MADE, WEB1 } from "../support/pac_fixtures.ts";

// Debian's own Python: it alone has Debian's modules.
const PYTHON = "/usr/bin/python3";
const PROGRAM = fileURLToPath(new URL("fixtures/samba_pac.py", import.meta.url));

const there = await run(PYTHON, ["-c", "import samba.dcerpc.krb5pac"]).then(
  ({ code }) => code === 0,
  () => false,
);
const skip = there ? null : "Samba's Python modules are needed: apt-get install python3-samba";

/** What Samba reads, and is told to write. */
interface Told {
  domainSid: string | null;
  rid: number;
  primary: number;
  groups: [number, number][];
  extra: [string, number][];
  resourceSid: string | null;
  resources: [number, number][];
}

const unhex = (text: string): Uint8Array => Uint8Array.from(text.match(/../g)!, (pair) => parseInt(pair, 16));
const hex = (bytes: Uint8Array): string =>
  Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");

async function withSamba(body: (samba: LinePeer) => Promise<void>): Promise<void> {
  const samba = new LinePeer(PYTHON, [PROGRAM]);
  try {
    await body(samba);
  } finally {
    await samba.close();
  }
}

/** The SID and the groups of what Samba read, by the rules of [MS-PAC]. */
function accountOf(told: Told): { sid: string; groups: string[] } {
  const extra = [...told.extra];
  const sid = told.rid === 0 ? extra.shift()![0] : `${told.domainSid}-${told.rid}`;
  const counting = <T>(list: [T, number][]): T[] =>
    list.filter(([, attributes]) => (attributes & 0x14) === 4).map(([value]) => value);
  return {
    sid,
    groups: [
      ...new Set([
        ...(told.rid === 0 ? [] : [`${told.domainSid}-${told.primary}`]),
        ...counting(told.groups).map((rid) => `${told.domainSid}-${rid}`),
        ...counting(told.extra.slice(told.extra.length - extra.length)),
        ...counting(told.resources).map((rid) => `${told.resourceSid}-${rid}`),
      ]),
    ],
  };
}

/** Numbers that come again in each run. */
function generator(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor(state / 2 ** 32 * below);
  };
}

test("a PAC of Samba is read with the values that Samba wrote", () =>
  withSamba(async (samba) => {
    const draw = generator(1);
    const pairs = (): [number, number][] =>
      Array.from({ length: draw(70) }, () => [draw(2 ** 32), [7, 0x10, 0x2000_0007][draw(3)]]);
    const sid = (): string =>
      `S-1-5-21-${Array.from({ length: 1 + draw(12) }, () => draw(2 ** 32)).join("-")}`;
    for (let round = 0; round < 100; round++) {
      const resources = pairs();
      const told: Told = {
        domainSid: sid(),
        rid: 1 + draw(2 ** 32 - 1),
        primary: draw(2 ** 32),
        groups: pairs(),
        extra: Array.from({ length: draw(6) }, () => [sid(), 7]),
        resourceSid: resources.length === 0 ? null : sid(),
        resources,
      };
      const account = accountOf(told);
      const [account_, fullName] = ["a".repeat(1 + draw(9)), "Ä".repeat(draw(9))];
      const answer = await samba.say(`write ${
        JSON.stringify({
          ...told,
          ...{ account: account_, fullName, domain: "EXAMPLE", control: 0x10, flags: 0x220 },
          ...{ upn: `${account_}@example.test`, upnSid: draw(2) === 0 ? null : account.sid },
        })
      }`);
      const [logonInfo, upnDnsInfo] = answer.split(" ").map(unhex);
      const { sid: own, groups, displayName, upn } = readPac(logonInfo, upnDnsInfo);
      assertEquals({ sid: own, groups }, account);
      assertEquals([displayName, upn], [fullName || undefined, `${account_}@example.test`]);
    }
  }), { skip });

test("a PAC that was tampered with is refused, or read as Samba reads it", () =>
  withSamba(async (samba) => {
    const draw = generator(2);
    const tally = { refused: 0, alike: 0 };
    for (let round = 0; round < 600; round++) {
      const { logonInfo } = [ALICE, WEB1, MADE][round % 3];
      const changed = logonInfo.slice();
      // Where the lengths, counts and pointers are, and anywhere else.
      const at = round % 2 === 0 ? draw(changed.length) : 16 + draw(224);
      changed[at] = [0, 1, 2, 0xff, draw(256)][draw(5)];
      const ours = (() => {
        try {
          return readPac(changed, null);
        } catch (error) {
          assert(error instanceof ProtocolError, `${error}`);
          return null;
        }
      })();
      if (ours === null) {
        tally.refused++;
        continue;
      }
      const answer = await samba.say(`read ${hex(changed)}`);
      assert(
        !answer.startsWith("error"),
        `byte ${at} is ${changed[at]}: Samba refuses what was read: ${answer}`,
      );
      assertEquals({ sid: ours.sid, groups: [...ours.groups] }, accountOf(JSON.parse(answer)), `byte ${at}`);
      tally.alike++;
    }
    // The tampering must be worth the name, and must not be all there is.
    assert(tally.refused > 20 && tally.alike > 20, JSON.stringify(tally));
  }), { skip });
