#pragma once
// The tiny Llama, compressed, as a block or a whole to learn.

#include "core/codebook/kmeans.hpp"
#include "core/learn/block_learner.hpp"
#include "core/learn/distiller.hpp"
#include "tests/support/tiny_llama.hpp"

#include <cstring>

#include <catch2/catch.hpp>

namespace jlcm::test {

/// K-means a row, 2 bits.
inline CompressedMatrix two_bits_a_row(const Tensor& weight) {
    CompressedMatrix matrix = CompressedMatrix::zeros(Layout::per_row(weight.rows(), weight.cols(), 2));
    KMeans1d kmeans;
    for (std::int64_t r = 0; r < weight.rows(); ++r) {
        const std::span<const float> row(weight.data<float>() + r * weight.cols(),
                                         static_cast<std::size_t>(weight.cols()));
        const std::span<float> book(matrix.codebooks.data<float>() + r * 4, 4);
        kmeans.exact(row, {}, book);
        assign_nearest(row, book,
                       std::span(matrix.mapping.data<std::uint8_t>() + r * weight.cols(), row.size()));
    }
    return matrix;
}

/// Every linear weight.
inline void compress_rows(CompressedModel& model) {
    for (ParameterId id = 0; id < static_cast<ParameterId>(model.graph().parameters().size()); ++id)
        if (model.graph().parameter(id).linear)
            model.matrices().emplace(id, two_bits_a_row(model.base().weight(id)));
}

/// The embedding and the head, tied or not.
inline void compress_tables(CompressedModel& model) {
    for (const ParameterId id : model.graph().tables())
        model.matrices().emplace(id, two_bits_a_row(model.base().weight(id)));
    const Graph& graph = model.graph();
    if (graph.head_table() != graph.head())
        model.matrices().emplace(graph.head(), model.matrices().at(graph.head_table()).clone());
}

/// Gives a model compressed matrices.
using Compress = void (*)(CompressedModel& model);

struct BlockProblem {
    Model base = test::tiny_llama();
    CompressedModel model{base};
    Executor executor{base.graph(), cpu_backend(), DType::f32};
    Tensor inputs = random_tensor({12, 10, 16}, "inputs", DType::f32);
    Tensor targets;

    explicit BlockProblem(Compress compress = compress_rows) {
        compress(model);
        Weights weights(base.graph());
        bind_weights(weights, base, block().nodes, DType::f32, cpu_backend());
        targets = executor.forward(block(), weights, inputs);
    }
    const Block& block() const { return base.graph().blocks()[1]; }
    std::unique_ptr<Trainable> learner(const std::string& estimator, std::int64_t steps) {
        BlockLearningOptions options;
        options.steps = steps;
        options.batch = 4;
        options.norm_rate = 1e-3;
        options.estimator = Choice<Estimator>::parse(estimator);
        return make_block_learner(executor, block(), model, inputs, targets, options, 1);
    }
};

inline bool identical(const Tensor& a, const Tensor& b) {
    return a.byte_count() == b.byte_count() &&
           std::memcmp(a.bytes().data(), b.bytes().data(), a.byte_count()) == 0;
}

/// The state that a checkpoint would hold.
inline std::vector<NamedTensor> checkpoint_of(Trainable& learner) {
    std::vector<NamedTensor> saved;
    for (const auto& entry : learner.state()) saved.push_back({entry.name, entry.tensor.clone()});
    return saved;
}

inline void restore(Trainable& learner, const std::vector<NamedTensor>& saved, std::int64_t steps) {
    const auto state = learner.state();
    REQUIRE(state.size() == saved.size());
    for (std::size_t i = 0; i < state.size(); ++i) {
        REQUIRE(state[i].name == saved[i].name);
        Tensor into = state[i].tensor;
        std::memcpy(into.bytes().data(), saved[i].tensor.bytes().data(), into.byte_count());
    }
    learner.restored(steps);
}

/// Which tables of the tiny Llama are compressed, and learn.
enum class Tables : std::uint8_t { none, tied, apart };

/// The tiny Llama, compressed, and a distiller of it.
struct Distillation {
    Model base;
    CompressedModel model{base};
    Tensor samples = test::random_ids({24, 12}, 32, "windows");
    DistillationOptions options;

    explicit Distillation(Tables tables = Tables::none, Compress compress = compress_rows)
        : base(test::tiny_llama(tables != Tables::apart)) {
        compress(model);
        if (tables != Tables::none) compress_tables(model);
        options.steps = 6;
        options.batch = 4;
        options.rate = 0.02;
        options.norm_rate = 0.01;
    }
    std::unique_ptr<Trainable> learner() {
        return make_distiller(model, samples, options, DType::f32, cpu_backend());
    }
};

inline Tensor tensor_of(Trainable& learner, const std::string& suffix) {
    for (const NamedTensor& entry : learner.state())
        if (entry.name.ends_with(suffix)) return entry.tensor;
    return {};
}

}  // namespace jlcm::test
