# What a project outside of this tree needs to build plugins: find_package(jlcm) with jlcm_DIR naming the build tree,
# or an installation. Both offer the target jlcm::core and the functions jlcm_add_plugin and jlcm_add_kernels
# (docs/plugins.md).
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(JLCM_PACKAGE_INCLUDE_DIRS ${CMAKE_SOURCE_DIR} ${JLCM_GENERATED})
set(JLCM_PACKAGE_LIBRARY $<TARGET_FILE:jlcm_core>)
set(JLCM_PACKAGE_RUNTIME $<TARGET_FILE:jlcm_runtime>)
set(JLCM_PACKAGE_PREFIX "")
configure_file(${CMAKE_SOURCE_DIR}/cmake/jlcmConfig.cmake.in ${CMAKE_BINARY_DIR}/jlcmConfig.cmake.build @ONLY)
file(GENERATE OUTPUT ${CMAKE_BINARY_DIR}/jlcmConfig.cmake INPUT ${CMAKE_BINARY_DIR}/jlcmConfig.cmake.build)

set(JLCM_PACKAGE_INCLUDE_DIRS "\${jlcm_prefix}/${CMAKE_INSTALL_INCLUDEDIR}/jlcm")
set(JLCM_PACKAGE_LIBRARY "\${jlcm_prefix}/${CMAKE_INSTALL_LIBDIR}/$<TARGET_FILE_NAME:jlcm_core>")
set(JLCM_PACKAGE_RUNTIME "\${jlcm_prefix}/${CMAKE_INSTALL_LIBDIR}/$<TARGET_FILE_NAME:jlcm_runtime>")
set(JLCM_PACKAGE_PREFIX "get_filename_component(jlcm_prefix \"\${CMAKE_CURRENT_LIST_DIR}/../../..\" ABSOLUTE)")
configure_file(${CMAKE_SOURCE_DIR}/cmake/jlcmConfig.cmake.in ${CMAKE_BINARY_DIR}/jlcmConfig.cmake.install @ONLY)
file(GENERATE OUTPUT ${CMAKE_BINARY_DIR}/install/jlcmConfig.cmake INPUT ${CMAKE_BINARY_DIR}/jlcmConfig.cmake.install)
configure_file(${CMAKE_SOURCE_DIR}/cmake/JlcmKernels.cmake ${CMAKE_BINARY_DIR}/JlcmKernels.cmake COPYONLY)
write_basic_package_version_file(${CMAKE_BINARY_DIR}/jlcmConfigVersion.cmake COMPATIBILITY ExactVersion)

install(TARGETS jlcm_runtime jlcm_core LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(DIRECTORY ${CMAKE_SOURCE_DIR}/core DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/jlcm
  FILES_MATCHING PATTERN "*.hpp" PATTERN "*.h")
install(FILES ${JLCM_GENERATED}/jlcm_build_id.hpp DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/jlcm)
install(FILES ${CMAKE_BINARY_DIR}/install/jlcmConfig.cmake ${CMAKE_BINARY_DIR}/jlcmConfigVersion.cmake
              ${CMAKE_SOURCE_DIR}/cmake/JlcmKernels.cmake
  DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/jlcm)
