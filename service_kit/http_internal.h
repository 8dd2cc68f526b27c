/* The parts of http that know libh2o; for service_kit's own .c files only. */
#ifndef PACIOLI_SERVICE_KIT_HTTP_INTERNAL_H
#define PACIOLI_SERVICE_KIT_HTTP_INTERNAL_H

#include <h2o.h>
#include <netinet/in.h>

#include "service_kit/http_edge.h"
#include "service_kit/http_metrics.h"
#include "service_kit/http_router.h"
#include "service_kit/http_server.h"
#include "service_kit/http_tokens.h"
#include "service_kit/log.h"
#include "service_kit/loop.h"
#include "service_kit/loop_internal.h"
#include "service_kit/token_revocations.h"

#define HTTP_ANSWER_HEADERS_MAX 8
#define HTTP_BLOCK_SIZE         4096
#define HTTP_SPARE_BLOCKS_MAX   64

struct http_server {
    struct http_server_settings settings;
    struct http_router *router;
    struct http_metrics metrics;
    h2o_globalconf_t h2o;
    char challenge[160];         /* WWW-Authenticate of a 401 without a token */
    char challenge_request[288]; /* of a 400 */
};

/* A client's connection, from accept to the end of its lingering close. */
struct http_connection {
    struct http_thread *thread;
    struct http_connection *next, *previous; /* in thread->connections */
    h2o_socket_t *socket;                    /* NULL once h2o has closed it */
    struct http_request *request;            /* the one that h2o is working on */
    char peer[INET6_ADDRSTRLEN];             /* "" until somebody asks */
    bool cut;                                /* reading was shut down from our side */
    /* The lingering close: the descriptor's copy, and who waits for the client's end. */
    int linger_fd; /* -1: none */
    size_t lingered_bytes;
    struct loop_watch *linger_watch;
    struct loop_timer linger_timer;
};

struct http_thread {
    struct http_server *server;
    struct loop *loop;
    size_t number;
    void *state, *owner;
    h2o_context_t h2o;
    h2o_accept_ctx_t accept;
    h2o_socket_t *listener;
    bool listening, draining;
    struct http_connection *connections;
    size_t connection_count;
    size_t request_count;
    struct loop_timer retry_timer;  /* accepting again after the process ran out of descriptors */
    struct loop_timer police_timer; /* looks for connections that hoard input */
    struct loop_timer grace_timer;  /* draining: then idle connections are closed */
    struct http_block *spare_blocks;
    size_t spare_block_count;
    struct http_tokens *tokens;
    uint64_t id_random, id_count; /* generated request ids */
    struct http_head head;        /* scratch of the request that is being read */
    struct log_line line;         /* scratch of the request that is being logged */
};

struct http_block {
    struct http_block *next;
};

struct http_answer_header {
    const char *name, *value;
};

/*
 * Two kinds of owners: libh2o until it disposes the request, and those who called
 * http_request_hold.  The last one to let go frees it.  `req` is borrowed, and NULL as soon as the
 * request was answered or libh2o is done with it: "alive" and "may still be answered" are two
 * things.
 */
struct http_request {
    struct http_thread *thread;
    h2o_req_t *req;
    struct http_connection *connection; /* NULL after disposal */
    size_t holders;
    bool disposed, in_handler, forgotten, authenticated, json_read, head_only;
    int status; /* answered with; 0: not (yet) */
    size_t answer_bytes;
    h2o_iovec_t answer; /* the copy of its body, in libh2o's memory */
    int64_t begun_us, deadline_us;
    struct loop_timer deadline;
    void (*on_deadline)(void *owner);
    void *on_deadline_owner;

    const char *head; /* a copy of the raw head */
    struct http_text method, path, query;
    struct http_line *lines;
    size_t line_count;
    uint8_t known_count[HTTP_KNOWN_COUNT], known_line[HTTP_KNOWN_COUNT];
    struct http_match match;
    struct json_document *json;
    uint8_t principal[16];
    unsigned roles;
    bool has_session;
    uint8_t session[16];
    const char *request_id;
    struct http_text trace_id;
    char peer[INET6_ADDRSTRLEN];
    char client[PROXIES_ADDRESS_MAX]; /* "" until somebody asks */

    struct http_answer_header answer_headers[HTTP_ANSWER_HEADERS_MAX];
    size_t answer_header_count;

    struct http_block *chunks; /* further memory of http_alloc */
    char *arena, *arena_end;   /* what is left of the block that this stands in */
};

/* http_request.c */
/* A request that is being read; h2o is its first owner. */
struct http_request *http_request_begin(struct http_connection *connection, h2o_req_t *req);
/* Reads the head and takes from it what is needed for the answer and the log. */
enum http_fault http_request_read_head(struct http_request *request);
/* h2o is done with it: logs, counts, lets go. */
void http_request_dispose(struct http_request *request);
/* After the handler returned: waits for its answer, or answers when there will be none. */
void http_request_wait(struct http_request *request);
void http_request_refuse(struct http_request *request, enum http_fault fault);
struct http_text http_request_known(const struct http_request *request, enum http_known known);

/* http_reply.c */
/* The headers of every answer, into req->res. */
void http_reply_headers(struct http_request *request, h2o_req_t *req, int status,
                        const char *content_type, const char *cache_control);

/* http_server.c */
void http_connection_linger(struct http_connection *connection);
const char *http_connection_peer(struct http_connection *connection);

#endif
