/**
 * libgssapi_krb5: the functions, layouts and constants the library uses, as RFC 2744, RFC 5587 and MIT's
 * gssapi_ext.h and gssapi_krb5.h declare them. No logic.
 *
 * @see https://www.rfc-editor.org/rfc/rfc2744
 * @see https://github.com/krb5/krb5/blob/master/src/lib/gssapi/generic/gssapi_ext.h
 * @module
 */

import type { LibrarySpec } from "../abi.ts";
import { STAT_FNS } from "../memory/file_state.ts";
import { FILE_FNS, MEMORY_FNS } from "../memory/memory.ts";

/**
 * The GSS-API of MIT Kerberos. Handles are `usize`; `gss_*_t *` out-parameters are 8-byte buffers. The `krb5_*`
 * functions are of libkrb5, which it depends on: `dlsym` on its handle finds them.
 */
export const GSSAPI = {
  name: "libgssapi_krb5",
  instead:
    "Install MIT Kerberos: Debian libgssapi-krb5-2, Fedora krb5-libs, Alpine krb5-libs, macOS `brew install krb5`",
  files: {
    linux: [
      "/usr/lib/{multiarch}/libgssapi_krb5.so.2",
      "/usr/lib64/libgssapi_krb5.so.2",
      "/usr/lib/libgssapi_krb5.so.2",
    ],
    darwin: [
      "/opt/homebrew/opt/krb5/lib/libgssapi_krb5.2.2.dylib",
      "/usr/local/opt/krb5/lib/libgssapi_krb5.2.2.dylib",
    ],
  },
  fns: {
    ...MEMORY_FNS,
    ...FILE_FNS,
    ...STAT_FNS,
    gss_acquire_cred_from: {
      params: [
        ["minor_status", "buf"],
        ["desired_name", "usize"],
        ["time_req", "u32"],
        ["desired_mechs", "buf"],
        ["cred_usage", "i32"],
        ["cred_store", "buf"],
        ["output_cred_handle", "buf"],
        ["actual_mechs", "buf"],
        ["time_rec", "buf"],
      ],
      result: "u32",
      threaded: true,
    },
    gss_acquire_cred_with_password: {
      params: [
        ["minor_status", "buf"],
        ["desired_name", "usize"],
        ["password", "buf"],
        ["time_req", "u32"],
        ["desired_mechs", "buf"],
        ["cred_usage", "i32"],
        ["output_cred_handle", "buf"],
        ["actual_mechs", "buf"],
        ["time_rec", "buf"],
      ],
      result: "u32",
      threaded: true,
    },
    gss_set_neg_mechs: {
      params: [["minor_status", "buf"], ["cred_handle", "usize"], ["mech_set", "buf"]],
      result: "u32",
    },
    gss_set_cred_option: {
      params: [["minor_status", "buf"], ["cred_handle", "buf"], ["desired_object", "buf"], ["value", "buf"]],
      result: "u32",
    },
    gss_store_cred_into: {
      params: [
        ["minor_status", "buf"],
        ["input_cred_handle", "usize"],
        ["cred_usage", "i32"],
        ["desired_mech", "buf"],
        ["overwrite_cred", "u32"],
        ["default_cred", "u32"],
        ["cred_store", "buf"],
        ["elements_stored", "buf"],
        ["cred_usage_stored", "buf"],
      ],
      result: "u32",
    },
    gss_release_cred: { params: [["minor_status", "buf"], ["cred_handle", "buf"]], result: "u32" },
    gss_import_name: {
      params: [
        ["minor_status", "buf"],
        ["input_name_buffer", "buf"],
        ["input_name_type", "buf"],
        ["output_name", "buf"],
      ],
      result: "u32",
    },
    gss_display_name: {
      params: [
        ["minor_status", "buf"],
        ["input_name", "usize"],
        ["output_name_buffer", "buf"],
        ["output_name_type", "buf"],
      ],
      result: "u32",
    },
    gss_canonicalize_name: {
      params: [
        ["minor_status", "buf"],
        ["input_name", "usize"],
        ["mech_type", "buf"],
        ["output_name", "buf"],
      ],
      result: "u32",
    },
    gss_export_name: {
      params: [["minor_status", "buf"], ["input_name", "usize"], ["exported_name", "buf"]],
      result: "u32",
    },
    gss_localname: {
      params: [["minor_status", "buf"], ["name", "usize"], ["mech_type", "buf"], ["localname", "buf"]],
      result: "u32",
    },
    gss_get_name_attribute: {
      params: [
        ["minor_status", "buf"],
        ["name", "usize"],
        ["attr", "buf"],
        ["authenticated", "buf"],
        ["complete", "buf"],
        ["value", "buf"],
        ["display_value", "buf"],
        ["more", "buf"],
      ],
      result: "u32",
    },
    gss_release_name: { params: [["minor_status", "buf"], ["input_name", "buf"]], result: "u32" },
    gss_release_buffer: { params: [["minor_status", "buf"], ["buffer", "buf"]], result: "u32" },
    gss_release_buffer_set: { params: [["minor_status", "buf"], ["buffer_set", "buf"]], result: "u32" },
    gss_init_sec_context: {
      params: [
        ["minor_status", "buf"],
        ["claimant_cred_handle", "usize"],
        ["context_handle", "buf"],
        ["target_name", "usize"],
        ["mech_type", "buf"],
        ["req_flags", "u32"],
        ["time_req", "u32"],
        ["input_chan_bindings", "buf"],
        ["input_token", "buf"],
        ["actual_mech_type", "buf"],
        ["output_token", "buf"],
        ["ret_flags", "buf"],
        ["time_rec", "buf"],
      ],
      result: "u32",
      threaded: true,
    },
    gss_accept_sec_context: {
      params: [
        ["minor_status", "buf"],
        ["context_handle", "buf"],
        ["acceptor_cred_handle", "usize"],
        ["input_token_buffer", "buf"],
        ["input_chan_bindings", "buf"],
        ["src_name", "buf"],
        ["mech_type", "buf"],
        ["output_token", "buf"],
        ["ret_flags", "buf"],
        ["time_rec", "buf"],
        ["delegated_cred_handle", "buf"],
      ],
      result: "u32",
      threaded: true,
    },
    gss_delete_sec_context: {
      params: [["minor_status", "buf"], ["context_handle", "buf"], ["output_token", "buf"]],
      result: "u32",
    },
    gss_inquire_context: {
      params: [
        ["minor_status", "buf"],
        ["context_handle", "usize"],
        ["src_name", "buf"],
        ["targ_name", "buf"],
        ["lifetime_rec", "buf"],
        ["mech_type", "buf"],
        ["ctx_flags", "buf"],
        ["locally_initiated", "buf"],
        ["open", "buf"],
      ],
      result: "u32",
    },
    gss_inquire_sec_context_by_oid: {
      params: [
        ["minor_status", "buf"],
        ["context_handle", "usize"],
        ["desired_object", "buf"],
        ["data_set", "buf"],
      ],
      result: "u32",
    },
    gss_krb5_free_lucid_sec_context: { params: [["minor_status", "buf"], ["kctx", "usize"]], result: "u32" },
    gss_wrap_iov: {
      params: [
        ["minor_status", "buf"],
        ["context_handle", "usize"],
        ["conf_req_flag", "i32"],
        ["qop_req", "u32"],
        ["conf_state", "buf"],
        ["iov", "buf"],
        ["iov_count", "i32"],
      ],
      result: "u32",
    },
    gss_wrap_iov_length: {
      params: [
        ["minor_status", "buf"],
        ["context_handle", "usize"],
        ["conf_req_flag", "i32"],
        ["qop_req", "u32"],
        ["conf_state", "buf"],
        ["iov", "buf"],
        ["iov_count", "i32"],
      ],
      result: "u32",
    },
    gss_unwrap_iov: {
      params: [
        ["minor_status", "buf"],
        ["context_handle", "usize"],
        ["conf_state", "buf"],
        ["qop_state", "buf"],
        ["iov", "buf"],
        ["iov_count", "i32"],
      ],
      result: "u32",
    },
    gss_wrap_size_limit: {
      params: [
        ["minor_status", "buf"],
        ["context_handle", "usize"],
        ["conf_req_flag", "i32"],
        ["qop_req", "u32"],
        ["req_output_size", "u32"],
        ["max_input_size", "buf"],
      ],
      result: "u32",
    },
    gss_wrap: {
      params: [
        ["minor_status", "buf"],
        ["context_handle", "usize"],
        ["conf_req_flag", "i32"],
        ["qop_req", "u32"],
        ["input_message_buffer", "buf"],
        ["conf_state", "buf"],
        ["output_message_buffer", "buf"],
      ],
      result: "u32",
    },
    gss_unwrap: {
      params: [
        ["minor_status", "buf"],
        ["context_handle", "usize"],
        ["input_message_buffer", "buf"],
        ["output_message_buffer", "buf"],
        ["conf_state", "buf"],
        ["qop_state", "buf"],
      ],
      result: "u32",
    },
    gss_get_mic: {
      params: [
        ["minor_status", "buf"],
        ["context_handle", "usize"],
        ["qop_req", "u32"],
        ["message_buffer", "buf"],
        ["message_token", "buf"],
      ],
      result: "u32",
    },
    gss_verify_mic: {
      params: [
        ["minor_status", "buf"],
        ["context_handle", "usize"],
        ["message_buffer", "buf"],
        ["message_token", "buf"],
        ["qop_state", "buf"],
      ],
      result: "u32",
    },
    gss_display_status: {
      params: [
        ["minor_status", "buf"],
        ["status_value", "u32"],
        ["status_type", "i32"],
        ["mech_type", "buf"],
        ["message_context", "buf"],
        ["status_string", "buf"],
      ],
      result: "u32",
    },
    gss_inquire_cred: {
      params: [
        ["minor_status", "buf"],
        ["cred_handle", "usize"],
        ["name", "buf"],
        ["lifetime", "buf"],
        ["cred_usage", "buf"],
        ["mechanisms", "buf"],
      ],
      result: "u32",
      threaded: true,
    },
    krb5_init_context: { params: [["context", "buf"]], result: "i32" },
    krb5_free_context: { params: [["context", "usize"]], result: "void" },
    krb5_cc_resolve: { params: [["context", "usize"], ["name", "buf"], ["cache", "buf"]], result: "i32" },
    krb5_kt_default: { params: [["context", "usize"], ["id", "buf"]], result: "i32" },
    krb5_kt_resolve: { params: [["context", "usize"], ["name", "buf"], ["ktid", "buf"]], result: "i32" },
    krb5_kt_close: { params: [["context", "usize"], ["keytab", "usize"]], result: "i32" },
    krb5_kt_start_seq_get: {
      params: [["context", "usize"], ["keytab", "usize"], ["cursor", "buf"]],
      result: "i32",
    },
    krb5_kt_next_entry: {
      params: [["context", "usize"], ["keytab", "usize"], ["entry", "buf"], ["cursor", "buf"]],
      result: "i32",
    },
    krb5_kt_end_seq_get: {
      params: [["context", "usize"], ["keytab", "usize"], ["cursor", "buf"]],
      result: "i32",
    },
    krb5_free_keytab_entry_contents: { params: [["context", "usize"], ["entry", "buf"]], result: "i32" },
    krb5_unparse_name: {
      params: [["context", "usize"], ["principal", "usize"], ["name", "buf"]],
      result: "i32",
    },
    krb5_free_unparsed_name: { params: [["context", "usize"], ["name", "usize"]], result: "void" },
    krb5_cc_destroy: { params: [["context", "usize"], ["cache", "usize"]], result: "i32" },
    krb5_cc_close: { params: [["context", "usize"], ["cache", "usize"]], result: "i32" },
    krb5_cc_default_name: { params: [["context", "usize"]], result: "usize" },
    krb5_cc_get_principal: {
      params: [["context", "usize"], ["cache", "usize"], ["principal", "buf"]],
      result: "i32",
      threaded: true,
    },
    krb5_cc_initialize: {
      params: [["context", "usize"], ["cache", "usize"], ["principal", "usize"]],
      result: "i32",
    },
    krb5_cc_copy_creds: {
      params: [["context", "usize"], ["incc", "usize"], ["outcc", "usize"]],
      result: "i32",
      threaded: true,
    },
    krb5_cc_get_config: {
      params: [["context", "usize"], ["id", "usize"], ["principal", "usize"], ["key", "buf"], [
        "data",
        "buf",
      ]],
      result: "i32",
    },
    krb5_free_data_contents: { params: [["context", "usize"], ["val", "buf"]], result: "void" },
    krb5_timeofday: { params: [["context", "usize"], ["timeret", "buf"]], result: "i32" },
    krb5_get_credentials: {
      params: [
        ["context", "usize"],
        ["options", "i32"],
        ["ccache", "usize"],
        ["in_creds", "buf"],
        ["out_creds", "buf"],
      ],
      result: "i32",
    },
    krb5_free_creds: { params: [["context", "usize"], ["val", "usize"]], result: "void" },
    krb5_kt_default_name: {
      params: [["context", "usize"], ["name", "buf"], ["name_size", "i32"]],
      result: "i32",
    },
    krb5_kt_client_default: { params: [["context", "usize"], ["keytab_out", "buf"]], result: "i32" },
    krb5_kt_get_name: {
      params: [["context", "usize"], ["keytab", "usize"], ["name", "buf"], ["namelen", "u32"]],
      result: "i32",
    },
    krb5_parse_name_flags: {
      params: [["context", "usize"], ["name", "buf"], ["flags", "i32"], ["principal_out", "buf"]],
      result: "i32",
    },
    krb5_copy_principal: {
      params: [["context", "usize"], ["inprinc", "usize"], ["outprinc", "buf"]],
      result: "i32",
    },
    krb5_free_principal: { params: [["context", "usize"], ["val", "usize"]], result: "void" },
    krb5_get_init_creds_opt_alloc: { params: [["context", "usize"], ["opt", "buf"]], result: "i32" },
    krb5_get_init_creds_opt_free: { params: [["context", "usize"], ["opt", "usize"]], result: "void" },
    krb5_get_init_creds_opt_set_forwardable: {
      params: [["opt", "usize"], ["forwardable", "i32"]],
      result: "void",
    },
    krb5_get_init_creds_opt_set_out_ccache: {
      params: [["context", "usize"], ["opt", "usize"], ["ccache", "usize"]],
      result: "i32",
    },
    krb5_get_init_creds_password: {
      params: [
        ["context", "usize"],
        ["creds", "buf"],
        ["client", "usize"],
        ["password", "buf"],
        ["prompter", "usize"],
        ["data", "usize"],
        ["start_time", "i32"],
        ["in_tkt_service", "buf"],
        ["k5_gic_options", "usize"],
      ],
      result: "i32",
      threaded: true,
    },
    krb5_get_init_creds_keytab: {
      params: [
        ["context", "usize"],
        ["creds", "buf"],
        ["client", "usize"],
        ["arg_keytab", "usize"],
        ["start_time", "i32"],
        ["in_tkt_service", "buf"],
        ["k5_gic_options", "usize"],
      ],
      result: "i32",
      threaded: true,
    },
    krb5_free_cred_contents: { params: [["context", "usize"], ["val", "buf"]], result: "void" },
    krb5_get_error_message: { params: [["ctx", "usize"], ["code", "i32"]], result: "usize" },
    krb5_free_error_message: { params: [["ctx", "usize"], ["msg", "usize"]], result: "void" },
    krb5_get_default_realm: { params: [["context", "usize"], ["lrealm", "buf"]], result: "i32" },
    krb5_free_default_realm: { params: [["context", "usize"], ["lrealm", "usize"]], result: "void" },
    krb5_get_default_config_files: { params: [["filenames", "buf"]], result: "i32" },
    krb5_free_config_files: { params: [["filenames", "usize"]], result: "void" },
    krb5_cc_default: { params: [["context", "usize"], ["ccache", "buf"]], result: "i32", optional: true },
    krb5_cc_start_seq_get: {
      params: [["context", "usize"], ["cache", "usize"], ["cursor", "buf"]],
      result: "i32",
      optional: true,
    },
    krb5_cc_next_cred: {
      params: [["context", "usize"], ["cache", "usize"], ["cursor", "buf"], ["creds", "buf"]],
      result: "i32",
      optional: true,
    },
    krb5_cc_end_seq_get: {
      params: [["context", "usize"], ["cache", "usize"], ["cursor", "buf"]],
      result: "i32",
      optional: true,
    },
    krb5_get_profile: { params: [["context", "usize"], ["profile", "buf"]], result: "i32", optional: true },
    profile_get_values: {
      params: [["profile", "usize"], ["names", "buf"], ["ret_values", "buf"]],
      result: "i64",
      optional: true,
    },
    profile_free_list: { params: [["list", "usize"]], result: "void", optional: true },
    profile_release: { params: [["profile", "usize"]], result: "void", optional: true },
    gss_indicate_mechs: {
      params: [["minor_status", "buf"], ["mech_set", "buf"]],
      result: "u32",
      optional: true,
    },
    gss_release_oid_set: { params: [["minor_status", "buf"], ["set", "buf"]], result: "u32", optional: true },
  },
} as const satisfies LibrarySpec;

