#include "core/base/cache.hpp"
#include "core/base/error.hpp"
#include "core/base/files.hpp"
#include "core/base/hash.hpp"
#include "core/data/text_source.hpp"
#include "tests/support/assets.hpp"
#include "tests/support/environment.hpp"
#include "tests/support/temporary.hpp"

#include <algorithm>

#include <catch2/catch.hpp>

using namespace jlcm;
using Catch::Contains;
using jlcm::test::Environment;
using jlcm::test::TemporaryDirectory;

namespace {

std::string message_of(const std::function<void()>& action) {
    try {
        action();
    } catch (const Error& error) {
        CHECK(error.kind() == ErrorKind::input);
        return error.what();
    }
    return "no error";
}

TextData load(const std::string& yaml, const Directories& directories) {
    return load_text(*DatasetChoice::parse(yaml).make(), directories);
}

std::size_t total_size(const TextData& data) {
    std::size_t size = 0;
    for (const std::string& document : data.documents) size += document.size();
    return size;
}

}  // namespace

TEST_CASE("data directories come from the spec, JLCM_DATA and the cache, in that order") {
    const Environment cache("JLCM_CACHE", "/cache");
    {
        const Environment data("JLCM_DATA", "/one::/two");
        CHECK(data_directories({"given"}) == Directories{"given", "/one", "/two", "/cache/data"});
    }
    const Environment data("JLCM_DATA", "");
    CHECK(data_directories() == Directories{"/cache/data"});
    CHECK(cache_directory() == "/cache");
}

TEST_CASE("a data file is found directly or under text/, in the first directory that has it") {
    const TemporaryDirectory directory;
    const auto first = directory.path() / "first";
    const auto second = directory.path() / "second";
    write_file(second / "text/a.txt", "a");
    CHECK(find_data_file("a.txt", {first, second}) == second / "text/a.txt");
    write_file(first / "a.txt", "a");
    CHECK(find_data_file("a.txt", {first, second}) == first / "a.txt");
    CHECK(find_data_file("b.txt", {first, second}).empty());
    CHECK(find_data_file("text", {second}).empty());  // a directory is no data file
}

TEST_CASE("documents are cut, trimmed and never empty") {
    CHECK(cut_documents(" a \n\n b\r\nc", "\n") == std::vector<std::string>{"a", "b", "c"});
    CHECK(cut_documents("a<end>\n<end> b<end>", "<end>") == std::vector<std::string>{"a", "b"});
    CHECK(cut_documents(" whole text ", "") == std::vector<std::string>{"whole text"});
    CHECK(cut_documents("", "\n").empty());
    CHECK(cut_documents(" \n ", "\n").empty());
}

TEST_CASE("a split by hash is a partition that does not depend on order") {
    std::vector<std::string> documents;
    for (int i = 0; i < 2000; ++i) documents.push_back("document " + std::to_string(i));
    const auto part = [&](Split split, double share) { return split_documents(documents, {split, share}); };
    const auto held_out = part(Split::held_out, 0.1);
    const auto calibration = part(Split::calibration, 0.1);
    CHECK(held_out.size() + calibration.size() == documents.size());
    CHECK(held_out.size() > 150);
    CHECK(held_out.size() < 250);
    for (const std::string& text : held_out)
        CHECK(std::find(calibration.begin(), calibration.end(), text) == calibration.end());
    CHECK(part(Split::all, 0.1) == documents);
    CHECK(part(Split::held_out, 0.0).empty());
    CHECK(part(Split::calibration, 1.0).empty());

    std::reverse(documents.begin(), documents.end());
    auto reversed = part(Split::held_out, 0.1);
    std::reverse(reversed.begin(), reversed.end());
    CHECK(reversed == held_out);
}

