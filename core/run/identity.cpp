#include "core/run/identity.hpp"

#include "core/base/hash.hpp"
#include "core/compress/samples.hpp"
#include "core/plugin/library.hpp"
#include "core/run/result.hpp"
#include "core/run/run.hpp"

namespace jlcm {

std::string RunIdentity::directory_name(const RunSpec& spec) const {
    return fmt::format("{}-{}", spec.name, hash.substr(0, 12));
}

RunIdentity identity_of(const Resolved<RunSpec>& spec, DType compute, const std::string& model_sha256,
                        const nlohmann::json& calibration, const nlohmann::json& evaluation) {
    nlohmann::json content{{"spec", to_yaml(identity_of(spec.config))},
                           {"compute", name_of(compute)},
                           {"model_sha256", model_sha256},
                           {"calibration", calibration},
                           {"evaluation", evaluation},
                           {"result_version", result_version}};
    // A library that was built again may compute something else under the same name.
    if (auto plugins = plugin_hashes(spec.config); !plugins.empty()) content["plugins"] = std::move(plugins);
    std::string hash = sha256(content.dump());
    return {std::move(content), std::move(hash)};
}

template <class Read>
const nlohmann::json& RunIdentifier::known(std::map<std::string, nlohmann::json>& memory, std::string key,
                                           Read read) {
    const auto found = memory.find(key);
    if (found != memory.end()) return found->second;
    return memory.emplace(std::move(key), read()).first->second;
}

RunIdentity RunIdentifier::identify(const Resolved<RunSpec>& spec) {
    const RunSpec& options = spec.value;
    const Directories directories = data_directories(options.data_path);
    const std::string places = fmt::format("{}", fmt::join(options.data_path, ":"));
    const auto& model = known(models_, to_yaml(*spec.config.find("model")),
                              [&] { return options.model.load(backend_).sha256; });
    auto calibration = nlohmann::json::array();
    if (const auto& given = options.calibration; given && options.compress.needs_samples()) {
        CalibrationOptions datasets;
        datasets.dataset = given->dataset;
        datasets.shares = given->shares;
        calibration = known(calibrations_, places + to_yaml(encode_options(datasets)),
                            [&] { return load_calibration_data(*given, directories).describe(); });
    }
    auto evaluation = nlohmann::json::array();
    for (const auto& choice : options.evaluate)
        evaluation.push_back(known(evaluations_, places + to_yaml(choice.encode()),
                                   [&] { return choice.make()->data(directories); }));
    return identity_of(spec, compute_type(options.compute, backend_), model, calibration, evaluation);
}

}  // namespace jlcm
