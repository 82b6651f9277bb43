/*
 * The reference of the bench: the rates of a C program on libgssapi_krb5, both ends in one process and one thread.
 *
 * Reads one measure a line from standard input and answers each with one line of numbers, or with "! " and a reason:
 *
 *   handshake MECH CACHE MS        handshakes a second, credentials acquired once
 *   handshake-kept MECH CACHE MS   the same, krb5.conf and the target's mechanism name kept from one to the next
 *   handshake-new MECH CACHE MS    the same as the first, both credentials acquired anew each time
 *   seal MECH SIZE MS              MiB/s of wrap and of unwrap, in place with gss_wrap_iov and gss_unwrap_iov
 *   seal-copy MECH SIZE MS         the same with gss_wrap and gss_unwrap
 *   bare MECH SIZE MS              MiB/s of wrap and unwrap together, in place
 *   connect MECH SIZE MS           connections a second over loopback TCP (gss_tcp.h): the client's credentials, the
 *                                  handshake, a message of SIZE bytes there and back where SIZE is not 0, closed
 *
 * MECH is kerberos or negotiate. CACHE is file (the credential cache of KRB5CCNAME) or memory (one got with the key
 * table of KRB5_CLIENT_KTNAME). SIZE and MS are bytes and milliseconds. Each measure runs for MS; a second is one of
 * processor time, or of elapsed time where the variable BENCH_CLOCK is wall.
 */
#include <gssapi/gssapi_ext.h>
#include <gssapi/gssapi_krb5.h>
#include <krb5.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "gss_tcp.h"

#define REQUEST                                                                                            \
  (GSS_C_MUTUAL_FLAG | GSS_C_INTEG_FLAG | GSS_C_REPLAY_FLAG | GSS_C_SEQUENCE_FLAG | GSS_C_CONF_FLAG |      \
   GSS_C_IDENTIFY_FLAG)
#define MAX_BATCH 256
#define MAX_OVERHEAD 256

static gss_OID_desc kerberos_oid = {9, "\x2a\x86\x48\x86\xf7\x12\x01\x02\x02"};
static gss_OID_desc spnego_oid = {6, "\x2b\x06\x01\x05\x05\x02"};

struct credentials {
  gss_OID mech;
  int memory;
  gss_cred_id_t client, server;
};

struct pair {
  gss_ctx_id_t client, server;
};

/* A measure that fails is reported to the bench, which decides; the process goes on to the next one. */
static const char *failed_at;
static OM_uint32 failed_minor;

static int ok(const char *fn, OM_uint32 major, OM_uint32 minor) {
  if (!GSS_ERROR(major)) return 1;
  failed_at = fn;
  failed_minor = minor;
  return 0;
}

static double read_clock(clockid_t clock) {
  struct timespec at;
  clock_gettime(clock, &at);
  return at.tv_sec + at.tv_nsec / 1e9;
}

/* Tells when to stop. */
static double now(void) { return read_clock(CLOCK_MONOTONIC); }

/* Tells how long it took: in processor time, or by the wall where BENCH_CLOCK says so. */
static double used(void) {
  const char *clock = getenv("BENCH_CLOCK");
  return read_clock(clock && !strcmp(clock, "wall") ? CLOCK_MONOTONIC : CLOCK_PROCESS_CPUTIME_ID);
}

static int restrict_mechanisms(const struct credentials *creds, gss_cred_id_t handle) {
  gss_OID_set_desc kerberos = {1, &kerberos_oid};
  OM_uint32 major, minor;
  if (creds->mech == &kerberos_oid) return 1;
  major = gss_set_neg_mechs(&minor, handle, &kerberos);
  return ok("gss_set_neg_mechs", major, minor);
}

static int acquire_client(struct credentials *creds) {
  static unsigned caches;
  char cache[64];
  OM_uint32 major, minor;
  gss_OID_set_desc mechs = {1, creds->mech};
  gss_key_value_element_desc entries[2] = {{"client_keytab", getenv("KRB5_CLIENT_KTNAME")}, {"ccache", cache}};
  gss_key_value_set_desc store = {2, entries};
  snprintf(cache, sizeof cache, "MEMORY:bench-%u", ++caches);
  major = gss_acquire_cred_from(&minor, GSS_C_NO_NAME, GSS_C_INDEFINITE, &mechs, GSS_C_INITIATE,
                                creds->memory ? &store : GSS_C_NO_CRED_STORE, &creds->client, NULL, NULL);
  return ok("gss_acquire_cred_from", major, minor) && restrict_mechanisms(creds, creds->client);
}

static int acquire_server(struct credentials *creds) {
  OM_uint32 major, minor;
  gss_OID_set_desc mechs = {1, creds->mech};
  major = gss_acquire_cred_from(&minor, GSS_C_NO_NAME, GSS_C_INDEFINITE, &mechs, GSS_C_ACCEPT,
                                GSS_C_NO_CRED_STORE, &creds->server, NULL, NULL);
  return ok("gss_acquire_cred_from", major, minor) && restrict_mechanisms(creds, creds->server);
}

