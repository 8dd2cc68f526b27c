/*
 * Design.  The OpenAPI document and Swagger UI's files are read once at start and served from
 * memory.  The page and its script are ours: nothing inline, nothing from another host, and a
 * Content-Security-Policy that says so.  A file that is missing is named in the log, and its path
 * answers 404; the service's own calls do not depend on it.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "service_kit/log.h"
#include "service_kit/memory.h"
#include "service_kit/service_internal.h"

#define FILE_BYTES_MAX (16L << 20)
#define PATH_MAX_BYTES 4096
#define ASSET_CACHE    "public, max-age=3600"

static const char content_security_policy[] =
    "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'";

static const char page[] = "<!doctype html>\n"
                           "<html lang=\"en\">\n"
                           "<head>\n"
                           "<meta charset=\"utf-8\">\n"
                           "<meta name=\"viewport\" content=\"width=device-width\">\n"
                           "<title>API documentation</title>\n"
                           "<link rel=\"icon\" href=\"docs/favicon-32x32.png\">\n"
                           "<link rel=\"stylesheet\" href=\"docs/swagger-ui.css\">\n"
                           "</head>\n"
                           "<body>\n"
                           "<div id=\"swagger-ui\"></div>\n"
                           "<script src=\"docs/swagger-ui-bundle.js\"></script>\n"
                           "<script src=\"docs/swagger-ui-standalone-preset.js\"></script>\n"
                           "<script src=\"docs/initializer.js\"></script>\n"
                           "</body>\n"
                           "</html>\n";

static const char initializer[] =
    "window.addEventListener(\"load\", function () {\n"
    "    window.ui = SwaggerUIBundle({\n"
    "        url: \"openapi.json\",\n"
    "        dom_id: \"#swagger-ui\",\n"
    "        deepLinking: true,\n"
    "        validatorUrl: null,\n"
    "        presets: [SwaggerUIBundle.presets.apis, SwaggerUIStandalonePreset],\n"
    "        layout: \"BaseLayout\"\n"
    "    });\n"
    "});\n";

static const struct {
    const char *file; /* NULL: named after the service */
    const char *content_type;
    const char *cache_control;
} assets[ASSET_COUNT] = {
    [ASSET_OPENAPI] = {NULL, "application/json", "no-cache"},
    [ASSET_CSS] = {"swagger-ui.css", "text/css; charset=utf-8", ASSET_CACHE},
    [ASSET_BUNDLE] = {"swagger-ui-bundle.js", "text/javascript; charset=utf-8", ASSET_CACHE},
    [ASSET_PRESET] = {"swagger-ui-standalone-preset.js", "text/javascript; charset=utf-8",
                      ASSET_CACHE},
    [ASSET_ICON] = {"favicon-32x32.png", "image/png", ASSET_CACHE},
};

/* ---- reading ---- */

/* The folder `name` in ../share, seen from the program's own. */
static void default_folder(const char *name, char *path, size_t size) {
    char program[PATH_MAX_BYTES];
    ssize_t length = readlink("/proc/self/exe", program, sizeof(program) - 1);
    program[length > 0 ? length : 0] = '\0';
    for (int i = 0; i < 2; i++) { /* the program, then bin */
        char *slash = strrchr(program, '/');
        if (slash != NULL)
            *slash = '\0';
    }
    if (snprintf(path, size, "%s/share/%s", program, name) >= (int)size)
        path[0] = '\0';
}

static bool read_file(const char *path, struct service_file *file) {
    FILE *in = fopen(path, "rbe");
    if (in == NULL)
        return false;
    long size = fseek(in, 0, SEEK_END) == 0 ? ftell(in) : -1;
    bool ok = size >= 0 && size <= FILE_BYTES_MAX && fseek(in, 0, SEEK_SET) == 0;
    if (ok) {
        file->bytes = memory_allocate((size_t)size, 1);
        file->length = fread(file->bytes, 1, (size_t)size, in);
        ok = file->length == (size_t)size;
    }
    if (!ok) {
        free(file->bytes);
        *file = (struct service_file){NULL, 0};
        errno = EIO;
    }
    (void)fclose(in);
    return ok;
}

