// Families of transformers against Hugging Face's own implementation: tests/golden/make_transformers.py.
#include "core/base/files.hpp"
#include "core/formats/checkpoint_export.hpp"
#include "core/formats/safetensors.hpp"
#include "core/model/reordered_model.hpp"
#include "core/model/scoring.hpp"
#include "tests/support/assets.hpp"
#include "tests/support/random_permutations.hpp"
#include "tests/support/temporary.hpp"

#include <cmath>
#include <limits>

#include <catch2/catch.hpp>

namespace {

using namespace jlcm;
using Catch::Contains;

const std::vector<std::string> families{"gpt2",     "opt",   "qwen2",   "llama_biased", "bert",
                                        "mistral",  "qwen3", "phi3",    "gemma2",       "gemma3",
                                        "gpt_neox", "olmo2", "mixtral", "qwen3_moe"};

std::filesystem::path folder(const std::string& name) {
    return std::filesystem::path(JLCM_SOURCE_DIR) / "tests/golden/transformers" / name;
}

struct Expected {
    Tensor ids;
    Tensor values;
};

/// `prefix`: "long_" for the longer text that some have.
Expected expected_of(const std::string& name, const std::string& prefix = "") {
    const MappedFile file(folder(name) / "expected.safetensors");
    Expected result;
    for (const StoredTensor& stored : parse_safetensors(file.bytes()).tensors) {
        if (stored.name == prefix + "expected") {
            result.values = decode(stored);
        } else if (stored.name == prefix + "ids") {
            result.ids = Tensor::empty(stored.shape, DType::i32);
            std::ranges::copy(stored.bytes, result.ids.bytes().begin());
        }
    }
    return result;
}

double largest_difference(const Tensor& a, const Tensor& b) {
    REQUIRE(a.size() == b.size());
    double worst = 0;
    for (std::int64_t i = 0; i < a.size(); ++i)
        worst = std::max(worst, std::abs(static_cast<double>(a.data<float>()[i]) -
                                         static_cast<double>(b.data<float>()[i])));
    return worst;
}

Tensor scores(const WeightSource& model, const Tensor& ids) {
    return BoundModel(model, DType::f32, cpu_backend()).scores(ids);
}

}  // namespace

TEST_CASE("every family gives the logits of Hugging Face's transformers, in any order of its neurons") {
    for (const std::string& name : families) {
        CAPTURE(name);
        const Model model(read_checkpoint(folder(name)));
        const auto [ids, values] = expected_of(name);
        CHECK(largest_difference(scores(model, ids), values) < 5e-5);
        CHECK(is_encoder(model.graph(), model.input()) == (name == "bert"));

        const PermutationAnalysis analysis(model.graph());
        const ReorderedModel reordered(model, analysis, test::random_permutations(analysis, 3));
        CHECK(largest_difference(scores(reordered, ids), values) < 5e-5);
        for (const auto& block : model.graph().blocks())
            for (const auto& use : model.graph().linears(block.nodes)) {
                INFO(model.graph().parameter(use.parameter).name);
                CHECK_FALSE(
                    (reordered.rows(use.parameter).empty() && reordered.columns(use.parameter).empty()));
            }
    }
}

TEST_CASE("every family's folder is written as it was read") {
    const test::TemporaryDirectory directory;
    for (const std::string& name : families) {
        if (name == "bert") continue;  // its pooler is left out
        CAPTURE(name);
        const Checkpoint read = read_checkpoint(folder(name));
        write_huggingface_checkpoint(directory.path() / name, read, stored_values(read), Encoding::f16);
        const MappedFile before(folder(name) / "model.safetensors");
        const MappedFile after(directory.path() / name / "model.safetensors");
        std::map<std::string, StoredTensor> left;
        for (const StoredTensor& stored : parse_safetensors(before.bytes()).tensors)
            left[stored.name] = stored;
        for (const StoredTensor& stored : parse_safetensors(after.bytes()).tensors) {
            CAPTURE(stored.name);
            const auto same = left.extract(stored.name);
            REQUIRE(same);
            CHECK(same.mapped().shape == stored.shape);
            CHECK(std::ranges::equal(same.mapped().bytes, stored.bytes));
        }
        CHECK(left.empty());
        auto config = read_checkpoint(directory.path() / name).config;
        auto expected = read.config;
        for (const char* key : {"torch_dtype", "dtype"}) {
            config.erase(key);
            expected.erase(key);
        }
        CHECK(config == expected);
    }
}

