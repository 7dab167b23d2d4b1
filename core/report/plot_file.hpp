#pragma once
// Pictures as files.

#include "core/report/plot.hpp"

#include <filesystem>

namespace jlcm {

/// Writes an .svg file; or a .png (twice the SVG's size) or .pdf one, which rsvg-convert makes of the SVG. Input
/// errors: another extension, nothing to draw, or no rsvg-convert on this machine.
void draw(const Plot& plot, const std::filesystem::path& file);

}  // namespace jlcm
