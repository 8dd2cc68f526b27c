/* http_connection: accepting, counting, ending; for service_kit's own .c files only. */
#ifndef PACIOLI_SERVICE_KIT_HTTP_CONNECTION_H
#define PACIOLI_SERVICE_KIT_HTTP_CONNECTION_H

#include "service_kit/http_internal.h"

/* Takes the listener; http_thread_listen begins to accept. */
void http_connections_init(struct http_thread *thread, int listener);
/* There must be no connection left. */
void http_connections_end(struct http_thread *thread);

#endif
