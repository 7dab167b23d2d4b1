#pragma once
// What jlcm-table takes: which runs, and what of them stands where. Every key is documented where it is
// declared (table_spec.cpp).

#include "core/spec/fields.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace jlcm {

enum class Best : std::uint8_t { automatic, low, high, none };
inline EnumNames<Best> enum_names(Best /*tag*/) {
    return {{Best::automatic, "auto", "low for perplexity, KL and losses, high for agreement, else none"},
            {Best::low, "low"},
            {Best::high, "high"},
            {Best::none, "none"}};
}

enum class Spread : std::uint8_t { automatic, seeds, items, none };
inline EnumNames<Spread> enum_names(Spread /*tag*/) {
    return {{Spread::automatic, "auto", "seeds for figures of quality, else none"},
            {Spread::seeds, "seeds", "standard error of the mean over the runs of a row"},
            {Spread::items, "items", "over windows or images; for rows of one run"},
            {Spread::none, "none"}};
}

enum class Versus : std::uint8_t { none, difference, ratio, p };
inline EnumNames<Versus> enum_names(Versus /*tag*/) {
    return {{Versus::none, "none"},
            {Versus::difference, "difference", "value minus the baseline's; stars as significance says"},
            {Versus::ratio, "ratio", "value over the baseline's"},
            {Versus::p, "p", "p-value of the paired t-test against the baseline"}};
}

/// What pairs a paired test has.
enum class Pairs : std::uint8_t { automatic, items, seeds };
inline EnumNames<Pairs> enum_names(Pairs /*tag*/) {
    return {{Pairs::automatic, "auto", "items if they were kept, else seeds"},
            {Pairs::items, "items", "windows or images, each averaged over seeds"},
            {Pairs::seeds, "seeds", "runs of the same seed"}};
}

struct ColumnSpec {
    std::string value;
    std::string title;
    std::string evaluation;
    std::optional<int> digits;
    std::optional<bool> percent;
    Best best = Best::automatic;
    Spread error = Spread::automatic;
    Versus versus = Versus::none;
    void fields(Fields& v);
};

/// A column, or just its value: "perplexity".
struct ColumnChoice : ColumnSpec {};

class ColumnSlot final : public Slot {
  public:
    explicit ColumnSlot(ColumnChoice& variable) : variable_(variable) {}
    void decode(const Config& given, const Range& range, Problems& problems) override;
    [[nodiscard]] Config encode() const override;
    [[nodiscard]] TypeDoc type() const override;

  private:
    ColumnChoice& variable_;
};
template <>
struct SlotOf<ColumnChoice> {
    using Type = ColumnSlot;
};

struct TableSpec {
    std::int64_t version = 1;
    std::string title;
    std::vector<std::string> runs;
    std::string labels;
    std::vector<std::string> models{"compressed"};
    Config where = Config::map();
    std::vector<std::string> rows;
    std::string sections;
    std::string pivot;
    std::vector<ColumnChoice> columns;
    Config baseline = Config::map();
    Pairs pairs = Pairs::automatic;
    std::vector<std::string> sort;
    Config names = Config::map();
    void fields(Fields& v);
};

}  // namespace jlcm
