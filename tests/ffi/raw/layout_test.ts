/** Compares the tables of ffi/raw with the headers. */

import { assert, assertEquals } from "@std/assert";
import { test } from "@test";
import process from "node:process";
import { layouts } from "../../../ffi/security/gss/structs.ts";
import {
  GSS_C,
  GSS_ERROR_MASK,
  GSS_S,
  IOV_TYPE,
  KRB5_PRINCIPAL_PARSE,
  KRB5_STRUCT_BYTES,
  OIDS,
  TKT_FLG,
} from "../../../ffi/raw/gssapi.ts";
import { GSS_ROUTINE_ERRORS, KRB5_BASE, KRB5_ERRORS } from "../../../ffi/raw/gss_status.ts";
import {
  CLOCK_MONOTONIC,
  ITIMERSPEC_FIELDS,
  SIGEV_THREAD,
  SIGEVENT_FIELDS,
} from "../../../ffi/raw/signal.ts";
import { struct } from "../../../ffi/memory/struct.ts";
import { mustRun } from "../../../scripts/process.ts";
import { compile, noKerberosHeaders } from "../../support/native.ts";

const skip = noKerberosHeaders();

/** Returns the output of a C program with these lines, by line. */
async function runLines(lines: readonly string[]): Promise<string[]> {
  using program = await compile(
    `#include <stddef.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>
#include <gssapi/gssapi.h>
#include <gssapi/gssapi_ext.h>
#include <gssapi/gssapi_krb5.h>
#include <krb5.h>
int main(void) {
${lines.join("\n")}
  return 0;
}`,
    ["-lgssapi_krb5"],
  );
  const { stdout } = await mustRun(program.path, []);
  return stdout.trim().split("\n");
}

/** Returns the values of a list of C expressions. */
async function ask(expressions: readonly string[]): Promise<bigint[]> {
  const lines = expressions.map((text) => `  printf("%lld\\n", (long long)(${text}));`);
  return (await runLines(lines)).map(BigInt);
}

/** Fields that are flattened here and are in a nested struct in C. */
const NESTED: { readonly [field: string]: string } = {
  initiator_address_length: "initiator_address.length",
  initiator_address_value: "initiator_address.value",
  acceptor_address_length: "acceptor_address.length",
  acceptor_address_value: "acceptor_address.value",
  application_data_length: "application_data.length",
  application_data_value: "application_data.value",
  key_magic: "key.magic",
  key_enctype: "key.enctype",
  key_length: "key.length",
  key_contents: "key.contents",
  sign_alg: "rfc1964_kd.sign_alg",
  seal_alg: "rfc1964_kd.seal_alg",
  rfc1964_key_type: "rfc1964_kd.ctx_key.type",
  rfc1964_key_length: "rfc1964_kd.ctx_key.length",
  rfc1964_key_data: "rfc1964_kd.ctx_key.data",
  have_acceptor_subkey: "cfx_kd.have_acceptor_subkey",
  cfx_key_type: "cfx_kd.ctx_key.type",
  cfx_key_length: "cfx_kd.ctx_key.length",
  cfx_key_data: "cfx_kd.ctx_key.data",
  acceptor_subkey_type: "cfx_kd.acceptor_subkey.type",
  acceptor_subkey_length: "cfx_kd.acceptor_subkey.length",
  acceptor_subkey_data: "cfx_kd.acceptor_subkey.data",
};
const NESTED_CREDS: { readonly [name: string]: string } = {
  key_magic: "keyblock.magic",
  key_enctype: "keyblock.enctype",
  key_length: "keyblock.length",
  key_contents: "keyblock.contents",
  authtime: "times.authtime",
  starttime: "times.starttime",
  endtime: "times.endtime",
  renew_till: "times.renew_till",
  ticket_magic: "ticket.magic",
  ticket_length: "ticket.length",
  ticket_data: "ticket.data",
  second_ticket_magic: "second_ticket.magic",
  second_ticket_length: "second_ticket.length",
  second_ticket_data: "second_ticket.data",
};
const NESTED_IOV = { length: "buffer.length", value: "buffer.value" };