TEST_CASE("named datasets load from the data directory, checked") {
    const auto found = test::assets();
    JLCM_SKIP_UNLESS(found && std::filesystem::exists(*found / "data/text"), "no texts");
    const Directories directories{*found / "data"};

    const TextData wikitext = load("wikitext-2-raw-test", directories);
    REQUIRE(wikitext.documents.size() == 1);
    CHECK(wikitext.documents.front().size() == 1290590);
    CHECK(wikitext.name == "wikitext-2-raw-test");
    CHECK(wikitext.sha256 == sha256(wikitext.documents.front()));

    CHECK(load("c4-sample", directories).documents.size() == 584);
    CHECK(load("tinystories-4mb", directories).documents.size() == 4453);
    CHECK(load("tinystories-heldout", directories).documents.size() == 495);

    const TextData held_out = load("{type: c4-sample, split: held_out}", directories);
    const TextData calibration = load("{type: c4-sample, split: calibration}", directories);
    CHECK(held_out.documents.size() + calibration.documents.size() == 584);
    CHECK(held_out.documents.size() > 40);
    CHECK(held_out.name == "c4-sample, held out 10 %");
    CHECK(calibration.name == "c4-sample, calibration 90 %");

    const TextData whole = load("wikitext-2-train-subset", directories);
    CHECK(whole.documents.size() == 1);
    CHECK(whole.documents.front().size() == 2887164);
    CHECK(sha256(whole.documents.front()) == whole.sha256);
    const TextData part = load("{type: wikitext-2-train-subset, split: held_out}", directories);
    const TextData rest = load("{type: wikitext-2-train-subset, split: calibration}", directories);
    CHECK(total_size(part) + total_size(rest) + 2 == total_size(whole));  // one "\n\n" fewer
    CHECK(total_size(part) > total_size(whole) / 20);
}

TEST_CASE("the handbook's chapters are split once and for all") {
    const Directories directories{test::cache() / "data"};
    const auto all = DatasetChoice::parse("debian-handbook").make();
    JLCM_SKIP_UNLESS(all->is_available(directories), "no handbook (scripts/make_handbook_text.sh)");
    CHECK(load_text(*all, directories).documents.size() == 20);
    const TextData held_out = load("{type: debian-handbook, split: held_out}", directories);
    CHECK(held_out.name == "debian-handbook, held out 25 %");
    std::vector<std::string> titles;
    for (const std::string& chapter : held_out.documents)
        titles.push_back(chapter.substr(0, chapter.find_first_of(".\n")));
    CHECK(titles == std::vector<std::string>{"Foreword", "Chapter 3", "Chapter 4", "Chapter 8", "Chapter 15",
                                             "Appendix A"});
}

TEST_CASE("a missing dataset says where it was looked for and what to do") {
    const Directories directories{"/no/such/place", "/nor/this"};
    for (const std::string name : {"wikitext-2-raw-test", "c4-sample", "debian-handbook"}) {
        const auto dataset = DatasetChoice::parse(name).make();
        CHECK_FALSE(dataset->is_available(directories));
        const std::string message = message_of([&] { (void)dataset->load(directories); });
        CHECK_THAT(message, Contains(name + ".txt") && Contains("/no/such/place") && Contains("/nor/this") &&
                                Contains("JLCM_DATA"));
    }
    CHECK_THAT(message_of([&] { (void)load("debian-handbook", directories); }),
               Contains("make_handbook_text.sh"));
}

TEST_CASE("a file that is not the pinned one is refused") {
    const TemporaryDirectory directory;
    write_file(directory.path() / "c4-sample.txt", "something else");
    CHECK_THAT(message_of([&] { (void)load("c4-sample", {directory.path()}); }),
               Contains("2daf1ef16e02dbd3") && Contains(sha256("something else")));
}

TEST_CASE("a text file is one text, or documents between separators") {
    const TemporaryDirectory directory;
    const auto path = directory.path() / "own.txt";
    write_file(path, "one\ntwo\n\nthree\n");
    CHECK(load(path.string(), {}).documents == std::vector<std::string>{"one\ntwo\n\nthree\n"});
    const std::string lines = "{type: text_file, path: " + path.string() + R"(, separator: "\n"})";
    CHECK(load(lines, {}).documents == std::vector<std::string>{"one", "two", "three"});
    CHECK(load("own.txt", {directory.path()}).name == "own.txt");  // found where named datasets are

    CHECK_THAT(message_of([] { (void)load("/no/such/file.txt", {}); }), Contains("/no/such/file.txt"));
    CHECK_THAT(
        message_of([] { (void)DatasetChoice::parse("{type: text_file, path: a, part: {split: held_out}}"); }),
        Contains("separator"));
    write_file(path, "");
    CHECK_THAT(message_of([&] { (void)load(path.string(), {}); }), Contains("no text"));
}