static int acquire(struct credentials *creds) { return acquire_client(creds) && acquire_server(creds); }

static void release(struct credentials *creds) {
  OM_uint32 minor;
  gss_release_cred(&minor, &creds->client);
  gss_release_cred(&minor, &creds->server);
}

static void delete_pair(struct pair *pair) {
  OM_uint32 minor;
  gss_delete_sec_context(&minor, &pair->client, GSS_C_NO_BUFFER);
  gss_delete_sec_context(&minor, &pair->server, GSS_C_NO_BUFFER);
}

static int import_target(gss_name_t *target) {
  gss_buffer_desc text = {14, "HTTP/localhost"};
  OM_uint32 major, minor;
  major = gss_import_name(&minor, &text, (gss_OID)GSS_KRB5_NT_PRINCIPAL_NAME, target);
  return ok("gss_import_name", major, minor);
}

/* The target in the form the mechanism computes with; for SPNEGO with a Kerberos name inside. */
static int keep_target(gss_OID mech, gss_name_t *kept) {
  gss_name_t typed, exported;
  gss_buffer_desc token;
  OM_uint32 major, minor;
  if (!import_target(&typed)) return 0;
  major = gss_canonicalize_name(&minor, typed, &kerberos_oid, kept);
  gss_release_name(&minor, &typed);
  if (!ok("gss_canonicalize_name", major, minor)) return 0;
  if (mech == &kerberos_oid) return 1;
  major = gss_export_name(&minor, *kept, &token);
  gss_release_name(&minor, kept);
  if (!ok("gss_export_name", major, minor)) return 0;
  major = gss_import_name(&minor, &token, GSS_C_NT_EXPORT_NAME, &exported);
  gss_release_buffer(&minor, &token);
  if (!ok("gss_import_name", major, minor)) return 0;
  major = gss_canonicalize_name(&minor, exported, mech, kept);
  gss_release_name(&minor, &exported);
  return ok("gss_canonicalize_name", major, minor);
}

/*
 * Runs one handshake, as far as knowing the client's name; what it needs of names and tokens it releases itself. The
 * tokens go over `tcp`, or from hand to hand where it is NULL.
 */
static int shake(const struct credentials *creds, gss_name_t kept, const struct tcp *tcp, struct pair *pair) {
  gss_buffer_desc out = GSS_C_EMPTY_BUFFER, back = GSS_C_EMPTY_BUFFER, text = GSS_C_EMPTY_BUFFER;
  gss_name_t target = kept, source = GSS_C_NO_NAME;
  OM_uint32 client = GSS_S_CONTINUE_NEEDED, server = GSS_S_CONTINUE_NEEDED, minor, flags = 0;
  int fine = kept != GSS_C_NO_NAME || import_target(&target);
  pair->client = pair->server = GSS_C_NO_CONTEXT;
  while (fine && (client | server) & GSS_S_CONTINUE_NEEDED) {
    if (client & GSS_S_CONTINUE_NEEDED) {
      client = gss_init_sec_context(&minor, creds->client, &pair->client, target, creds->mech, REQUEST, 0,
                                    GSS_C_NO_CHANNEL_BINDINGS, &back, NULL, &out, &flags, NULL);
      gss_release_buffer(&minor, &back);
      fine = ok("gss_init_sec_context", client, minor);
      if (fine && tcp && out.length) fine = ok("carry", carry(tcp->client, tcp->server, &out) ? 0 : GSS_S_FAILURE, 0);
    }
    if (fine && server & GSS_S_CONTINUE_NEEDED) {
      server = gss_accept_sec_context(&minor, &pair->server, creds->server, &out, GSS_C_NO_CHANNEL_BINDINGS,
                                      &source, NULL, &back, NULL, NULL, NULL);
      fine = ok("gss_accept_sec_context", server, minor);
      if (fine && server == GSS_S_COMPLETE) {
        fine = ok("gss_display_name", gss_display_name(&minor, source, &text, NULL), minor);
        gss_release_buffer(&minor, &text);
      }
      gss_release_name(&minor, &source);
      if (fine && tcp && back.length) fine = ok("carry", carry(tcp->server, tcp->client, &back) ? 0 : GSS_S_FAILURE, 0);
    }
    gss_release_buffer(&minor, &out);
  }
  gss_release_buffer(&minor, &back);
  if (kept == GSS_C_NO_NAME) gss_release_name(&minor, &target);
  if (fine && (flags & REQUEST) != REQUEST) fine = ok("the flags agreed on", GSS_S_FAILURE, 0);
  if (!fine) delete_pair(pair);
  return fine;
}