/** Object identifiers: the contents of their DER encoding. */
export const OIDS = {
  kerberos: [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x12, 0x01, 0x02, 0x02],
  spnego: [0x2b, 0x06, 0x01, 0x05, 0x05, 0x02],
  ntlmssp: [0x2b, 0x06, 0x01, 0x04, 0x01, 0x82, 0x37, 0x02, 0x02, 0x0a],
  /** GSS_KRB5_NT_PRINCIPAL_NAME */
  principalName: [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x12, 0x01, 0x02, 0x02, 0x01],
  /** GSS_C_NT_HOSTBASED_SERVICE */
  hostService: [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x12, 0x01, 0x02, 0x01, 0x04],
  /** GSS_C_NT_USER_NAME */
  userName: [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x12, 0x01, 0x02, 0x01, 0x01],
  /** GSS_KRB5_CRED_NO_CI_FLAGS_X */
  noCiFlags: [0x2a, 0x85, 0x70, 0x2b, 0x0d, 0x1d],
  /** GSS_C_NT_EXPORT_NAME */
  exportedName: [0x2b, 0x06, 0x01, 0x05, 0x06, 0x04],
  /** GSS_C_INQ_SSPI_SESSION_KEY */
  sessionKey: [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x12, 0x01, 0x02, 0x02, 0x05, 0x05],
  /** GSS_KRB5_EXPORT_LUCID_SEC_CONTEXT_OID, version 1; querying it does not change the context. */
  lucidV1: [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x12, 0x01, 0x02, 0x02, 0x05, 0x06, 0x01],
  /** GSS_KRB5_EXTRACT_AUTHZ_DATA_FROM_SEC_CONTEXT_OID, for AD-IF-RELEVANT: authorization data of type 1. */
  ifRelevant: [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x12, 0x01, 0x02, 0x02, 0x05, 0x0a, 0x01],
} as const;

