# The Debian package: both services, ledger_report, the migrations, the units. ops/package makes it.
# (`cmake --install` into an image takes the component "programs" alone.)

set(PACIOLI_PACKAGE_VERSION ${PROJECT_VERSION} CACHE STRING "version of the Debian package")
set(ops ${PROJECT_SOURCE_DIR}/ops)

install(PROGRAMS ${ops}/containers/migrate DESTINATION ${PACIOLI_INSTALL_DIR}/bin COMPONENT host)
install(PROGRAMS ${ops}/lib/make-databases DESTINATION ${PACIOLI_INSTALL_DIR}/ops/lib COMPONENT host)
install(FILES ${ops}/lib/common.sh ${ops}/lib/scram_verifier.py
        DESTINATION ${PACIOLI_INSTALL_DIR}/ops/lib COMPONENT host)
install(PROGRAMS ${ops}/admin ${ops}/backup ${ops}/restore DESTINATION ${PACIOLI_INSTALL_DIR}/ops COMPONENT host)
install(DIRECTORY ${PROJECT_SOURCE_DIR}/migrations DESTINATION ${PACIOLI_INSTALL_DIR}
        COMPONENT host)
install(DIRECTORY ${ops}/systemd/ DESTINATION lib/systemd/system COMPONENT host)
install(FILES ${ops}/debian/README.md ${ops}/debian/copyright
        DESTINATION share/doc/pacioli COMPONENT host)
install(FILES ${PROJECT_BINARY_DIR}/sbom.spdx.json DESTINATION share/doc/pacioli
        COMPONENT host OPTIONAL)
file(CREATE_LINK ../lib/pacioli/bin/ledger_report ${PROJECT_BINARY_DIR}/ledger_report SYMBOLIC)
install(FILES ${PROJECT_BINARY_DIR}/ledger_report DESTINATION bin COMPONENT host)
# Secrets: nobody but root reads them; systemd hands each service its own.
install(FILES ${ops}/debian/auth.env ${ops}/debian/wallet.env ${ops}/debian/migrate.env
        DESTINATION /etc/pacioli PERMISSIONS OWNER_READ OWNER_WRITE COMPONENT host)

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME pacioli)
set(CPACK_PACKAGE_CONTACT "Pacioli maintainers <pacioli@localhost>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY ${PROJECT_DESCRIPTION})
set(CPACK_PACKAGE_DIRECTORY ${PROJECT_BINARY_DIR}/package)
set(CPACK_SET_DESTDIR ON)
set(CPACK_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_COMPONENTS_GROUPING ALL_COMPONENTS_IN_ONE)
set(CPACK_DEBIAN_PACKAGE_VERSION ${PACIOLI_PACKAGE_VERSION})
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION database)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_DEPENDS
    "bash, libdbd-pg-perl, postgresql-client, python3, sqitch")
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS "curl, jq")
set(CPACK_DEBIAN_PACKAGE_SUGGESTS "postgresql")
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA
    ${ops}/debian/conffiles ${ops}/debian/postinst ${ops}/debian/prerm ${ops}/debian/postrm)
include(CPack)
