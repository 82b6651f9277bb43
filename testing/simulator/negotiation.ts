/**
 * What IPsec comes to between two ends, by the rules the documentation states. Pure.
 *
 * @see https://learn.microsoft.com/windows/win32/api/ws2tcpip/nf-ws2tcpip-wsasetsocketsecurity
 * @module
 */

import { SOCKET_SETTINGS, SOCKET_SETTINGS_IPSEC } from "../../ffi/raw/fwpuclnt.ts";
import { DEFAULT_PROPOSALS, encrypts, inCommon, type Proposal } from "./quick_mode.ts";

/** What WSASetSocketSecurity was told. */
export interface SocketSettings {
  /** `SOCKET_SETTINGS_*` */
  readonly flags: number;
  /** `SOCKET_SETTINGS_IPSEC_*` */
  readonly ipsecFlags: number;
  /** What the main-mode policy authenticates by; the default policy's main mode is anonymous. */
  readonly authentication: "anonymous" | "kerberos";
  /** Whether an extended-mode policy lets the server act as the client's user. */
  readonly impersonation: boolean;
  /** What the quick-mode policy proposes; left out: what the default policy does. */
  readonly proposals?: readonly Proposal[];
}

/** One end, as the negotiation sees it. */
export interface End {
  /** The socket's own settings; `null`: it never asked. */
  readonly settings: SocketSettings | null;
  /** The administrator's policy for all traffic of the computer. */
  readonly policy: "none" | "requested" | "required";
  /** Whether the computer has something to authenticate with. */
  readonly credentials: boolean;
  /** Whether encryption may be negotiated. */
  readonly encryption: boolean;
  /** The principals the computer holds. */
  readonly names: readonly string[];
}

/** What the two ends come to. */
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
  reason: "the two ends have no quick-mode proposal in common that protects as both want it",
} as const;

const sameName = (a: string, b: string): boolean => a.toLowerCase() === b.toLowerCase();

/** Settings that something holds the socket to: without filters of its own nothing does, at the worst. */
function filtered({ settings }: End): SocketSettings | null {
  const skips = SOCKET_SETTINGS_IPSEC.SKIP_FILTER_INSTANTIATION;
  return settings !== null && (settings.ipsecFlags & skips) === 0 ? settings : null;
}

function wants(end: End): boolean {
  return filtered(end) !== null || end.policy !== "none";
}

/** An end whose traffic must not go out in clear. */
function insists(end: End): boolean {
  if (end.policy === "required") return true;
  const settings = filtered(end);
  return settings !== null && (settings.flags & SOCKET_SETTINGS.ALLOW_INSECURE) === 0;
}

/** Negotiates between the end that begins and the end that answers; `target` is what the first was told to expect. */
export function negotiate(initiator: End, responder: End, target: string | null): Outcome {
  if (!wants(initiator) && !wants(responder)) return { kind: "clear" };
  const agreed = agree(initiator, responder);
  const problem = obstacle(initiator, responder, target) ?? (agreed === null ? NOTHING_IN_COMMON : null);
  if (problem === null) return agreed!;
  if (insists(initiator) || insists(responder)) return { kind: "failed", ...problem };
  // Encryption that was guaranteed is not given up for ALLOW_INSECURE.
  if (guarantees(initiator) || guarantees(responder)) return { kind: "failed", ...problem };
  return { kind: "clear" };
}

function obstacle(a: End, b: End, target: string | null): { winerr: number; reason: string } | null {
  if (!wants(a) || !wants(b)) {
    return { winerr: IKE.TIMED_OUT, reason: "one end has no policy and stays silent" };
  }
  if (!a.credentials || !b.credentials) {
    return { winerr: IKE.AUTH_FAIL, reason: "one end has no credentials" };
  }
  const [left, right] = [method(a), method(b)];
  if (left !== right) return { winerr: IKE.POLICY_MATCH, reason: "the authentication methods differ" };
  const optional =
    ((a.settings?.ipsecFlags ?? 0) & SOCKET_SETTINGS_IPSEC.OPTIONAL_PEER_NAME_VERIFICATION) !== 0;
  if (target !== null && !optional && !b.names.some((name) => sameName(name, target))) {
    return { winerr: IKE.AUTH_FAIL, reason: `the peer does not hold ${target}` };
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

/** What an end proposes and takes: without encryption where its computer may not encrypt. */
function proposals({ settings, encryption }: End): readonly Proposal[] {
  const all = settings?.proposals ?? DEFAULT_PROPOSALS;
  return encryption ? all : all.filter((each) => !encrypts(each));
}

/** What the ends agree on; `null`: on nothing. The first proposal of the default policy is integrity alone. */
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
