#include "core/backend/cpu/onednn.hpp"

// Of the OpenMP runtime, which oneDNN runs on; its header comes with one compiler only.
extern "C" void omp_set_num_threads(int threads);

namespace jlcm::cpu {

const dnnl::engine& onednn_engine() {
    // Never destroyed: threads that end behind main() still hold streams.
    static const dnnl::engine& instance = *new dnnl::engine(dnnl::engine::kind::cpu, 0);  // NOLINT
    return instance;
}

void use_one_openmp_thread() {
    thread_local const bool done = [] {
        omp_set_num_threads(1);
        return true;
    }();
    (void)done;
}

}  // namespace jlcm::cpu
