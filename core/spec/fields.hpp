#pragma once
// The fields of an options struct, declared once:
//
//     struct NearestOptions {
//         double rate = 0.02;
//         std::optional<int> warmup;
//
//         void fields(Fields& v) {  // or: template <class V> void fields(V& v)
//             v("rate", rate,
//               Doc{"Adam step in units of the codebook's spacing. Higher moves more weights.",
//                   "method section 4"},
//               Range{0.0, 1.0});
//             v("warmup", warmup, Doc{"Steps before the first move; none: no warm-up."}, at_least(1));
//         }
//         // Optional: checks combinations, and is called only if each field is valid by itself.
//         void validate(Problems& problems) const {
//             if (warmup && rate == 0.0) problems.field("warmup", "needs a rate above 0");
//         }
//     };
//
// The member's initial value is the default; `Required{}` says that there is none. Types: bool, integers,
// double, std::string, enumerations, std::optional<T>, std::vector<T> (a lone value is a list of one),
// options structs, Config (any YAML), and Choice<Interface> (core/plugin/choice.hpp). A field must not be
// called "type" or "include".
//
// An enumeration declares its names beside it:
//
//     enum class Scored { all, second_half };
//     inline EnumNames<Scored> enum_names(Scored) {
//         return {{Scored::all, "all", "every position but the first"},
//                 {Scored::second_half, "second_half"}};
//     }
//
// Everything here is a thin typed shell over Slot; decoding, documents and schemas are not templates.

#include "core/base/enum_names.hpp"
#include "core/spec/config.hpp"
#include "core/spec/problems.hpp"

#include <concepts>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace jlcm {

/// What a field does, with the judgement when it helps or hurts, and where that comes from.
struct Doc {
    std::string_view text;
    std::string_view source = {};
};

/// Bounds of a number, or of each number of a list.
struct Range {
    double low = -std::numeric_limits<double>::infinity();
    double high = std::numeric_limits<double>::infinity();
    bool low_is_open = false;
    bool high_is_open = false;

    [[nodiscard]] bool contains(double value) const;
    /// "from 0 to 1", "above 0", "at least 1", "from 0 to below 1"; empty without bounds.
    [[nodiscard]] std::string str() const;
};
[[nodiscard]] constexpr Range at_least(double low) {
    return {.low = low};
}
[[nodiscard]] constexpr Range above(double low) {
    return {.low = low, .low_is_open = true};
}

/// The field has no default.
struct Required {};

/// The field has a meaning under a condition only, which looks at fields that were declared before it. Where
/// it does not hold, giving the field is a problem (null is as good as nothing), and it is left out of what
/// is written. `otherwise` says why: "this objective has no batches".
struct When {
    std::function<bool()> holds;
    std::string_view otherwise;
};

struct FieldDoc;

/// What a field can hold, for documents.
struct TypeDoc {
    enum class Kind { boolean, integer, number, text, enumeration, list, section, plugin, any };
    struct Name {
        std::string name;
        std::string doc;
    };
    Kind kind = Kind::any;
    bool is_optional = false;
    std::vector<Name> names;       ///< of an enumeration
    std::vector<TypeDoc> element;  ///< of a list: one
    std::vector<FieldDoc> fields;  ///< of a section (an options struct)
    std::string plugin_kind;       ///< of a plugin: "estimator"

    [[nodiscard]] static TypeDoc of(Kind kind);
    /// "number", "list of estimator", "integer or none".
    [[nodiscard]] std::string str() const;
};

/// A field as documents show it.
struct FieldDoc {
    std::string name;
    std::string text;
    std::string source;
    Range range;
    bool is_required = false;
    Config default_value;
    TypeDoc type;
};

/// One variable behind a common face: decoding, encoding, documents.
class Slot {
  public:
    Slot() = default;
    Slot(const Slot&) = delete;
    Slot& operator=(const Slot&) = delete;
    virtual ~Slot() = default;

    /// Sets the variable from what the user gave; adds to `problems` and leaves it alone where that does not
    /// fit.
    virtual void decode(const Config& given, const Range& range, Problems& problems) = 0;
    /// The user gave nothing: whatever is required inside is missing. `parent`: the map without the key.
    virtual void decode_absent(const Config& /*parent*/, Problems& /*problems*/) {}
    [[nodiscard]] virtual Config encode() const = 0;
    /// The value as documents show a default.
    [[nodiscard]] virtual Config brief() const { return encode(); }
    [[nodiscard]] virtual TypeDoc type() const = 0;
};

/// The slot class of a variable's type; specialised per type below.
template <class T>
struct SlotOf;

template <class T>
[[nodiscard]] std::unique_ptr<Slot> make_slot(T& variable) {
    return std::make_unique<typename SlotOf<T>::Type>(variable);
}

/// What an options struct's `fields` fills: its variables, by name, in declared order.
class Fields {
  public:
    template <class T, class... Attributes>
    void operator()(std::string_view name, T& variable, const Doc& doc, const Attributes&... attributes) {
        Field field{std::string(name), doc, {}, false, {}, make_slot(variable)};
        (apply(field, attributes), ...);
        add(std::move(field));
    }

