#pragma once
// What the configurations of decoders with rotary positions, RMS norms and gated MLPs have in common.

#include "core/base/json.hpp"
#include "core/formats/config_keys.hpp"
#include "core/formats/rope_config.hpp"
#include "core/graph/transformer.hpp"

#include <functional>
#include <string_view>
#include <vector>

namespace jlcm {

/// What holds where config.json leaves a key out, and what a family can be.
struct DecoderKeys {
    std::int64_t key_value_heads = 0;  ///< 0: as many as query heads
    std::int64_t head_dim = 0;         ///< 0: the heads share the width
    std::int64_t positions = 2048;
    double norm_epsilon = 1e-6;
    double rotary_base = 10000.0;
    bool tied_head = false;
    const char* activation = "hidden_act";
    std::vector<std::string_view> activations{"silu"};
    std::vector<std::string_view> rope_kinds{common_rope_kinds.begin(), common_rope_kinds.end()};
    bool partial_rotary = false;  ///< partial_rotary_factor counts; else it must be 1
};

/// Completes them; what jlcm cannot run is a problem.
void complete_decoder(ConfigReader& config, const DecoderKeys& keys = {});
/// What a completed configuration means: Llama's, unless the family says more.
[[nodiscard]] TransformerConfig lower_decoder(const nlohmann::json& config);

/// Completes sliding_window: null, or a number of tokens. `otherwise`: of a configuration without the key; 0: null.
/// Completes layer_types, if it is there. `is_local`: which layers attend to the window if it is not; without
/// `is_local` all do, and no list is made.
void complete_window(ConfigReader& config, std::int64_t otherwise,
                     const std::function<bool(std::int64_t layer)>& is_local = {});
/// Sets the window of a completed configuration: of the layers of layer_types, or of all where it has none.
void lower_window(const nlohmann::json& config, TransformerConfig& result);

/// The model's name of a tensor of the files: without the buffers of old versions, and without a head that is the
/// embedding.
[[nodiscard]] std::string decoder_tensor_name(const std::string& stored, const nlohmann::json& config);

}  // namespace jlcm
