/**
 * Makes Wine's secur32.dll answer as Windows' does where Wine 10 differs, so that the library's own Windows path is
 * what the tests run. Only the rig uses it, and only where Wine says it is Wine. The differences, as its sources
 * (dlls/kerberos/unixlib.c, dlls/secur32/negotiate.c) have them:
 *
 * - EncryptMessage puts the front of a Kerberos record into the DATA buffer and its rest into the TOKEN buffer;
 *   Windows puts the token in front.
 * - DecryptMessage knows no SECBUFFER_STREAM; it wants DATA and TOKEN, in Wine's own order.
 * - DecryptMessage of NTLM leaves the quality of protection unwritten; there every record is encrypted.
 * - InitializeSecurityContextW of NTLM reports no flags on its last leg, though its context has all it was asked for.
 * - Credentials are read as SEC_WINNT_AUTH_IDENTITY_W, whatever their version, and package lists are unknown.
 */

import type { Backend, Library, LibrarySpec } from "../../../ffi/abi.ts";
import { type Memory, memoryOf, pinned } from "../../../ffi/memory/memory.ts";
import {
  ISC,
  SEC_WINNT_AUTH_IDENTITY_EXW,
  SEC_WINNT_AUTH_IDENTITY_VERSION,
  SECBUFFER,
  SecBuffer,
  SecBufferDesc,
  SECUR32,
} from "../../../ffi/raw/secur32.ts";
import { UCRTBASE } from "../../../ffi/raw/ucrtbase.ts";

/** What NTLM puts in front of a record. */
const NTLM_TOKEN = 16;
/** Bytes that a Kerberos record (RFC 4121, AES with SHA-1) has over its message. */
const SEALED_EXTRA = 60;
const SIGNED_EXTRA = 28;

interface Part {
  readonly index: number;
  readonly length: number;
  readonly address: bigint;
}

/** The buffers behind a descriptor. */
class Parts {
  readonly #memory: Memory;
  readonly #array: bigint;
  readonly #parts: { type: number; length: number; address: bigint }[];

  constructor(memory: Memory, desc: Uint8Array) {
    const { cBuffers, pBuffers } = SecBufferDesc.read(new DataView(desc.buffer, desc.byteOffset));
    this.#memory = memory;
    this.#array = pBuffers;
    const view = new DataView(memory.read(pBuffers, cBuffers * SecBuffer.size).buffer as ArrayBuffer);
    this.#parts = Array.from({ length: cBuffers }, (_, index) => {
      const { BufferType, cbBuffer, pvBuffer } = SecBuffer.read(view, index * SecBuffer.size);
      return { type: BufferType, length: cbBuffer, address: pvBuffer };
    });
  }

  find(type: number): Part | undefined {
    const index = this.#parts.findIndex((part) => part.type === type);
    return index < 0 ? undefined : { index, ...this.#parts[index] };
  }

  write(index: number, type: number, length: number, address: bigint): void {
    const bytes = pinned(SecBuffer.size);
    SecBuffer.write(new DataView(bytes.buffer), { BufferType: type, cbBuffer: length, pvBuffer: address });
    this.#memory.write(this.#array + BigInt(index * SecBuffer.size), bytes);
  }
}

/** A backend whose secur32.dll answers as Windows'; every other library is `inner`'s. */
export function wineBackend(inner: Backend): Backend {
  return {
    ...inner,
    open<L extends LibrarySpec>(path: string, spec: L): Library<L> {
      if ((spec as LibrarySpec) !== SECUR32) return inner.open(path, spec);
      const secur32 = inner.open(path, SECUR32);
      const ucrtbase = inner.open(path.replace(/[^\\]+$/, "ucrtbase.dll"), UCRTBASE);
      const memory = memoryOf(ucrtbase.call as unknown as Parameters<typeof memoryOf>[0]);
      return {
        path,
        call: { ...secur32.call, ...recordCalls(secur32, memory) },
        threaded: {
          ...secur32.threaded,
          AcquireCredentialsHandleW: acquire(secur32, memory),
          InitializeSecurityContextW: initialize(secur32),
        },
        close() {
          secur32.close();
          ucrtbase.close();
        },
      } as unknown as Library<L>;
    },
  };
}

type Secur32 = Library<typeof SECUR32>;

