#include "core/store/cached_features.hpp"

#include "core/base/hash.hpp"

namespace jlcm {

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