/** `gss_OID_desc`. MIT packs its structs to 2 bytes on Intel Macs. */
export const OID_DESC_FIELDS = { length: "u32", elements: "ptr" } as const;
/** `gss_OID_set_desc`. */
export const OID_SET_DESC_FIELDS = { count: "usize", elements: "ptr" } as const;
/** `gss_buffer_desc`. */
export const BUFFER_DESC_FIELDS = { length: "usize", value: "ptr" } as const;
/** `gss_buffer_set_desc`. */
export const BUFFER_SET_DESC_FIELDS = { count: "usize", elements: "ptr" } as const;
/** `gss_key_value_element_desc`. */
export const KEY_VALUE_ELEMENT_FIELDS = { key: "ptr", value: "ptr" } as const;
/** `gss_key_value_set_desc`. */
export const KEY_VALUE_SET_FIELDS = { count: "u32", elements: "ptr" } as const;
/** `gss_channel_bindings_struct`, with its buffers flattened. */
export const CHANNEL_BINDINGS_FIELDS = {
  initiator_addrtype: "u32",
  initiator_address_length: "usize",
  initiator_address_value: "ptr",
  acceptor_addrtype: "u32",
  acceptor_address_length: "usize",
  acceptor_address_value: "ptr",
  application_data_length: "usize",
  application_data_value: "ptr",
} as const;
/** `gss_iov_buffer_desc`, with its buffer flattened. */
export const IOV_BUFFER_FIELDS = { type: "u32", length: "usize", value: "ptr" } as const;
/**
 * `gss_krb5_lucid_context_v1_t`, with its keys flattened. The alignment of the nested structs is written out as
 * reserved fields.
 */
