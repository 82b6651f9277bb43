/** The overlapped sockets on Windows itself, or on Wine. */

import { currentPlatform } from "../../ffi/permissions.ts";
import { NativeSystem } from "../../ffi/system.ts";
import { socketSuite } from "../support/socket_suite.ts";

socketSuite({
  open: () => new NativeSystem({ grants: ["sockets"] }),
  addresses: { 4: "127.0.0.1", 6: "::1" },
  name: "localhost",
  skip: currentPlatform("").os === "windows" ? null : "it needs Windows: deno task test:windows",
});
