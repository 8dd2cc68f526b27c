/*
 * report_query: what a report is asked for over HTTP: query parameters into a report_request.
 */
#ifndef PACIOLI_WALLET_API_REPORT_QUERY_H
#define PACIOLI_WALLET_API_REPORT_QUERY_H

#include <stdbool.h>

#include "reports/render.h"
#include "reports/report.h"
#include "service_kit/http.h"

/* Most lines of a page, or transactions where those are counted. */
#define REPORT_PAGE_MAX 1000

/*
 * Fills `query` but for the ledger and whose account it is; texts live as long as the request.
 * False: it has answered with 422.  A parameter that this report does not know is refused.
 */
__attribute__((warn_unused_result)) bool report_query_read(struct http_request *request,
                                                           const struct report *report,
                                                           struct report_request *query,
                                                           enum report_format *format);
/* The same of a report on an account that the path names: it is no parameter. */
__attribute__((warn_unused_result)) bool report_query_read_own(struct http_request *request,
                                                               const struct report *report,
                                                               struct report_request *query,
                                                               enum report_format *format);

#endif
