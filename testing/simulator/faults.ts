/**
 * Makes calls fail: one call by name for a test of one path, or thousands from a seed. The same seed gives the same
 * faults if the calls are the same.
 *
 * @module
 */

import { SECURE_SOCKET_ERRORS, WINSOCK_STATUS } from "../../ffi/raw/winsock_status.ts";

/** Random faults. */
export interface FaultOptions {
  /** The seed, a whole number; the same seed gives the same faults. */
  readonly seed: number;
  /** How many of a thousand calls fail. */
  readonly perThousand: number;
}

/** How a function reports a failure, and the codes it may report. */
interface Failure {
  /** The result of a failed call; left out: the code itself. */
  readonly result?: number | bigint;
  /** The codes that it documents. */
  readonly codes: readonly number[];
}

const ERROR = -1;

/** Functions that can be made to fail. Functions that release or only report something are not among them. */
const FAILURES: { readonly [fn: string]: Failure } = {
  WSAStartup: { codes: [10067, 10091] },
  WSAIoctl: { result: ERROR, codes: [10045] },
  WSASocketW: { result: 0xffff_ffff_ffff_ffffn, codes: [10024, 10055] },
  bind: { result: ERROR, codes: [10013, 10048, 10055] },
  listen: { result: ERROR, codes: [10048, 10055] },
  WSASend: { result: ERROR, codes: [10054, 10055] },
  WSARecv: { result: ERROR, codes: [10054] },
  WSASendTo: { result: ERROR, codes: [10055] },
  WSARecvFrom: { result: ERROR, codes: [10054] },
  shutdown: { result: ERROR, codes: [10057] },
  getsockname: { result: ERROR, codes: [10055] },
  getpeername: { result: ERROR, codes: [10057] },
  setsockopt: { result: ERROR, codes: [10057] },
  GetAddrInfoExW: { codes: [8, 11002] },
  GetAddrInfoExOverlappedResult: { codes: [11001, 11002, 11003, 11004] },
  // Never at random: an unanswered query that cannot be cancelled never ends.
  GetAddrInfoExCancel: { codes: [] },
  CreateEventW: { result: 0n, codes: [8] },
  AcceptEx: { result: 0, codes: [10054, 10055] },
  ConnectEx: { result: 0, codes: [10055, 10065] },
  CreateIoCompletionPort: { result: 0n, codes: [8] },
  ...secureSocketFailures(),
  FwpmEngineOpen0: { codes: [5] },
  IkeextSaGetById1: { codes: [5, 8] },
  IPsecSaContextCreateEnumHandle0: { codes: [5, 8] },
  IPsecSaContextEnum1: { codes: [5, 8] },
  ImpersonateLoggedOnUser: { result: 0, codes: [5] },
  RevertToSelf: { result: 0, codes: [] },
  // Never at random: the process ends if it cannot find out which token the thread carries.
  OpenThreadToken: { result: 0, codes: [] },
  GetTokenInformation: { result: 0, codes: [] },
  CheckTokenMembership: { result: 0, codes: [] },
  DuplicateTokenEx: { result: 0, codes: [] },
  LookupAccountNameW: { result: 0, codes: [] },
};

/** The six functions of fwpuclnt.dll, with all codes that their pages document. */
function secureSocketFailures(): { [fn: string]: Failure } {
  return Object.fromEntries(
    Object.entries(SECURE_SOCKET_ERRORS).map((
      [fn, names],
    ) => [fn, { result: ERROR, codes: names.map(codeOf) }]),
  );
}

/** The code of a symbolic name. */
function codeOf(name: string): number {
  const found = Object.entries(WINSOCK_STATUS).find(([, entry]) => entry.name === name);
  if (found === undefined) throw new TypeError(`no code has the name ${name}`);
  return Number(found[0]);
}

/** Decides for each call whether it fails. */
export class Faults {
  readonly #wanted = new Map<string, (number | null)[]>();
  readonly #options: FaultOptions | undefined;
  #state: number;
  /** How many calls were made to fail. */
  injected = 0;

  constructor(options?: FaultOptions) {
    this.#options = options;
    this.#state = (options?.seed ?? 0) >>> 0;
  }

  /** Makes the next call of `fn`, or one some calls later, fail with a code, given by its symbolic name. */
  failNext(fn: string, name: string, after: number): void {
    if (FAILURES[fn] === undefined) throw new TypeError(`failNext() does not know ${fn}`);
    const wanted = this.#wanted.get(fn) ?? [];
    wanted.push(...Array<null>(after).fill(null), codeOf(name));
    this.#wanted.set(fn, wanted);
  }

  /** The result of a call of `fn` that fails; `null`: the call succeeds. */
  next(fn: string): { readonly code: number; readonly result: number | bigint } | null {
    const failure = FAILURES[fn];
    if (failure === undefined) return null;
    const wanted = this.#wanted.get(fn)?.shift();
    const code = wanted === undefined ? this.#draw(failure) : wanted;
    if (code === null) return null;
    this.injected++;
    return { code, result: failure.result ?? code };
  }

  #draw({ codes }: Failure): number | null {
    if (this.#options === undefined || this.#random() * 1000 >= this.#options.perThousand) return null;
    if (codes.length === 0) return null;
    return codes[Math.floor(this.#random() * codes.length)];
  }

  /** Mulberry32: small, and the same on every engine. */
  #random(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ t >>> 15, t | 1);
    t ^= t + Math.imul(t ^ t >>> 7, t | 61);
    return ((t ^ t >>> 14) >>> 0) / 2 ** 32;
  }
}
