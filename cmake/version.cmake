# pacioli_version.h in <build>/generated: the version and the commit that was built. Written at
# build time, and only when it changes, so that a commit alone rebuilds one file and not all.

set(PACIOLI_GENERATED_DIR ${PROJECT_BINARY_DIR}/generated)
add_custom_target(pacioli_version_header
    COMMAND ${CMAKE_COMMAND}
        -D SOURCE_DIR=${PROJECT_SOURCE_DIR}
        -D OUTPUT=${PACIOLI_GENERATED_DIR}/pacioli_version.h
        -D VERSION=${PROJECT_VERSION}
        -P ${PROJECT_SOURCE_DIR}/cmake/write_version.cmake
    BYPRODUCTS ${PACIOLI_GENERATED_DIR}/pacioli_version.h
    COMMENT "Version header"
    VERBATIM)
