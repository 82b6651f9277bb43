import { assert, assertEquals } from "@std/assert";
import { test } from "@test";
import fc from "fast-check";
import { builtInName, deniedBy, unknownNames } from "../../plugins/names.ts";

/** Names that are taken for a built-in one, by whose they are. */
const TAKEN: readonly [name: string, owner: string][] = [
  ["kerberos", "kerberos"],
  ["kerberos-v5", "kerberos"],
  ["KERBEROS", "kerberos"],
  ["my-kerberos", "kerberos"],
  ["mykerberos", "kerberos"],
  ["ker-beros", "kerberos"],
  ["k.e_r-b e/r\\o:s", "kerberos"],
  ["kerber0s", "kerberos"],
  ["k3rber05", "kerberos"],
  ["krb5", "kerberos"],
  ["krb5-fast", "kerberos"],
  ["krbs", "kerberos"],
  ["iakerb", "kerberos"],
  ["ntlm", "ntlm"],
  ["ntlm-x", "ntlm"],
  ["ntlmv2", "ntlm"],
  ["ntlmssp", "ntlm"],
  ["x-n-t-l-m", "ntlm"],
  ["nt1m", "ntlm"],
  ["ntim", "ntlm"],
  ["n7lrn", "ntlm"],
  ["negotiate-2", "negotiate"],
  ["neg0t1ate", "negotiate"],
  ["negotlate", "negotiate"],
  ["spnego", "negotiate"],
  ["negoexts", "negotiate"],
  ["ipsec-x", "ipsec"],
  ["lpsec", "ipsec"],
  ["1p5ec", "ipsec"],
  ["schannel", "schannel"],
  ["credssp", "credssp"],
  ["toy", ""],
  ["my-provider", ""],
  ["canned", ""],
  ["template", ""],
  ["tiny-codec", ""],
  ["chip-secure", ""],
  ["helpsecure", ""],
  ["nt-client", ""],
  ["kerb", ""],
];

test("builtInName() finds a built-in name in any case, with separators, as a look-alike, or inside a longer name", () => {
  for (const [name, owner] of TAKEN) assertEquals(builtInName(name) ?? "", owner, name);
});

test("builtInName() finds a built-in name whatever is around it, and however it is separated and spelt", () => {
  const looks: Record<string, string[]> = { o: ["o", "0"], e: ["e", "3"], i: ["i", "1", "l"], s: ["s", "5"] };
  const separators = fc.constantFrom("", "-", ".", "_", " ", "/");
  const around = fc.stringMatching(/^([a-z0-9]{1,6}-)?$/);
  fc.assert(fc.property(
    fc.constantFrom("kerberos", "ntlm", "negotiate", "ipsec"),
    fc.infiniteStream(separators),
    fc.infiniteStream(fc.nat({ max: 5 })),
    around,
    fc.boolean(),
    (name, cuts, picks, before, capitals) => {
      const spelt = [...name].map((letter) => {
        const forms = looks[letter] ?? [letter];
        return forms[picks.next().value % forms.length];
      });
      const text = before +
        spelt.map((letter, index) => index === 0 ? letter : cuts.next().value + letter).join("");
      assert(builtInName(capitals ? text.toUpperCase() : text) !== null, text);
    },
  ));
});

test("deniedBy(): a denied name denies that name, and a built-in one every name that contains it", () => {
  assertEquals(deniedBy(["ntlm"], "ntlm"), "ntlm");
  assertEquals(deniedBy(["other", "ntlm"], "ntlm-x"), "ntlm");
  assertEquals(deniedBy(["kerberos"], "microsoft kerberos"), "kerberos");
  assertEquals(deniedBy(["acme"], "acme-2"), null);
  assertEquals(deniedBy(["ntlm"], "kerberos"), null);
  assertEquals([deniedBy([], "ntlm"), deniedBy(undefined, "ntlm")], [null, null]);
});

test("unknownNames() knows names that are built in, a provider's, or in deny of a mechanism it negotiates", () => {
  const offers = {
    integrity: true,
    confidentiality: true,
    mutualAuthentication: true,
    impersonation: "identify",
    delegation: false,
  } as const;
  const description = {
    name: "acme",
    layer: "context",
    isolation: "native",
    offers,
    mechanisms: ["fast"],
  } as const;
  const provider = {
    layer: "context",
    name: "acme",
    description,
    available: () => ({ available: true }) as const,
    acquire: () => Promise.reject(new Error("not used here")),
  } as const;
  const names = ["negotiate", "kerberos", "ntlm", "ipsec", "acme"];
  assertEquals(unknownNames({ version: 1, order: names, deny: [...names, "fast"] }, [provider]), []);
  assertEquals(unknownNames({ version: 1, order: ["fast", "ntml"], deny: ["acme", "krb5"] }, [provider]), [
    { list: "order", names: ["fast", "ntml"], known: names },
    { list: "deny", names: ["krb5"], known: [...names, "fast"] },
  ]);
  assertEquals(unknownNames({ version: 1 }, []), []);
});