export const LUCID_V1_FIELDS = {
  version: "u32",
  initiate: "u32",
  endtime: "u32",
  send_seq: "u64",
  recv_seq: "u64",
  protocol: "u32",
  reserved1: "u32",
  sign_alg: "u32",
  seal_alg: "u32",
  rfc1964_key_type: "u32",
  rfc1964_key_length: "u32",
  rfc1964_key_data: "ptr",
  have_acceptor_subkey: "u32",
  reserved2: "u32",
  cfx_key_type: "u32",
  cfx_key_length: "u32",
  cfx_key_data: "ptr",
  acceptor_subkey_type: "u32",
  acceptor_subkey_length: "u32",
  acceptor_subkey_data: "ptr",
} as const;

/** Name attributes (RFC 6680) with which libkrb5 returns the buffers of a PAC. */
export const NAME_ATTRIBUTES = {
  logonInfo: "urn:mspac:logon-info",
  upnDnsInfo: "urn:mspac:upn-dns-info",
} as const;
/** `krb5_keytab_entry`, with its key flattened. */
export const KEYTAB_ENTRY_FIELDS = {
  magic: "i32",
  principal: "ptr",
  timestamp: "i32",
  vno: "u32",
  key_magic: "i32",
  key_enctype: "i32",
  key_length: "u32",
  key_contents: "ptr",
} as const;

