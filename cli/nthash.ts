/**
 * `nthash`: the NT hash of a password, for a server of NTLM.
 *
 * @module
 */

import { defineCommand } from "./command.ts";

/** The command. */
export const command = defineCommand({
  usage: "",
  operands: [0, 0],
  description:
    `Reads a password from the terminal without showing it, or from standard input up to its last line break, and
prints its NT hash in hexadecimal, for the accounts of ntlm(). With the hash anyone can log in as the
account, as with the password: protect it in the same way.`,
  options: {},
  examples: [
    { line: "nthash", text: "asks for the password" },
    { line: "nthash < password.txt", text: "reads it from a file" },
  ],
  async run(_args, io) {
    const { readSecret } = await import("./secret.ts");
    const { ntHash } = await import("../plugins/ntlm/nt_hash.ts");
    const secret = await readSecret("Password: ", io);
    let hash: Uint8Array;
    try {
      hash = ntHash(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(secret));
    } catch (error) {
      // The decoder's own error has no words for what to do.
      if (
        (error as { code?: string }).code !== "ERR_ENCODING_INVALID_ENCODED_DATA" &&
        !(error instanceof TypeError)
      ) throw error;
      throw new TypeError("the password is not UTF-8: save or type it as UTF-8", { cause: error });
    } finally {
      secret.fill(0);
    }
    await io.print(Array.from(hash, (byte) => byte.toString(16).padStart(2, "0")).join(""));
    hash.fill(0);
    return 0;
  },
});
