/* Design.  A handful of words on the command line; everything else is configuration. */
#include <stdio.h>
#include <string.h>

#include "pacioli_version.h"
#include "service_kit/service_internal.h"

static void print_help(const struct service *service) {
    printf("%s - %s\n\n"
           "usage: %s [--help | --version | --check-config | --print-routes]\n\n"
           "  --check-config  check the configuration, print it without secrets, and exit\n"
           "  --print-routes  print METHOD PATTERN ACCESS of every route, and exit;\n"
           "                  ACCESS: public, bearer (any token), or the roles that may\n\n"
           "Settings come from the environment, or from a file .env in the working folder; the\n"
           "environment wins.\n\n",
           service->name, service->purpose, service->name);
    config_print_help(service->settings, service->setting_count);
}

static void print_route(const struct http_route *route) {
    char roles[ROLES_TEXT_SIZE];
    roles_format(route->roles, ',', roles);
    const char *bearer = route->roles == 0 ? "bearer" : roles;
    printf("%s %s %s\n", http_method_name(route->method), route->pattern,
           route->access == HTTP_BEARER ? bearer : "public");
}

void service_print_routes(const struct service *service) {
    for (size_t i = 0; i < SERVICE_HEALTH_ROUTE_COUNT; i++)
        print_route(&SERVICE_HEALTH_ROUTES[i]);
    for (size_t i = 0; i < SERVICE_DOCS_ROUTE_COUNT; i++)
        print_route(&SERVICE_DOCS_ROUTES[i]);
    for (size_t i = 0; i < service->route_count; i++)
        print_route(&service->routes[i]);
}

enum option_result service_options(const struct service *service, int argc, char **argv) {
    if (argc == 1)
        return OPTION_RUN;
    const char *option = argv[1];
    if (argc > 2) {
        fprintf(stderr, "%s: one option at most; see --help\n", service->name);
        return OPTION_USAGE;
    }
    if (strcmp(option, "--help") == 0) {
        print_help(service);
    } else if (strcmp(option, "--version") == 0) {
        printf("%s %s (%s)\n", service->name, PACIOLI_VERSION, PACIOLI_COMMIT);
    } else if (strcmp(option, "--print-routes") == 0) {
        service_print_routes(service);
    } else if (strcmp(option, "--check-config") == 0) {
        return OPTION_CHECK;
    } else {
        fprintf(stderr, "%s: unknown option %s; see --help\n", service->name, option);
        return OPTION_USAGE;
    }
    return OPTION_DONE;
}
