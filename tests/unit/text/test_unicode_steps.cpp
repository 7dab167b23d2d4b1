#include "core/base/files.hpp"
#include "core/base/hash.hpp"
#include "core/base/json.hpp"
#include "core/text/unicode_steps.hpp"
#include "tests/support/utf8_text.hpp"

#include <map>

#include <catch2/catch.hpp>

using namespace jlcm;
using Json = nlohmann::json;

namespace {

std::string hexadecimal(std::string_view bytes) {
    constexpr std::string_view digits = "0123456789abcdef";
    std::string text;
    for (const char c : bytes) {
        const auto byte = static_cast<unsigned char>(c);
        text += {digits[byte >> 4U], digits[byte & 15U]};
    }
    return text;
}

/// As tests/golden/make_unicode.py.
std::string digest(const NormalizeStep& step, char32_t plane) {
    Sha256 lines;
    for (char32_t point = plane << 16U; point < (plane + 1) << 16U; ++point)
        if (point != 0 && !(point >= 0xD800 && point < 0xE000))
            lines.update(hexadecimal(step(utf8_from(point))) + "\n");
    return lines.hex().substr(0, 16);
}

}  // namespace

TEST_CASE("every code point is normalised as Hugging Face tokenizers do it") {
    const auto decompose = normal_form_step(NormalForm::nfd);
    const auto strip = strip_accents_step(Marks::nonspacing);
    const std::map<std::string, NormalizeStep> steps{
        {"lower case", lower_case_step()},
        {"strip accents", strip_accents_step(Marks::all)},
        {"strip accents of BERT", [&](const std::string& text) { return strip(decompose(text)); }},
        {"clean text", clean_text_step()},
        {"ideographs", space_around_ideographs_step()},
        {"NFC", normal_form_step(NormalForm::nfc)},
        {"NFD", decompose},
        {"NFKC", normal_form_step(NormalForm::nfkc)},
        {"NFKD", normal_form_step(NormalForm::nfkd)},
        {"strip", strip_step(true, true)},
    };
    const Json file =
        Json::parse(read_file(std::filesystem::path(JLCM_SOURCE_DIR) / "tests/golden/unicode.json"));
    REQUIRE(file.size() == steps.size());
    for (const auto& [name, step] : steps)
        for (char32_t plane = 0; plane < 17; ++plane) {
            INFO(name << ", plane " << static_cast<unsigned>(plane));
            CHECK(digest(step, plane) == file.at(name).at(plane).get<std::string>());
        }
}

TEST_CASE("lower case knows no neighbours, and white space goes at both ends, or one") {
    CHECK(lower_case_step()("\u0130I\u03A3 \u03A3\u0391\u03A3") == "i\u0307i\u03C3 \u03C3\u03B1\u03C3");
    CHECK(strip_step(true, false)(" \u3000a \u00A0") == "a \u00A0");
    CHECK(strip_step(false, true)(" \u3000a \u00A0") == " \u3000a");
    CHECK(strip_step(true, true)("\u2003 \n").empty());
    CHECK(strip_step(true, true)("").empty());
}