for (const layout of Object.values(layouts(undefined))) {
  const type = layout.name === "gss_channel_bindings_struct"
    ? "struct gss_channel_bindings_struct"
    : layout.name;
  test(`${layout.name} has the layout of the header`, async () => {
    // Alignment that is written out has no name in C.
    const names = Object.keys(layout.offsets).filter((name) => !name.startsWith("reserved"));
    const nested: { readonly [name: string]: string } = type === "gss_iov_buffer_desc"
      ? NESTED_IOV
      : type === "krb5_creds"
      ? NESTED_CREDS
      : NESTED;
    const member = (name: string): string => nested[name] ?? name;
    const [size, ...offsets] = await ask([
      `sizeof(${type})`,
      ...names.map((name) => `offsetof(${type}, ${member(name)})`),
    ]);
    const expected = names.map((name) => BigInt((layout.offsets as Record<string, number>)[name]));
    assertEquals(offsets, expected);
    // Only the head of these is described.
    if (/^krb5_keytab_entry|^krb5_creds/.test(layout.name)) assert(BigInt(layout.size) <= size);
    else assertEquals(BigInt(layout.size), size);
  }, { skip });
}

test(
  "the structs of the exit timer have the layout of the header",
  async () => {
    const nested: { readonly [field: string]: string } = {
      interval_sec: "it_interval.tv_sec",
      interval_nsec: "it_interval.tv_nsec",
      value_sec: "it_value.tv_sec",
      value_nsec: "it_value.tv_nsec",
    };
    for (const layout of [struct("sigevent", SIGEVENT_FIELDS), struct("itimerspec", ITIMERSPEC_FIELDS)]) {
      const { reserved: _, ...offsets } = layout.offsets as Record<string, number>;
      const type = `struct ${layout.name}`;
      assertEquals(
        await ask([
          `sizeof(${type})`,
          ...Object.keys(offsets).map((name) => `offsetof(${type}, ${nested[name] ?? name})`),
        ]),
        [layout.size, ...Object.values(offsets)].map(BigInt),
      );
    }
    assertEquals(await ask(["CLOCK_MONOTONIC", "SIGEV_THREAD", "sizeof(timer_t)"]), [
      BigInt(CLOCK_MONOTONIC),
      BigInt(SIGEV_THREAD),
      8n,
    ]);
  },
  { skip: skip ?? (process.platform === "linux" ? null : "the timer is used on Linux alone") },
);

