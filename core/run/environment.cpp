#include "core/run/environment.hpp"

#include "core/base/machine.hpp"
#include "core/base/parallel.hpp"
#include "core/plugin/library.hpp"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <iterator>
#include <set>
#include <sstream>
#include <string>

#include <Eigen/Core>
#include <gnu/libc-version.h>
#include <oneapi/dnnl/dnnl.h>
#include <oneapi/tbb/version.h>
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <utf8proc.h>

namespace jlcm {
namespace {

using nlohmann::json;

/// By the names of /proc/cpuinfo.
constexpr std::array features{"sse4_2",      "avx",         "avx2",     "fma",      "f16c",     "bmi2",
                              "avx512f",     "avx512bw",    "avx512cd", "avx512dq", "avx512vl", "avx512_vnni",
                              "avx512_bf16", "avx512_fp16", "avx_vnni", "amx_tile", "amx_bf16", "amx_int8"};

/// Of ours, of oneDNN (both of its prefixes), of the C library.
constexpr std::array variables{"JLCM_ISA", "ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA",
                               "ONEDNN_DEFAULT_FPMATH_MODE", "GLIBC_TUNABLES"};

json cpu_features() {
    std::istringstream stream(cpu_field("flags"));
    const std::istream_iterator<std::string> first(stream);
    const std::set<std::string> flags(first, std::istream_iterator<std::string>());
    json found = json::array();
    std::ranges::copy_if(features, std::back_inserter(found),
                         [&](const char* feature) { return flags.contains(feature); });
    return found;
}

std::string pcre2_version() {
    std::array<char, 64> text{};
    pcre2_config(PCRE2_CONFIG_VERSION, text.data());
    return text.data();
}

/// Those whose rounding, Unicode tables or decoding may differ between versions; of the loaded library where
/// it says its version.
json libraries() {
    const dnnl_version_t& dnnl = *dnnl_version();
    return {{"oneDNN", fmt::format("{}.{}.{}", dnnl.major, dnnl.minor, dnnl.patch)},
            {"oneTBB", TBB_runtime_version()},
            {"Eigen", fmt::format("{}.{}.{}", EIGEN_WORLD_VERSION, EIGEN_MAJOR_VERSION, EIGEN_MINOR_VERSION)},
            {"glibc", gnu_get_libc_version()},
            {"PCRE2", pcre2_version()},
            {"utf8proc", utf8proc_version()},
            {"SentencePiece", JLCM_SENTENCEPIECE_VERSION},
            {"libjpeg-turbo", JLCM_TURBOJPEG_VERSION},
            {"libsamplerate", JLCM_SAMPLERATE_VERSION}};
}

json variables_set() {
    json found = json::object();
    for (const char* name : variables)
        if (const char* value = std::getenv(name)) found[name] = value;
    return found;
}

}  // namespace

json environment_record(const Backend& backend) {
    return {{"jlcm", std::string(build_id())}, {"cpu", cpu_field("model name")},
            {"cpu_features", cpu_features()},  {"backend", backend.describe()},
            {"libraries", libraries()},        {"variables", variables_set()},
            {"threads", thread_count()}};
}

}  // namespace jlcm