TEST_CASE("a path is short for a text file, also as the type of a map") {
    for (const char* yaml : {"./a/b.txt", "{type: ./a/b.txt}"}) {
        const auto choice = DatasetChoice::parse(yaml);
        CHECK(choice.name() == "text_file");
        CHECK_THAT(to_yaml(choice.encode()), Contains("./a/b.txt"));
    }
    CHECK_THAT(message_of([] { (void)DatasetChoice::parse("{type: ./b.txt, split: held_out}"); }),
               Contains("split"));
}

TEST_CASE("a path chooses the plugin that reads what lies there") {
    const TemporaryDirectory directory;
    const auto texts = directory.path() / "texts";
    const auto images = directory.path() / "images";
    write_file(texts / "a.txt", "a");
    write_file(images / "cat/a.PNG", "no image");
    const auto type_of = [](const std::string& path) { return DatasetChoice::parse(path).name(); };
    CHECK(type_of("my/chats.jsonl") == "jsonl");
    CHECK(type_of("chats.jsonl.gz") == "jsonl");
    CHECK(type_of("my/chats.json") == "jsonl");
    CHECK(type_of("a.txt.gz") == "text_file");
    CHECK(type_of("no/such/place") == "text_file");
    CHECK(type_of(texts.string()) == "text_folder");
    CHECK(type_of(images.string() + "/") == "image_folder");
    const Environment data("JLCM_DATA", directory.path().string());
    CHECK(type_of("./texts") == "text_folder");  // where named datasets are
    const std::string wrong = "{type: text_file, path: " + texts.string() + "}";
    CHECK_THAT(message_of([&] { (void)load(wrong, {}); }),
               Contains("it is a folder") && Contains("text_folder"));
}

TEST_CASE("a field of JSON objects is a text, a line a document") {
    const TemporaryDirectory directory;
    const auto path = directory.path() / "chats.jsonl";
    const std::string lines =
        "\xEF\xBB\xBF"
        R"({"text": "one", "meta": {"note": "n1"}, "messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Ho"}]})"
        "\r\n\n"
        R"({"text": "", "meta": {"note": "n2"}, "messages": []})"
        "\n"
        R"({"text": "two\nlines", "meta": {"note": "n3"}, "messages": ["x", "y"]})";
    write_file(path, lines);
    using Documents = std::vector<std::string>;
    const auto field = [&](const std::string& name) {
        return load("{type: jsonl, path: " + path.string() + ", field: " + name + "}", {}).documents;
    };
    CHECK(load(path.string(), {}).documents == Documents{"one", "two\nlines"});
    CHECK(load(path.string(), {}).name == "chats.jsonl");
    CHECK(load(path.string(), {}).sha256 == sha256(lines));
    CHECK(field("meta.note") == Documents{"n1", "n2", "n3"});
    CHECK(field("messages") == Documents{"Hi\n\nHo", "x\n\ny"});
    CHECK_THAT(message_of([&] { (void)field("txt"); }),
               Contains("chats.jsonl:1: there is no field \"txt\"") && Contains("or text") &&
                   Contains("meta.note") && Contains("chats.jsonl:4"));
    CHECK_THAT(message_of([&] { (void)field("meta"); }), Contains("chats.jsonl:1: meta: must be a text"));
    CHECK_THAT(message_of([&] { (void)field("''"); }), Contains("field"));

    const auto array = directory.path() / "texts.json";
    write_file(array, R"([{"text": "one"}, {"text": 3}])");
    CHECK_THAT(message_of([&] { (void)load(array.string(), {}); }), Contains("texts.json, element 2: text"));
    write_file(array, R"([{"text": "one"}, {"text": "two"}])");
    CHECK(load(array.string(), {}).documents == Documents{"one", "two"});
    write_file(array, "[1, \"a\"]\n");
    CHECK_THAT(message_of([&] { (void)load(array.string(), {}); }),
               Contains("element 1: expected an object") && Contains("element 2"));
    write_file(array, R"({"text": ""})");
    CHECK_THAT(message_of([&] { (void)load(array.string(), {}); }), Contains("no text"));
    CHECK_THAT(message_of([] { (void)load("/no/such.jsonl", {}); }), Contains("/no/such.jsonl"));
    const std::string held =
        "{type: jsonl, path: " + path.string() + ", part: {split: held_out, held_out: 1}}";
    CHECK(load(held, {}).documents.size() == 2);
}

