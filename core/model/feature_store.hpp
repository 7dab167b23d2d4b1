#pragma once
// Whoever remembers what a model makes of samples.

#include "core/tensor/tensor.hpp"

#include <functional>

namespace jlcm {

/// Of one model in one type of products: the same samples have the same features.
class FeatureStore {
  public:
    FeatureStore() = default;
    FeatureStore(const FeatureStore&) = delete;
    FeatureStore& operator=(const FeatureStore&) = delete;
    virtual ~FeatureStore() = default;

    /// The features of `samples` (BoundModel::features), from memory or by `compute`, to the same bits.
    [[nodiscard]] virtual Tensor features(const Tensor& samples, const std::function<Tensor()>& compute) = 0;
};

}  // namespace jlcm
