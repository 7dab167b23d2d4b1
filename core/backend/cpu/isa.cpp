#include "core/backend/cpu/isa.hpp"

#include <algorithm>
#include <cstdlib>
#include <string_view>

namespace jlcm {
namespace {

IsaLevel detect() {
    IsaLevel level = IsaLevel::v2;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2"))
        level = IsaLevel::v3;
    if (level == IsaLevel::v3 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512cd"))
        level = IsaLevel::v4;
    const char* named = std::getenv("JLCM_ISA");
    const std::string_view wanted = named != nullptr ? named : "";
    if (wanted == "v2") level = IsaLevel::v2;
    if (wanted == "v3") level = std::min(level, IsaLevel::v3);
    return level;
}

}  // namespace

IsaLevel isa_level() {
    static const IsaLevel level = detect();
    return level;
}

}  // namespace jlcm