TEST_CASE("packed files are read like plain ones") {
    const TemporaryDirectory directory;
    // printf '{"text": "one"}\n{"text": "two"}\n' | gzip -n9
    constexpr std::string_view packed(
        "\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\xab\x56\x2a\x49\xad\x28\x51\xb2\x52\x50\xca"
        "\xcf\x4b\x55\xaa\xe5\xaa\x86\xf3\x4b\xca\xf3\x81\x7c\x00\xd1\x5b\x69\xd5\x20\x00\x00\x00",
        43);
    write_file(directory.path() / "a.jsonl.gz", packed);
    write_file(directory.path() / "a.txt.gz", packed);
    CHECK(load((directory.path() / "a.jsonl.gz").string(), {}).documents ==
          std::vector<std::string>{"one", "two"});
    CHECK(load((directory.path() / "a.txt.gz").string(), {}).documents ==
          std::vector<std::string>{"{\"text\": \"one\"}\n{\"text\": \"two\"}\n"});
    write_file(directory.path() / "a.txt.gz", packed.substr(0, 30));
    CHECK_THAT(message_of([&] { (void)load((directory.path() / "a.txt.gz").string(), {}); }),
               Contains("a.txt.gz") && Contains("gzip"));
}

TEST_CASE("a folder's text files are documents in the order of their names") {
    const TemporaryDirectory directory;
    const auto& path = directory.path();
    write_file(path / "b.txt", "b\nB");
    write_file(path / "a.TXT", "a");
    write_file(path / "sub/a.txt", "c");
    write_file(path / "sub/empty.txt", "");
    write_file(path / "note.md", "no");
    write_file(path / ".hidden.txt", "no");
    write_file(path / ".git/a.txt", "no");
    const TextData data = load(path.string(), {});
    CHECK(data.documents == std::vector<std::string>{"a", "b\nB", "c"});
    CHECK(data.name == path.filename().string());
    const std::string lines = "{type: text_folder, path: " + path.string() + R"(, separator: "\n"})";
    CHECK(load(lines, {}).documents == std::vector<std::string>{"a", "b", "B", "c"});
    write_file(path / "sub/a.txt", "d");
    CHECK(load(path.string(), {}).sha256 != data.sha256);

    std::filesystem::create_directory_symlink(path, path / "sub/back");
    CHECK_THAT(message_of([&] { (void)load(path.string(), {}); }), Contains("back"));
    std::filesystem::create_directory(path / "none");
    write_file(path / "none/a.md", "a");
    const std::string none = "{type: text_folder, path: " + (path / "none").string() + "}";
    CHECK_THAT(message_of([&] { (void)load(none, {}); }), Contains("none of its 1 files is a .txt"));
    CHECK_THAT(message_of([] { (void)load("{type: text_folder, path: /no/such}", {}); }),
               Contains("/no/such") && Contains("cannot be read"));
}

TEST_CASE("an unknown dataset is refused with a suggestion") {
    CHECK_THAT(message_of([] { (void)DatasetChoice::parse("c4-sampel"); }), Contains("c4-sample"));
}

TEST_CASE("the first dataset that is here is taken") {
    const TemporaryDirectory directory;
    write_file(directory.path() / "own.txt", "own");
    const std::string yaml = "{type: first_available, datasets: [wikitext-2-raw-test, own.txt, c4-sample]}";
    const auto dataset = DatasetChoice::parse(yaml).make();
    CHECK(dataset->is_available({directory.path()}));
    CHECK(name_of(dataset->load({directory.path()})) == "own.txt");
    CHECK_FALSE(dataset->is_available({}));
    CHECK_THAT(message_of([&] { (void)dataset->load({}); }), Contains("c4-sample"));
    CHECK_THAT(message_of([] { (void)DatasetChoice::parse("{type: first_available, datasets: []}"); }),
               Contains("at least one"));
}
