/**
 * npm's axios and got with sign-on: both take their answers from a `negotiateFetch()`.
 *
 * ```sh
 * kinit alice@EXAMPLE.TEST
 * deno run --allow-net --allow-ffi --allow-env --allow-sys --allow-read examples/http_clients.ts https://intranet.example.test/api/me
 * ```
 *
 * @module
 */

import process from "node:process";
import { Readable } from "node:stream";
import type { ReadableStream as NodeStream } from "node:stream/web";
import axios, { type AxiosInstance } from "axios";
import got, { type Got, type Response as GotResponse } from "got";
import { type NegotiateFetch, negotiateFetch } from "@winsock/secure-sockets/http";

/** axios over `signedOn`. Bodies are passed on as they are, so that they can be sent twice. */
export function axiosOver(signedOn: NegotiateFetch): AxiosInstance {
  return axios.create(
    {
      adapter: "fetch",
      env: { fetch: signedOn, Request: null, Response: null },
    } as unknown as Parameters<typeof axios.create>[0],
  );
}

/** got over `signedOn`. Redirects are got's own; each hop is signed on to only where its origin is listed. */
export function gotOver(signedOn: NegotiateFetch): Got {
  return got.extend({
    // The answer is decoded already.
    decompress: false,
    hooks: {
      beforeRequest: [async ({ url, method, headers, body, signal }) => {
        const response = await signedOn(url as URL, {
          method,
          headers: Object.entries(headers).flatMap(([name, value]) =>
            value === undefined ? [] : [value].flat().map((one): [string, string] => [name, one])
          ),
          body: body as BodyInit | undefined,
          redirect: "manual",
          signal,
        });
        const stream = response.body === null
          ? Readable.from([])
          : Readable.fromWeb(response.body as NodeStream);
        return Object.assign(stream, {
          statusCode: response.status,
          statusMessage: response.statusText,
          headers: Object.fromEntries(response.headers),
        }) as unknown as GotResponse;
      }],
    },
  });
}

const [url] = process.argv.slice(2);
if (import.meta.main) {
  if (url === undefined) {
    console.error("Usage: examples/http_clients.ts URL");
    process.exit(2);
  }
  await using intranet = negotiateFetch({ origins: [new URL(url).origin] });
  console.log("axios:", (await axiosOver(intranet).get(url)).data);
  console.log("got:", await gotOver(intranet).get(url).text());
}
