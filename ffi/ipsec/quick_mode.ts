/**
 * What quick mode agreed on for a connection: how its packets are protected, and for how long.
 *
 * An association is looked for among all of the machine's, since nothing leads from a socket to its own:
 * `IPsecSaContextGetById1` takes the identifier that `IPsecSaContextCreate0` gave, which no query tells.
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
  /** Between the two computers alone, or inside a tunnel between two networks. */
  readonly mode: "transport" | "tunnel";
  /** Seconds until the keys are renewed. */
  readonly lifetimeSeconds: number;
  /** Kilobytes until then. */
  readonly lifetimeKilobytes: number;
  /** Packets until then. */
  readonly lifetimePackets: number;
  /** What is done to each packet; two where AH and ESP are combined. */
  readonly transforms: readonly Transform[];
}

/** What quick mode agreed on; of what arrives, and of what is sent only where that differs. */
export interface QuickMode extends QuickModeDirection {
  /** What is sent, where it is not protected in the same way. */
  readonly outbound?: QuickModeDirection;
  /** By what the association was known to be the connection's. */
  readonly matchedBy: "saLookupContext+qmSaId" | "saLookupContext" | "mmSaId+qmSaId";
}

/** Contexts asked for at once. */
const PAGE = 64;
/** A machine with more associations is not searched to the end: it would hold the process up. */
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
 * @returns why not, as a sentence, where none is the connection's beyond doubt.
 * @throws PermissionError, TransportError, UnsupportedPlatformError for what the system refuses; ProtocolError where
 * what it tells cannot be.
 */
export function readQuickMode(engine: FilteringEngine, answer: SecurityAnswer): QuickMode | string {
  if (answer.quickModeSa === 0n) return "not told: the system named no quick-mode association";
  const loose: QuickMode[] = [];
  for (const found of contexts(engine)) {
    const match = matching(found, answer);
    if (match === null) continue;
    // Read at once: what is found is given back to the system with its page.
    const quickMode = describe(engine.memory, found, match);
    if (match !== "saLookupContext") return quickMode;
    loose.push(quickMode);
  }
  if (loose.length === 1) return loose[0];
  return loose.length === 0
    ? "not told: the association is not there any more"
    : `not told: ${loose.length} associations may be the connection's, and none has its quick-mode id`;
}

/**
 * Whether an association is the one an answer speaks of.
 *
 * Documented: `saLookupContext` is "propagated from the SA to data connections flowing over that SA" and given to
 * whoever calls WSAQuerySocketSecurity; `mmSaId` correlates with the IKE SA that made the association; `qmSaId` is the
 * same for both directions of a pair, and different for different pairs (all of IPSEC_SA_BUNDLE1's page).
 *
 * Assumed: the answer's `QmSaId` is the bundle's `qmSaId`. No page says so. FWPS_ALE_ENDPOINT_PROPERTIES0, which tells
 * of the same endpoints, has a 64-bit `qmSaId` with the very text of the bundle's 32-bit one. So it decides between
 * associations that the documented field names alike, and where there is only one of these it is not needed.
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

/** Every association of the machine that has both directions, page by page; each is read before the next is asked for. */
function* contexts(engine: FilteringEngine): Generator<Found> {
  const { call, memory } = engine;
  const [out, counted] = [pinned(8), pinned(4)];
  // A template of NULL: all of them. The pages of the template's own fields contradict each other on IPv4.
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
          throw malformed(`IPsecSaContextEnum1 tells of ${count} entries, of ${PAGE} asked for`);
        }
        for (const { at } of structsAt(memory, addressIn(entries), POINTER, count)) {
          const { inboundSa, outboundSa } = structAt(memory, at, IPSEC_SA_CONTEXT1);
          // One without a direction is being set up, or expiring.
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
