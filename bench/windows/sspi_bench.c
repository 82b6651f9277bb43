/*
 * The yardstick of `deno task bench:windows`: what a C program gets out of secur32.dll for Kerberos, both ends in one
 * process and one thread, with the calls this library makes. A DLL, so that it runs in the process of whom it is
 * compared with.
 *
 * Every function answers a SECURITY_STATUS; what was measured goes to `result`, as 64-bit numbers.
 */
#define SECURITY_WIN32
#include <windows.h>
#include <sspi.h>
#include <stdlib.h>
#include <string.h>

#define REQUEST                                                                                              \
  (ISC_REQ_CONNECTION | ISC_REQ_MUTUAL_AUTH | ISC_REQ_INTEGRITY | ISC_REQ_REPLAY_DETECT |                     \
   ISC_REQ_SEQUENCE_DETECT | ISC_REQ_CONFIDENTIALITY | ISC_REQ_IDENTIFY)
#define ACCEPT                                                                                               \
  (ASC_REQ_CONNECTION | ASC_REQ_MUTUAL_AUTH | ASC_REQ_INTEGRITY | ASC_REQ_REPLAY_DETECT |                     \
   ASC_REQ_SEQUENCE_DETECT | ASC_REQ_CONFIDENTIALITY | ASC_REQ_IDENTIFY)
/* The least room for a record's token: Wine announces less than it uses. */
#define TOKEN_ROOM 128
#define MAX_BATCH 256
#define EXPORT __declspec(dllexport)

static struct {
  CredHandle client, server;
  ULONG max_token;
  WCHAR target[256];
  /* Whether a record is opened as one SECBUFFER_STREAM, which Wine 10 does not know. */
  BOOL stream;
} bench;

struct end {
  CtxtHandle context;
  BOOL held;
  SecPkgContext_Sizes sizes;
};

struct pair {
  struct end client, server;
};

static UINT64 now(void) {
  LARGE_INTEGER ticks, frequency;
  QueryPerformanceFrequency(&frequency);
  QueryPerformanceCounter(&ticks);
  return (UINT64)((double)ticks.QuadPart * 1e6 / (double)frequency.QuadPart);
}

/* Acquires both credentials, as the current user, for handshakes with `target`. */
EXPORT SECURITY_STATUS BenchOpen(const WCHAR *target, BOOL stream) {
  static WCHAR kerberos[] = L"Kerberos";
  SecPkgInfoW *info;
  TimeStamp expiry;
  SECURITY_STATUS status = QuerySecurityPackageInfoW(kerberos, &info);
  if (status != SEC_E_OK) return status;
  bench.max_token = info->cbMaxToken;
  FreeContextBuffer(info);
  bench.stream = stream;
  lstrcpynW(bench.target, target, sizeof bench.target / sizeof *bench.target);
  status = AcquireCredentialsHandleW(NULL, kerberos, SECPKG_CRED_OUTBOUND, NULL, NULL, NULL, NULL, &bench.client,
                                     &expiry);
  if (status != SEC_E_OK) return status;
  status = AcquireCredentialsHandleW(NULL, kerberos, SECPKG_CRED_INBOUND, NULL, NULL, NULL, NULL, &bench.server,
                                     &expiry);
  if (status != SEC_E_OK) FreeCredentialsHandle(&bench.client);
  return status;
}

/* Gives the credentials back. */
EXPORT void BenchClose(void) {
  FreeCredentialsHandle(&bench.client);
  FreeCredentialsHandle(&bench.server);
}

/* What the library asks of a context that is done. */
static SECURITY_STATUS finish(struct end *end) {
  SecPkgContext_NegotiationInfoW info;
  if (QueryContextAttributesW(&end->context, SECPKG_ATTR_NEGOTIATION_INFO, &info) == SEC_E_OK) {
    FreeContextBuffer(info.PackageInfo);
  }
  return QueryContextAttributesW(&end->context, SECPKG_ATTR_SIZES, &end->sizes);
}

/* What the library asks to know the client's name. */
static void ask_name(struct end *end) {
  SecPkgContext_NativeNamesW native;
  SecPkgContext_NamesW names;
  if (QueryContextAttributesW(&end->context, SECPKG_ATTR_NATIVE_NAMES, &native) == SEC_E_OK) {
    FreeContextBuffer(native.sClientName);
    FreeContextBuffer(native.sServerName);
  } else if (QueryContextAttributesW(&end->context, SECPKG_ATTR_NAMES, &names) == SEC_E_OK) {
    FreeContextBuffer(names.sUserName);
  }
}

static void delete_pair(struct pair *pair) {
  if (pair->client.held) DeleteSecurityContext(&pair->client.context);
  if (pair->server.held) DeleteSecurityContext(&pair->server.context);
}

static SECURITY_STATUS step(BOOL client, struct end *end, SecBufferDesc *in, SecBufferDesc *out) {
  ULONG flags;
  TimeStamp expiry;
  CtxtHandle *held = end->held ? &end->context : NULL;
  SECURITY_STATUS status =
      client ? InitializeSecurityContextW(&bench.client, held, bench.target, REQUEST, 0, SECURITY_NATIVE_DREP, in, 0,
                                          &end->context, out, &flags, &expiry)
             : AcceptSecurityContext(&bench.server, held, in, ACCEPT, SECURITY_NATIVE_DREP, &end->context, out, &flags,
                                     &expiry);
  if (status < 0) return status;
  end->held = TRUE;
  if (status == SEC_E_OK) {
    SECURITY_STATUS asked = finish(end);
    if (asked != SEC_E_OK) return asked;
  }
  return status;
}