/** `krb5_creds`, with its key, times and data flattened. */
export const CREDS_FIELDS = {
  magic: "i32",
  client: "ptr",
  server: "ptr",
  key_magic: "i32",
  key_enctype: "i32",
  key_length: "u32",
  key_contents: "ptr",
  authtime: "i32",
  starttime: "i32",
  endtime: "u32",
  renew_till: "i32",
  is_skey: "u32",
  ticket_flags: "i32",
  addresses: "ptr",
  ticket_magic: "i32",
  ticket_length: "u32",
  ticket_data: "ptr",
  second_ticket_magic: "i32",
  second_ticket_length: "u32",
  second_ticket_data: "ptr",
  authdata: "ptr",
} as const;

/** An option of `krb5_get_credentials`: only look in the cache. */
export const KRB5_GC_CACHED = 2;

/** Bits of `krb5_creds.ticket_flags`. */
export const TKT_FLG = { FORWARDABLE: 0x4000_0000, RENEWABLE: 0x0080_0000, INITIAL: 0x0040_0000 } as const;

/** Context flags: RFC 2744, RFC 4757 (the Windows ones) and gssapi_ext.h. */
export const GSS_C = {
  DELEG_FLAG: 1,
  MUTUAL_FLAG: 2,
  REPLAY_FLAG: 4,
  SEQUENCE_FLAG: 8,
  CONF_FLAG: 16,
  INTEG_FLAG: 32,
  ANON_FLAG: 64,
  CHANNEL_BOUND_FLAG: 2048,
  DCE_STYLE: 0x1000,
  IDENTIFY_FLAG: 8192,
  BOTH: 0,
  INITIATE: 1,
  ACCEPT: 2,
  GSS_CODE: 1,
  MECH_CODE: 2,
  AF_NULLADDR: 255,
  INDEFINITE: 0xffffffff,
} as const;

/**
 * Supplementary bits of a major status, which GSS_ERROR() does not treat as errors, and the one error used by number.
 */
export const GSS_S = {
  CONTINUE_NEEDED: 1,
  DUPLICATE_TOKEN: 2,
  OLD_TOKEN: 4,
  UNSEQ_TOKEN: 8,
  GAP_TOKEN: 16,
  UNAVAILABLE: 0x100000,
} as const;

/** Flags of `krb5_parse_name_flags`. */
export const KRB5_PRINCIPAL_PARSE = { ENTERPRISE: 4 } as const;

/** Bytes for a `krb5_creds` (120) or a `krb5_keytab_entry` (48) of 64-bit systems, which the library fills. */
export const KRB5_STRUCT_BYTES = 256;

/** The bits of a major status that make it an error. */
export const GSS_ERROR_MASK = 0xffff0000;

/** `gss_iov_buffer_desc.type`. */
export const IOV_TYPE = { DATA: 1, HEADER: 2, TRAILER: 7, PADDING: 9, STREAM: 10 } as const;
