/**
 * The command line: reports what this machine can do, tries connections out, and prints the flags that a grant needs.
 *
 * ```sh
 * deno run jsr:@winsock/secure-sockets/cli permissions sspi
 * npx @winsock/secure-sockets doctor
 * ```
 *
 * Each command is a module in `cli/`, which is loaded when the command is used.
 *
 * @module
 */

import process from "node:process";
import { processIo } from "./cli/io.ts";
import { main } from "./cli/main.ts";

process.exit(await main(process.argv.slice(2), processIo()));