enum keeping { KEEP_NOTHING, KEEP_CREDENTIALS, KEEP_NAMES };

static int handshakes(struct credentials *creds, enum keeping keep, double seconds) {
  gss_name_t kept = GSS_C_NO_NAME;
  krb5_context configuration = NULL;
  struct pair pair;
  OM_uint32 minor;
  long count = 0;
  double end, start;
  if (keep != KEEP_NOTHING && !acquire(creds)) return 0;
  if (keep == KEEP_NAMES) {
    if (krb5_init_context(&configuration)) return ok("krb5_init_context", GSS_S_FAILURE, 0);
    if (!keep_target(creds->mech, &kept)) return 0;
  }
  start = used();
  for (end = now() + seconds; now() < end; count++) {
    if (keep == KEEP_NOTHING && !acquire(creds)) return 0;
    if (!shake(creds, kept, NULL, &pair)) return 0;
    delete_pair(&pair);
    if (keep == KEEP_NOTHING) release(creds);
  }
  printf("%.1f\n", count / (used() - start));
  release(creds);
  gss_release_name(&minor, &kept);
  if (configuration) krb5_free_context(configuration);
  return 1;
}

/* The lengths of the header and the trailer, which for Kerberos do not depend on the message. */
static int lengths(gss_ctx_id_t context, gss_iov_buffer_desc iov[4]) {
  OM_uint32 major, minor;
  iov[0].type = GSS_IOV_BUFFER_TYPE_HEADER;
  iov[1].type = GSS_IOV_BUFFER_TYPE_DATA;
  iov[2].type = GSS_IOV_BUFFER_TYPE_PADDING;
  iov[3].type = GSS_IOV_BUFFER_TYPE_TRAILER;
  iov[1].buffer.length = 4096;
  major = gss_wrap_iov_length(&minor, context, 1, GSS_C_QOP_DEFAULT, NULL, iov, 4);
  return ok("gss_wrap_iov_length", major, minor);
}

static int wrap_in_place(gss_ctx_id_t context, const gss_iov_buffer_desc known[4], const char *plain,
                         size_t size, gss_buffer_t record) {
  OM_uint32 major, minor;
  int sealed = 0;
  gss_iov_buffer_desc iov[4];
  char *at = record->value;
  memcpy(iov, known, sizeof iov);
  iov[1].buffer.length = size;
  for (int index = 0; index < 4; at += iov[index++].buffer.length) iov[index].buffer.value = at;
  record->length = at - (char *)record->value;
  memcpy(iov[1].buffer.value, plain, size);
  major = gss_wrap_iov(&minor, context, 1, GSS_C_QOP_DEFAULT, &sealed, iov, 4);
  return ok("gss_wrap_iov", major, minor) && ok("conf_state", sealed ? 0 : GSS_S_FAILURE, 0);
}

static int unwrap_in_place(gss_ctx_id_t context, gss_buffer_t record) {
  OM_uint32 major, minor;
  int sealed = 0;
  gss_iov_buffer_desc iov[2] = {{GSS_IOV_BUFFER_TYPE_STREAM, *record}, {GSS_IOV_BUFFER_TYPE_DATA, {0, NULL}}};
  major = gss_unwrap_iov(&minor, context, &sealed, NULL, iov, 2);
  return ok("gss_unwrap_iov", major, minor) && ok("order", major || !sealed ? GSS_S_FAILURE : 0, 0);
}

static int wrap_copy(gss_ctx_id_t context, char *plain, size_t size, gss_buffer_t record) {
  OM_uint32 major, minor;
  int sealed = 0;
  gss_buffer_desc in = {size, plain};
  major = gss_wrap(&minor, context, 1, GSS_C_QOP_DEFAULT, &in, &sealed, record);
  return ok("gss_wrap", major, minor) && ok("conf_state", sealed ? 0 : GSS_S_FAILURE, 0);
}

static int unwrap_copy(gss_ctx_id_t context, gss_buffer_t record) {
  OM_uint32 major, minor;
  int sealed = 0;
  gss_buffer_desc plain;
  major = gss_unwrap(&minor, context, record, &plain, &sealed, NULL);
  if (!ok("gss_unwrap", major, minor)) return 0;
  gss_release_buffer(&minor, &plain);
  gss_release_buffer(&minor, record);
  return ok("order", major || !sealed ? GSS_S_FAILURE : 0, 0);
}

enum sealing { IN_PLACE, COPIED, BARE };

