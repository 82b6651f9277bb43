/** What a peer could learn from how much work its refusal takes: the fuel of the verdict tells that exactly. */

import { assert, assertEquals, assertThrows } from "@std/assert";
import { test } from "@test";
import { AuthenticationError } from "../../../errors.ts";
import { GUEST_SHA256, guestModule } from "../../../plugins/ntlm/guest_wasm.ts";
import { ntHash } from "../../../plugins/ntlm/mod.ts";
import { GuestInstance } from "../../../plugins/sandbox/instance.ts";
import { loadModule } from "../../../plugins/sandbox/load_provider.ts";
import * as messages from "../../../plugins/sandbox/messages.ts";
import { Writer } from "../../../plugins/sandbox/wire.ts";
import { REQUIREMENTS } from "../../support/hostile.ts";
import * as reference from "./reference.ts";

const HASH = ntHash("the account's own");
const loaded = await loadModule(guestModule(), {
  sha256: GUEST_SHA256,
  imports: { random: true, clock: true },
  answers: { account: () => null },
}, true);

/** How the verdict on an answer made with `HASH` is told, and the fuel it took, given the account's hash. */
function verdict(account: Uint8Array | null): { message: string; fuel: number } {
  const server = new GuestInstance(loaded.compiled);
  const leg = (operation: "step" | "resume", write: (out: Writer) => void) => {
    const request = new Writer();
    write(request);
    const answer = server.call(operation, request.written, (input) => messages.readLeg(input, "ntlm"));
    return answer.kind === "leg" ? answer.token : null;
  };
  const acquire = new Writer();
  messages.writeAcquire(acquire, {
    role: "server",
    requirements: REQUIREMENTS,
    options: loaded.options,
    credentials: null,
  });
  server.call("acquire", acquire.written, (input) => messages.readEmpty(input, "ntlm"));
  const first = reference.negotiate();
  const second = leg("step", (out) => out.optionalBytes(first))!;
  const third = reference.authenticate(first, second, { hash: HASH });
  assertEquals(leg("step", (out) => out.optionalBytes(third)), null);
  const { message } = assertThrows(
    () => leg("resume", (out) => messages.writeResume(out, account && [account])),
    AuthenticationError,
  );
  const fuel = server.fuelUsed;
  server.drop();
  return { message, fuel };
}

test("an unknown account and a wrong password cost the same work, to within two in a hundred", () => {
  const unknown = verdict(null), wrong = verdict(ntHash("another"));
  assertEquals(unknown.message, wrong.message);
  assert(Math.abs(unknown.fuel - wrong.fuel) < wrong.fuel / 50, `${unknown.fuel} and ${wrong.fuel}`);
});