    /// Sets the variables from `map`. `skip`: a key that is not a field's but belongs there ("type" of a
    /// plugin).
    void decode(const Config& map, Problems& problems, std::string_view skip = {}) const;
    void decode_absent(const Config& parent, Problems& problems) const;
    [[nodiscard]] Config encode() const;
    [[nodiscard]] std::vector<FieldDoc> document() const;

  private:
    struct Field {
        std::string name;
        Doc doc;
        Range range;
        bool is_required;
        std::vector<When> conditions;
        std::unique_ptr<Slot> slot;

        /// The first condition that does not hold, or null.
        [[nodiscard]] const When* unmet() const;
    };
    static void apply(Field& field, const Range& range) { field.range = range; }
    static void apply(Field& field, Required /*required*/) { field.is_required = true; }
    static void apply(Field& field, const When& when) { field.conditions.push_back(when); }
    void add(Field field);

    std::vector<Field> fields_;
};

template <class T>
concept OptionsStruct = requires(T& options, Fields& fields) { options.fields(fields); };

/// Decodes `map` into `options` and checks combinations.
template <OptionsStruct T>
void decode_options(T& options, const Config& map, Problems& problems, std::string_view skip = {}) {
    const std::size_t before = problems.count();
    Fields fields;
    options.fields(fields);
    fields.decode(map, problems, skip);
    if constexpr (requires { options.validate(problems); }) {
        if (problems.count() > before) return;
        const Problems::Scope scope(problems, map, "");
        options.validate(problems);
    }
}

/// All of `options`, defaults included, in declared order.
template <OptionsStruct T>
[[nodiscard]] Config encode_options(const T& options) {
    T copy = options;
    Fields fields;
    copy.fields(fields);
    return fields.encode();
}

template <OptionsStruct T>
[[nodiscard]] std::vector<FieldDoc> document_options() {
    T options{};
    Fields fields;
    options.fields(fields);
    return fields.document();
}

// ---- the slots of the types ----

class BoolSlot : public Slot {
  public:
    explicit BoolSlot(bool& variable) : variable_(variable) {}
    void decode(const Config& given, const Range& range, Problems& problems) override;
    [[nodiscard]] Config encode() const override { return Config::literal(variable_ ? "true" : "false"); }
    [[nodiscard]] TypeDoc type() const override { return TypeDoc::of(TypeDoc::Kind::boolean); }

  private:
    bool& variable_;
};

class NumberSlot : public Slot {
  public:
    explicit NumberSlot(double& variable) : variable_(variable) {}
    /// Finite values only.
    void decode(const Config& given, const Range& range, Problems& problems) override;
    [[nodiscard]] Config encode() const override;
    [[nodiscard]] TypeDoc type() const override { return TypeDoc::of(TypeDoc::Kind::number); }

  private:
    double& variable_;
};

class TextSlot : public Slot {
  public:
    explicit TextSlot(std::string& variable) : variable_(variable) {}
    void decode(const Config& given, const Range& range, Problems& problems) override;
    [[nodiscard]] Config encode() const override { return Config::string(variable_); }
    [[nodiscard]] TypeDoc type() const override { return TypeDoc::of(TypeDoc::Kind::text); }

  private:
    std::string& variable_;
};

/// Any YAML, kept as it was written.
class AnySlot : public Slot {
  public:
    explicit AnySlot(Config& variable) : variable_(variable) {}
    void decode(const Config& given, const Range& range, Problems& problems) override;
    [[nodiscard]] Config encode() const override { return variable_; }
    [[nodiscard]] TypeDoc type() const override { return TypeDoc::of(TypeDoc::Kind::any); }

  private:
    Config& variable_;
};

/// The integer that is given, if it lies in [low, high] and in the range.
[[nodiscard]] std::optional<std::int64_t> decode_integer(const Config& given, const Range& range,
                                                         std::int64_t low, std::int64_t high,
                                                         Problems& problems);

template <std::integral T>
class IntegerSlot : public Slot {
  public:
    explicit IntegerSlot(T& variable) : variable_(variable) {}
    void decode(const Config& given, const Range& range, Problems& problems) override {
        using Limits = std::numeric_limits<T>;
        constexpr auto high = std::cmp_less(Limits::max(), std::numeric_limits<std::int64_t>::max())
                                  ? static_cast<std::int64_t>(Limits::max())
                                  : std::numeric_limits<std::int64_t>::max();
        if (const auto value =
                decode_integer(given, range, static_cast<std::int64_t>(Limits::min()), high, problems))
            variable_ = static_cast<T>(*value);
    }
    [[nodiscard]] Config encode() const override { return Config::literal(std::to_string(variable_)); }
    [[nodiscard]] TypeDoc type() const override { return TypeDoc::of(TypeDoc::Kind::integer); }

  private:
    T& variable_;
};

/// The index of the name that is given among `names`.
[[nodiscard]] std::optional<std::size_t> decode_name(const Config& given,
                                                     const std::vector<std::string>& names,
                                                     Problems& problems);

