/**
 * Has Wine's DecryptMessage open records that Wine's EncryptMessage made, at next to no cost: Wine 10 knows no
 * SECBUFFER_STREAM, and does not say that it used no padding. The bytes between are not those of Windows, which no other end ever sees here; tests use
 * `tests/windows/support/wine_backend.ts`, which puts them right and is far slower.
 *
 * @module
 */

import type { Backend, Library, LibrarySpec } from "../../ffi/abi.ts";
import { SECBUFFER, SecBuffer, SecBufferDesc, SECUR32 } from "../../ffi/raw/secur32.ts";

/** The token of a Kerberos record (RFC 4121, AES with SHA-1), as Wine splits it. */
const TOKEN = 60;
const { BufferType: TYPE, pvBuffer: ADDRESS } = SecBuffer.offsets;

/** A backend whose secur32.dll takes streams; every other library is `inner`'s. */
export function wineStreams(inner: Backend): Backend {
  return {
    ...inner,
    open<L extends LibrarySpec>(path: string, spec: L): Library<L> {
      const library = inner.open(path, spec);
      if ((spec as LibrarySpec) !== SECUR32) return library;
      const { call } = library as unknown as Library<typeof SECUR32>;
      const records: Partial<typeof call> = {
        EncryptMessage(context, qop, desc, sequence) {
          const status = call.EncryptMessage(context, qop, desc, sequence);
          takePadding(desc!);
          return status;
        },
        DecryptMessage(context, desc, sequence, qop) {
          splitStream(desc!);
          return call.DecryptMessage(context, desc, sequence, qop);
        },
      };
      return { ...library, call: { ...library.call, ...records } };
    },
  };
}

const place = (index: number): number => SecBufferDesc.size + index * SecBuffer.size;

/** Says of a third buffer, the padding, that nothing is in it. */
export function takePadding(desc: Uint8Array): void {
  new DataView(desc.buffer, desc.byteOffset).setUint32(place(2), 0, true);
}

/** Turns STREAM and an empty DATA into TOKEN and DATA. The library keeps the buffers right behind their description. */
export function splitStream(desc: Uint8Array): void {
  const view = new DataView(desc.buffer, desc.byteOffset, desc.length);
  const [first, second] = [place(0), place(1)];
  const length = view.getUint32(first, true);
  if (view.getUint32(first + TYPE, true) !== SECBUFFER.STREAM || length < TOKEN) return;
  const start = view.getBigUint64(first + ADDRESS, true);
  view.setUint32(first, TOKEN, true);
  view.setUint32(first + TYPE, SECBUFFER.TOKEN, true);
  view.setUint32(second, length - TOKEN, true);
  view.setUint32(second + TYPE, SECBUFFER.DATA, true);
  view.setBigUint64(second + ADDRESS, start + BigInt(TOKEN), true);
}
