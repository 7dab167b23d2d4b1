#include "core/compress/shared_stages.hpp"

#include "core/base/hash.hpp"
#include "core/spec/resolve.hpp"

namespace jlcm {

namespace {

std::string order_hash(const ReorderedModel& model) {
    Sha256 hash;
    for (ParameterId id = 0; id < std::ssize(model.graph().parameters()); ++id)
        for (const auto* order : {&model.rows(id), &model.columns(id)})
            hash.update(fmt::format("{}\n", order->size())).update(std::as_bytes(std::span(*order)));
    return hash.hex();
}

}  // namespace

nlohmann::json source_key(const RunSpec& spec, const Model& model, DType compute,
                          const ReorderedModel* reordered) {
    nlohmann::json key{{"model_sha256", model.checkpoint().sha256},
                       {"loader", to_yaml(spec.model.loader.encode())},
                       {"compute", name_of(compute)}};
    if (reordered != nullptr) key["order_sha256"] = order_hash(*reordered);
    return key;
}

std::string content_hash(const Tensor& tensor) {
    return Sha256()
        .update(fmt::format("{} {}\n", name_of(tensor.dtype()), to_string(tensor.shape())))
        .update(tensor.bytes())
        .hex();
}

SavedState shared_stage(StageCache& cache, Stages& stages, const nlohmann::json& key,
                        const std::function<SavedState()>& compute) {
    StageCache::Entry entry = cache.obtain(key, compute);
    if (entry.found) stages.found_in_cache(entry.found->bytes, entry.found->seconds);
    return std::move(entry.state);
}

Tensor CachedFeatures::features(const Tensor& samples, const std::function<Tensor()>& compute) {
    if (!cache_.is_enabled()) return compute();
    const nlohmann::json key{{"features", source_}, {"samples", content_hash(samples)}};
    return shared_stage(cache_, stages_, key,
                        [&] {
                            return SavedState{.words = {}, .tensors = {{"features", compute()}}};
                        })
        .find("features");
}

}  // namespace jlcm
