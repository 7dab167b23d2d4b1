#include "core/formats/input_choice.hpp"

namespace jlcm {

void InputChoice::fields(Fields& v) {
    v("shape", shape,
      Doc{"Sizes of one sample, without the dimension of samples, for dimensions that the file leaves open; of all dimensions where a sample takes "
          "all of the input, and has no dimension beside the others: a sequence."},
      Range{1, 1 << 24});
    v("value", value,
      Doc{"Makes the input a constant of the model, all of whose elements are this number: a mask of ones, a "
          "sampling rate, a first state of zeros."});
}

void InputChoice::validate(Problems& problems) const {
    if (shape.empty() && !value) problems.field("shape", "is missing, and there is no value either");
}

InputChoices parse_input_choices(const std::string& yaml) {
    Problems problems;
    InputChoices choices;
    if (const auto config = parse_config(yaml, {"inputs " + yaml, 0, 0}, problems))
        InputChoicesSlot(choices).decode(*config, {}, problems);
    problems.throw_if_any();
    return choices;
}

void InputChoicesSlot::decode(const Config& given, const Range& /*range*/, Problems& problems) {
    if (!is_map(given, problems)) return;
    std::vector<InputChoice> all;
    for (const Config::Entry& entry : given.entries) {
        const Problems::Scope scope(problems, entry.value, entry.key);
        InputChoice choice;
        if (is_map(entry.value, problems)) decode_options(choice, entry.value, problems);
        choice.name = entry.key;
        all.push_back(std::move(choice));
    }
    variable_.all = std::move(all);
}

Config InputChoicesSlot::encode() const {
    Config map = Config::map();
    for (const InputChoice& choice : variable_.all) map.entry(choice.name).value = encode_options(choice);
    return map;
}

}  // namespace jlcm
