/**
 * Reads what quick mode agreed on for a connection: how its packets are protected, and for how long.
 *
 * It searches all associations of the machine, because no function returns the association of a socket:
 * `IPsecSaContextGetById1` takes the identifier that `IPsecSaContextCreate0` returned, and a query does not return
 * it.
 *
 * @see https://learn.microsoft.com/windows/win32/api/fwpmu/nf-fwpmu-ipsecsacontextenum1
 * @see https://learn.microsoft.com/windows/win32/api/ipsectypes/ns-ipsectypes-ipsec_sa_bundle1
 * @module
 */

import { ProtocolError } from "../../errors.ts";
import type { FilteringEngine } from "./filtering_engine.ts";
import { malformed, type Memory, pinned, structAt, structsAt } from "../memory/memory.ts";
import {
  IPSEC_SA0,
  type IPSEC_SA_BUNDLE1,
  IPSEC_SA_CONTEXT1,
  IPSEC_SA_DETAILS1,
  IPSEC_TRAFFIC_TYPE,
} from "../raw/wfp.ts";
import type { SecurityAnswer } from "./query.ts";
import { struct, type Values } from "../memory/struct.ts";
import { readTransform, type Transform } from "./transform.ts";

/** How one direction is protected. */
export interface QuickModeDirection {
  /** Between the two computers only, or inside a tunnel between two networks. */
  readonly mode: "transport" | "tunnel";
  /** Seconds until the keys are renewed. */
  readonly lifetimeSeconds: number;
  /** Kilobytes until the keys are renewed. */
  readonly lifetimeKilobytes: number;
  /** Packets until the keys are renewed. */
  readonly lifetimePackets: number;
  /** What is done to each packet; two where AH and ESP are combined. */
  readonly transforms: readonly Transform[];
}

/** What quick mode agreed on: for received packets, and for sent packets where that differs. */
export interface QuickMode extends QuickModeDirection {
  /** The sent packets, where they are protected differently. */
  readonly outbound?: QuickModeDirection;
  /** The fields by which the association was matched with the connection. */
  readonly matchedBy: "saLookupContext+qmSaId" | "saLookupContext" | "mmSaId+qmSaId";
}

/** The number of contexts in one page. */
const PAGE = 64;
/** The most associations that are searched, so that a search does not block the process for long. */
const MAX_CONTEXTS = 16_384;
/** "The only possible values are 1 and 2" (IPSEC_SA_BUNDLE1). */
const MAX_SAS = 2;
const NO_GUID = "00000000-0000-0000-0000-000000000000";
const POINTER = struct("pointer", { at: "ptr" });

type Details = Values<typeof IPSEC_SA_DETAILS1["fields"]>;
type Bundle = Values<typeof IPSEC_SA_BUNDLE1["fields"]>;

interface Found {
  readonly inbound: Details;
  readonly outbound: Details;
}

/**
 * Reads the quick-mode association of an answer.
 *
 * @returns the association; where none certainly belongs to the connection the reason, as a sentence.
 * @throws PermissionError, TransportError, UnsupportedPlatformError where the system refuses; ProtocolError where its
 * answer is invalid.
 */
export function readQuickMode(engine: FilteringEngine, answer: SecurityAnswer): QuickMode | string {
  if (answer.quickModeSa === 0n) return "unavailable: the system reported no quick-mode association";
  const loose: QuickMode[] = [];
  for (const found of contexts(engine)) {
    const match = matching(found, answer);
    if (match === null) continue;
    // Read immediately: the page's memory is released after it.
    const quickMode = describe(engine.memory, found, match);
    if (match !== "saLookupContext") return quickMode;
    loose.push(quickMode);
  }
  if (loose.length === 1) return loose[0];
  return loose.length === 0
    ? "unavailable: the association does not exist any more"
    : `unavailable: ${loose.length} associations may belong to the connection, and none has its quick-mode id`;
}

/**
 * Returns the fields by which an association matches an answer; `null` where it does not.
 *
 * Documented: `saLookupContext` is "propagated from the SA to data connections flowing over that SA" and returned by
 * WSAQuerySocketSecurity; `mmSaId` correlates with the IKE SA that made the association; `qmSaId` is the same for
 * both directions of a pair, and different for different pairs (all of IPSEC_SA_BUNDLE1's page).
 *
 * Assumed: the answer's `QmSaId` is the bundle's `qmSaId`. No page states this. FWPS_ALE_ENDPOINT_PROPERTIES0, which
 * describes the same endpoints, has a 64-bit `qmSaId` with the same description as the bundle's 32-bit one. So it is
 * used only to decide between associations that match by the documented field; where only one matches, it is not
 * needed.
 */
