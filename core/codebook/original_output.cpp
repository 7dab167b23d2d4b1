#include "core/codebook/original_output.hpp"

#include "core/base/error.hpp"

#include <Eigen/Cholesky>
#include <Eigen/Core>

namespace jlcm {

void fit_to_original_output(Tensor& weights, const Tensor& second_moments, const Tensor& with_original,
                            Backend& backend) {
    constexpr double ridge = 0.01;  // of the mean diagonal
    using Rows = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
    const std::int64_t rows = weights.rows();
    const std::int64_t cols = weights.cols();
    const Shape square{cols, cols};
    ensure(second_moments.shape() == square && with_original.shape() == square,
           "moments {} and {} of weights with {} columns", to_string(second_moments.shape()),
           to_string(with_original.shape()), cols);

    Eigen::MatrixXd moments = Eigen::Map<const Rows>(second_moments.data<float>(), cols, cols).cast<double>();
    const double energy = moments.diagonal().mean();
    if (energy == 0) return;
    moments.diagonal().array() += ridge * energy;
    const Eigen::LLT<Eigen::MatrixXd> factor(moments);
    if (factor.info() != Eigen::Success) return;

    Tensor difference = with_original.clone();
    backend.add_scaled(difference, second_moments, -1.0);
    const Tensor wanted = backend.product(weights, Transpose::no, difference, Transpose::no);
    const Eigen::MatrixXd change =
        factor.solve(Eigen::Map<const Rows>(wanted.data<float>(), rows, cols).cast<double>().transpose());
    Eigen::Map<Rows>(weights.data<float>(), rows, cols) += change.transpose().cast<float>();
}

}  // namespace jlcm
