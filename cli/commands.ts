/**
 * Every command: its summary, and the module that is loaded when it is used.
 *
 * @module
 */

import type { CommandEntry } from "./command.ts";

/** The commands by name, in the order of the help. */
export const COMMANDS: Readonly<Record<string, CommandEntry>> = {
  doctor: {
    summary: "check this machine: library, policy, Kerberos servers, tickets, keys; try an SPN or URL",
    load: () => import("./doctor.ts"),
  },
  connect: {
    summary: "connect standard input and output to a server, authenticated and encrypted",
    load: () => import("./connect.ts"),
  },
  listen: {
    summary: "wait for a client, and connect it to standard input and output",
    load: () => import("./listen.ts"),
  },
  http: {
    summary: "send a request, and sign on by Negotiate where asked for",
    load: () => import("./http.ts"),
  },
  proxy: {
    summary: "sign on to the company's proxy for other programs",
    load: () => import("./proxy.ts"),
  },
  permissions: {
    summary: "print the flags of Deno and Node that grants need",
    load: () => import("./permissions.ts"),
  },
  spn: {
    summary: "make, parse, register and verify SPNs, and find duplicates",
    load: () => import("./spn.ts"),
  },
  service: {
    summary: "publish, find and remove the connection points of services",
    load: () => import("./service.ts"),
  },
  providers: {
    summary: "list the security providers, what each offers, and whether it can be used here",
    load: () => import("./providers.ts"),
  },
  policy: {
    summary: "check a policy file before it is put in place",
    load: () => import("./policy.ts"),
  },
  inspect: {
    summary: "check a sandboxed provider and print the hash to pin",
    load: () => import("./inspect.ts"),
  },
  nthash: {
    summary: "print the NT hash of a password, for a server of NTLM",
    load: () => import("./nthash.ts"),
  },
  completions: {
    summary: "print a completion script for bash, zsh, fish or PowerShell",
    load: async () => ({ command: (await import("./completions.ts")).completions(COMMANDS) }),
  },
};
