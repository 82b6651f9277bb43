/**
 * The result of an IPsec negotiation between two ends, by the documented rules. Pure.
 *
 * @see https://learn.microsoft.com/windows/win32/api/ws2tcpip/nf-ws2tcpip-wsasetsocketsecurity
 *
 * @module
 */

import { SOCKET_SETTINGS, SOCKET_SETTINGS_IPSEC } from "../../ffi/raw/fwpuclnt.ts";
import { DEFAULT_PROPOSALS, encrypts, inCommon, type Proposal } from "./quick_mode.ts";

/** The settings given to WSASetSocketSecurity. */
export interface SocketSettings {
  /** `SOCKET_SETTINGS_*` */
  readonly flags: number;
  /** `SOCKET_SETTINGS_IPSEC_*` */
  readonly ipsecFlags: number;
  /** The authentication method of the main-mode policy; the default policy's main mode is anonymous. */
  readonly authentication: "anonymous" | "kerberos";
  /** Whether an extended-mode policy lets the server act as the client's user. */
  readonly impersonation: boolean;
  /** The proposals of the quick-mode policy; left out: those of the default policy. */
  readonly proposals?: readonly Proposal[];
}

/** One end of a negotiation. */
export interface End {
  /** The socket's own settings; `null`: none. */
  readonly settings: SocketSettings | null;
  /** The administrator's policy for all traffic of the computer. */
  readonly policy: "none" | "requested" | "required";
  /** Whether the computer has credentials. */
  readonly credentials: boolean;
  /** Whether encryption may be negotiated. */
  readonly encryption: boolean;
  /** The principals of the computer. */
  readonly names: readonly string[];
}

/** The result of a negotiation. */
export type Outcome =
  | { readonly kind: "clear" }
  | { readonly kind: "failed"; readonly winerr: number; readonly reason: string }
  | {
    readonly kind: "secured";
    readonly encrypted: boolean;
    /** Each computer has proved its identity to the other. */
    readonly mutual: boolean;
    readonly impersonation: boolean;
    /** How the packets are protected. */
    readonly quickMode: Proposal;
  };

/** `ERROR_IPSEC_IKE_*` */
const IKE = { AUTH_FAIL: 13801, TIMED_OUT: 13805, POLICY_MATCH: 13868 } as const;

const NOTHING_IN_COMMON = {
  winerr: IKE.POLICY_MATCH,
  reason: "the two ends have no quick-mode proposal in common that gives the protection both require",
} as const;

const sameName = (a: string, b: string): boolean => a.toLowerCase() === b.toLowerCase();

/** The settings that filters enforce; without filters of the socket's own, nothing does in the worst case. */
function filtered({ settings }: End): SocketSettings | null {
  const skips = SOCKET_SETTINGS_IPSEC.SKIP_FILTER_INSTANTIATION;
  return settings !== null && (settings.ipsecFlags & skips) === 0 ? settings : null;
}

function wants(end: End): boolean {
  return filtered(end) !== null || end.policy !== "none";
}

/** Whether an end's traffic must not be sent in clear text. */
function insists(end: End): boolean {
  if (end.policy === "required") return true;
  const settings = filtered(end);
  return settings !== null && (settings.flags & SOCKET_SETTINGS.ALLOW_INSECURE) === 0;
}

/** Negotiates between the initiator and the responder; `target` is the name that the initiator expects. */
export function negotiate(initiator: End, responder: End, target: string | null): Outcome {
  if (!wants(initiator) && !wants(responder)) return { kind: "clear" };
  const agreed = agree(initiator, responder);
  const problem = obstacle(initiator, responder, target) ?? (agreed === null ? NOTHING_IN_COMMON : null);
  if (problem === null) return agreed!;
  if (insists(initiator) || insists(responder)) return { kind: "failed", ...problem };
  // Guaranteed encryption is not given up for ALLOW_INSECURE.
  if (guarantees(initiator) || guarantees(responder)) return { kind: "failed", ...problem };
  return { kind: "clear" };
}

function obstacle(a: End, b: End, target: string | null): { winerr: number; reason: string } | null {
  if (!wants(a) || !wants(b)) {
    return { winerr: IKE.TIMED_OUT, reason: "one end has no policy and does not answer" };
  }
  if (!a.credentials || !b.credentials) {
    return { winerr: IKE.AUTH_FAIL, reason: "one end has no credentials" };
  }
  const [left, right] = [method(a), method(b)];
  if (left !== right) return { winerr: IKE.POLICY_MATCH, reason: "the authentication methods differ" };
  const optional =
    ((a.settings?.ipsecFlags ?? 0) & SOCKET_SETTINGS_IPSEC.OPTIONAL_PEER_NAME_VERIFICATION) !== 0;
  if (target !== null && !optional && !b.names.some((name) => sameName(name, target))) {
    return { winerr: IKE.AUTH_FAIL, reason: `the peer does not have the name ${target}` };
  }
  return null;
}

function method(end: End): "anonymous" | "kerberos" {
  return filtered(end)?.authentication ?? "anonymous";
}

function guarantees(end: End): boolean {
  const settings = filtered(end);
  return settings !== null && (settings.flags & SOCKET_SETTINGS.GUARANTEE_ENCRYPTION) !== 0;
}

/** The proposals that an end sends and accepts: without encryption if its computer must not encrypt. */
function proposals({ settings, encryption }: End): readonly Proposal[] {
  const all = settings?.proposals ?? DEFAULT_PROPOSALS;
  return encryption ? all : all.filter((each) => !encrypts(each));
}

/** What the ends agree on; `null`: nothing. The first proposal of the default policy has integrity only. */
function agree(a: End, b: End): Outcome | null {
  const quickMode = inCommon(proposals(a), proposals(b), guarantees(a) || guarantees(b));
  return quickMode === null ? null : {
    kind: "secured",
    encrypted: encrypts(quickMode),
    mutual: method(a) === "kerberos",
    impersonation: (filtered(a)?.impersonation ?? false) && (filtered(b)?.impersonation ?? false),
    quickMode,
  };
}