function matching({ inbound, outbound }: Found, answer: SecurityAnswer): QuickMode["matchedBy"] | null {
  const bundles = [inbound.saBundle, outbound.saBundle];
  const every = (test: (bundle: Bundle) => boolean): boolean => bundles.every(test);
  const sameId = every(({ qmSaId }) => BigInt(qmSaId) === answer.quickModeSa);
  if (answer.lookupContext !== NO_GUID) {
    if (!every(({ saLookupContext }) => saLookupContext === answer.lookupContext)) return null;
    return sameId ? "saLookupContext+qmSaId" : "saLookupContext";
  }
  const sameMain = answer.mainModeSa !== 0n && every(({ mmSaId }) => mmSaId === answer.mainModeSa);
  return sameId && sameMain ? "mmSaId+qmSaId" : null;
}

/**
 * Returns all associations of the machine that have both directions, page by page; each must be read before the next
 * is requested.
 */
function* contexts(engine: FilteringEngine): Generator<Found> {
  const { call, memory } = engine;
  const [out, counted] = [pinned(8), pinned(4)];
  // A template of NULL returns all of them. The documentation of the template's fields contradicts itself on IPv4.
  const created = call.IPsecSaContextCreateEnumHandle0(engine.handle, null, out);
  engine.check(created, "IPsecSaContextCreateEnumHandle0", "look for the security association");
  const enumeration = addressIn(out);
  try {
    for (let seen = 0; seen < MAX_CONTEXTS;) {
      const entries = pinned(8);
      const failed = call.IPsecSaContextEnum1(engine.handle, enumeration, PAGE, entries, counted);
      engine.check(failed, "IPsecSaContextEnum1", "look for the security association");
      try {
        const count = new DataView(counted.buffer).getUint32(0, true);
        if (count > PAGE) {
          throw malformed(`IPsecSaContextEnum1 returned ${count} entries, and ${PAGE} were requested`);
        }
        for (const { at } of structsAt(memory, addressIn(entries), POINTER, count)) {
          const { inboundSa, outboundSa } = structAt(memory, at, IPSEC_SA_CONTEXT1);
          // An association with one direction only is being created, or is expiring.
          if (inboundSa === 0n || outboundSa === 0n) continue;
          yield {
            inbound: structAt(memory, inboundSa, IPSEC_SA_DETAILS1),
            outbound: structAt(memory, outboundSa, IPSEC_SA_DETAILS1),
          };
        }
        if (count < PAGE) return;
        seen += count;
      } finally {
        call.FwpmFreeMemory0(entries);
      }
    }
    throw new ProtocolError("oversized", `the machine has more than ${MAX_CONTEXTS} associations to search`);
  } finally {
    call.IPsecSaContextDestroyEnumHandle0(engine.handle, enumeration);
  }
}

function describe(
  memory: Memory,
  { inbound, outbound }: Found,
  matchedBy: QuickMode["matchedBy"],
): QuickMode {
  const [arriving, sent] = [inbound, outbound].map((details) => describeDirection(memory, details));
  const alike = JSON.stringify(arriving) === JSON.stringify(sent);
  return { ...arriving, ...(alike ? {} : { outbound: sent }), matchedBy };
}

function describeDirection(memory: Memory, { traffic, saBundle }: Details): QuickModeDirection {
  const { TRANSPORT, TUNNEL } = IPSEC_TRAFFIC_TYPE;
  const { numSAs, saList, lifetime } = saBundle;
  if (numSAs < 1 || numSAs > MAX_SAS) throw malformed(`a bundle of ${numSAs} associations`);
  if (traffic.trafficType !== TRANSPORT && traffic.trafficType !== TUNNEL) {
    throw malformed(`traffic of type ${traffic.trafficType}`);
  }
  return {
    mode: traffic.trafficType === TRANSPORT ? "transport" : "tunnel",
    ...lifetime,
    transforms: structsAt(memory, saList, IPSEC_SA0, numSAs).map((sa) => readTransform(memory, sa)),
  };
}

function addressIn(bytes: Uint8Array): bigint {
  return new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true);
}
