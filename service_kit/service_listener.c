/*
 * Design.  Each thread has a listener of its own on the same port (SO_REUSEPORT), so that the
 * kernel spreads the connections and threads share nothing.  The price is that a second process of
 * the same user could join in unnoticed.  So the port is bound once without SO_REUSEPORT first,
 * which fails when anybody has it.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "service_kit/service_internal.h"

#define SEND_TIMEOUT_MS     15000
#define RECEIVE_BUFFER_SIZE 131072 /* a request is smaller; more would only let clients hoard */
#define DESCRIPTORS_SPARE   256    /* log, database, loops, and copies for lingering closes */

static bool parse_address(const struct service_config *config, struct sockaddr_storage *address,
                          socklen_t *length) {
    struct sockaddr_in *four = (struct sockaddr_in *)address;
    struct sockaddr_in6 *six = (struct sockaddr_in6 *)address;
    *address = (struct sockaddr_storage){0};
    if (inet_pton(AF_INET, config->bind_address, &four->sin_addr) == 1) {
        four->sin_family = AF_INET;
        four->sin_port = htons((uint16_t)config->port);
        *length = sizeof(*four);
        return true;
    }
    if (inet_pton(AF_INET6, config->bind_address, &six->sin6_addr) == 1) {
        six->sin6_family = AF_INET6;
        six->sin6_port = htons((uint16_t)config->port);
        *length = sizeof(*six);
        return true;
    }
    return false;
}

static bool set_option(int fd, int level, int option, int value) {
    return setsockopt(fd, level, option, &value, sizeof(value)) == 0;
}

/* -1 with errno. */
static int bind_socket(const struct sockaddr_storage *address, socklen_t length, bool shared) {
    int fd = socket(address->ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -1;
    /* Buffers and timeouts are inherited by the accepted sockets. */
    bool ok = set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1) &&
              (!shared || set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1)) &&
              set_option(fd, SOL_SOCKET, SO_RCVBUF, RECEIVE_BUFFER_SIZE) &&
              set_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, SEND_TIMEOUT_MS) &&
              bind(fd, (const struct sockaddr *)address, length) == 0 &&
              (shared || listen(fd, 1) == 0);
    if (!ok) {
        int error = errno;
        close(fd);
        errno = error;
        return -1;
    }
    return fd;
}

bool service_listen(struct service_process *process, char *error, size_t error_size) {
    const struct service_config *config = process->config;
    struct sockaddr_storage address;
    socklen_t length = 0;
    if (!parse_address(config, &address, &length)) {
        (void)snprintf(error, error_size, "BIND_ADDRESS must be a numeric address");
        return false;
    }
    int probe = bind_socket(&address, length, false);
    if (probe >= 0)
        close(probe);
    bool ok = probe >= 0;
    for (size_t i = 0; ok && i < process->thread_count; i++) {
        process->threads[i].listener = bind_socket(&address, length, true);
        ok = process->threads[i].listener >= 0;
    }
    if (!ok)
        (void)snprintf(error, error_size, "cannot listen on %s port %lld: %s", config->bind_address,
                       (long long)config->port,
                       errno == EADDRINUSE ? "the port is taken" : strerror(errno));
    return ok;
}

void service_close_listeners(struct service_process *process) {
    for (size_t i = 0; i < process->thread_count; i++)
        if (process->threads[i].listener >= 0)
            close(process->threads[i].listener);
}

int64_t service_connections(int64_t wanted) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return wanted;
    if (limit.rlim_cur < limit.rlim_max) {
        rlim_t soft = limit.rlim_cur;
        limit.rlim_cur = limit.rlim_max;
        if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
            limit.rlim_cur = soft;
    }
    if (limit.rlim_cur == RLIM_INFINITY || limit.rlim_cur >= (rlim_t)wanted + DESCRIPTORS_SPARE)
        return wanted;
    return limit.rlim_cur > 2 * DESCRIPTORS_SPARE ? (int64_t)limit.rlim_cur - DESCRIPTORS_SPARE
                                                  : (int64_t)limit.rlim_cur / 2;
}
