# Kernels for several instruction sets, for core, for plugins in the tree and (by find_package(jlcm)) outside of it.
# core/backend/cpu/isa.hpp has the same two lists: the levels that every family is compiled for, and all there are.
if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(aarch64|arm64)")
  set(JLCM_INSTRUCTION_SETS neon)
  set(JLCM_EVERY_INSTRUCTION_SET neon neon_dot)
else()
  set(JLCM_INSTRUCTION_SETS v2 v3 v4)
  set(JLCM_EVERY_INSTRUCTION_SET v2 v3 v4 v4vnni)
endif()
set(JLCM_OPTIONS_OF_v2 -march=x86-64-v2)
set(JLCM_OPTIONS_OF_v3 -march=x86-64-v3)
set(JLCM_OPTIONS_OF_v4 -march=x86-64-v4 -mprefer-vector-width=512)
set(JLCM_OPTIONS_OF_v4vnni ${JLCM_OPTIONS_OF_v4} -mavx512vbmi -mavx512vnni)
set(JLCM_OPTIONS_OF_neon -march=armv8-a)
set(JLCM_OPTIONS_OF_neon_dot -march=armv8.2-a+dotprod)

# jlcm_add_kernels(TARGET [EVERY_LEVEL] [EQUAL_BITS] SOURCE...): compiles each source once for every instruction set, in
# namespace JLCM_ISA, and puts the objects into TARGET; core/backend/cpu/isa.hpp chooses at run time.
# EVERY_LEVEL: for the levels between too. EQUAL_BITS: without contraction to fused multiply-add, for kernels whose results are
# equal on every instruction set. Otherwise it is allowed: it depends on the instruction set alone, not on threads.
function(jlcm_add_kernels target)
  cmake_parse_arguments(PARSE_ARGV 1 arg "EVERY_LEVEL;EQUAL_BITS" "" "")
  set(levels ${JLCM_INSTRUCTION_SETS})
  set(optimisation -O3)
  if(JLCM_SANITIZE)
    set(optimisation -O1)  # sanitizers make minutes of these files at -O3
  endif()
  if(arg_EVERY_LEVEL)
    set(levels ${JLCM_EVERY_INSTRUCTION_SET})
  endif()
  set(contraction fast)
  set(name ${target}_kernels)
  if(arg_EQUAL_BITS)
    set(contraction off)
    set(name ${target}_equal_kernels)
  endif()
  # On the files, since options of a linked target (-ffp-contract=off) come after those of the target itself.
  set_source_files_properties(${arg_UNPARSED_ARGUMENTS} PROPERTIES COMPILE_OPTIONS -ffp-contract=${contraction})
  foreach(level ${levels})
    set(kernels ${name}_${level})
    add_library(${kernels} OBJECT ${arg_UNPARSED_ARGUMENTS})
    target_link_libraries(${kernels} PRIVATE ${JLCM_KERNEL_SETTINGS})
    target_compile_definitions(${kernels} PRIVATE JLCM_ISA=isa_${level})
    target_compile_options(${kernels} PRIVATE ${JLCM_OPTIONS_OF_${level}} ${optimisation} -fopenmp-simd -fno-math-errno -fno-trapping-math)
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