template <class E>
class EnumSlot : public Slot {
  public:
    explicit EnumSlot(E& variable) : variable_(variable) {}
    void decode(const Config& given, const Range& /*range*/, Problems& problems) override {
        std::vector<std::string> names;
        for (const auto& each : enum_names(E{})) names.emplace_back(each.name);
        if (const auto index = decode_name(given, names, problems)) variable_ = enum_names(E{})[*index].value;
    }
    [[nodiscard]] Config encode() const override { return Config::string(std::string(enum_name(variable_))); }
    [[nodiscard]] TypeDoc type() const override {
        TypeDoc type = TypeDoc::of(TypeDoc::Kind::enumeration);
        for (const auto& each : enum_names(E{}))
            type.names.push_back({std::string(each.name), std::string(each.doc)});
        return type;
    }

  private:
    E& variable_;
};

template <class T>
class OptionalSlot : public Slot {
  public:
    explicit OptionalSlot(std::optional<T>& variable) : variable_(variable) {}
    void decode(const Config& given, const Range& range, Problems& problems) override {
        if (given.kind == Config::Kind::null) {
            variable_.reset();
            return;
        }
        T value = variable_.value_or(T{});
        make_slot(value)->decode(given, range, problems);
        variable_ = std::move(value);
    }
    [[nodiscard]] Config encode() const override {
        return of_value([](const Slot& slot) { return slot.encode(); });
    }
    [[nodiscard]] Config brief() const override {
        return of_value([](const Slot& slot) { return slot.brief(); });
    }
    [[nodiscard]] TypeDoc type() const override {
        T value{};
        TypeDoc type = make_slot(value)->type();
        type.is_optional = true;
        return type;
    }

  private:
    template <class Function>
    Config of_value(Function function) const {
        return variable_ ? function(*make_slot(*variable_)) : Config{};
    }
    std::optional<T>& variable_;
};

/// The elements that are given: a list's, or the one value. Nothing (and a problem) where there is no value.
[[nodiscard]] std::vector<const Config*> decode_elements(const Config& given, Problems& problems);

template <class T>
class VectorSlot : public Slot {
  public:
    explicit VectorSlot(std::vector<T>& variable) : variable_(variable) {}
    void decode(const Config& given, const Range& range, Problems& problems) override {
        std::vector<T> values;
        for (const Config* each : decode_elements(given, problems)) {
            const Problems::Scope scope(problems, *each, std::to_string(values.size()));
            T value{};
            make_slot(value)->decode(*each, range, problems);
            values.push_back(std::move(value));
        }
        variable_ = std::move(values);
    }
    [[nodiscard]] Config encode() const override {
        return of_elements([](const Slot& slot) { return slot.encode(); });
    }
    [[nodiscard]] Config brief() const override {
        return of_elements([](const Slot& slot) { return slot.brief(); });
    }
    [[nodiscard]] TypeDoc type() const override {
        T value{};
        TypeDoc type = TypeDoc::of(TypeDoc::Kind::list);
        type.element.push_back(make_slot(value)->type());
        return type;
    }

  private:
    template <class Function>
    Config of_elements(Function function) const {
        Config list = Config::list();
        for (T value : variable_) list.items.push_back(function(*make_slot(value)));
        return list;
    }
    std::vector<T>& variable_;
};

/// An options struct inside another. Adds a problem and returns false unless `given` is a map.
[[nodiscard]] bool is_map(const Config& given, Problems& problems);

template <OptionsStruct T>
class StructSlot : public Slot {
  public:
    explicit StructSlot(T& variable) : variable_(variable) {}
    void decode(const Config& given, const Range& /*range*/, Problems& problems) override {
        if (is_map(given, problems)) decode_options(variable_, given, problems);
    }
    void decode_absent(const Config& parent, Problems& problems) override {
        Config empty = Config::map();
        empty.origin = parent.origin;
        decode_options(variable_, empty, problems);
    }
    [[nodiscard]] Config encode() const override { return encode_options(variable_); }
    [[nodiscard]] Config brief() const override { return {}; }
    [[nodiscard]] TypeDoc type() const override {
        TypeDoc type = TypeDoc::of(TypeDoc::Kind::section);
        type.fields = document_options<T>();
        return type;
    }

  private:
    T& variable_;
};

template <>
struct SlotOf<bool> {
    using Type = BoolSlot;
};
template <>
struct SlotOf<double> {
    using Type = NumberSlot;
};
template <>
struct SlotOf<std::string> {
    using Type = TextSlot;
};
template <>
struct SlotOf<Config> {
    using Type = AnySlot;
};
template <std::integral T>
struct SlotOf<T> {
    using Type = IntegerSlot<T>;
};
template <class E>
    requires std::is_enum_v<E>
struct SlotOf<E> {
    using Type = EnumSlot<E>;
};
template <class T>
struct SlotOf<std::optional<T>> {
    using Type = OptionalSlot<T>;
};
template <class T>
struct SlotOf<std::vector<T>> {
    using Type = VectorSlot<T>;
};
template <OptionsStruct T>
struct SlotOf<T> {
    using Type = StructSlot<T>;
};

}  // namespace jlcm
