/** Thousands of connection points in a domain of Samba, within seconds. */

import { join } from "node:path";
import { mustRun } from "../../scripts/process.ts";
import type { AdDc } from "../rig/ad_dc.ts";

/**
 * Copies the first one past Samba's modules, which take milliseconds for each, and without the index, which takes the
 * longer the more objects have one keyword; the index is made at the end. Debian's Python has Samba's database.
 */
const COPY = `
import ldb, sys, uuid
path, dn, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
db = ldb.Ldb(path, flags=ldb.FLG_NOSYNC)
def added(dn, message, changed={}):
    copy = ldb.Message(ldb.Dn(db, dn))
    for key in message.keys():
        if key in ("dn", "distinguishedName"): continue
        values = changed.get(key, [bytes(value) for value in message[key]])
        copy[key] = ldb.MessageElement(values, ldb.FLAG_MOD_ADD, key)
    db.add(copy)
[first] = db.search(base=dn, scope=ldb.SCOPE_BASE)
[index] = db.search(base="@INDEXLIST", scope=ldb.SCOPE_BASE)
db.transaction_start()
db.delete("@INDEXLIST")
for number in range(1, count):
    name = ("p%d" % number).encode()
    host = ("w%d.example.test" % number).encode()
    changed = {"cn": [name], "name": [name], "serviceDNSName": [host], "objectGUID": [uuid.uuid4().bytes_le]}
    added(dn.replace("CN=p0,", "CN=%s," % name.decode()), first, changed)
added("@INDEXLIST", index)
db.transaction_commit()
`;

/** Makes `count` connection points of the class ADSockAuth with one keyword, on the hosts w0.example.test and so on. */
export async function makeServicePoints(dc: AdDc, keyword: string, count: number): Promise<void> {
  const dn = `CN=p0,CN=Computers,${dc.base}`;
  await dc.modify([
    `dn: ${dn}`,
    "changetype: add",
    "objectClass: serviceConnectionPoint",
    `keywords: ${keyword}`,
    "serviceClassName: ADSockAuth",
    "serviceDNSName: w0.example.test",
    "serviceDNSNameType: A",
    "serviceBindingInformation: 7777",
    "",
  ].join("\n"));
  const partition = join(dc.dir, "private/sam.ldb.d", `${dc.base.toUpperCase()}.ldb`);
  await mustRun("/usr/bin/python3", ["-c", COPY, partition, dn, `${count}`], { env: dc.env });
}
