#include "core/backend/cpu/isa.hpp"

#include <algorithm>
#include <cstdlib>
#include <string_view>

#if defined(__aarch64__)
#include <sys/auxv.h>
#endif

namespace jlcm {
namespace {

#if defined(__aarch64__)

IsaLevel best_level() {
    constexpr unsigned long dot_product = 1UL << 20;  // HWCAP_ASIMDDP
    return (getauxval(AT_HWCAP) & dot_product) != 0 ? IsaLevel::neon_dot : IsaLevel::neon;
}

#else

IsaLevel best_level() {
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma") || !__builtin_cpu_supports("bmi2"))
        return IsaLevel::v2;
    if (!__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512bw") ||
        !__builtin_cpu_supports("avx512dq") || !__builtin_cpu_supports("avx512vl") ||
        !__builtin_cpu_supports("avx512cd"))
        return IsaLevel::v3;
    if (!__builtin_cpu_supports("avx512vnni") || !__builtin_cpu_supports("avx512vbmi")) return IsaLevel::v4;
    return IsaLevel::v4vnni;
}

#endif

IsaLevel detect() {
    const IsaLevel best = best_level();
    const char* named = std::getenv("JLCM_ISA");
    const std::string_view wanted = named != nullptr ? named : "";
#define JLCM_LEVEL_OF_NAME(level, name) \
    if ((name) == #level) return std::min(best, IsaLevel::level);
    JLCM_EVERY_LEVEL(JLCM_LEVEL_OF_NAME, wanted)
#undef JLCM_LEVEL_OF_NAME
    return best;
}

}  // namespace

IsaLevel isa_level() {
    static const IsaLevel level = detect();
    return level;
}

const char* vectors_name() {
#if defined(__aarch64__)
    return "NEON";
#else
    switch (isa_level()) {
        case IsaLevel::v2:
            return "SSE4.2";
        case IsaLevel::v3:
            return "AVX2";
        case IsaLevel::v4:
        case IsaLevel::v4vnni:
            break;
    }
    return "AVX-512";
#endif
}

}  // namespace jlcm
