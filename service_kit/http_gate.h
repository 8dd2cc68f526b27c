/* http_gate: from a request that was read to its handler; for service_kit's own .c files only. */
#ifndef PACIOLI_SERVICE_KIT_HTTP_GATE_H
#define PACIOLI_SERVICE_KIT_HTTP_GATE_H

#include "service_kit/http_internal.h"

/* Answers, or calls the handler of the route. */
void http_gate_pass(struct http_request *request);

#endif
