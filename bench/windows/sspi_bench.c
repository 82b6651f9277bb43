/*
 * The yardstick of `deno task bench:windows`: what a C program gets out of secur32.dll for Kerberos, both ends in one
 * process, with the calls this library makes. A DLL, so that it runs in the process of whom it is compared with.
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
  HANDLE port;
} bench;

struct end {
  CtxtHandle context;
  BOOL held, done;
  SecPkgContext_Sizes sizes;
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

/* A handshake under way. */
struct shake {
  struct end client, server;
  char *buffers[2];
  SecBuffer in, out;
  int leg;
  SECURITY_STATUS status;
};

static void end_shake(struct shake *shake) {
  if (shake->client.held) DeleteSecurityContext(&shake->client.context);
  if (shake->server.held) DeleteSecurityContext(&shake->server.context);
  free(shake->buffers[0]);
  free(shake->buffers[1]);
}

static void begin_shake(struct shake *shake) {
  memset(shake, 0, sizeof *shake);
  for (int at = 0; at < 2; at++) shake->buffers[at] = malloc(bench.max_token);
}

static BOOL is_client(const struct shake *shake) { return shake->leg % 2 == 0; }

/* The next leg: nothing but the call, which may be made on any thread. */
static void make_leg(struct shake *shake) {
  BOOL client = is_client(shake);
  struct end *end = client ? &shake->client : &shake->server;
  CtxtHandle *held = end->held ? &end->context : NULL;
  SecBufferDesc in = {SECBUFFER_VERSION, 1, &shake->in}, out = {SECBUFFER_VERSION, 1, &shake->out};
  ULONG flags;
  TimeStamp expiry;
  shake->out = (SecBuffer){bench.max_token, SECBUFFER_TOKEN, shake->buffers[shake->leg % 2]};
  shake->status =
      client ? InitializeSecurityContextW(&bench.client, held, bench.target, REQUEST, 0, SECURITY_NATIVE_DREP,
                                          shake->leg == 0 ? NULL : &in, 0, &end->context, &out, &flags, &expiry)
             : AcceptSecurityContext(&bench.server, held, &in, ACCEPT, SECURITY_NATIVE_DREP, &end->context, &out,
                                     &flags, &expiry);
}

/* What follows a leg: SEC_E_OK once both ends are done, SEC_I_CONTINUE_NEEDED where another leg is due, or why not. */
static SECURITY_STATUS settle_leg(struct shake *shake) {
  BOOL client = is_client(shake);
  struct end *end = client ? &shake->client : &shake->server;
  if (shake->status != SEC_E_OK && shake->status != SEC_I_CONTINUE_NEEDED) return shake->status;
  end->held = TRUE;
  if (shake->status == SEC_E_OK) {
    SECURITY_STATUS asked = finish(end);
    if (asked != SEC_E_OK) return asked;
    end->done = TRUE;
  }
  shake->in = (SecBuffer){shake->out.cbBuffer, SECBUFFER_TOKEN, shake->out.pvBuffer};
  shake->leg++;
  if (!shake->client.done || !shake->server.done) return SEC_I_CONTINUE_NEEDED;
  ask_name(&shake->server);
  return SEC_E_OK;
}

/* One handshake, as far as asking the client's name. */
static SECURITY_STATUS make_shake(struct shake *shake) {
  SECURITY_STATUS status;
  begin_shake(shake);
  do {
    make_leg(shake);
    status = settle_leg(shake);
  } while (status == SEC_I_CONTINUE_NEEDED);
  if (status != SEC_E_OK) end_shake(shake);
  return status;
}

/* Handshakes for `ms` milliseconds: how many, and how many microseconds they took. */
EXPORT SECURITY_STATUS BenchHandshakes(ULONG ms, UINT64 result[2]) {
  UINT64 start = now(), end = start + 1000ull * ms;
  struct shake shake;
  for (result[0] = 0; now() < end; result[0]++) {
    SECURITY_STATUS status = make_shake(&shake);
    if (status != SEC_E_OK) return status;
    end_shake(&shake);
  }
  result[1] = now() - start;
  return SEC_E_OK;
}

static void CALLBACK leg_on_a_thread(PTP_CALLBACK_INSTANCE instance, PVOID shake) {
  (void)instance;
  make_leg(shake);
  PostQueuedCompletionStatus(bench.port, 0, 0, shake);
}

/* Has the next leg made; its end is told through the port. */
static BOOL go_on(struct shake *shake) { return TrySubmitThreadpoolCallback(leg_on_a_thread, shake, NULL); }

/*
 * The same from a loop of events that never waits for a domain controller, `many` at a time, as the library makes them:
 * every leg is made by the system's pool of threads, and the loop hears of its end by an I/O completion port.
 */
EXPORT SECURITY_STATUS BenchHandshakeLoop(ULONG many, ULONG ms, UINT64 result[2]) {
  struct shake *shakes = calloc(many, sizeof *shakes);
  SECURITY_STATUS failed = SEC_E_OK;
  ULONG under_way = 0;
  UINT64 start = now(), end = start + 1000ull * ms;
  bench.port = CreateIoCompletionPort(INVALID_HANDLE_VALUE, NULL, 0, 1);
  if (bench.port == NULL) return SEC_E_INTERNAL_ERROR;
  result[0] = 0;
  for (; under_way < many; under_way++) {
    begin_shake(&shakes[under_way]);
    if (!go_on(&shakes[under_way])) return SEC_E_INTERNAL_ERROR;
  }
  while (under_way > 0) {
    OVERLAPPED_ENTRY entries[64];
    ULONG count;
    if (!GetQueuedCompletionStatusEx(bench.port, entries, 64, &count, INFINITE, FALSE)) return SEC_E_INTERNAL_ERROR;
    for (ULONG at = 0; at < count; at++) {
      struct shake *shake = (struct shake *)entries[at].lpOverlapped;
      SECURITY_STATUS status = settle_leg(shake);
      if (status == SEC_I_CONTINUE_NEEDED) {
        if (!go_on(shake)) return SEC_E_INTERNAL_ERROR;
        continue;
      }
      if (status == SEC_E_OK) result[0]++;
      else failed = status;
      end_shake(shake);
      under_way--;
      if (failed != SEC_E_OK || now() >= end) continue;
      begin_shake(shake);
      if (!go_on(shake)) return SEC_E_INTERNAL_ERROR;
      under_way++;
    }
  }
  result[1] = now() - start;
  CloseHandle(bench.port);
  free(shakes);
  return failed;
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
  struct shake both;
  SECURITY_STATUS status = make_shake(&both);
  if (status != SEC_E_OK) return status;
  ULONG room = max(both.client.sizes.cbSecurityTrailer, TOKEN_ROOM);
  char *plain = malloc(size);
  memset(plain, 'x', size);
  for (int at = 0; at < batch; at++) records[at].bytes = malloc(room + size + both.client.sizes.cbBlockSize);
  memset(result, 0, 3 * sizeof *result);
  for (UINT64 end = now() + 1000ull * ms; status == SEC_E_OK && (result[0] == 0 || now() < end);) {
    UINT64 start = now(), middle;
    for (int at = 0; status == SEC_E_OK && at < batch; at++) {
      status = seal(&both.client, plain, size, room, &records[at]);
    }
    middle = now();
    for (int at = 0; status == SEC_E_OK && at < batch; at++) status = open(&both.server, room, &records[at]);
    result[1] += middle - start;
    result[2] += now() - middle;
    result[0] += (UINT64)batch * size;
  }
  for (int at = 0; at < batch; at++) free(records[at].bytes);
  free(plain);
  end_shake(&both);
  return status;
}
