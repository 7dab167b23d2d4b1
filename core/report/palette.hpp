#pragma once
// Who has which colour. A method looks alike in every plot of the project.

#include <cstdint>
#include <string>
#include <vector>

namespace jlcm {

enum class Dash : std::uint8_t { solid, dashed, dotted, dash_dotted };
enum class Marker : std::uint8_t { circle, square, triangle, diamond };

struct LineStyle {
    std::string colour = "#333333";  ///< #rrggbb
    Dash dash = Dash::solid;
    Marker marker = Marker::circle;
    bool operator==(const LineStyle&) const = default;
};

/// A style for each name. Methods that the palette knows have their own; a variant of one ("inverse-adam") has
/// its colour with another dash. If all names are numbers, colours go from light to dark in their order. Other
/// names get styles that no other of `names` has, in the order given, as long as there are any (28).
[[nodiscard]] std::vector<LineStyle> styles_of(const std::vector<std::string>& names);

/// The colour of a share in [0, 1] of a scale from light to dark, whose lightness falls evenly.
[[nodiscard]] std::string shade(double share);

}  // namespace jlcm
