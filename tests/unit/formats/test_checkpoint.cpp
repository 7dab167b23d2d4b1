#include "core/base/error.hpp"
#include "core/formats/checkpoint.hpp"
#include "core/formats/llama.hpp"
#include "tests/support/assets.hpp"

#include <algorithm>
#include <utility>

#include <catch2/catch.hpp>

using jlcm::Encoding;

TEST_CASE("the default model's GGUF reads as a checkpoint under Hugging Face names") {
    const auto path = jlcm::test::default_model();
    JLCM_SKIP_UNLESS(path, "the default model is not in the cache");
    const auto checkpoint = jlcm::read_gguf_checkpoint(*path);
    REQUIRE(checkpoint.tensors.size() == 30 * 9 + 2);
    const auto linears =
        std::count_if(checkpoint.tensors.begin(), checkpoint.tensors.end(), [](const auto& entry) {
            return entry.second.encoding == Encoding::q4_1 &&
                   entry.first.find("_proj.weight") != std::string::npos;
        });
    REQUIRE(linears == 210);
    REQUIRE(checkpoint.tensor("model.embed_tokens.weight").shape == jlcm::Shape{49152, 576});
    REQUIRE(checkpoint.tensor("model.embed_tokens.weight").encoding == Encoding::q8_0);
    REQUIRE(checkpoint.tensor("model.layers.29.mlp.down_proj.weight").shape == jlcm::Shape{576, 1536});
    REQUIRE(checkpoint.tensor("model.norm.weight").encoding == Encoding::f32);
    REQUIRE_THROWS_AS(checkpoint.tensor("lm_head.weight"), jlcm::Error);

    const auto& config = checkpoint.config;
    REQUIRE(config["architectures"] == nlohmann::json::array({"LlamaForCausalLM"}));
    REQUIRE(config["num_hidden_layers"] == 30);
    REQUIRE(config["num_key_value_heads"] == 3);
    REQUIRE(config["head_dim"] == 64);
    REQUIRE(config["rope_theta"] == 100000.0);
    REQUIRE(config["rms_norm_eps"] == 1e-5);
    REQUIRE(config["rope_scaling"].is_null());
    REQUIRE(config["tie_word_embeddings"] == true);
    REQUIRE(config["vocab_size"] == 49152);
    REQUIRE(config["bos_token_id"] == 1);
    REQUIRE(config["eos_token_id"] == 2);
    REQUIRE(checkpoint.description == "GGUF v3, Q4_1, Q8_0, F32");
    REQUIRE(checkpoint.tokenizer.format == "gguf");
    const auto tokenizer = nlohmann::json::parse(checkpoint.tokenizer.data);
    REQUIRE(tokenizer["tokenizer.ggml.pre"] == "smollm");
    REQUIRE(tokenizer["tokenizer.ggml.tokens"].size() == 49152);
    REQUIRE(checkpoint.extra["chat_template"].is_string());
}

TEST_CASE("a Hugging Face folder reads as a checkpoint") {
    const auto assets = jlcm::test::assets();
    JLCM_SKIP_UNLESS(assets, "no assets");
    auto checkpoint = jlcm::read_checkpoint(*assets / "lm/stories260k");
    REQUIRE(checkpoint.tensors.size() == 5 * 9 + 2);
    REQUIRE(checkpoint.config["head_dim"] == 8);
    REQUIRE(checkpoint.config["num_key_value_heads"] == 4);
    REQUIRE(checkpoint.config["tie_word_embeddings"] == true);
    REQUIRE(checkpoint.tokenizer.format == "tokenizer.json");  // although tokenizer.model lies beside it
    REQUIRE(checkpoint.extra["generation_config"]["bos_token_id"] == 1);
    REQUIRE(checkpoint.description == "Hugging Face safetensors, F32");
    REQUIRE(checkpoint.sha256.size() == 64);

    // The views outlive moves and copies of the checkpoint.
    const auto first = jlcm::decode(checkpoint.tensor("model.layers.4.mlp.up_proj.weight"));
    const jlcm::Checkpoint moved = std::move(checkpoint);
    const jlcm::Checkpoint copied = moved;  // NOLINT: a copy is what is tested
    const auto again = jlcm::decode(copied.tensor("model.layers.4.mlp.up_proj.weight"));
    REQUIRE(first.shape() == jlcm::Shape{172, 64});
    REQUIRE(std::equal(first.values<float>().begin(), first.values<float>().end(), again.data<float>()));
}
