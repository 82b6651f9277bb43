/**
 * Taking turns: what is compared is measured in the same minutes of the same machine.
 *
 * @module
 */

import type { Measure } from "./measure.ts";
import type { Rounds } from "./table.ts";

/** A peer that can be measured. */
export interface Measured {
  /** Whom a measure's requests name. */
  readonly name: string;
  /** Measures what a request asks for about so many milliseconds; gives as many numbers as the measure has titles. */
  measure(request: string, ms: number): Promise<readonly number[]>;
}

/** How long to measure. */
export interface Turns {
  /** How often to take turns. */
  readonly rounds: number;
  /** How long each turn lasts, in milliseconds. */
  readonly ms: number;
}

/** The least that the first round lasts, so that a compiler has seen enough. */
const WARM_UP_MS = 1000;

/** Measures the peers in alternating rounds; the first round is for warming up and does not count. */
export async function takeTurns(
  { requests }: Measure,
  peers: readonly Measured[],
  { rounds, ms }: Turns,
): Promise<Rounds> {
  const answers: { [peer: string]: (readonly number[])[] } = {};
  for (let round = -1; round < rounds; round++) {
    for (const peer of peers) {
      const request = requests[peer.name];
      if (request === undefined) continue;
      const answer = await peer.measure(request, round < 0 ? Math.max(ms, WARM_UP_MS) : ms);
      if (round >= 0) (answers[peer.name] ??= []).push(answer);
    }
  }
  return answers;
}
