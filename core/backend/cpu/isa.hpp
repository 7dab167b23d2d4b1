#pragma once
// Choosing an instruction set at run time. A family of kernels is a struct of function pointers; its source
// file isa_FAMILY.cpp is compiled once for every level below (kernels.cmake), each time inside namespace
// JLCM_ISA.
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
