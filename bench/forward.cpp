// Tokens a second of the uncompressed default model, the work that bench/llama_cpp.sh measures of llama.cpp:
// a prompt of 512 tokens with the head for the last token only, and with the logits of every token. Usage:
// bench_forward MODEL.gguf
#include "core/base/log.hpp"
#include "core/base/parallel.hpp"
#include "core/model/scoring.hpp"

#include <algorithm>

namespace {

using namespace jlcm;

constexpr std::int64_t prompt = 512;

/// Best of several repetitions, tokens a second.
template <class Work>
double rate(Work work) {
    work();
    double best = 1e9;
    for (int i = 0; i < 5; ++i) {
        const double begin = now_seconds();
        work();
        best = std::min(best, now_seconds() - begin);
    }
    return static_cast<double>(prompt) / best;
}

}  // namespace

int main(int argc, char** argv) try {
    require(argc == 2, "usage: bench_forward MODEL.gguf");
    const Model model(read_checkpoint(argv[1]));
    Tensor ids = Tensor::empty({1, prompt}, DType::i32);
    for (std::int64_t i = 0; i < prompt; ++i)
        ids.data<std::int32_t>()[i] =
            static_cast<std::int32_t>(i * 7919 % model.graph().parameter(model.graph().head()).shape[0]);
    fmt::print("{}\n| compute | threads | prompt | prompt, all logits |\n|---|---|---|---|\n",
               cpu_backend().describe());
    for (const DType compute : {DType::f32, DType::bf16}) {
        if (compute == DType::bf16 && !cpu_backend().has_bfloat16()) continue;
        const BoundModel bound(model, compute, cpu_backend());
        for (const int threads : {1, 2}) {
            set_thread_count(threads);
            Tensor logits = Tensor::empty({1, bound.head().rows()});
            const double last = rate([&] {
                const Tensor features = bound.features(ids);
                cpu_backend().multiply(matrix(features.slice(prompt - 1, prompt)), bound.head(), logits);
            });
            const double all = rate([&] {
                const Tensor features = bound.features(ids);
                (void)cpu_backend().score_tokens(features, bound.head(), ids.values<std::int32_t>(), nullptr,
                                                 nullptr, 0);
            });
            fmt::print("| {} | {} | {:.0f} | {:.0f} |\n", name_of(compute), threads, last, all);
        }
    }
    return 0;
} catch (const Error& error) {
    fmt::print(stderr, "bench_forward: {}\n", error.what());
    return error.exit_code();
}
