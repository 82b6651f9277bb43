/**
 * Tries an SPN or a URL for real: gets a ticket, answers a server's 401, and asks the machine's own key table.
 *
 * @module
 */

import { openAcceptor, openInitiator, Spn, type System } from "../../mod.ts";
import type { KerberosFacts } from "../../ffi/security/gss/inspect.ts";
import { readUrl, UsageError } from "../command.ts";
import type { Io } from "../io.ts";
import { enctypeName } from "./report.ts";
import type { Finding } from "./report.ts";

/** How long a server may take to answer. */
const ANSWER_MS = 15_000;

/** The URL or the SPN that an argument is. */
export function readTarget(text: string): { readonly url?: URL; readonly spn: string } {
  if (/^https?:\/\//i.test(text)) {
    const url = readUrl(text);
    return { url, spn: `HTTP/${url.hostname}` };
  }
  try {
    return { spn: Spn.parse(text).toString() };
  } catch (error) {
    throw new UsageError(`${(error as Error).message}. Give an SPN such as HTTP/web.example.test, or a URL`);
  }
}

/** Tries the target; `kerberos` is what libkrb5 works with, where there is one. */
export async function targetFindings(
  target: ReturnType<typeof readTarget>,
  system: System,
  kerberos: KerberosFacts | null,
  io: Io,
): Promise<Finding[]> {
  const { url, spn } = target;
  const findings: Finding[] = [];
  const check = spn;
  try {
    using initiator = await io.waiting("acquiring credentials", openInitiator({ system, signal: io.signal }));
    using context = initiator.initiate({ target: spn, signal: io.signal });
    const { token } = await io.waiting(`getting a ticket for ${spn}`, context.step());
    const length = token?.length ?? 0;
    findings.push({
      check,
      verdict: "ok",
      text: `ticket obtained${ticketText(kerberos, spn)}`,
      facts: { spn, tokenBytes: length },
    });
    if (kerberos !== null) findings.push(...await ownKeys(spn, system, kerberos, context, token));
  } catch (error) {
    findings.push(failure(check, error, io));
  }
  if (url !== undefined) findings.push(await urlFinding(url, spn, system, io));
  return findings;
}

/** The ticket that is in the cache now, as text to append. */
function ticketText(kerberos: KerberosFacts | null, spn: string): string {
  const ticket = kerberos?.readCache().tickets.find(({ server }) =>
    server.toLowerCase().startsWith(`${spn.toLowerCase()}@`)
  );
  return ticket === undefined
    ? ""
    : `: ${ticket.server}, ${enctypeName(ticket.enctype)}, until ${ticket.expiresAt.toISOString()}`;
}

type Context = ReturnType<Awaited<ReturnType<typeof openInitiator>>["initiate"]>;

/** Where this machine has a key for the SPN: lets the key table answer, as a server on this machine would. */
async function ownKeys(
  spn: string,
  system: System,
  kerberos: KerberosFacts,
  client: Context,
  token: Uint8Array | null,
): Promise<Finding[]> {
  const { keys, name } = kerberos.keytab;
  if (!keys.some(({ principal }) => principal.toLowerCase().startsWith(`${spn.toLowerCase()}@`))) return [];
  const check = "own key table";
  try {
    using acceptor = await openAcceptor({ system, acceptedTargets: [spn] });
    using server = acceptor.accept();
    for (let next = token; next !== null && !(client.done && server.done);) {
      const answer = await server.step(next);
      next = answer.token === null ? null : (await client.step(answer.token)).token;
    }
    const peer = server.peer?.name;
    return [{
      check,
      verdict: "ok",
      text: `${name} opens the ticket: a server here sees ${peer}`,
      facts: { peer },
    }];
  } catch (error) {
    return [{ check, verdict: "fail", text: (error as Error).message, facts: { keytab: name } }];
  }
}

/** Asks without and then with a token. */
async function urlFinding(url: URL, spn: string, system: System, io: Io): Promise<Finding> {
  const check = url.host;
  const init = (): RequestInit => ({
    redirect: "manual",
    signal: AbortSignal.any([io.signal, AbortSignal.timeout(ANSWER_MS)]),
  });
  try {
    const first = await io.waiting(`asking ${url.host}`, fetch(url, init()));
    await first.body?.cancel();
    const challenge = first.headers.get("www-authenticate") ?? "";
    if (first.status !== 401) {
      return {
        check,
        verdict: "warn",
        text: `answered ${first.status} without asking for a login`,
        advice: "give the URL of a page that needs one",
        facts: { status: first.status },
      };
    }
    if (!/\bnegotiate\b/i.test(challenge)) {
      return {
        check,
        verdict: "fail",
        text: `answered 401 and offers ${challenge || "nothing"}, not Negotiate`,
        advice: "switch Negotiate on at the server",
        facts: { status: 401, challenge },
      };
    }
    const { negotiateFetch } = await import("../../http/mod.ts");
    await using fetching = negotiateFetch({ origins: [url.origin], target: () => spn, system });
    const second = await io.waiting(`signing on to ${url.host}`, fetching(url, init()));
    await second.body?.cancel();
    const security = fetching.security(second);
    if (security === null || second.status === 401) {
      return {
        check,
        verdict: "fail",
        text: `refused the ticket for ${spn} with ${second.status}`,
        advice: "the server's log has the reason; compare its SPN, key table and clock",
        facts: { status: second.status },
      };
    }
    return {
      check,
      verdict: "ok",
      text: `answered 401 with Negotiate, then ${second.status}, and proved to be ${spn} ` +
        `(${security.mechanism}, channel bindings ${security.channelBindings})`,
      facts: {
        status: second.status,
        mechanism: security.mechanism,
        channelBindings: security.channelBindings,
      },
    };
  } catch (error) {
    if ((error as Error).name !== "SecurityRequirementError") return failure(check, error, io);
    return {
      check,
      verdict: "warn",
      text: (error as Error).message,
      facts: { status: null },
    };
  }
}

function failure(check: string, error: unknown, io: Io): Finding {
  io.signal.throwIfAborted();
  const { message, reason, cause } = error as Error & { reason?: string };
  const why = cause instanceof Error && message === "fetch failed" ? `${message}: ${cause.message}` : message;
  return { check, verdict: "fail", text: why, facts: { reason: reason ?? null } };
}
