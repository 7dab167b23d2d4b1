#pragma once
// A field of a spec that names a plugin, with the plugin's own options:
//
//     struct LearnOptions {
//         Choice<Estimator> estimator{"nearest"};  // the default; `Choice<Estimator> x;` has none
//         std::vector<Choice<Evaluation>> evaluate;
//
//         void fields(Fields& v) {
//             v("estimator", estimator, Doc{"How gradients move the mapping."});
//             v("evaluate", evaluate, Doc{"What is measured."});
//         }
//     };
//
// In YAML either the name (`estimator: nearest`) or a map (`{type: nearest, rate: 0.02}`); a map without
// `type` sets options of the default plugin. `options.estimator.make()` builds the plugin.

#include "core/plugin/registry.hpp"
#include "core/spec/fields.hpp"

#include <memory>
#include <string>
#include <string_view>

namespace jlcm {

/// A plugin's name and its decoded options. Copies share the options, which never change.
class AnyChoice {
  public:
    explicit AnyChoice(std::string_view kind, std::string_view name = {}) : kind_(kind), name_(name) {}

    [[nodiscard]] const std::string& name() const { return name_; }
    [[nodiscard]] const std::string& kind() const { return kind_; }
    [[nodiscard]] bool empty() const { return name_.empty(); }

    /// From a name or a map; problems are added at the current path.
    void decode(const Config& given, Problems& problems);
    /// {type: name, every option}; null where nothing is chosen. Throws where there is no such plugin.
    [[nodiscard]] Config encode() const;
    /// The plugin and its options (its defaults where none were decoded). Throws where there is no such
    /// plugin.
    [[nodiscard]] const PluginEntry& entry() const;
    [[nodiscard]] std::shared_ptr<const void> options() const;

  private:
    std::string kind_;
    std::string name_;
    std::shared_ptr<const void> options_;
};

template <class Interface>
class Choice : public AnyChoice {
  public:
    Choice() : AnyChoice(KindOf<Interface>::name) {}
    explicit Choice(std::string_view name) : AnyChoice(KindOf<Interface>::name, name) {}

    /// The choice that a piece of YAML makes: "{type: nearest, rate: 0.1}". Throws all its problems.
    [[nodiscard]] static Choice parse(std::string_view yaml) {
        Problems problems;
        Choice choice;
        if (const auto config = parse_config(yaml, {std::string(yaml), 0, 0}, problems))
            choice.decode(*config, problems);
        problems.throw_if_any();
        return choice;
    }

    [[nodiscard]] std::unique_ptr<Interface> make() const {
        return static_cast<const PluginOf<Interface>&>(entry()).make(options().get());
    }
};

class ChoiceSlot : public Slot {
  public:
    explicit ChoiceSlot(AnyChoice& variable) : variable_(variable) {}
    void decode(const Config& given, const Range& range, Problems& problems) override;
    void decode_absent(const Config& parent, Problems& problems) override;
    [[nodiscard]] Config encode() const override { return variable_.encode(); }
    [[nodiscard]] Config brief() const override;
    [[nodiscard]] TypeDoc type() const override;

  private:
    AnyChoice& variable_;
};

template <class Interface>
struct SlotOf<Choice<Interface>> {
    using Type = ChoiceSlot;
};

}  // namespace jlcm