/* One handshake, as far as asking the client's name. */
static SECURITY_STATUS shake(struct pair *pair) {
  char *buffers[2] = {malloc(bench.max_token), malloc(bench.max_token)};
  SecBuffer in = {0, SECBUFFER_TOKEN, NULL}, out;
  SecBufferDesc input = {SECBUFFER_VERSION, 1, &in}, output = {SECBUFFER_VERSION, 1, &out};
  SECURITY_STATUS client = SEC_I_CONTINUE_NEEDED, server = SEC_I_CONTINUE_NEEDED, failed = SEC_E_OK;
  memset(pair, 0, sizeof *pair);
  for (int leg = 0; failed == SEC_E_OK && (client != SEC_E_OK || server != SEC_E_OK); leg++) {
    BOOL is_client = leg % 2 == 0;
    SECURITY_STATUS *status = is_client ? &client : &server;
    out = (SecBuffer){bench.max_token, SECBUFFER_TOKEN, buffers[leg % 2]};
    *status = step(is_client, is_client ? &pair->client : &pair->server, leg == 0 ? NULL : &input, &output);
    if (*status != SEC_E_OK && *status != SEC_I_CONTINUE_NEEDED) failed = *status;
    in = (SecBuffer){out.cbBuffer, SECBUFFER_TOKEN, out.pvBuffer};
  }
  if (failed == SEC_E_OK) ask_name(&pair->server);
  else delete_pair(pair);
  free(buffers[0]);
  free(buffers[1]);
  return failed;
}

/* Handshakes for `ms` milliseconds: how many, and how many microseconds they took. */
EXPORT SECURITY_STATUS BenchHandshakes(ULONG ms, UINT64 result[2]) {
  UINT64 start = now(), end = start + 1000ull * ms;
  struct pair pair;
  for (result[0] = 0; now() < end; result[0]++) {
    SECURITY_STATUS status = shake(&pair);
    if (status != SEC_E_OK) return status;
    delete_pair(&pair);
  }
  result[1] = now() - start;
  return SEC_E_OK;
}

/* A record: room for its token, its data, and padding behind. */
struct record {
  char *bytes;
  ULONG token, data, padding;
};

static SECURITY_STATUS seal(struct end *end, const char *plain, ULONG size, ULONG room, struct record *record) {
  char *data = record->bytes + room;
  SecBuffer buffers[3] = {{room, SECBUFFER_TOKEN, record->bytes},
                          {size, SECBUFFER_DATA, data},
                          {end->sizes.cbBlockSize, SECBUFFER_PADDING, data + size}};
  SecBufferDesc desc = {SECBUFFER_VERSION, 3, buffers};
  memcpy(data, plain, size);
  SECURITY_STATUS status = EncryptMessage(&end->context, 0, &desc, 0);
  record->token = buffers[0].cbBuffer;
  record->data = buffers[1].cbBuffer;
  record->padding = buffers[2].cbBuffer;
  /* The record in one piece, as it is sent. */
  memmove(data - record->token, record->bytes, record->token);
  return status;
}

static SECURITY_STATUS open(struct end *end, ULONG room, const struct record *record) {
  char *data = record->bytes + room, *start = data - record->token;
  SecBuffer stream[2] = {{record->token + record->data + record->padding, SECBUFFER_STREAM, start},
                         {0, SECBUFFER_DATA, NULL}};
  SecBuffer parts[2] = {{record->token, SECBUFFER_TOKEN, start}, {record->data, SECBUFFER_DATA, data}};
  SecBufferDesc desc = {SECBUFFER_VERSION, 2, bench.stream ? stream : parts};
  ULONG qop = SECQOP_WRAP_NO_ENCRYPT;
  SECURITY_STATUS status = DecryptMessage(&end->context, &desc, 0, &qop);
  return status == SEC_E_OK && qop != 0 ? SEC_E_DECRYPT_FAILURE : status;
}

/* Seals and opens messages of `size` bytes for `ms` milliseconds: bytes, microseconds of sealing and of opening. */
EXPORT SECURITY_STATUS BenchSeal(ULONG size, ULONG ms, UINT64 result[3]) {
  /* The buffers of a batch take half a MiB at most, for both sides alike. */
  int batch = size >= 8192 ? 8 : MAX_BATCH;
  struct record records[MAX_BATCH];
  struct pair pair;
  SECURITY_STATUS status = shake(&pair);
  if (status != SEC_E_OK) return status;
  ULONG room = max(pair.client.sizes.cbSecurityTrailer, TOKEN_ROOM);
  char *plain = malloc(size);
  memset(plain, 'x', size);
  for (int at = 0; at < batch; at++) records[at].bytes = malloc(room + size + pair.client.sizes.cbBlockSize);
  memset(result, 0, 3 * sizeof *result);
  for (UINT64 end = now() + 1000ull * ms; status == SEC_E_OK && (result[0] == 0 || now() < end);) {
    UINT64 start = now(), middle;
    for (int at = 0; status == SEC_E_OK && at < batch; at++) {
      status = seal(&pair.client, plain, size, room, &records[at]);
    }
    middle = now();
    for (int at = 0; status == SEC_E_OK && at < batch; at++) status = open(&pair.server, room, &records[at]);
    result[1] += middle - start;
    result[2] += now() - middle;
    result[0] += (UINT64)batch * size;
  }
  for (int at = 0; at < batch; at++) free(records[at].bytes);
  free(plain);
  delete_pair(&pair);
  return status;
}
