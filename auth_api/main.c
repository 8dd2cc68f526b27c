/* auth_api: users, logins, access tokens. */
#include "auth_api/auth.h"

#define SCHEMA_VERSION_MIN 7
#define SCHEMA_VERSION_MAX 7

int main(int argc, char **argv) {
    static struct auth auth;
    static struct service service = {
        .name = "auth_api",
        .purpose = "registers users and gives them access tokens",
        .schema_version_min = SCHEMA_VERSION_MIN,
        .schema_version_max = SCHEMA_VERSION_MAX,
        .config = &auth,
        .start = auth_start,
        .stop = auth_stop,
        .thread_start = auth_thread_start,
        .thread_ready = auth_thread_ready,
        .thread_idle = auth_thread_idle,
        .thread_stop = auth_thread_stop,
        .on_denied = audit_denied,
    };
    service.settings = AUTH_SETTINGS;
    service.setting_count = AUTH_SETTING_COUNT;
    service.routes = AUTH_ROUTES;
    service.route_count = AUTH_ROUTE_COUNT;
    return service_main(&service, argc, argv);
}