static int seal(struct credentials *creds, enum sealing how, size_t size, double seconds) {
  /* The buffers of a batch take half a MiB at most, for every peer alike. */
  int batch = size >= 8192 ? 8 : MAX_BATCH, copy = how == COPIED;
  char *plain = malloc(size);
  gss_buffer_desc records[MAX_BATCH] = {{0, NULL}};
  gss_iov_buffer_desc known[4] = {{0, {0, NULL}}};
  struct pair pair;
  double wrapping = 0, unwrapping = 0, mib = 0, end = now() + seconds;
  int fine = plain && acquire(creds) && shake(creds, GSS_C_NO_NAME, NULL, &pair) && lengths(pair.client, known);
  if (plain) memset(plain, 'x', size);
  for (int at = 0; !copy && at < batch; at++) records[at].value = malloc(size + MAX_OVERHEAD);
  while (fine && (mib == 0 || now() < end)) {
    double start = used(), middle;
    for (int at = 0; fine && at < batch; at++) {
      fine = copy ? wrap_copy(pair.client, plain, size, &records[at])
                  : wrap_in_place(pair.client, known, plain, size, &records[at]);
    }
    middle = used();
    for (int at = 0; fine && at < batch; at++) {
      fine = copy ? unwrap_copy(pair.server, &records[at]) : unwrap_in_place(pair.server, &records[at]);
    }
    wrapping += middle - start;
    unwrapping += used() - middle;
    mib += (double)batch * size / (1 << 20);
  }
  for (int at = 0; !copy && at < batch; at++) free(records[at].value);
  free(plain);
  if (!fine) return 0;
  delete_pair(&pair);
  release(creds);
  if (how == BARE) printf("%.2f\n", mib / (wrapping + unwrapping));
  else printf("%.2f %.2f\n", mib / wrapping, mib / unwrapping);
  return 1;
}

/* One message: wrapped by one end, carried, and opened by the other. */
static int message(gss_ctx_id_t sender, int from, gss_ctx_id_t receiver, int to, gss_buffer_t plain) {
  gss_buffer_desc record;
  return wrap_copy(sender, plain->value, plain->length, &record) &&
         ok("carry", carry(from, to, &record) ? 0 : GSS_S_FAILURE, 0) && unwrap_copy(receiver, &record);
}

static int connections(struct credentials *creds, size_t size, double seconds) {
  struct listener listener;
  struct tcp tcp;
  struct pair pair;
  gss_buffer_desc plain = {size, calloc(1, size + 1)};
  OM_uint32 minor;
  long count = 0;
  double end, start;
  int fine = plain.value && acquire_server(creds);
  if (fine) fine = ok("listen", open_listener(&listener) ? 0 : GSS_S_FAILURE, 0);
  start = used();
  for (end = now() + seconds; fine && now() < end; count++) {
    fine = acquire_client(creds);
    if (!fine) break;
    fine = ok("connect", open_tcp(&listener, &tcp) ? 0 : GSS_S_FAILURE, 0);
    if (fine && (fine = shake(creds, GSS_C_NO_NAME, &tcp, &pair))) {
      if (size) {
        fine = message(pair.client, tcp.client, pair.server, tcp.server, &plain) &&
               message(pair.server, tcp.server, pair.client, tcp.client, &plain);
      }
      delete_pair(&pair);
    }
    close_tcp(&tcp);
    gss_release_cred(&minor, &creds->client);
  }
  free(plain.value);
  if (!fine) return 0;
  printf("%.1f\n", count / (used() - start));
  close(listener.fd);
  gss_release_cred(&minor, &creds->server);
  return 1;
}

static int measure(const char *what, const char *mech, const char *third, int ms) {
  struct credentials creds = {strcmp(mech, "kerberos") ? &spnego_oid : &kerberos_oid, 0, NULL, NULL};
  size_t size = strtoul(third, NULL, 10);
  if (!strcmp(what, "connect")) return connections(&creds, size, ms / 1e3);
  creds.memory = strcmp(third, "file") != 0;
  if (!strcmp(what, "handshake")) return handshakes(&creds, KEEP_CREDENTIALS, ms / 1e3);
  if (!strcmp(what, "handshake-kept")) return handshakes(&creds, KEEP_NAMES, ms / 1e3);
  if (!strcmp(what, "handshake-new")) return handshakes(&creds, KEEP_NOTHING, ms / 1e3);
  if (!strcmp(what, "seal")) return seal(&creds, IN_PLACE, size, ms / 1e3);
  if (!strcmp(what, "seal-copy")) return seal(&creds, COPIED, size, ms / 1e3);
  if (!strcmp(what, "bare")) return seal(&creds, BARE, size, ms / 1e3);
  return ok("this program does not measure that", GSS_S_FAILURE, 0);
}

int main(void) {
  char line[256], what[32], mech[32], third[32];
  int ms;
  while (fgets(line, sizeof line, stdin)) {
    if (sscanf(line, "%31s %31s %31s %d", what, mech, third, &ms) != 4) printf("! not a measure: %s", line);
    else if (!measure(what, mech, third, ms)) printf("! %s failed, minor status %u\n", failed_at, failed_minor);
    fflush(stdout);
  }
  return 0;
}
