/*
 * TCP between the two ends of gss_bench.c: a connection over loopback, and tokens in frames with a length, carried by
 * blocking calls of one thread. What the socket's buffer does not hold would block for ever: tokens are a few KiB.
 */
#include <arpa/inet.h>
#include <gssapi/gssapi.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct listener {
  int fd;
  struct sockaddr_in at;
};

/* Both ends of one connection. */
struct tcp {
  int client, server;
};

static int open_listener(struct listener *listener) {
  socklen_t length = sizeof listener->at;
  struct sockaddr *at = (struct sockaddr *)&listener->at;
  memset(&listener->at, 0, sizeof listener->at);
  listener->at.sin_family = AF_INET;
  listener->at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  listener->fd = socket(AF_INET, SOCK_STREAM, 0);
  return listener->fd >= 0 && !bind(listener->fd, at, length) && !listen(listener->fd, 128) &&
         !getsockname(listener->fd, at, &length);
}

static int open_tcp(const struct listener *listener, struct tcp *tcp) {
  int on = 1;
  tcp->server = -1;
  tcp->client = socket(AF_INET, SOCK_STREAM, 0);
  if (tcp->client < 0) return 0;
  if (connect(tcp->client, (const struct sockaddr *)&listener->at, sizeof listener->at)) return 0;
  tcp->server = accept(listener->fd, NULL, NULL);
  return tcp->server >= 0 && !setsockopt(tcp->client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) &&
         !setsockopt(tcp->server, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

static void close_tcp(struct tcp *tcp) {
  if (tcp->client >= 0) close(tcp->client);
  if (tcp->server >= 0) close(tcp->server);
}

static int read_whole(int fd, char *into, size_t length) {
  while (length > 0) {
    ssize_t some = read(fd, into, length);
    if (some <= 0) return 0;
    into += some;
    length -= some;
  }
  return 1;
}

/* Sends what `token` has and replaces it with what arrives at the other end, which the caller releases. */
static int carry(int from, int to, gss_buffer_t token) {
  OM_uint32 minor;
  uint32_t size = htonl(token->length);
  size_t length = sizeof size + token->length;
  char *frame = malloc(length);
  int fine = frame != NULL;
  if (fine) {
    memcpy(frame, &size, sizeof size);
    memcpy(frame + sizeof size, token->value, token->length);
    fine = write(from, frame, length) == (ssize_t)length;
  }
  free(frame);
  gss_release_buffer(&minor, token);
  if (!fine || !read_whole(to, (char *)&size, sizeof size)) return 0;
  token->length = ntohl(size);
  token->value = malloc(token->length);
  return token->value && read_whole(to, token->value, token->length);
}
