/* wallet_api: accounts, money operations, history. */
#include "wallet_api/handlers.h"
#include "wallet_api/wallet.h"

#define SCHEMA_VERSION_MIN 8
#define SCHEMA_VERSION_MAX 9

int main(int argc, char **argv) {
    static struct wallet wallet;
    static struct service service = {
        .name = "wallet_api",
        .purpose = "wallet accounts and money operations on a double-entry journal",
        .schema_version_min = SCHEMA_VERSION_MIN,
        .schema_version_max = SCHEMA_VERSION_MAX,
        .config = &wallet,
        .start = wallet_start,
        .stop = wallet_stop,
        .thread_start = wallet_thread_start,
        .thread_ready = wallet_thread_ready,
        .thread_idle = wallet_thread_idle,
        .thread_stop = wallet_thread_stop,
        .on_denied = control_denied,
    };
    service.settings = WALLET_SETTINGS;
    service.setting_count = WALLET_SETTING_COUNT;
    service.routes = WALLET_ROUTES;
    service.route_count = WALLET_ROUTE_COUNT;
    return service_main(&service, argc, argv);
}
