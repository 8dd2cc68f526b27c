# cmake -D SOURCE_DIR=… -D OUTPUT=… -D VERSION=… -P write_version.cmake
# PACIOLI_COMMIT in the environment names the commit where there is no git (an image build).

set(commit "$ENV{PACIOLI_COMMIT}")
if(commit STREQUAL "")
    execute_process(
        COMMAND git -c safe.directory=* -C ${SOURCE_DIR} describe --always --dirty --abbrev=12
            --exclude=*
        OUTPUT_VARIABLE commit
        OUTPUT_STRIP_TRAILING_WHITESPACE
        ERROR_QUIET)
endif()
if(NOT commit MATCHES "^[0-9a-f]+(-dirty)?$")
    set(commit unknown)
endif()

file(CONFIGURE OUTPUT ${OUTPUT} @ONLY CONTENT [[
/* Written by the build. */
#ifndef PACIOLI_VERSION_H
#define PACIOLI_VERSION_H

#define PACIOLI_VERSION "@VERSION@"
#define PACIOLI_COMMIT "@commit@"

#endif
]])
