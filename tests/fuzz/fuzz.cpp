// The reader that JLCM_FUZZ_READER names, under libFuzzer. JLCM_FUZZ_SAY=1 prints what it says, to see why an
// input is refused.
#include "tests/fuzz/readers.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace jlcm;
    static const char* name = std::getenv("JLCM_FUZZ_READER");
    static const bool says = std::getenv("JLCM_FUZZ_SAY") != nullptr;
    static const auto reader = fuzz::readers().at(name != nullptr ? name : "");
    try {
        reader(std::as_bytes(std::span(data, size)));
    } catch (const Error& error) {
        if (says) fmt::print(stderr, "{}\n", error.what());
        if (error.kind() != ErrorKind::input) throw;
    }
    return 0;
}
