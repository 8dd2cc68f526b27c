/*
 * Design.  A connection is ours from accept to the end of its close.  Each is bounded:
 *
 *   count       at connections_max the listener is not read; what comes waits in the kernel's queue
 *   silence     libh2o closes an idle connection, or one whose request does not arrive, after
 *               receive_timeout_ms
 *   input       libh2o would gather 400 KiB of head per connection: once a second those that hold
 *               more than a request may have are cut
 *   output      TCP_USER_TIMEOUT, set on the listener, closes one that does not take its answer
 *
 * Closing with unread input makes the kernel send a reset, which can destroy an answer on its way
 * ("413" would arrive as "connection reset").  So an answer that ends a connection early keeps a
 * copy of the descriptor, shuts down the sending side, and reads and forgets what still comes, for
 * a short time.
 */
#include "service_kit/http_connection.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "service_kit/memory.h"

#define ACCEPTS_PER_TURN  64
#define RETRY_US          100000
#define POLICE_US         1000000
#define INPUT_SLACK_BYTES 65536 /* a pipelined request behind the one that is read */
#define LINGER_US         2000000
#define LINGER_BYTES_MAX  (4U << 20)
#define LINGER_READ_SIZE  16384
#define LINGER_READS      16
#define DRAIN_GRACE_US    300000
#define DRAIN_RECEIVE_MS  1000

static bool accept_connections(struct http_thread *thread);

/* ---- counting ---- */

static void count_connections(struct http_thread *thread) {
    metrics_set(thread->server->metrics.metrics, thread->number,
                thread->server->metrics.connections, (int64_t)thread->connection_count);
}

static void on_listener(h2o_socket_t *listener, const char *err) {
    (void)err;
    (void)accept_connections(listener->data);
}

static void set_listening(struct http_thread *thread, bool listening) {
    if (thread->listener == NULL || thread->listening == listening)
        return;
    thread->listening = listening;
    if (listening)
        h2o_socket_read_start(thread->listener, on_listener);
    else
        h2o_socket_read_stop(thread->listener);
}

static void connection_free(struct http_connection *connection) {
    struct http_thread *thread = connection->thread;
    assert(connection->request == NULL);
    if (connection->previous != NULL)
        connection->previous->next = connection->next;
    else
        thread->connections = connection->next;
    if (connection->next != NULL)
        connection->next->previous = connection->previous;
    free(connection);
    thread->connection_count--;
    count_connections(thread);
    if (thread->connection_count < thread->server->settings.connections_max &&
        !loop_timer_running(&thread->retry_timer))
        set_listening(thread, true);
}

/* ---- the lingering close ---- */

static void linger_end(struct http_connection *connection) {
    loop_timer_stop(connection->thread->loop, &connection->linger_timer);
    loop_watch_destroy(connection->linger_watch);
    close(connection->linger_fd);
    connection_free(connection);
}

static void on_linger_timeout(struct loop_timer *timer) {
    linger_end(H2O_STRUCT_FROM_MEMBER(struct http_connection, linger_timer, timer));
}