TEST_CASE("GGUF files of every family give the logits of Hugging Face's folders") {
    // What llama.cpp has in its code, or lacks.
    const std::vector<std::string> left_out{"query_pre_attn_scalar", "layer_types",    "rope_local_base_freq",
                                            "use_sliding_window",    "sliding_window", "norm_topk_prob"};
    for (const std::string name :
         {"qwen2", "qwen3", "gemma2", "gemma3", "phi3", "gpt_neox", "olmo2", "mixtral", "qwen3_moe"}) {
        CAPTURE(name);
        Checkpoint checkpoint = read_checkpoint(folder(name) / "model.gguf");
        const Checkpoint original = read_checkpoint(folder(name));
        CHECK(checkpoint.config.at("model_type") == original.config.at("model_type"));
        for (const std::string& key : left_out)
            if (original.config.contains(key)) checkpoint.config[key] = original.config.at(key);
        const Model model(std::move(checkpoint));
        const auto [ids, values] = expected_of(name);
        CHECK(largest_difference(scores(model, ids), values) < 5e-5);
    }
}

namespace {

/// The configuration without what GGUF cannot say of these.
nlohmann::json said_in_gguf(const std::string& name, nlohmann::json config) {
    if (name == "mistral" || name.starts_with("qwen")) {
        config["sliding_window"] = nullptr;
        config["use_sliding_window"] = false;
        config.erase("layer_types");
    }
    if (name == "qwen3") config["rope_scaling"] = {{"rope_type", "yarn"}, {"factor", 4.0}};
    if (name.starts_with("gemma")) config["query_pre_attn_scalar"] = config.at("head_dim");
    if (name == "gemma3") config["layer_types"] = {"sliding_attention", "sliding_attention"};
    if (name == "qwen3_moe") config["norm_topk_prob"] = true;
    return config;
}

}  // namespace

TEST_CASE("every family that llama.cpp has is written as GGUF, and is the same model when it is read again") {
    const test::TemporaryDirectory directory;
    std::vector<std::string> refused;
    for (const std::string& name : families) {
        if (name == "bert" || name == "opt") continue;
        CAPTURE(name);
        const auto file = directory.path() / (name + ".gguf");
        Checkpoint original = read_checkpoint(folder(name));
        auto [ids, values] = expected_of(name);
        const auto write = [&] {
            write_gguf_checkpoint(file, original, stored_values(original), Encoding::f32,
                                  TokenizerLoss::accepted);
        };
        try {
            write();
        } catch (const Error& error) {
            refused.push_back(name);
            CHECK_THAT(error.what(), Contains("--format hf"));
            original.config = said_in_gguf(name, original.config);
            write();
            Checkpoint same = read_checkpoint(folder(name));
            same.config = original.config;
            values = scores(Model(std::move(same)), ids);
        }
        CHECK(largest_difference(scores(Model(read_checkpoint(file)), ids), values) < 5e-5);
    }
    CHECK(refused == std::vector<std::string>{"mistral", "qwen3", "gemma2", "gemma3", "qwen3_moe"});
}

TEST_CASE("a text beyond the original context has the angles of long rope") {
    const Model model(read_checkpoint(folder("phi3")));
    const auto [ids, values] = expected_of("phi3", "long_");
    CHECK(ids.shape().back() == 20);
    CHECK(largest_difference(scores(model, ids), values) < 5e-5);
}

namespace {

std::string from_hex(const std::string& hex) {
    std::string text;
    for (std::size_t i = 0; i < hex.size(); i += 2)
        text += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
    return text;
}

}  // namespace

