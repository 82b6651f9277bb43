/**
 * What every guest of layer `socket` must do.
 *
 * @module
 */

import { resolveRequirements } from "../../plugins/requirements.ts";
import type { OperationName } from "../../plugins/sandbox/abi.ts";
import { GuestInstance } from "../../plugins/sandbox/instance.ts";
import type { LoadedModule } from "../../plugins/sandbox/message_context.ts";
import {
  readRest,
  readSocketAnswer,
  writeOptions,
  writeRequirements,
} from "../../plugins/sandbox/messages.ts";
import { Writer } from "../../plugins/sandbox/wire.ts";
import type { FuelUse } from "./peer.ts";
import type { Outcome } from "./outcome.ts";

/** Runs the codec's operations, each twice: the second answer must be the first, for a codec keeps no state. */
// deno-lint-ignore require-await -- the form of the other layer
export async function checkSocketCodec(loaded: LoadedModule, fuel: FuelUse): Promise<Outcome[]> {
  const settings = new Writer();
  writeRequirements(settings, resolveRequirements({ mutualAuthentication: false }));
  writeOptions(settings, loaded.options);
  settings.text("alice").text("EXAMPLE").u32(16);
  const address = Uint8Array.of(2, 0, 0x1f, 0x90, 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0);
  const requests: [OperationName, string, Uint8Array][] = [
    ["socketSettings", "settings", settings.written],
    ["socketTarget", "target", new Writer().bytes(address).text("host/server.example.test").written],
    ["socketQuery", "query template", new Writer().u8(1).bytes(address).u32(8).written],
  ];
  const outcomes = requests.map(([operation, label, request]) =>
    outcome(`answers ${label} with the same bytes each time`, () => {
      const answers = [0, 1].map(() => {
        const instance = new GuestInstance(loaded.compiled);
        const read = () => instance.call(operation, request, (input) => readRest(input, "guest").join());
        const answer = [read(), read()].join(";");
        fuel.set(label, instance.fuelUsed);
        return answer;
      });
      const [first] = answers[0].split(";");
      if (answers.some((answer) => answer !== `${first};${first}`)) throw new Error("two answers differ");
    })
  );
  outcomes.push(outcome("survives every length of nonsense as the system's answer", () => {
    for (let length = 0; length < 300; length++) {
      const instance = new GuestInstance(loaded.compiled);
      const request = new Writer().u8(2).rest(crypto.getRandomValues(new Uint8Array(length))).written;
      try {
        instance.call("socketQuery", request, (input) => readSocketAnswer(input, "guest"));
      } catch (error) {
        if (!instance.alive) throw error;
      }
    }
  }));
  return outcomes;
}

function outcome(name: string, run: () => void): Outcome {
  try {
    run();
    return { name, result: "ok" };
  } catch (error) {
    return { name, result: "FAILED", reason: (error as Error).message };
  }
}
