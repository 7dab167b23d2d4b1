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
// Rule for those files: no templates or inline functions of the standard library beyond <cmath> and <cstdint>
// built-ins, since the linker could keep the copy made for the richest instruction set and use it everywhere.

namespace jlcm {

enum class IsaLevel { v2, v3, v4 };  ///< x86-64-v2 (SSE4.2), x86-64-v3 (AVX2, FMA, F16C), x86-64-v4 (AVX-512)

/// The highest level this processor has; the environment variable JLCM_ISA=v2|v3|v4 lowers it (for tests).
[[nodiscard]] IsaLevel isa_level();

template <class Table>
[[nodiscard]] const Table& select_isa(const Table& v2, const Table& v3, const Table& v4) {
    switch (isa_level()) {
        case IsaLevel::v4:
            return v4;
        case IsaLevel::v3:
            return v3;
        case IsaLevel::v2:
            break;
    }
    return v2;
}

}  // namespace jlcm

// Declares the constant `name` of type `Type` that each instruction set has, below the present namespace.
#define JLCM_DECLARE_KERNELS(Type, name) \
    namespace isa_v2 {                   \
    extern const Type name;              \
    }                                    \
    namespace isa_v3 {                   \
    extern const Type name;              \
    }                                    \
    namespace isa_v4 {                   \
    extern const Type name;              \
    }
// The one for this processor.
#define JLCM_SELECT_KERNELS(name) ::jlcm::select_isa(isa_v2::name, isa_v3::name, isa_v4::name)
