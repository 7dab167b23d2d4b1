# Each isa_*.cpp is compiled once for every instruction set; core/backend/cpu/isa.hpp chooses at run time.
# Contraction to fused multiply-add is allowed here: it depends on the instruction set alone, not on threads.
file(GLOB JLCM_ISA_SOURCES CONFIGURE_DEPENDS ${CMAKE_CURRENT_LIST_DIR}/isa_*.cpp)
# On the files, since options of a linked target (-ffp-contract=off) come after those of the target itself.
set_source_files_properties(${JLCM_ISA_SOURCES} PROPERTIES COMPILE_OPTIONS -ffp-contract=fast)
foreach(level v2 v3 v4)
  add_library(jlcm_kernels_${level} OBJECT ${JLCM_ISA_SOURCES})
  target_link_libraries(jlcm_kernels_${level} PRIVATE jlcm_settings)
  target_compile_definitions(jlcm_kernels_${level} PRIVATE JLCM_ISA=isa_${level})
  target_compile_options(jlcm_kernels_${level} PRIVATE -march=x86-64-${level} -O3 -fopenmp-simd -fno-math-errno
    -fno-trapping-math $<$<STREQUAL:${level},v4>:-mprefer-vector-width=512>)
  target_sources(jlcm_core PRIVATE $<TARGET_OBJECTS:jlcm_kernels_${level}>)
endforeach()
