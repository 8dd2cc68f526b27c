# What the services serve beside their calls: <build>/share/docs (Swagger UI, from npm by the lock
# file) and <build>/share/openapi (the hand-written YAML documents as JSON).

find_program(NPM npm REQUIRED)
set(share ${PROJECT_BINARY_DIR}/share)
set(npm_dir ${PROJECT_BINARY_DIR}/npm)
set(swagger_ui ${npm_dir}/node_modules/swagger-ui-dist)
set(docs_files
    swagger-ui.css swagger-ui-bundle.js swagger-ui-standalone-preset.js favicon-32x32.png LICENSE)
list(TRANSFORM docs_files PREPEND ${swagger_ui}/ OUTPUT_VARIABLE docs_sources)
list(TRANSFORM docs_files PREPEND ${share}/docs/ OUTPUT_VARIABLE docs_outputs)

# Installed below the build folder, so that presets do not disturb each other. The packages' own
# scripts never run.
add_custom_command(
    OUTPUT ${docs_outputs}
    COMMAND ${CMAKE_COMMAND} -E make_directory ${npm_dir} ${share}/docs
    COMMAND ${CMAKE_COMMAND} -E copy
        ${PROJECT_SOURCE_DIR}/package.json
        ${PROJECT_SOURCE_DIR}/package-lock.json
        ${PROJECT_SOURCE_DIR}/.npmrc
        ${npm_dir}
    COMMAND ${CMAKE_COMMAND} -E chdir ${npm_dir}
        ${NPM} ci --loglevel=error --ignore-scripts --no-audit --no-fund
    COMMAND ${CMAKE_COMMAND} -E copy ${docs_sources} ${share}/docs
    COMMAND ${CMAKE_COMMAND} -E touch ${docs_outputs}
    DEPENDS
        ${PROJECT_SOURCE_DIR}/package.json
        ${PROJECT_SOURCE_DIR}/package-lock.json
        ${PROJECT_SOURCE_DIR}/.npmrc
    COMMENT "Swagger UI"
    VERBATIM)

# Debian's Python by its full path: the one on PATH may be another and lack python3-yaml.
set(openapi_outputs)
foreach(service IN ITEMS auth_api wallet_api)
    set(document ${PROJECT_SOURCE_DIR}/${service}/openapi.yaml)
    add_custom_command(
        OUTPUT ${share}/openapi/${service}.json
        COMMAND ${CMAKE_COMMAND} -E make_directory ${share}/openapi
        COMMAND /usr/bin/python3 ${PROJECT_SOURCE_DIR}/cmake/yaml_to_json.py
            ${document} ${share}/openapi/${service}.json
        DEPENDS ${document} ${PROJECT_SOURCE_DIR}/cmake/yaml_to_json.py
        COMMENT "OpenAPI document of ${service}"
        VERBATIM)
    list(APPEND openapi_outputs ${share}/openapi/${service}.json)
endforeach()

add_custom_target(web_assets ALL DEPENDS ${docs_outputs} ${openapi_outputs})
add_dependencies(programs web_assets)
install(DIRECTORY ${share}/docs ${share}/openapi DESTINATION ${PACIOLI_INSTALL_DIR}/share
        COMPONENT programs)
