// What a spec means: overrides, identity, refusals.

#include "core/compress/compression_plan.hpp"
#include "core/graph/transformer.hpp"
#include "core/run/spec.hpp"
#include "core/spec/resolve.hpp"

#include <catch2/catch.hpp>

namespace {

using namespace jlcm;

constexpr const char* base = "model: {source: x}\ncalibration: {dataset: c4-sample}\n";

Resolved<RunSpec> decode(const std::string& yaml) {
    Problems problems;
    const auto config = parse_config(yaml, {"spec.yaml", 1, 1}, problems);
    problems.throw_if_any();
    auto spec = resolve<RunSpec>(*config, problems);
    problems.throw_if_any();
    return spec;
}

Graph small_llama() {
    TransformerConfig config;
    config.hidden_size = 16;
    config.intermediate_size = 32;
    config.layers = 4;
    config.query_heads = 4;
    config.key_heads = 2;
    config.head_dim = 4;
    config.vocabulary = 10;
    config.tied_head = true;
    return build_transformer(config);
}

std::map<std::string, int> bits_by_name(const std::string& yaml) {
    Graph graph = small_llama();
    const CompressOptions compress = decode(base + yaml).value.compress;
    graph.join_blocks(compress.blocks_together);
    std::map<std::string, int> bits;
    for (const auto& [id, plan] : plan_compression(graph, compress))
        bits[graph.parameter(id).name] = plan.bits;
    return bits;
}

}  // namespace

TEST_CASE("without overrides every linear weight of the blocks is compressed alike") {
    const auto bits = bits_by_name("compress: {bits: 3}\n");
    CHECK(bits.size() == 4 * 7);
    for (const auto& [name, each] : bits) CHECK(each == 3);
}

TEST_CASE("overrides match by role, depth and name, and later ones win") {
    const auto bits = bits_by_name(R"(
compress:
  overrides:
    - {match: {role: attention.*}, bits: 4}
    - {match: {role: [mlp.down], first_blocks: 1, last_blocks: 1}, bits: 5}
    - {match: {blocks: [1, 2], name: "*q_proj*"}, exclude: true}
    - {match: {name: "model.layers.3.self_attn.v_proj.weight"}, bits: 8}
)");
    CHECK(bits.at("model.layers.0.self_attn.q_proj.weight") == 4);
    CHECK(bits.at("model.layers.0.mlp.down_proj.weight") == 5);
    CHECK(bits.at("model.layers.1.mlp.down_proj.weight") == 2);
    CHECK(bits.at("model.layers.3.mlp.down_proj.weight") == 5);
    CHECK_FALSE(bits.contains("model.layers.1.self_attn.q_proj.weight"));
    CHECK_FALSE(bits.contains("model.layers.2.self_attn.q_proj.weight"));
    CHECK(bits.at("model.layers.3.self_attn.q_proj.weight") == 4);
    CHECK(bits.at("model.layers.3.self_attn.v_proj.weight") == 8);
}

TEST_CASE("overrides count the model's own blocks, whatever of them is reconstructed together") {
    const std::string overrides = R"(overrides: [{match: {first_blocks: 1, last_blocks: 1}, bits: 5},
        {match: {blocks: [2, 2]}, bits: 7}]})";
    const auto apart = bits_by_name("compress: {" + overrides + "\n");
    CHECK(apart.at("model.layers.2.mlp.up_proj.weight") == 7);
    CHECK(bits_by_name("compress: {blocks_together: 2, " + overrides + "\n") == apart);
    CHECK(bits_by_name("compress: {blocks_together: 3, " + overrides + "\n") == apart);
}

TEST_CASE("joined blocks are one after the other, and the last takes what is left") {
    Graph graph = small_llama();
    const std::vector<Block> own = graph.blocks();
    graph.join_blocks(1);
    REQUIRE(graph.blocks().size() == 4);
    graph.join_blocks(3);
    REQUIRE(graph.blocks().size() == 2);
    const Block& first = graph.blocks()[0];
    CHECK(first.input == own[0].input);
    CHECK(first.output == own[2].output);
    CHECK(first.nodes.first == own[0].nodes.first);
    CHECK(first.nodes.end == own[2].nodes.end);
    CHECK(first.name == "block 0, block 1, block 2");
    CHECK(graph.linears(first.nodes).size() == 3 * 7);
    CHECK(graph.blocks()[1].input == own[3].input);
    CHECK(graph.blocks()[1].output == own[3].output);
}

