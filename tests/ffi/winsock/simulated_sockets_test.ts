/** The overlapped sockets on a simulated host: the same suite that runs on Windows. */

import { simulate } from "../../../testing/simulator/simulate.ts";
import type { NativeSystem } from "../../../ffi/system.ts";
import { socketSuite } from "../../support/socket_suite.ts";

socketSuite({
  open: () => simulate({ hosts: { here: { address: "10.0.0.1" } } }).host("here") as NativeSystem,
  addresses: { 4: "10.0.0.1", 6: "fd00::a00:1" },
  name: "here",
  skip: null,
});
