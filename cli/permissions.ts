/**
 * `permissions GRANT...`: the flags that grants need.
 *
 * @module
 */

import {
  currentPlatform,
  currentRuntime,
  type Grant,
  GRANTS,
  NODE_NET_FLAG,
  requiredPermissions,
  usesNetOnNode,
} from "../ffi/permissions.ts";
import { defineCommand, JSON_OPTION } from "./command.ts";

/** The operating systems that flags can be printed for. */
const SYSTEMS = ["windows", "linux", "darwin"] as const;

/** The command. */
export const command = defineCommand({
  usage: "GRANT...",
  operands: [1, GRANTS.length],
  words: GRANTS,
  description: `Grants: ${GRANTS.join(", ")}`,
  options: {
    os: { type: "string", choices: SYSTEMS, help: "for that operating system instead of this one" },
    json: JSON_OPTION,
  },
  examples: [
    { line: "permissions sspi", text: "the flags for connect() and listen() on this machine" },
    { line: "permissions sspi ipsec --os windows", text: "the flags for a deployment on Windows" },
  ],
  async run({ options, operands }, io) {
    const here = currentPlatform("C:\\Windows\\System32");
    const os = (options.os ?? here.os) as typeof here.os;
    const grants = operands as Grant[];
    const { deno, node, files, optional } = requiredPermissions(grants, { ...here, os });
    // This version of Node has had its flag added already.
    const newer = currentRuntime() === "deno" && grants.some(usesNetOnNode) ? NODE_NET_FLAG : null;
    if (options.json) {
      await io.json({
        os,
        grants,
        deno,
        node,
        nodeFrom25: newer === null ? node : `${node} ${newer}`.trim(),
        files,
        optional,
      });
      return 0;
    }
    await io.print(`Deno: ${deno || "(none)"}`);
    for (const more of optional) await io.print(`  or: ${more.deno}\n      (optional: ${more.gives})`);
    const net = newer === null ? "" : `; from Node 25 on ${newer} too`;
    await io.print(`Node: ${node || "(none)"} (only with --permission${net})`);
    return 0;
  },
});
