#pragma once
// Choosing an instruction set at run time. A family of kernels is a constant, mostly a struct of function
// pointers; its source file isa_FAMILY.cpp is compiled once for every level below (jlcm_add_kernels in
// cmake/JlcmKernels.cmake), each time inside namespace JLCM_ISA:
//
//     // family_kernels.hpp
//     struct FamilyKernels { void (*add)(std::int64_t n, const float* x, float* y); };
//     const FamilyKernels& family_kernels();
//
//     // isa_family.cpp
//     namespace jlcm::JLCM_ISA {
//     extern const FamilyKernels family;
//     const FamilyKernels family{add};
//     }
//
//     // family.cpp, in namespace jlcm
//     JLCM_DECLARE_KERNELS(FamilyKernels, family)
//     const FamilyKernels& family_kernels() { return JLCM_SELECT_KERNELS(family); }
//
// A family that gains from the levels between, which most do not, is compiled for those too: EVERY_LEVEL in
// jlcm_add_kernels, JLCM_DECLARE_KERNELS_OF(JLCM_EVERY_LEVEL, FamilyKernels, family) and
// JLCM_SELECT_KERNELS_OF(JLCM_EVERY_LEVEL, family).
//
// Rule for those files: no templates or inline functions of the standard library beyond <cmath> and <cstdint>
// built-ins, since the linker could keep the copy made for the richest instruction set and use it everywhere.

namespace jlcm {

/// Ascending: a processor that has a level has those before it. Named as JLCM_ISA and the namespaces isa_*.
enum class IsaLevel {
#if defined(__aarch64__)
    neon,      ///< ARMv8.0
    neon_dot,  ///< with the dot product of 8-bit integers
#else
    v2,      ///< x86-64-v2: SSE4.2
    v3,      ///< x86-64-v3: AVX2, FMA, F16C
    v4,      ///< x86-64-v4: AVX-512 F, BW, DQ, VL, CD
    v4vnni,  ///< with VNNI and VBMI, which x86-64-v4 does not promise
#endif
};

/// The highest level that this processor has; the environment variable JLCM_ISA=LEVEL lowers it (for tests).
[[nodiscard]] IsaLevel isa_level();

/// What families run on that are not compiled for every level: "SSE4.2", "AVX2", "AVX-512" or "NEON".
[[nodiscard]] const char* vectors_name();

template <class Table>
struct IsaVariant {
    IsaLevel level;
    const Table* table;
};
template <class Table>
IsaVariant(IsaLevel, const Table*) -> IsaVariant<Table>;

/// The last variant that this processor runs. They ascend, and the first one is of the lowest level.
template <class Table, int n>
[[nodiscard]] const Table& select_isa(const IsaVariant<Table> (&variants)[n]) {
    const IsaLevel best = isa_level();
    int chosen = 0;
    for (int i = 1; i < n; ++i)
        if (variants[i].level <= best) chosen = i;
    return *variants[chosen].table;
}

}  // namespace jlcm

// Lists of levels: Apply(level, ...) for each. cmake/JlcmKernels.cmake has the same two lists.
#if defined(__aarch64__)
#define JLCM_MAIN_LEVELS(Apply, ...) Apply(neon, __VA_ARGS__)
#define JLCM_EVERY_LEVEL(Apply, ...) Apply(neon, __VA_ARGS__) Apply(neon_dot, __VA_ARGS__)
#else
#define JLCM_MAIN_LEVELS(Apply, ...) Apply(v2, __VA_ARGS__) Apply(v3, __VA_ARGS__) Apply(v4, __VA_ARGS__)
#define JLCM_EVERY_LEVEL(Apply, ...) JLCM_MAIN_LEVELS(Apply, __VA_ARGS__) Apply(v4vnni, __VA_ARGS__)
#endif

#define JLCM_DECLARE_VARIANT(level, Type, name) \
    namespace isa_##level {                     \
        extern const Type name;                 \
    }
#define JLCM_LIST_VARIANT(level, name) ::jlcm::IsaVariant{::jlcm::IsaLevel::level, &isa_##level::name},

// Declares the constant `name` of type `Type` that each level of a list has, below the present namespace.
#define JLCM_DECLARE_KERNELS_OF(LEVELS, Type, name) LEVELS(JLCM_DECLARE_VARIANT, Type, name)
#define JLCM_DECLARE_KERNELS(Type, name) JLCM_DECLARE_KERNELS_OF(JLCM_MAIN_LEVELS, Type, name)
// The one for this processor.
#define JLCM_SELECT_KERNELS_OF(LEVELS, name) ::jlcm::select_isa({LEVELS(JLCM_LIST_VARIANT, name)})
#define JLCM_SELECT_KERNELS(name) JLCM_SELECT_KERNELS_OF(JLCM_MAIN_LEVELS, name)
