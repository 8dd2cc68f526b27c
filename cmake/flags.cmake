# How our own code is compiled. Everything hangs on the interface target pacioli_flags, so that
# nothing leaks into a compiler check or an imported target.

option(PACIOLI_WERROR "Treat warnings as errors" ON)
set(PACIOLI_FLAVOUR release CACHE STRING "release, debug, asan or tsan")
set_property(CACHE PACIOLI_FLAVOUR PROPERTY STRINGS release debug asan tsan)
if(NOT PACIOLI_FLAVOUR MATCHES "^(release|debug|asan|tsan)$")
    message(FATAL_ERROR "PACIOLI_FLAVOUR must be release, debug, asan or tsan")
endif()

set(CMAKE_C_STANDARD 17)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_SKIP_RPATH ON)
# The flavour alone decides about optimisation, and asserts stay on everywhere: no build type.
set(CMAKE_BUILD_TYPE "" CACHE STRING "unused, see PACIOLI_FLAVOUR" FORCE)

include(CheckPIESupported)
check_pie_supported(LANGUAGES C)

add_library(pacioli_flags INTERFACE)
target_compile_definitions(pacioli_flags INTERFACE _GNU_SOURCE)
target_include_directories(pacioli_flags INTERFACE ${PROJECT_SOURCE_DIR})
target_compile_options(pacioli_flags INTERFACE
    -include ${PROJECT_SOURCE_DIR}/cmake/banned.h
    -fvisibility=hidden
    -fno-common
    -g
    # Paths in messages and debug information do not depend on where the checkout lies.
    -fmacro-prefix-map=${PROJECT_SOURCE_DIR}/=

    -Wall
    -Wextra
    -Wpedantic
    -Walloca
    -Wcast-qual
    -Wconversion
    -Wdouble-promotion
    -Wformat=2
    -Wimplicit-fallthrough
    -Wmissing-prototypes
    -Wpointer-arith
    -Wshadow
    -Wsign-conversion
    -Wstrict-prototypes
    -Wswitch-enum
    -Wundef
    -Wvla
    -Wwrite-strings

    # These are never wanted, whatever PACIOLI_WERROR says; deprecated-declarations is what
    # cmake/banned.h works with.
    -Werror=deprecated-declarations
    -Werror=format-security
    -Werror=implicit
    -Werror=incompatible-pointer-types
    -Werror=int-conversion)
if(CMAKE_C_COMPILER_ID STREQUAL "GNU")
    target_compile_options(pacioli_flags INTERFACE
        -Wbidi-chars=any
        -Wduplicated-branches
        -Wduplicated-cond
        -Wlogical-op
        -Wtrampolines)
endif()
if(PACIOLI_WERROR)
    target_compile_options(pacioli_flags INTERFACE -Werror)
endif()

# Hardening, reliability first: what gcc 12 supports. Signed overflow is never relied on;
# -fno-strict-overflow only takes the compiler's licence away, so it stays out of the sanitizer
# builds, where it would switch the overflow check off.
set(release_flags
    -O2
    -Wnull-dereference
    -U_FORTIFY_SOURCE
    -D_FORTIFY_SOURCE=3
    -fstack-protector-strong
    -fstack-clash-protection
    -ftrivial-auto-var-init=zero
    -fno-delete-null-pointer-checks
    -fno-strict-overflow
    -fno-strict-aliasing
    -fexceptions)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|amd64|i.86)$")
    list(APPEND release_flags -fcf-protection=full)
elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "^(aarch64|arm64)$")
    list(APPEND release_flags -mbranch-protection=standard)
endif()
set(release_link_flags
    -Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack -Wl,-z,nodlopen -Wl,--as-needed)

if(PACIOLI_FLAVOUR STREQUAL "release")
    target_compile_options(pacioli_flags INTERFACE ${release_flags})
    target_link_options(pacioli_flags INTERFACE ${release_link_flags})
elseif(PACIOLI_FLAVOUR STREQUAL "debug")
    target_compile_options(pacioli_flags INTERFACE -Og -fstack-protector-strong)
else()
    if(PACIOLI_FLAVOUR STREQUAL "asan")
        set(sanitize -fsanitize=address,undefined -fno-sanitize-recover=all)
    else()
        set(sanitize -fsanitize=thread)
    endif()
    target_compile_options(pacioli_flags INTERFACE -O1 -fno-omit-frame-pointer ${sanitize})
    target_link_options(pacioli_flags INTERFACE ${sanitize})
endif()
