# The common passwords that a new one must not be: <build>/share/passwords/common.txt, from a
# Debian package. Debian's Python by its full path: the one on PATH may be another.

set(password_list ${PROJECT_BINARY_DIR}/share/passwords/common.txt)
add_custom_command(
    OUTPUT ${password_list}
    COMMAND ${CMAKE_COMMAND} -E make_directory ${PROJECT_BINARY_DIR}/share/passwords
    COMMAND /usr/bin/python3 ${PROJECT_SOURCE_DIR}/cmake/common_passwords.py ${password_list}
    DEPENDS ${PROJECT_SOURCE_DIR}/cmake/common_passwords.py
    COMMENT "Common passwords"
    VERBATIM)
add_custom_target(password_list ALL DEPENDS ${password_list})
add_dependencies(programs password_list)
install(FILES ${password_list} DESTINATION ${PACIOLI_INSTALL_DIR}/share/passwords
        COMPONENT programs)
