# Libraries of Debian 12, through pkg-config. Imported targets are SYSTEM includes: their headers
# are not held to our warnings.

find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
pkg_check_modules(H2O REQUIRED IMPORTED_TARGET libh2o-evloop)
pkg_check_modules(OPENSSL REQUIRED IMPORTED_TARGET openssl)
pkg_check_modules(CRYPTO REQUIRED IMPORTED_TARGET libcrypto)
pkg_check_modules(CURL REQUIRED IMPORTED_TARGET libcurl)
pkg_check_modules(PQ REQUIRED IMPORTED_TARGET libpq)
pkg_check_modules(YAJL REQUIRED IMPORTED_TARGET yajl)
pkg_check_modules(JWT REQUIRED IMPORTED_TARGET libjwt)
pkg_check_modules(CRYPT REQUIRED IMPORTED_TARGET libcrypt)
pkg_check_modules(UTF8PROC REQUIRED IMPORTED_TARGET libutf8proc)
pkg_check_modules(XML2 REQUIRED IMPORTED_TARGET libxml-2.0)
pkg_check_modules(CHECK REQUIRED IMPORTED_TARGET check)

# h2o.h takes the libuv layout unless told otherwise, and its .pc file does not tell: a file that
# misses this definition compiles and corrupts memory. So it stands on the target, once.
add_library(h2o INTERFACE)
target_compile_definitions(h2o INTERFACE H2O_USE_LIBUV=0)
target_link_libraries(h2o INTERFACE PkgConfig::H2O PkgConfig::OPENSSL Threads::Threads)
