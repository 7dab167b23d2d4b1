#pragma once
// The compressed model as one file that is complete by itself: a valid safetensors file (any reader of that
// format opens it), version 1.
//
// A compressed matrix NAME is made of the tensors
//     NAME.mapping     U8    [bytes]   the residual stages' packed codes one after the other
//     (core/codebook/packing.hpp),
//                                      then zeros up to a multiple of 64 bytes
//     NAME.codebooks   F16   [codebooks, residual, K, dimension]
//     NAME.scales      F16   [groups]              only where there are any, as the rest
//     NAME.offsets     F16   [groups]
//     NAME.runs        I32   [runs, 2]             start and group
//     NAME.row_order   U8    [rows, 2]             16-bit little-endian; I32 [rows] above 65536 rows
//     NAME.outlier_row_start I32 [rows + 1], NAME.outlier_column I32 [n], NAME.outlier_value F16 [n]
// and its layout is in the metadata. Other tensors keep the encoding they came in: F32, F16, BF16 as they
// are, any other (Q8_0, ...) as U8 bytes, zero-padded to a multiple of 64, with encoding and shape in the
// metadata. The tokenizer's source is the U8 tensor `tokenizer`; a file about text (Checkpoint::files) is the
// U8 tensor `file:NAME`, or that of the tokenizer if it is the same bytes (metadata `tokenizer_file`).
// Mappings lie at multiples of 64 bytes from the start of the tensors' bytes. Metadata keys: format "jlcm",
// version, layouts, encodings, config, tokenizer_format, extra, provenance; tokenizer_file if there is one.

#include "core/base/json.hpp"
#include "core/codebook/coded_weight.hpp"
#include "core/codebook/compressed_matrix.hpp"
#include "core/codebook/footprint.hpp"
#include "core/codebook/matrix_parts.hpp"
#include "core/formats/checkpoint.hpp"
#include "core/tensor/encoding.hpp"

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace jlcm {

/// What a file holds: a checkpoint, some of whose tensors are compressed matrices instead.
struct Artifact : Checkpoint {
    std::map<std::string, CompressedMatrix> matrices;      ///< by the tensor's name
    nlohmann::json provenance = nlohmann::json::object();  ///< how it was made: spec, hashes, versions, seed

    /// The decoded matrix or tensor of that name, float32; an input error where there is none.
    [[nodiscard]] Tensor weights(const std::string& name) const;
};

/// All of an artifact that decides how long its file is.
struct ArtifactForm {
    std::map<std::string, MatrixForm> matrices;
    std::map<std::string, StoredTensor> tensors;  ///< encoding and shape; bytes are not looked at
    nlohmann::json config;
    nlohmann::json extra = nlohmann::json::object();
    nlohmann::json provenance = nlohmann::json::object();
    std::string tokenizer_format;
    std::uint64_t tokenizer_bytes = 0;
    std::string tokenizer_file;                  ///< the one of the files that is the tokenizer's source
    std::map<std::string, std::uint64_t> files;  ///< bytes of the others
};
[[nodiscard]] ArtifactForm form_of(const Artifact& artifact);
/// Of an artifact none of whose tensors is compressed.
[[nodiscard]] ArtifactForm form_of(const Checkpoint& checkpoint);
/// Where every byte of the file goes that write_artifact makes of such an artifact.
[[nodiscard]] ArtifactFootprint artifact_footprint(const ArtifactForm& form);

/// Writes atomically; the same artifact gives the same bytes. Matrices must be valid and rounded to storage.
void write_artifact(const std::filesystem::path& path, const Artifact& artifact);

/// Reads what write_artifact wrote, to the same bits. Input errors name the file and what is wrong: another
/// format or a later version, missing, surplus or misshapen tensors, values out of range, damaged sizes.
[[nodiscard]] Artifact read_artifact(const std::filesystem::path& path);

/// An artifact whose codes stay packed in the mapped file: opening it reads headers, codebooks, scales and
/// orders only.
struct MappedArtifact : Checkpoint {
    std::map<std::string, PackedMatrix> matrices;  ///< by the tensor's name; `owners` keep the mapping
    nlohmann::json provenance = nlohmann::json::object();
};
/// Errors as for read_artifact.
[[nodiscard]] MappedArtifact map_artifact(const std::filesystem::path& path);

/// Where every byte of the file went. Errors as for read_artifact.
[[nodiscard]] ArtifactFootprint artifact_footprint(const std::filesystem::path& path);

}  // namespace jlcm
