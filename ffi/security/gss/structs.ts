/**
 * Builds GSS-API's argument structs in memory that does not move. A struct keeps the memory that it points to
 * reachable: holding the struct, also during a call, is sufficient.
 *
 * @module
 */

import { cString, type Memory, pinned } from "../../memory/memory.ts";
import {
  BUFFER_DESC_FIELDS,
  BUFFER_SET_DESC_FIELDS,
  CHANNEL_BINDINGS_FIELDS,
  CREDS_FIELDS,
  GSS_C,
  IOV_BUFFER_FIELDS,
  KEY_VALUE_ELEMENT_FIELDS,
  KEY_VALUE_SET_FIELDS,
  KEYTAB_ENTRY_FIELDS,
  LUCID_V1_FIELDS,
  OID_DESC_FIELDS,
  OID_SET_DESC_FIELDS,
} from "../../raw/gssapi.ts";
import { type Struct, struct } from "../../memory/struct.ts";

/** The layouts for one platform's packing. */
export interface Layouts {
  /** `gss_OID_desc` */
  readonly oid: Struct<typeof OID_DESC_FIELDS>;
  /** `gss_OID_set_desc` */
  readonly oidSet: Struct<typeof OID_SET_DESC_FIELDS>;
  /** `gss_buffer_desc` */
  readonly buffer: Struct<typeof BUFFER_DESC_FIELDS>;
  /** `gss_buffer_set_desc` */
  readonly bufferSet: Struct<typeof BUFFER_SET_DESC_FIELDS>;
  /** `gss_key_value_element_desc` */
  readonly element: Struct<typeof KEY_VALUE_ELEMENT_FIELDS>;
  /** `gss_key_value_set_desc` */
  readonly set: Struct<typeof KEY_VALUE_SET_FIELDS>;
  /** `gss_channel_bindings_struct` */
  readonly bindings: Struct<typeof CHANNEL_BINDINGS_FIELDS>;
  /** `gss_iov_buffer_desc` */
  readonly iov: Struct<typeof IOV_BUFFER_FIELDS>;
  /** `gss_krb5_lucid_context_v1_t` */
  readonly lucid: Struct<typeof LUCID_V1_FIELDS>;
  /** `krb5_keytab_entry` */
  readonly keytabEntry: Struct<typeof KEYTAB_ENTRY_FIELDS>;
  /** `krb5_creds` */
  readonly creds: Struct<typeof CREDS_FIELDS>;
}

/** The layouts; `pack` is 2 on Intel Macs, as MIT's header says, and natural elsewhere. */
export function layouts(pack: number | undefined): Layouts {
  const options = pack === undefined ? {} : { pack };
  return {
    oid: struct("gss_OID_desc", OID_DESC_FIELDS, options),
    oidSet: struct("gss_OID_set_desc", OID_SET_DESC_FIELDS, options),
    buffer: struct("gss_buffer_desc", BUFFER_DESC_FIELDS, options),
    // gssapi_ext.h is outside the #pragma pack of gssapi.h; structs of gssapi.h nested in it are packed anyway.
    bufferSet: struct("gss_buffer_set_desc", BUFFER_SET_DESC_FIELDS),
    element: struct("gss_key_value_element_desc", KEY_VALUE_ELEMENT_FIELDS),
    set: struct("gss_key_value_set_desc", KEY_VALUE_SET_FIELDS),
    bindings: struct("gss_channel_bindings_struct", CHANNEL_BINDINGS_FIELDS, options),
    iov: struct("gss_iov_buffer_desc", IOV_BUFFER_FIELDS, options),
    lucid: struct("gss_krb5_lucid_context_v1_t", LUCID_V1_FIELDS),
    keytabEntry: struct("krb5_keytab_entry", KEYTAB_ENTRY_FIELDS, options),
    creds: struct("krb5_creds", CREDS_FIELDS, options),
  };
}

const view = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** The memory that each struct points to: the garbage collector does not follow addresses. */
const reach = new WeakMap<Uint8Array, readonly unknown[]>();

function holding(bytes: Uint8Array, ...pointedTo: unknown[]): Uint8Array {
  reach.set(bytes, pointedTo);
  return bytes;
}

/** Builds argument structs. */
export class StructBuilder {
  readonly layouts: Layouts;
  readonly #memory: Memory;

  constructor(memory: Memory, pack: number | undefined) {
    this.#memory = memory;
    this.layouts = layouts(pack);
  }

  /** A `gss_OID`. */
  oid(der: readonly number[]): Uint8Array {
    const elements = pinned(der.length);
    elements.set(der);
    const bytes = pinned(this.layouts.oid.size);
    this.layouts.oid.write(view(bytes), { length: der.length, elements: this.#memory.addressOf(elements) });
    return holding(bytes, elements);
  }

  /** A `gss_OID_set`. */
  oidSet(ders: readonly (readonly number[])[]): Uint8Array {
    const oids = ders.map((der) => this.oid(der));
    const { oid, oidSet } = this.layouts;
    const array = pinned(oids.length * oid.size);
    oids.forEach((bytes, index) => array.set(bytes, index * oid.size));
    const bytes = pinned(oidSet.size);
    oidSet.write(view(bytes), { count: BigInt(oids.length), elements: this.#memory.addressOf(array) });
    return holding(bytes, array, oids);
  }

  /** A `gss_buffer_t` over `data`, which must be pinned. */
  buffer(data: Uint8Array): Uint8Array {
    const bytes = pinned(this.layouts.buffer.size);
    this.layouts.buffer.write(view(bytes), {
      length: BigInt(data.length),
      value: this.#memory.addressOf(data),
    });
    return holding(bytes, data);
  }

  /** A `gss_const_key_value_set_t`: a credential store. */
  keyValueSet(entries: { readonly [key: string]: string }): Uint8Array {
    const { element, set } = this.layouts;
    const pairs = Object.entries(entries).map((pair) => pair.map(cString));
    const array = pinned(pairs.length * element.size);
    pairs.forEach(([key, value], index) => {
      element.write(view(array), {
        key: this.#memory.addressOf(key),
        value: this.#memory.addressOf(value),
      }, index * element.size);
    });
    const bytes = pinned(set.size);
    set.write(view(bytes), { count: pairs.length, elements: this.#memory.addressOf(array) });
    return holding(bytes, pairs, array);
  }

  /** A `gss_channel_bindings_t` with application data only, as in RFC 5929. */
  channelBindings(applicationData: Uint8Array): Uint8Array {
    const data = pinned(applicationData.length);
    data.set(applicationData);
    const bytes = pinned(this.layouts.bindings.size);
    // RFC 5554 and RFC 5929 leave the address types at 0 (GSS_C_AF_UNSPEC); so do Windows and MIT's own callers.
    this.layouts.bindings.write(view(bytes), {
      application_data_length: BigInt(data.length),
      application_data_value: this.#memory.addressOf(data),
    });
    return holding(bytes, data);
  }
}

/** The lifetime that means "no end". */
export const INDEFINITE: number = GSS_C.INDEFINITE;
