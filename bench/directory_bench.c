/*
 * A C client of a service of a domain, on libldap and libgssapi_krb5: what bench/services.ts compares with.
 *
 *   directory_bench ADDRESS BASE KEYWORD SPN PORT ROUNDS
 *
 * Each round binds to the directory at ADDRESS by SASL GSSAPI, sealed; finds the connection point by KEYWORD; verifies
 * that one account has SPN; connects to PORT of 127.0.0.1; and authenticates as [MS-NNS] has it, both ends. Prints a line
 * with the milliseconds of the round, and of the part of it after the bind. Exit status 1 where a step fails.
 */
#include <arpa/inet.h>
#include <gssapi/gssapi.h>
#include <ldap.h>
#include <netinet/tcp.h>
#include <sasl/sasl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define DONE 0x14
#define IN_PROGRESS 0x16

static void fail(const char *what, const char *why) {
  fprintf(stderr, "%s: %s\n", what, why);
  exit(1);
}

static double now(void) {
  struct timespec at;
  clock_gettime(CLOCK_MONOTONIC, &at);
  return at.tv_sec * 1e3 + at.tv_nsec / 1e6;
}

static void ok(const char *what, int code) {
  if (code != LDAP_SUCCESS) fail(what, ldap_err2string(code));
}

/* GSSAPI asks for nothing: the ticket says who it is. */
static int answer(LDAP *directory, unsigned flags, void *defaults, void *questions) {
  (void)directory, (void)flags, (void)defaults;
  for (sasl_interact_t *each = questions; each->id != SASL_CB_LIST_END; each++) each->result = "", each->len = 0;
  return LDAP_SUCCESS;
}

static LDAP *bind_to(const char *address) {
  LDAP *directory;
  char uri[64];
  int version = LDAP_VERSION3;
  snprintf(uri, sizeof uri, "ldap://%s", address);
  ok("ldap_initialize", ldap_initialize(&directory, uri));
  ldap_set_option(directory, LDAP_OPT_PROTOCOL_VERSION, &version);
  ldap_set_option(directory, LDAP_OPT_REFERRALS, LDAP_OPT_OFF);
  ldap_set_option(directory, LDAP_OPT_X_SASL_NOCANON, LDAP_OPT_ON);
  ldap_set_option(directory, LDAP_OPT_X_SASL_SECPROPS, "minssf=56");
  ok("bind", ldap_sasl_interactive_bind_s(directory, NULL, "GSSAPI", NULL, NULL, LDAP_SASL_QUIET, answer, NULL));
  return directory;
}

/* Exactly one object must match and have `attribute`. */
static void find(LDAP *directory, const char *base, const char *filter, char *attribute) {
  LDAPMessage *found;
  char *attributes[] = {attribute, NULL};
  ok(filter, ldap_search_ext_s(directory, base, LDAP_SCOPE_SUBTREE, filter, attributes, 0, NULL, NULL, NULL, 0, &found));
  LDAPMessage *entry = ldap_first_entry(directory, found);
  struct berval **values = entry ? ldap_get_values_len(directory, entry, attribute) : NULL;
  if (values == NULL || ldap_next_entry(directory, entry) != NULL) fail(filter, "not exactly one object");
  ldap_value_free_len(values);
  ldap_msgfree(found);
}

static void receive(int socket, unsigned char *into, size_t length) {
  for (size_t have = 0; have < length;) {
    ssize_t got = read(socket, into + have, length - have);
    if (got <= 0) fail("read", "the server ended the connection");
    have += got;
  }
}

static void authenticate(const char *spn, int port) {
  static gss_OID_desc spnego = {6, "\x2b\x06\x01\x05\x05\x02"}, principal = {10, "\x2a\x86\x48\x86\xf7\x12\x01\x02\x02\x01"};
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  int connection = socket(AF_INET, SOCK_STREAM, 0), on = 1, done = 0;
  setsockopt(connection, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (connect(connection, (struct sockaddr *)&to, sizeof to) != 0) fail("connect", "refused");
  OM_uint32 minor, major, flags = 0;
  gss_name_t name;
  gss_ctx_id_t context = GSS_C_NO_CONTEXT;
  gss_buffer_desc text = {strlen(spn), (void *)spn}, in = GSS_C_EMPTY_BUFFER, out = GSS_C_EMPTY_BUFFER;
  unsigned char buffer[65536 + 5];
  if (GSS_ERROR(gss_import_name(&minor, &text, &principal, &name))) fail("gss_import_name", spn);
  do {
    OM_uint32 wanted = GSS_C_MUTUAL_FLAG | GSS_C_CONF_FLAG | GSS_C_INTEG_FLAG | GSS_C_REPLAY_FLAG | GSS_C_SEQUENCE_FLAG;
    major = gss_init_sec_context(&minor, GSS_C_NO_CREDENTIAL, &context, name, &spnego, wanted, 0, NULL, &in, NULL, &out,
                                 &flags, NULL);
    if (GSS_ERROR(major)) fail("gss_init_sec_context", spn);
    if (out.length > 0) {
      unsigned char header[5] = {major == GSS_S_COMPLETE ? DONE : IN_PROGRESS, 1, 0, out.length >> 8, out.length & 255};
      memcpy(buffer, header, 5);
      memcpy(buffer + 5, out.value, out.length);
      if (write(connection, buffer, out.length + 5) != (ssize_t)out.length + 5) fail("write", "cut");
      gss_release_buffer(&minor, &out);
    }
    if (done) break;
    receive(connection, buffer, 5);
    if (buffer[0] != DONE && buffer[0] != IN_PROGRESS) fail("authenticate", "the server refuses");
    done = buffer[0] == DONE;
    in.length = buffer[3] << 8 | buffer[4];
    in.value = buffer + 5;
    receive(connection, in.value, in.length);
  } while (major != GSS_S_COMPLETE);
  if (!(flags & GSS_C_MUTUAL_FLAG) || !(flags & GSS_C_CONF_FLAG)) fail("authenticate", "not mutual, or not encrypted");
  gss_delete_sec_context(&minor, &context, NULL);
  gss_release_name(&minor, &name);
  close(connection);
}

int main(int count, char **args) {
  if (count != 7) fail("usage", "directory_bench ADDRESS BASE KEYWORD SPN PORT ROUNDS");
  char by_keyword[256], by_spn[256];
  snprintf(by_keyword, sizeof by_keyword, "(&(objectClass=serviceConnectionPoint)(keywords=%s))", args[3]);
  snprintf(by_spn, sizeof by_spn, "(servicePrincipalName=%s)", args[4]);
  for (int round = 0; round < atoi(args[6]); round++) {
    double began = now();
    LDAP *directory = bind_to(args[1]);
    double bound = now();
    find(directory, args[2], by_keyword, "serviceDNSName");
    find(directory, args[2], by_spn, "sAMAccountName");
    authenticate(args[4], atoi(args[5]));
    printf("%.3f %.3f\n", now() - began, now() - bound);
    ldap_unbind_ext_s(directory, NULL, NULL);
  }
  return 0;
}
