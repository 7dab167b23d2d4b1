#include "core/learn/estimator.hpp"

namespace jlcm {
namespace {

class Frozen final : public Estimator {
  public:
    using Options = NoOptions;
    std::unique_ptr<MappingLearner> start(const CompressedMatrix&, const Tensor&) const override {
        return nullptr;
    }
    std::unique_ptr<VectorMappingLearner> start_vectors(const CompressedMatrix&,
                                                        const Tensor&) const override {
        return nullptr;
    }
    bool takes_vectors() const override { return true; }
    double bytes_per_weight(const CodeShape& /*codes*/) const override { return 0.0; }
};

const Registrar<Estimator, Frozen> registrar{
    "frozen", "The mapping stays as the solver left it; codebooks, scales and norms learn.",
    "Han et al., Deep Compression, ICLR 2016, section 3"};

}  // namespace
}  // namespace jlcm
