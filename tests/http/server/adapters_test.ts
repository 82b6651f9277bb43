/** The adapters of httpSignOn(), with a sign-on of the test's own. */

import { EventEmitter } from "node:events";
import type { IncomingMessage, ServerResponse } from "node:http";
import { assertEquals } from "@std/assert";
import { test } from "@test";
import { Adapters } from "../../../http/server/adapters.ts";
import type { HttpIdentity, SignedOn } from "../../../http/server/request.ts";

test("node() closes what was delegated where the client has left during the sign-on", async () => {
  const response = Object.assign(new EventEmitter(), {
    destroyed: false,
    setHeader() {},
    getHeader() {},
    appendHeader() {},
  });
  let closed = 0, handled = 0;
  class Own extends Adapters {
    authenticate(): Promise<SignedOn> {
      response.destroyed = true;
      response.emit("close");
      const close = (): void => void closed++;
      return Promise.resolve({
        signedOn: true,
        identity: {} as HttpIdentity,
        headers: [],
        close,
        [Symbol.dispose]: close,
      });
    }
  }
  const handler = new Own(new Set()).node(() => void handled++);
  const request = { method: "GET", headers: {}, rawHeaders: [], httpVersionMajor: 1, socket: {} };
  handler(request as unknown as IncomingMessage, response as unknown as ServerResponse);
  await new Promise((resolve) => setTimeout(resolve));
  assertEquals([closed, handled], [1, 0]);
});
