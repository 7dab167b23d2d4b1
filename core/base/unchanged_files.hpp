#pragma once
// Whether mapped files are still what they were when they were mapped.

namespace jlcm {

/// A system error names every mapped file that was written to since it was mapped: what was made of it meanwhile is worth
/// nothing. A file that another took the place of, as a rename does, stays as it was for whoever has mapped it.
void require_unchanged_files();

}  // namespace jlcm
