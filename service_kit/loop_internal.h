/* The part of loop that knows libh2o; for service_kit's own .c files only. */
#ifndef PACIOLI_SERVICE_KIT_LOOP_INTERNAL_H
#define PACIOLI_SERVICE_KIT_LOOP_INTERNAL_H

#include <h2o.h>

struct loop;

h2o_loop_t *loop_h2o(struct loop *loop);

#endif