TEST_CASE("an override that matches nothing is an error that lists the roles, as is leaving nothing") {
    CHECK_THROWS_WITH(
        bits_by_name("compress: {overrides: [{match: {role: attn}, bits: 3}]}\n"),
        Catch::Contains("compress.overrides.0 matches no weight") && Catch::Contains("attention.query"));
    CHECK_THROWS_WITH(bits_by_name("compress: {overrides: [{match: {name: '*'}, exclude: true}]}\n"),
                      Catch::Contains("leave nothing to compress"));
}

TEST_CASE("impossible combinations are refused with their place") {
    CHECK_THROWS_WITH(decode(std::string(base) + "compress: {overrides: [{match: {}, bits: 3}]}\n"),
                      Catch::Contains("needs at least one of role, name"));
    CHECK_THROWS_WITH(
        decode(std::string(base) + "compress: {overrides: [{match: {blocks: [3, 1]}, bits: 3}]}\n"),
        Catch::Contains("the first and the last block"));
    CHECK_THROWS_WITH(decode(std::string(base) + "name: a/b\n"), Catch::Contains("directory's name"));
    CHECK_THROWS_WITH(decode("model: {source: x}\ncalibration: {dataset: []}\n"),
                      Catch::Contains("at least one dataset"));
}

TEST_CASE("an objective refuses the options that it does not read") {
    const auto learn = [](const std::string& options) {
        return decode(std::string(base) + "compress: {learn: {" + options + "}}\n");
    };
    for (const std::string option : {"batch: 8", "batch: 4", "inputs: original", "norm_rate: 0.1"})
        CHECK_THROWS_WITH(learn("objective: layer, " + option),
                          Catch::Contains("compress.learn." + option.substr(0, option.find(':'))) &&
                              Catch::Contains("leave it out"));
    CHECK_THROWS_WITH(learn("batch: 8, inputs: original, objective: {type: layer}"),
                      Catch::Contains("learn.batch") && Catch::Contains("learn.inputs"));
    // What a base gives, a spec that stands on it takes back with null.
    const auto layer = learn("objective: layer, steps: 7, batch: null");
    CHECK(layer.value.compress.learn->steps == 7);
    const Config* written = layer.config.find("compress")->find("learn");
    CHECK(written->find("batch") == nullptr);
    CHECK(written->find("inputs") == nullptr);
    CHECK(written->find("norm_rate") == nullptr);
    CHECK(decode(to_yaml(layer.config)).value.compress.learn->objective.name() == "layer");
    // Batches of four are no matter to an objective without samples.
    CHECK_NOTHROW(
        decode("model: {source: x}\ncalibration: {dataset: c4-sample, sequences: 2}\n"
               "compress: {learn: {objective: layer}}\n"));
    const auto block = learn("objective: block, batch: 8, inputs: original, norm_rate: 0.1");
    CHECK(block.value.compress.learn->batch == 8);
    CHECK(block.config.find("compress")->find("learn")->find("batch")->text == "8");
}

TEST_CASE("a run's identity is in what changes its results") {
    const auto identity = [](const std::string& more) {
        return to_yaml(identity_of(decode(base + more).config));
    };
    CHECK(identity("") == identity("name: other\ncheckpoint_minutes: 7\ndata_path: /somewhere\n"));
    CHECK(identity("") == identity("seed: 0\ncompress: {bits: 2}\n"));
    CHECK(identity("") != identity("seed: 1\n"));
    CHECK(identity("") != identity("compress: {bits: 3}\n"));
}