function recordCalls({ call }: Secur32, memory: Memory): Partial<Secur32["call"]> {
  return {
    EncryptMessage(context, qop, desc, sequence) {
      const status = call.EncryptMessage(context, qop, desc, sequence);
      const parts = new Parts(memory, desc!);
      const [token, data, padding] = [SECBUFFER.TOKEN, SECBUFFER.DATA, SECBUFFER.PADDING].map((type) =>
        parts.find(type)
      );
      if (status !== 0 || token === undefined || data === undefined) return status;
      if (padding !== undefined) parts.write(padding.index, SECBUFFER.PADDING, 0, padding.address);
      if (token.length === NTLM_TOKEN) return status;
      const record = new Uint8Array([
        ...memory.read(data.address, data.length),
        ...memory.read(token.address, token.length),
      ]);
      memory.write(token.address, record.subarray(0, token.length));
      memory.write(data.address, record.subarray(token.length));
      return status;
    },
    DecryptMessage(context, desc, sequence, qop) {
      const parts = new Parts(memory, desc!);
      const stream = parts.find(SECBUFFER.STREAM);
      const plain = parts.find(SECBUFFER.DATA);
      if (stream === undefined || plain === undefined) {
        return call.DecryptMessage(context, desc, sequence, qop);
      }
      const { length, address } = stream;
      const kerberos = memory.read(address, Math.min(length, 3));
      const isKerberos = kerberos[0] === 5 && kerberos[1] === 4;
      const extra = !isKerberos ? NTLM_TOKEN : (kerberos[2] & 2) === 0 ? SIGNED_EXTRA : SEALED_EXTRA;
      const size = Math.max(length - extra, 0);
      // Kerberos: Wine's data, then Wine's token. NTLM: the token, then the data.
      const dataAt = isKerberos ? address : address + BigInt(Math.min(extra, length));
      const tokenAt = isKerberos ? address + BigInt(size) : address;
      parts.write(stream.index, SECBUFFER.TOKEN, length - size, tokenAt);
      parts.write(plain.index, SECBUFFER.DATA, size, dataAt);
      if (!isKerberos) new DataView(qop!.buffer, qop!.byteOffset).setUint32(0, 0, true);
      return call.DecryptMessage(context, desc, sequence, qop);
    },
  };
}

function initialize({ threaded }: Secur32): Secur32["threaded"]["InitializeSecurityContextW"] {
  return async (...args) => {
    const status = await threaded.InitializeSecurityContextW(...args);
    const [asked, reported] = [args[3], args[10]!];
    const view = new DataView(reported.buffer, reported.byteOffset);
    // Kerberos always reports some.
    if (status === 0 && view.getUint32(0, true) === 0) view.setUint32(0, asked & ~ISC.MUTUAL_AUTH, true);
    return status;
  };
}

function acquire({ threaded }: Secur32, memory: Memory): Secur32["threaded"]["AcquireCredentialsHandleW"] {
  return async (principal, name, use, logon, auth, getKey, argument, credential, expiry) => {
    const identity = auth === null ? null : narrow(auth);
    const status = await threaded.AcquireCredentialsHandleW(
      principal,
      name,
      use,
      logon,
      identity,
      getKey,
      argument,
      credential,
      expiry,
    );
    // Reading it here keeps it reachable until now.
    if (identity !== null) memory.addressOf(identity);
    return status;
  };
}

/** SEC_WINNT_AUTH_IDENTITY_W with what a SEC_WINNT_AUTH_IDENTITY_EXW says; `null` where that names nobody. */
function narrow(auth: Uint8Array): Uint8Array | null {
  const wide = SEC_WINNT_AUTH_IDENTITY_EXW.read(new DataView(auth.buffer, auth.byteOffset));
  if (wide.Version !== SEC_WINNT_AUTH_IDENTITY_VERSION) return auth;
  if (wide.User === 0n) return null;
  const bytes = pinned(48);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(0, wide.User, true);
  view.setUint32(8, wide.UserLength, true);
  view.setBigUint64(16, wide.Domain, true);
  view.setUint32(24, wide.DomainLength, true);
  view.setBigUint64(32, wide.Password, true);
  view.setUint32(40, wide.PasswordLength, true);
  view.setUint32(44, wide.Flags, true);
  return bytes;
}
