/**
 * `http URL`: a request, signed on to by Negotiate where asked for.
 *
 * @module
 */

import { createWriteStream } from "node:fs";
import { readFile } from "node:fs/promises";
import { defineCommand, readUrl, UsageError } from "./command.ts";
import { type Io, shown } from "./io.ts";

/** Methods whose requests have no body by themselves. */
const WITHOUT_BODY = "GET";

/** The command. */
export const command = defineCommand({
  usage: "URL",
  operands: [1, 1],
  description:
    `Prints the body of the answer. With --negotiate it answers the server's WWW-Authenticate: Negotiate as the
current user, with channel bindings on https, and prints nothing of a server that does not prove its
identity. On plain http nothing protects what is sent and received.`,
  options: {
    negotiate: { type: "boolean", help: "sign on to this URL's origin by Kerberos" },
    spn: { type: "string", value: "SPN", help: "the server's service, where it is not HTTP/HOST" },
    request: {
      type: "string",
      short: "X",
      value: "METHOD",
      help: "the method (default GET, with --data POST)",
    },
    header: { type: "string", short: "H", value: "NAME:VALUE", multiple: true, help: "add a header field" },
    data: {
      type: "string",
      short: "d",
      value: "TEXT|@FILE|@-",
      help: "the body: a text, a file, standard input",
    },
    include: { type: "boolean", short: "i", help: "print the status line and header fields too" },
    output: { type: "string", short: "o", value: "FILE", help: "write the body to a file" },
    location: { type: "boolean", short: "L", help: "follow redirects" },
    fail: { type: "boolean", short: "f", help: "exit status 1, and no body, for a status of 400 and above" },
    cacert: { type: "string", value: "FILE", help: "with --negotiate: trust these authorities (PEM) alone" },
    verbose: { type: "boolean", short: "v", help: "print on standard error how the sign-on was" },
  },
  examples: [
    { line: "http --negotiate https://intranet.example.test/", text: "a page that needs a login" },
    {
      line: "http --negotiate -v -i http://localhost:8080/",
      text: "with header fields, and who the server proved to be",
    },
    {
      line: "http --negotiate -d @order.json -H content-type:application/json https://shop.example.test/",
      text: "post a file",
    },
  ],
  async run({ options, operands: [text] }, io) {
    const url = readUrl(text);
    const body = await readBody(options.data, io);
    const init = {
      method: options.request?.toUpperCase() ?? (body === undefined ? WITHOUT_BODY : "POST"),
      headers: (options.header ?? []).map(readHeader),
      ...(body === undefined ? {} : { body }),
      redirect: options.location ? "follow" : "manual",
      signal: io.signal,
    } as const;
    if (!options.negotiate) {
      for (const name of ["spn", "cacert"] as const) {
        if (options[name] !== undefined) throw new UsageError(`--${name} goes with --negotiate`);
      }
      const response = await io.waiting(`asking ${url.host}`, fetch(url, init).catch(withCause));
      return await printResponse(response, options, io);
    }
    const { negotiateFetch } = await import("../http/mod.ts");
    const { spn, cacert } = options;
    await using fetching = negotiateFetch({
      origins: [url.origin],
      ...(spn === undefined ? {} : { target: () => spn }),
      ...(cacert === undefined ? {} : { ca: await readFile(cacert) }),
    });
    const response = await io.waiting(`asking ${url.host}`, fetching(url, init));
    const security = fetching.security(response);
    if (options.verbose) {
      await io.note(
        security === null
          ? "no sign-on: the server did not ask for one, or refused it"
          : `signed on to ${
            shown(security.peer ?? url.host)
          } by ${security.mechanism}, channel bindings ${security.channelBindings}`,
      );
    }
    return await printResponse(response, options, io);
  },
});

/** What decides how an answer is printed. */
interface Printing {
  readonly include?: boolean;
  readonly output?: string;
  readonly fail?: boolean;
}

async function printResponse(
  response: Response,
  { include, output, fail }: Printing,
  io: Io,
): Promise<number> {
  if (fail && response.status >= 400) {
    await response.body?.cancel();
    throw new Error(`the server answered ${response.status} ${response.statusText}`.trim());
  }
  if (include) {
    await io.print(`HTTP ${response.status} ${response.statusText}`.trim());
    for (const [name, value] of response.headers) await io.print(`${name}: ${value}`);
    await io.print("");
  }
  const file = output === undefined ? null : createWriteStream(output);
  const failed = new Promise<never>((_, reject) => file?.on("error", reject));
  failed.catch(() => {});
  const write = (bytes: Uint8Array): Promise<void> =>
    file === null
      ? io.write(bytes)
      : Promise.race([failed, new Promise<void>((resolve) => file.write(bytes, () => resolve()))]);
  for await (const bytes of response.body ?? []) await write(bytes);
  if (file !== null) await Promise.race([failed, new Promise<void>((resolve) => file.end(() => resolve()))]);
  return 0;
}

function readHeader(text: string): [string, string] {
  const [, name, value] = /^([\w!#$%&'*+.^`|~-]+): *(.*)$/.exec(text) ?? [];
  if (name === undefined) throw new UsageError(`--header ${JSON.stringify(text)} is not NAME:VALUE`);
  return [name, value];
}

async function readBody(data: string | undefined, io: Io): Promise<Uint8Array<ArrayBuffer> | undefined> {
  if (data === undefined) return undefined;
  if (!data.startsWith("@")) return new TextEncoder().encode(data);
  if (data !== "@-") return Uint8Array.from(await readFile(data.slice(1)));
  const chunks: Uint8Array[] = [];
  for await (const chunk of io.input()) chunks.push(chunk);
  return new Uint8Array(await new Blob(chunks as BlobPart[]).arrayBuffer());
}

/** Node's fetch says only that it failed; its cause says why. */
function withCause(error: Error): never {
  throw error.cause instanceof Error
    ? new Error(`${error.message}: ${error.cause.message}`, { cause: error })
    : error;
}
