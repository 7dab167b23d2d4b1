#pragma once
// The plugins that are registered. Each kind of plugin is an interface, which names its kind:
//
//     class Estimator {
//       public:
//         virtual ~Estimator() = default;
//     };
//     template <>
//     struct KindOf<Estimator> {
//         static constexpr std::string_view name = "estimator";
//         static constexpr std::string_view doc = "How a weight's gradient moves its mapping.";
//     };
//
// A plugin is one file: an options struct (core/spec/fields.hpp), a class that implements the interface and
// is built from the options, and one registrar line:
//
//     struct NearestOptions {
//         double rate = 0.02;
//         void fields(Fields& v) { v("rate", rate, Doc{"Step in units of the codebook's spacing."}); }
//     };
//     class Nearest : public Estimator {
//       public:
//         using Options = NearestOptions;  // if it has none: using Options = NoOptions;
//         explicit Nearest(const Options& options) : options_(options) {}  // without options: Nearest()
//
//       private:
//         Options options_;
//     };
//     static const Registrar<Estimator, Nearest> registrar{
//         "nearest", "one line: what it is", "method section 4"};
//
// The same file, compiled into a shared object (docs/plugins.md), is loaded at run time; see
// core/plugin/library.hpp.

#include "core/base/error.hpp"
#include "core/spec/fields.hpp"

#include <concepts>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#ifdef JLCM_SHARED_PLUGIN
#include "core/plugin/shared_plugin.hpp"
#endif

namespace jlcm {

/// Specialised beside every plugin interface: `name` (as the spec writes it) and `doc` (one line).
template <class Interface>
struct KindOf;

struct NoOptions {
    void fields(Fields& /*v*/) {}
};

/// What can be done with an options struct whose type is not known here.
struct OptionsType {
    std::shared_ptr<void> (*make)();
    void (*decode)(void* options, const Config& map, Problems& problems);
    Config (*encode)(const void* options);
    std::vector<FieldDoc> (*document)();
};

template <OptionsStruct T>
[[nodiscard]] OptionsType options_type() {
    return {[]() -> std::shared_ptr<void> { return std::make_shared<T>(); },
            [](void* options, const Config& map, Problems& problems) {
                decode_options(*static_cast<T*>(options), map, problems, "type");
            },
            [](const void* options) { return encode_options(*static_cast<const T*>(options)); },
            &document_options<T>};
}

struct PluginEntry {
    std::string name;
    std::string doc;     ///< one line
    std::string source;  ///< paper or document it comes from, may be empty
    OptionsType options;

    PluginEntry(std::string_view plugin_name, std::string_view plugin_doc, std::string_view plugin_source,
                const OptionsType& type)
        : name(plugin_name), doc(plugin_doc), source(plugin_source), options(type) {}
    PluginEntry(const PluginEntry&) = delete;
    PluginEntry& operator=(const PluginEntry&) = delete;
    virtual ~PluginEntry() = default;
};

/// A plugin of a known interface: it can be made.
template <class Interface>
struct PluginOf : PluginEntry {
    using PluginEntry::PluginEntry;
    std::unique_ptr<Interface> (*make)(const void* options) = nullptr;
};

/// An options struct that the reference shows by itself, e.g. the run spec.
struct SectionEntry {
    std::string doc;
    OptionsType options;
};

/// The one table of plugins of the process. It lives in core's shared library, so that programs and plugins
/// built apart share it. Filled before main() and by load_plugin_library; not for use from several threads
/// while filled.
class Registry {
  public:
    struct Kind {
        std::string doc;
        std::map<std::string, std::unique_ptr<PluginEntry>, std::less<>> plugins;
    };

    [[nodiscard]] static Registry& instance();

    /// Errors: the name is taken in that kind, or is not made of a-z, 0-9, '_', '-' and '.'.
    void add(std::string_view kind, std::string_view kind_doc, std::unique_ptr<PluginEntry> plugin);
    void add_section(std::string_view name, std::string_view doc, const OptionsType& options);
    /// Keeps a loaded library until every entry that may point into it is gone.
    void keep(std::shared_ptr<void> library) { libraries_.push_back(std::move(library)); }
    /// Keeps an error that struck before main(), where it cannot be shown; every look-up throws it.
    void defer(const Error& error);

    /// nullptr where there is none.
    [[nodiscard]] const PluginEntry* find(std::string_view kind, std::string_view name) const;
    /// Throws an input error with a suggestion where there is none.
    [[nodiscard]] const PluginEntry& get(std::string_view kind, std::string_view name) const;
    [[nodiscard]] std::vector<std::string> names(std::string_view kind) const;
    [[nodiscard]] const std::map<std::string, Kind, std::less<>>& kinds() const;
    [[nodiscard]] const std::map<std::string, SectionEntry, std::less<>>& sections() const;

  private:
    void throw_deferred() const;

    std::vector<std::shared_ptr<void>> libraries_;  // first, so destroyed last
    std::map<std::string, Kind, std::less<>> kinds_;
    std::map<std::string, SectionEntry, std::less<>> sections_;
    std::vector<Error> deferred_;
};

template <class Interface, class Plugin>
void register_plugin(std::string_view name, std::string_view doc, std::string_view source) {
    static_assert(std::derived_from<Plugin, Interface>);
    static_assert(std::has_virtual_destructor_v<Interface>);
    using Options = typename Plugin::Options;
    auto entry = std::make_unique<PluginOf<Interface>>(name, doc, source, options_type<Options>());
    entry->make = [](const void* options) -> std::unique_ptr<Interface> {
        if constexpr (std::constructible_from<Plugin, const Options&>) {
            return std::make_unique<Plugin>(*static_cast<const Options*>(options));
        } else {
            return std::make_unique<Plugin>();
        }
    };
    Registry::instance().add(KindOf<Interface>::name, KindOf<Interface>::doc, std::move(entry));
}

/// Registers `Plugin` when the program starts or, in a shared plugin, when the library has been found to fit.
template <class Interface, class Plugin>
class Registrar {
  public:
    Registrar(std::string_view name, std::string_view doc, std::string_view source = {}) {
#ifdef JLCM_SHARED_PLUGIN
        shared_plugin::pending().push_back([=] { register_plugin<Interface, Plugin>(name, doc, source); });
#else
        try {
            register_plugin<Interface, Plugin>(name, doc, source);
        } catch (const Error& error) {
            Registry::instance().defer(error);
        }
#endif
    }
};

/// `static const SectionRegistrar<RunSpec> section{"run", "What jlcm-run takes."};`
template <OptionsStruct T>
class SectionRegistrar {
  public:
    SectionRegistrar(std::string_view name, std::string_view doc) {
        Registry::instance().add_section(name, doc, options_type<T>());
    }
};

}  // namespace jlcm