TEST_CASE("WordPiece gives the tokens and texts of Hugging Face's tokenizers") {
    const auto tokenizer = make_tokenizer({"tokenizer.json", read_file(folder("bert") / "tokenizer.json")});
    CHECK(tokenizer->bos() == 2);
    CHECK(tokenizer->eos() == 3);
    for (const auto& entry : nlohmann::json::parse(read_file(folder("bert") / "tokens.json"))) {
        const std::string text = from_hex(entry.at("text"));
        CAPTURE(text);
        const auto ids = entry.at("ids").get<std::vector<std::int32_t>>();
        CHECK(tokenizer->encode(text) == ids);
        CHECK(tokenizer->decode(ids) == entry.at("decoded").get<std::string>());
    }
}

TEST_CASE("all-MiniLM-L6-v2 gives the tokens and embeddings of Hugging Face's libraries") {
    const auto path = test::cache() / "models/all-minilm-l6-v2";
    const auto found =
        std::filesystem::is_directory(path) ? std::optional(path) : std::optional<std::filesystem::path>();
    JLCM_SKIP_UNLESS(found, "all-MiniLM-L6-v2 is not in the cache (scripts/fetch_minilm.sh)");
    const Model model(read_checkpoint(path));
    const BoundModel bound(model, DType::f32, cpu_backend());
    const Tokenizer& tokenizer = model.input().need_tokenizer("the test");
    const auto golden = std::filesystem::path(JLCM_SOURCE_DIR) / "tests/golden/minilm.json";
    for (const auto& entry : nlohmann::json::parse(read_file(golden))) {
        const std::string text = from_hex(entry.at("text"));
        CAPTURE(text);
        auto ids = tokenizer.encode(text);
        CHECK(ids == entry.at("ids").get<std::vector<std::int32_t>>());
        if (!entry.contains("embedding")) continue;
        ids.insert(ids.begin(), *tokenizer.bos());
        ids.push_back(*tokenizer.eos());
        const Tensor features = bound.features(Tensor::from<std::int32_t>({1, std::ssize(ids)}, ids));
        std::vector<double> mean(static_cast<std::size_t>(features.cols()), 0.0);
        for (std::size_t i = 0; i < features.values<float>().size(); ++i)
            mean[i % mean.size()] += static_cast<double>(features.values<float>()[i]);
        double squares = 0;
        for (const double value : mean) squares += value * value;
        for (std::size_t i = 0; i < 8; ++i)
            CHECK(mean[i] / std::sqrt(squares) ==
                  Approx(entry.at("embedding").at(i).get<double>()).margin(2e-5));
    }
}

TEST_CASE("every parameter that is NaN or infinite is named, of every family and kind") {
    for (const std::string& name : families) {
        const Model model(read_checkpoint(folder(name)));
        for (const Parameter& parameter : model.graph().parameters()) {
            CAPTURE(name, parameter.name);
            Checkpoint checkpoint = read_checkpoint(folder(name));
            StoredTensor& stored = checkpoint.tensors.at(parameter.name);
            Tensor values = decode(stored);
            values.data<float>()[values.size() - 1] = -std::numeric_limits<float>::infinity();
            stored.encoding = Encoding::f32;
            stored.bytes = values.bytes();
            CHECK_THROWS_WITH(Model(checkpoint), Catch::Contains(parameter.name + ": 1 infinity among"));
        }
        Checkpoint all = read_checkpoint(folder(name));
        std::vector<std::vector<std::byte>> owners;
        for (auto& [tensor, stored] : all.tensors) {
            stored.bytes = owners.emplace_back(stored.bytes.size(), std::byte{0xff});
        }
        std::string said;
        try {
            (void)Model(all);
        } catch (const Error& error) {
            CHECK(error.kind() == ErrorKind::input);
            said = error.what();
        }
        for (const Parameter& parameter : model.graph().parameters())
            CHECK_THAT(said, Catch::Contains("\n  " + parameter.name + ": "));
    }
}
