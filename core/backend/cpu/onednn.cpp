#include "core/backend/cpu/onednn.hpp"

#include "core/base/error.hpp"

// Of the OpenMP runtime, which oneDNN runs on; its header comes with one compiler only.
extern "C" void omp_set_num_threads(int threads);

namespace jlcm::cpu {

const dnnl::engine& onednn_engine() {
    // Never destroyed: threads that end behind main() still hold streams.
    static const dnnl::engine& instance = []() -> const dnnl::engine& {
        // Primitives in use are kept by those who use them.
        constexpr int others = 64;
        dnnl::set_primitive_cache_capacity(others);
        return *new dnnl::engine(dnnl::engine::kind::cpu, 0);  // NOLINT
    }();
    return instance;
}

void use_one_openmp_thread() {
    thread_local const bool done = [] {
        omp_set_num_threads(1);
        return true;
    }();
    (void)done;
}

void run(const dnnl::primitive& primitive, dnnl::stream& stream,
         const std::unordered_map<int, dnnl::memory>& arguments) {
    try {
        primitive.execute(stream, arguments);
        stream.wait();
    } catch (const dnnl::error& error) {
        refuse_product(error.what());
    }
}

void refuse_product(std::string_view reason) {
    throw Error(
        ErrorKind::system,
        fmt::format("out of memory in a product (oneDNN: {}); allow more, or compute less at once", reason));
}

}  // namespace jlcm::cpu
