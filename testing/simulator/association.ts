/**
 * Security associations between simulated hosts: lists them for both ends, and notifies connections that watch
 * them.
 *
 * @module
 */

import { SOCKET_QUERY_IPSEC2_FIELD_MASK } from "../../ffi/raw/fwpuclnt.ts";
import type { Host } from "./host.ts";
import type { Outcome } from "./negotiation.ts";
import type { Proposal } from "./quick_mode.ts";

/** A connection that is aborted when its association changes. */
export interface Watcher {
  /** `SOCKET_QUERY_IPSEC2_FIELD_MASK_*`: the fields that must not change. */
  readonly fields: number;
  /** Aborts it. */
  abort(): void;
}

/** An association, the same at both of its ends. */
export interface Association {
  /** Its two ends. */
  readonly ends: readonly [Host, Host];
  /** Each computer has proved its identity to the other. */
  readonly mutual: boolean;
  /** How packets are protected. */
  readonly quickMode: Proposal;
  /** Main mode's identifier. */
  mainModeSa: bigint;
  /** Quick mode's identifier, of 32 bits. */
  quickModeSa: number;
  /** The identifier of the pair of directions, which differs from quick mode's. */
  readonly contextId: bigint;
  /** The GUID that the system returns for connections that use it. */
  readonly lookupContext: string;
  /** The connections to notify of changes. */
  readonly watchers: Set<Watcher>;
}

type Secured = Extract<Outcome, { kind: "secured" }>;

/** All associations of a network. */
export class Associations {
  readonly #all: Association[] = [];
  #next = 1;

  /** The association with which two hosts secure what they agreed; the same one for the same agreement. */
  between(a: Host, b: Host, { mutual, quickMode }: Secured): Association {
    const known = this.#of(a, b).find((each) => each.mutual === mutual && each.quickMode === quickMode);
    if (known) return known;
    const number = this.#next++;
    const made: Association = {
      ends: [a, b],
      mutual,
      quickMode,
      mainModeSa: BigInt(number),
      quickModeSa: 0x1000 + number,
      contextId: 0x7000_0000_0000n + BigInt(number),
      lookupContext: `00000000-0000-4000-8000-${number.toString(16).padStart(12, "0")}`,
      watchers: new Set(),
    };
    this.#all.push(made);
    return made;
  }

  /** The associations of one host. */
  of(host: Host): Association[] {
    return this.#all.filter(({ ends }) => ends.includes(host));
  }

  /**
   * Negotiates a mode again for all associations between two hosts: connections that watch its identifier are
   * aborted.
   */
  renew(a: Host, b: Host, mode: "main" | "quick"): void {
    const { MM_SA_ID, QM_SA_ID } = SOCKET_QUERY_IPSEC2_FIELD_MASK;
    for (const association of this.#of(a, b)) {
      const number = this.#next++;
      if (mode === "main") association.mainModeSa = BigInt(number);
      else association.quickModeSa = 0x1000 + number;
      const changed = mode === "main" ? MM_SA_ID : QM_SA_ID;
      for (const watcher of [...association.watchers]) {
        if ((watcher.fields & changed) !== 0) watcher.abort();
      }
    }
  }

  #of(a: Host, b: Host): Association[] {
    return this.of(a).filter(({ ends: [first, second] }) => (first === a ? second : first) === b);
  }
}

/** The other end of an association. */
export function peerOf({ ends: [first, second] }: Association, host: Host): Host {
  return first === host ? second : first;
}
