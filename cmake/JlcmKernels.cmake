# Kernels for several instruction sets, for core, for plugins in the tree and (by find_package(jlcm)) outside of it.
set(JLCM_INSTRUCTION_SETS v2 v3 v4)

# jlcm_add_kernels(TARGET SOURCE...): compiles each source once for every instruction set, in namespace JLCM_ISA, and
# puts the objects into TARGET; core/backend/cpu/isa.hpp chooses at run time. Contraction to fused multiply-add is
# allowed here: it depends on the instruction set alone, not on threads.
function(jlcm_add_kernels target)
  # On the files, since options of a linked target (-ffp-contract=off) come after those of the target itself.
  set_source_files_properties(${ARGN} PROPERTIES COMPILE_OPTIONS -ffp-contract=fast)
  foreach(level ${JLCM_INSTRUCTION_SETS})
    set(kernels ${target}_kernels_${level})
    add_library(${kernels} OBJECT ${ARGN})
    target_link_libraries(${kernels} PRIVATE ${JLCM_KERNEL_SETTINGS})
    target_compile_definitions(${kernels} PRIVATE JLCM_ISA=isa_${level})
    target_compile_options(${kernels} PRIVATE -march=x86-64-${level} -O3 -fopenmp-simd -fno-math-errno
      -fno-trapping-math $<$<STREQUAL:${level},v4>:-mprefer-vector-width=512>)
    set_target_properties(${kernels} PROPERTIES POSITION_INDEPENDENT_CODE ON CXX_EXTENSIONS OFF)
    # The objects of an object library do not travel by themselves: what links it takes them.
    get_target_property(type ${target} TYPE)
    if(type STREQUAL OBJECT_LIBRARY)
      target_sources(${target} INTERFACE $<TARGET_OBJECTS:${kernels}>)
    else()
      target_sources(${target} PRIVATE $<TARGET_OBJECTS:${kernels}>)
    endif()
  endforeach()
endfunction()