static void on_linger_readable(void *owner) {
    struct http_connection *connection = owner;
    static _Thread_local char ignored[LINGER_READ_SIZE];
    for (int i = 0; i < LINGER_READS; i++) {
        ssize_t got = recv(connection->linger_fd, ignored, sizeof(ignored), MSG_DONTWAIT);
        if (got < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (got > 0)
            connection->lingered_bytes += (size_t)got;
        if (got <= 0 || connection->lingered_bytes > LINGER_BYTES_MAX) {
            linger_end(connection);
            return;
        }
    }
}

static void linger_begin(struct http_connection *connection) {
    shutdown(connection->linger_fd, SHUT_WR);
    connection->linger_watch = loop_watch_create(connection->thread->loop, connection->linger_fd,
                                                 on_linger_readable, NULL, connection);
    connection->linger_timer.on_fire = on_linger_timeout;
    loop_timer_start(connection->thread->loop, &connection->linger_timer, LINGER_US);
    if (connection->linger_watch != NULL)
        loop_watch_read(connection->linger_watch, true);
}

void http_connection_linger(struct http_connection *connection) {
    if (connection->linger_fd < 0)
        connection->linger_fd = fcntl(h2o_socket_get_fd(connection->socket), F_DUPFD_CLOEXEC, 0);
}

static void on_close(void *data) {
    struct http_connection *connection = data;
    connection->socket = NULL;
    if (connection->linger_fd >= 0)
        linger_begin(connection);
    else
        connection_free(connection);
}

/* ---- accepting ---- */

const char *http_connection_peer(struct http_connection *connection) {
    if (connection->peer[0] == '\0') {
        struct sockaddr_storage address = {0};
        char host[NI_MAXHOST] = "-";
        socklen_t length = h2o_socket_getpeername(connection->socket, (struct sockaddr *)&address);
        size_t host_length =
            length == 0 ? SIZE_MAX
                        : h2o_socket_getnumerichost((struct sockaddr *)&address, length, host);
        if (host_length == SIZE_MAX || host_length >= sizeof(connection->peer)) {
            host[0] = '-';
            host_length = 1;
        }
        memcpy(connection->peer, host, host_length);
    }
    return connection->peer;
}

static void connection_add(struct http_thread *thread, h2o_socket_t *socket) {
    struct http_connection *connection = memory_allocate(1, sizeof(*connection));
    connection->thread = thread;
    connection->socket = socket;
    connection->linger_fd = -1;
    connection->next = thread->connections;
    if (connection->next != NULL)
        connection->next->previous = connection;
    thread->connections = connection;
    thread->connection_count++;
    count_connections(thread);
    socket->on_close.cb = on_close;
    socket->on_close.data = connection;
    h2o_accept(&thread->accept, socket);
}

static bool out_of_resources(int error) {
    return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

/* True: there may be more. */
static bool accept_connections(struct http_thread *thread) {
    for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
        if (thread->connection_count >= thread->server->settings.connections_max) {
            set_listening(thread, false);
            return false;
        }
        errno = 0;
        h2o_socket_t *socket = h2o_evloop_socket_accept(thread->listener);
        if (socket != NULL) {
            connection_add(thread, socket);
        } else if (out_of_resources(errno)) {
            /* The listener stays readable: without a pause this would be a busy loop. */
            log_message(LOG_ERROR, "http_accept_failed", "reason", strerror(errno));
            set_listening(thread, false);
            loop_timer_start(thread->loop, &thread->retry_timer, RETRY_US);
            return false;
        } else if (errno != ECONNABORTED && errno != EINTR) {
            return false;
        }
    }
    return true;
}

static void on_retry(struct loop_timer *timer) {
    set_listening(H2O_STRUCT_FROM_MEMBER(struct http_thread, retry_timer, timer), true);
}

/* ---- those that hoard ---- */

static void on_police(struct loop_timer *timer) {
    struct http_thread *thread = H2O_STRUCT_FROM_MEMBER(struct http_thread, police_timer, timer);
    size_t input_max =
        HTTP_HEAD_MAX_BYTES + thread->server->h2o.max_request_entity_size + INPUT_SLACK_BYTES;
    size_t cut_count = 0;
    const char *peer = NULL;
    for (struct http_connection *connection = thread->connections; connection != NULL;
         connection = connection->next) {
        if (connection->socket == NULL || connection->request != NULL || connection->cut ||
            connection->socket->input->size <= input_max)
            continue;
        connection->cut = true;
        cut_count++;
        peer = http_connection_peer(connection);
        shutdown(h2o_socket_get_fd(connection->socket), SHUT_RDWR);
    }
    if (cut_count > 0) {
        log_begin(&thread->line, LOG_WARN, "http_connections_cut");
        log_integer(&thread->line, "count", (int64_t)cut_count);
        log_string(&thread->line, "last_peer", peer);
        log_end(&thread->line);
    }
    loop_timer_start(thread->loop, timer, POLICE_US);
}

/* ---- life ---- */

void http_connections_init(struct http_thread *thread, int listener) {
    thread->listener =
        h2o_evloop_socket_create(loop_h2o(thread->loop), listener, H2O_SOCKET_FLAG_DONT_READ);
    thread->listener->data = thread;
    thread->retry_timer.on_fire = on_retry;
    thread->police_timer.on_fire = on_police;
    loop_timer_start(thread->loop, &thread->police_timer, POLICE_US);
}

static void close_listener(struct http_thread *thread) {
    loop_timer_stop(thread->loop, &thread->retry_timer);
    if (thread->listener == NULL)
        return;
    set_listening(thread, false);
    h2o_socket_close(thread->listener);
    thread->listener = NULL;
}

void http_connections_end(struct http_thread *thread) {
    assert(thread->connections == NULL);
    close_listener(thread);
    loop_timer_stop(thread->loop, &thread->police_timer);
    loop_timer_stop(thread->loop, &thread->grace_timer);
}

void http_thread_listen(struct http_thread *thread) {
    if (listen(h2o_socket_get_fd(thread->listener), SOMAXCONN) != 0)
        log_message(LOG_ERROR, "http_listen_failed", "reason", strerror(errno));
    set_listening(thread, true);
}

static void on_grace_over(struct loop_timer *timer) {
    struct http_thread *thread = H2O_STRUCT_FROM_MEMBER(struct http_thread, grace_timer, timer);
    for (struct http_connection *connection = thread->connections; connection != NULL;
         connection = connection->next) {
        /* A request that lies in the kernel's buffer is still read and answered after this. */
        if (connection->socket != NULL && connection->request == NULL &&
            connection->socket->input->size == 0)
            shutdown(h2o_socket_get_fd(connection->socket), SHUT_RD);
    }
}

/*
 * Cutting an idle connection at once would meet the requests that are on their way to us.  For a
 * moment a client that is about to send still gets an answer, which tells it to go elsewhere.
 */
void http_thread_drain(struct http_thread *thread) {
    if (thread->draining)
        return;
    thread->draining = true;
    /* A closed listener resets the connections in its queue: take them first. */
    while (thread->listening && accept_connections(thread))
        continue;
    close_listener(thread);
    h2o_context_request_shutdown(&thread->h2o);
    thread->h2o.http1.req_timeout.timeout = DRAIN_RECEIVE_MS;
    thread->grace_timer.on_fire = on_grace_over;
    loop_timer_start(thread->loop, &thread->grace_timer, DRAIN_GRACE_US);
}