TEST_CASE("calibration may be left out if nothing reads samples") {
    const auto without = decode("model: {source: x}\ncompress: {solver: rtn}\n");
    CHECK_FALSE(without.value.calibration.has_value());
    CHECK_FALSE(decode("model: {source: x}\ncalibration: null\ncompress: {solver: rtn}\n")
                    .value.calibration.has_value());
    CHECK_THROWS_WITH(decode("model: {source: x}\n"),
                      Catch::Contains("calibration: is missing") &&
                          Catch::Contains("compress.codebook_init (kmeans), compress.solver (lnq)"));
    CHECK_THROWS_WITH(decode("model: {source: x}\ncompress: {solver: rtn, distill: {}}\n"),
                      Catch::Contains("need samples: compress.distill"));
    CHECK_THROWS_WITH(decode("model: {source: x}\ncalibration: {sequences: 3}\ncompress: {solver: rtn}\n"),
                      Catch::Contains("dataset"));
}

TEST_CASE("options of a mapping's steps in distillation are held against each other") {
    const auto distill = [](const std::string& more) {
        return decode(base + fmt::format("compress: {{learn: {{}}, distill: {{steps: 8, {}}}}}\n", more));
    };
    CHECK_NOTHROW(distill("estimator: nearest, mapping: {every: 8, most: 0.01, start: learned}"));
    CHECK_THROWS_WITH(distill("mapping: {every: 2}"),
                      Catch::Contains("without an estimator the mapping stays"));
    CHECK_THROWS_WITH(distill("estimator: nearest, mapping: {every: 9}"),
                      Catch::Contains("would never move"));
    CHECK_THROWS_WITH(distill("estimator: nearest, mapping: {most: 0}"), Catch::Contains("above 0"));
    CHECK_THROWS_WITH(distill("estimator: softmax, mapping: {start: learned}"),
                      Catch::Contains("with the same estimator (nearest there, softmax here)"));
    CHECK_THROWS_WITH(distill("estimator: adaround, mapping: {most: 0.1}"), Catch::Contains("takes no cap"));
    CHECK_THROWS_WITH(distill("estimator: frozen, mapping: {most: 0.1}"), Catch::Contains("takes no cap"));
}

TEST_CASE("distillation goes on from scores of the same window and second moment alone") {
    const auto distill = [](const std::string& learned, const std::string& distilled,
                            const std::string& start) {
        return decode(base + fmt::format("compress: {{learn: {{estimator: {}}}, distill: {{steps: 8, "
                                         "estimator: {}, mapping: {{start: {}}}}}}}\n",
                                         learned, distilled, start));
    };
    const std::string plain = "{type: softmax, rate: 0.01}";
    CHECK_NOTHROW(distill("softmax", plain, "learned"));
    CHECK_NOTHROW(distill("{type: nearest, rate: 0.01}", "nearest", "learned"));
    for (const std::string other : {"{type: softmax, window: 5}", "{type: softmax, second_moment: none}"}) {
        CHECK_THROWS_WITH(distill(other, plain, "learned"),
                          Catch::Contains("the same options of what it keeps of a weight") &&
                              Catch::Contains("window 9, second_moment weight here"));
        CHECK_NOTHROW(distill(other, plain, "fresh"));
    }
    // adjacent keeps scores of neighbours alone.
    CHECK_THROWS_WITH(distill("{type: proximal, form: adjacent}", "proximal", "learned"),
                      Catch::Contains("window 3, second_moment weight there"));
}

TEST_CASE("a weighting that nothing reads is refused") {
    CHECK_THROWS_WITH(decode(std::string(base) + "compress: {solver: rtn, output_weighting: {groups: 2}}\n"),
                      Catch::Contains("nothing reads the weighted second moments"));
    CHECK_NOTHROW(decode(std::string(base) + "compress: {output_weighting: {groups: 2}}\n"));
}

TEST_CASE("the embedding's initialiser must do without calibration inputs") {
    const auto embedding = [](const std::string& init) {
        return decode(base + fmt::format("compress: {{embedding: {{codebook_init: {}}}}}\n", init));
    };
    CHECK_NOTHROW(embedding("{type: kmeans, weights: none}"));
    CHECK_NOTHROW(embedding("{type: uniform, fit: least_squares}"));
    CHECK_THROWS_WITH(embedding("kmeans"), Catch::Contains("wants calibration inputs"));
}