static void load_asset(struct service_process *process, enum service_asset asset) {
    bool is_document = asset == ASSET_OPENAPI;
    const char *folder = is_document ? process->config->openapi_dir : process->config->docs_dir;
    char default_path[PATH_MAX_BYTES];
    if (folder[0] == '\0') {
        default_folder(is_document ? "openapi" : "docs", default_path, sizeof(default_path));
        folder = default_path;
    }
    char path[PATH_MAX_BYTES + 64];
    int length = is_document
                     ? snprintf(path, sizeof(path), "%s/%s.json", folder, process->service->name)
                     : snprintf(path, sizeof(path), "%s/%s", folder, assets[asset].file);
    if (length >= (int)sizeof(path) || !read_file(path, &process->assets[asset])) {
        struct log_line line;
        log_begin(&line, LOG_WARN, "docs_file_missing");
        log_string(&line, "path", path);
        log_string(&line, "reason", strerror(errno));
        log_end(&line);
    }
}

void service_load_assets(struct service_process *process) {
    for (enum service_asset asset = 0; asset < ASSET_COUNT; asset++)
        load_asset(process, asset);
}

void service_free_assets(struct service_process *process) {
    for (size_t i = 0; i < ASSET_COUNT; i++)
        free(process->assets[i].bytes);
}

/* ---- answering ---- */

static void reply_asset(struct http_request *request, enum service_asset asset) {
    const struct service_thread *self = http_thread_owner(request);
    const struct service_file *file = &self->process->assets[asset];
    if (file->bytes == NULL)
        http_reply_kind(request, &PROBLEM_NOT_FOUND, "This file was not there at start.");
    else
        http_reply_static(request, assets[asset].content_type, assets[asset].cache_control,
                          file->bytes, file->length);
}

static void handle_openapi(struct http_request *request) {
    reply_asset(request, ASSET_OPENAPI);
}

static void handle_page(struct http_request *request) {
    http_set_header(request, "content-security-policy", content_security_policy);
    http_set_header(request, "referrer-policy", "no-referrer");
    http_reply_static(request, "text/html; charset=utf-8", "no-cache", page, sizeof(page) - 1);
}

static void handle_initializer(struct http_request *request) {
    http_reply_static(request, "text/javascript; charset=utf-8", "no-cache", initializer,
                      sizeof(initializer) - 1);
}

static void handle_css(struct http_request *request) {
    reply_asset(request, ASSET_CSS);
}

static void handle_bundle(struct http_request *request) {
    reply_asset(request, ASSET_BUNDLE);
}

static void handle_preset(struct http_request *request) {
    reply_asset(request, ASSET_PRESET);
}

static void handle_icon(struct http_request *request) {
    reply_asset(request, ASSET_ICON);
}

const struct http_route SERVICE_DOCS_ROUTES[] = {
    {.method = HTTP_GET, .pattern = "/openapi.json", .handle = handle_openapi},
    {.method = HTTP_GET, .pattern = "/docs", .handle = handle_page},
    {.method = HTTP_GET, .pattern = "/docs/initializer.js", .handle = handle_initializer},
    {.method = HTTP_GET, .pattern = "/docs/swagger-ui.css", .handle = handle_css},
    {.method = HTTP_GET, .pattern = "/docs/swagger-ui-bundle.js", .handle = handle_bundle},
    {.method = HTTP_GET,
     .pattern = "/docs/swagger-ui-standalone-preset.js",
     .handle = handle_preset},
    {.method = HTTP_GET, .pattern = "/docs/favicon-32x32.png", .handle = handle_icon},
};
const size_t SERVICE_DOCS_ROUTE_COUNT =
    sizeof(SERVICE_DOCS_ROUTES) / sizeof(SERVICE_DOCS_ROUTES[0]);