const CONSTANTS: { readonly [text: string]: number } = {
  GSS_C_DELEG_FLAG: GSS_C.DELEG_FLAG,
  GSS_C_MUTUAL_FLAG: GSS_C.MUTUAL_FLAG,
  GSS_C_REPLAY_FLAG: GSS_C.REPLAY_FLAG,
  GSS_C_SEQUENCE_FLAG: GSS_C.SEQUENCE_FLAG,
  GSS_C_CONF_FLAG: GSS_C.CONF_FLAG,
  GSS_C_INTEG_FLAG: GSS_C.INTEG_FLAG,
  GSS_C_ANON_FLAG: GSS_C.ANON_FLAG,
  GSS_C_CHANNEL_BOUND_FLAG: GSS_C.CHANNEL_BOUND_FLAG,
  GSS_C_DCE_STYLE: GSS_C.DCE_STYLE,
  GSS_C_IDENTIFY_FLAG: GSS_C.IDENTIFY_FLAG,
  GSS_C_BOTH: GSS_C.BOTH,
  GSS_C_INITIATE: GSS_C.INITIATE,
  GSS_C_ACCEPT: GSS_C.ACCEPT,
  GSS_C_GSS_CODE: GSS_C.GSS_CODE,
  GSS_C_MECH_CODE: GSS_C.MECH_CODE,
  GSS_C_AF_NULLADDR: GSS_C.AF_NULLADDR,
  GSS_C_INDEFINITE: GSS_C.INDEFINITE,
  GSS_S_CONTINUE_NEEDED: GSS_S.CONTINUE_NEEDED,
  GSS_S_DUPLICATE_TOKEN: GSS_S.DUPLICATE_TOKEN,
  GSS_S_OLD_TOKEN: GSS_S.OLD_TOKEN,
  GSS_S_UNSEQ_TOKEN: GSS_S.UNSEQ_TOKEN,
  GSS_S_GAP_TOKEN: GSS_S.GAP_TOKEN,
  GSS_S_UNAVAILABLE: GSS_S.UNAVAILABLE,
  "GSS_ERROR(0xffffffff)": GSS_ERROR_MASK,
  GSS_IOV_BUFFER_TYPE_DATA: IOV_TYPE.DATA,
  GSS_IOV_BUFFER_TYPE_HEADER: IOV_TYPE.HEADER,
  GSS_IOV_BUFFER_TYPE_TRAILER: IOV_TYPE.TRAILER,
  GSS_IOV_BUFFER_TYPE_PADDING: IOV_TYPE.PADDING,
  GSS_IOV_BUFFER_TYPE_STREAM: IOV_TYPE.STREAM,
  "(unsigned)ERROR_TABLE_BASE_krb5": KRB5_BASE,
  TKT_FLG_FORWARDABLE: TKT_FLG.FORWARDABLE,
  TKT_FLG_RENEWABLE: TKT_FLG.RENEWABLE,
  TKT_FLG_INITIAL: TKT_FLG.INITIAL,
  KRB5_PRINCIPAL_PARSE_ENTERPRISE: KRB5_PRINCIPAL_PARSE.ENTERPRISE,
};

test("KRB5_STRUCT_BYTES is enough for the structs that libkrb5 fills", async () => {
  const sizes = await ask(["sizeof(krb5_creds)", "sizeof(krb5_keytab_entry)"]);
  for (const size of sizes) assert(size <= BigInt(KRB5_STRUCT_BYTES));
}, { skip });

test("every constant has the header's value", async () => {
  const said = await ask(Object.keys(CONSTANTS).map((text) => `(unsigned)(${text})`));
  assertEquals(Object.fromEntries(Object.keys(CONSTANTS).map((name, index) => [name, Number(said[index])])), {
    ...CONSTANTS,
  });
}, { skip });

test("every status has the header's name", async () => {
  const routine = Object.entries(GSS_ROUTINE_ERRORS);
  const kerberos = Object.entries(KRB5_ERRORS);
  const said = await ask([
    ...routine.map(([, { name }]) => `GSS_ROUTINE_ERROR(${name}) >> 16`),
    ...kerberos.map(([, { name }]) => `${name} - ERROR_TABLE_BASE_krb5`),
  ]);
  assertEquals(said.map(Number), [...routine, ...kerberos].map(([code]) => Number(code)));
}, { skip });

/** The library's own variables; SPNEGO and the lucid context have none. */
const OID_VARIABLES = {
  kerberos: "gss_mech_krb5",
  principalName: "GSS_KRB5_NT_PRINCIPAL_NAME",
  hostService: "GSS_C_NT_HOSTBASED_SERVICE",
  userName: "GSS_C_NT_USER_NAME",
  noCiFlags: "GSS_KRB5_CRED_NO_CI_FLAGS_X",
  sessionKey: "GSS_C_INQ_SSPI_SESSION_KEY",
} as const;

test("every object identifier equals the library's", async () => {
  const lines = Object.values(OID_VARIABLES).map((name) =>
    `  { gss_OID o = (gss_OID)${name}; for (unsigned i = 0; i < o->length; i++) printf("%d ", ((unsigned char *)o->elements)[i]); puts(""); }`
  );
  const said = (await runLines(lines)).map((line) => line.trim().split(" ").map(Number));
  assertEquals(said, Object.keys(OID_VARIABLES).map((name) => [...OIDS[name as keyof typeof OID_VARIABLES]]));
}, { skip });
