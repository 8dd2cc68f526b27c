# pacioli_library(NAME SOURCES … LIBS …)     a static library of this project
# pacioli_executable(NAME SOURCES … LIBS …)  a program, placed in <build>/bin, installed to
#     lib/pacioli/bin, and part of the target `programs`: what is delivered, without its tests
# pacioli_unit_test(MODULE [TIMEOUT_S n] LIBS …)
#     tests/unit/test_MODULE.c as a Check program and as the ctest test unit_MODULE

function(pacioli_common target)
    target_link_libraries(${target} PRIVATE pacioli_flags)
    target_include_directories(${target} PRIVATE ${PACIOLI_GENERATED_DIR})
    add_dependencies(${target} pacioli_version_header)
endfunction()

function(pacioli_library name)
    cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;LIBS")
    add_library(${name} STATIC ${arg_SOURCES})
    target_link_libraries(${name} PUBLIC ${arg_LIBS})
    pacioli_common(${name})
endfunction()

add_custom_target(programs)

function(pacioli_executable name)
    cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;LIBS")
    add_executable(${name} ${arg_SOURCES})
    target_link_libraries(${name} PRIVATE ${arg_LIBS})
    set_target_properties(${name} PROPERTIES
        RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bin)
    pacioli_common(${name})
    add_dependencies(programs ${name})
    install(TARGETS ${name} RUNTIME DESTINATION ${PACIOLI_INSTALL_DIR}/bin
            COMPONENT programs)
endfunction()

function(pacioli_unit_test module)
    cmake_parse_arguments(PARSE_ARGV 1 arg "" "TIMEOUT_S" "LIBS")
    if(NOT arg_TIMEOUT_S)
        set(arg_TIMEOUT_S 120)
    endif()
    add_executable(test_${module} test_${module}.c)
    target_link_libraries(test_${module} PRIVATE ${arg_LIBS} PkgConfig::CHECK)
    set_target_properties(test_${module} PROPERTIES
        RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests)
    pacioli_common(test_${module})
    add_test(NAME unit_${module} COMMAND test_${module}
             WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
    # Check's own limit, of 4 s a test, is too short for sanitizers on a busy machine.
    set_tests_properties(unit_${module} PROPERTIES LABELS unit TIMEOUT ${arg_TIMEOUT_S}
        ENVIRONMENT CK_DEFAULT_TIMEOUT=60)
endfunction()
