#pragma once
// Who a run is: everything that its results depend on.

#include "core/base/json.hpp"
#include "core/run/spec.hpp"
#include "core/spec/resolve.hpp"

#include <map>
#include <string>

namespace jlcm {

struct RunIdentity {
    nlohmann::json content;  ///< `identity` of result.json
    std::string hash;        ///< SHA-256 of that

    /// What an artifact says of where it comes from.
    [[nodiscard]] nlohmann::json provenance() const { return {{"identity", content}, {"sha256", hash}}; }
    /// Of the run's directory: the spec's name and the first 12 digits of the hash.
    [[nodiscard]] std::string directory_name(const RunSpec& spec) const;
};

/// `calibration`: what the datasets of the spec are (CalibrationData::describe); `evaluation`: the data of
/// each evaluation (Evaluation::data).
[[nodiscard]] RunIdentity identity_of(const Resolved<RunSpec>& spec, DType compute,
                                      const std::string& model_sha256, const nlohmann::json& calibration,
                                      const nlohmann::json& evaluation);

/// The identities of many runs: models and data that they share are read once.
class RunIdentifier {
  public:
    /// `backend` outlives it.
    explicit RunIdentifier(Backend& backend) : backend_(backend) {}

    /// Input errors where model or data cannot be read.
    [[nodiscard]] RunIdentity identify(const Resolved<RunSpec>& spec);

  private:
    /// What `read` returns, once for every `key`.
    template <class Read>
    const nlohmann::json& known(std::map<std::string, nlohmann::json>& memory, std::string key, Read read);

    Backend& backend_;
    std::map<std::string, nlohmann::json> models_;
    std::map<std::string, nlohmann::json> calibrations_;
    std::map<std::string, nlohmann::json> evaluations_;
};

}  // namespace jlcm
