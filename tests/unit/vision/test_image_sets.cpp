// Published data sets: IDX, CIFAR-10, folders; and gzip.

#include "core/base/files.hpp"
#include "core/vision/image_sets.hpp"
#include "tests/support/mutation.hpp"
#include "tests/support/temporary.hpp"

#include <catch2/catch.hpp>

namespace {

using namespace jlcm;
using test::Bytes;

Bytes bytes_of(std::initializer_list<int> values) {
    Bytes bytes;
    for (const int value : values) bytes.push_back(static_cast<std::byte>(value));
    return bytes;
}

/// Two images of 2 x 3 pixels.
Bytes idx_images() {
    Bytes bytes = bytes_of({0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 3});
    for (int i = 0; i < 12; ++i) bytes.push_back(static_cast<std::byte>(i));
    return bytes;
}
Bytes idx_labels() {
    return bytes_of({0, 0, 8, 1, 0, 0, 0, 2, 7, 250});
}

std::string message_of(const std::function<void()>& action) {
    try {
        action();
    } catch (const Error& error) {
        CHECK(error.kind() == ErrorKind::input);
        return error.what();
    }
    return "no error";
}

}  // namespace

TEST_CASE("a pair of IDX files is images and labels") {
    const ImageData data = parse_idx(idx_images(), idx_labels());
    REQUIRE(data.images->count() == 2);
    CHECK(data.labels == std::vector<std::int32_t>{7, 250});
    const Image second = data.images->image(1);
    CHECK(second.height == 2);
    CHECK(second.width == 3);
    CHECK(second.channels == 1);
    CHECK(second.pixels == std::vector<std::uint8_t>{6, 7, 8, 9, 10, 11});
}

TEST_CASE("IDX files that do not fit are refused") {
    const test::Reader images = [](auto bytes) {
        (void)parse_idx({bytes.begin(), bytes.end()}, idx_labels());
    };
    const test::Reader labels = [](auto bytes) { (void)parse_idx(idx_images(), bytes); };
    CHECK(test::accepted_prefixes(images, idx_images()) == 0);
    CHECK(test::accepted_prefixes(labels, idx_labels()) == 0);
    CHECK(test::mutate(images, idx_images(), 16, 300) > 200);
    Bytes other = idx_labels();
    other[7] = std::byte{1};
    other.pop_back();
    CHECK_THAT(message_of([&] { (void)parse_idx(idx_images(), other); }),
               Catch::Contains("2 images and 1 labels"));
}

TEST_CASE("CIFAR-10's records are a label and three planes") {
    Bytes bytes(2 * 3073);
    bytes[0] = std::byte{9};
    bytes[1 + 5] = std::byte{10};         // red of pixel 5
    bytes[1 + 1024 + 5] = std::byte{20};  // green
    bytes[1 + 2048 + 5] = std::byte{30};  // blue
    const ImageData data = parse_cifar10(bytes);
    CHECK(data.labels == std::vector<std::int32_t>{9, 0});
    CHECK(data.classes.size() == 10);
    const Image image = data.images->image(0);
    CHECK(std::vector<std::uint8_t>(image.pixels.begin() + 15, image.pixels.begin() + 18) ==
          std::vector<std::uint8_t>{10, 20, 30});
    CHECK_THAT(message_of([&] { (void)parse_cifar10(std::span(bytes).first(3000)); }),
               Catch::Contains("3073"));
    CHECK_THAT(message_of([&] { (void)parse_cifar10({}); }), Catch::Contains("0 bytes"));
    bytes[0] = std::byte{10};
    CHECK_THAT(message_of([&] { (void)parse_cifar10(bytes); }), Catch::Contains("class 10"));
}

TEST_CASE("a folder's images are those that labels.csv lists") {
    const test::TemporaryDirectory directory;
    const auto& path = directory.path();
    const auto golden = std::filesystem::path(JLCM_SOURCE_DIR) / "tests/golden/images";
    for (const char* name : {"12.png", "03.jpg"}) std::filesystem::copy(golden / name, path / name);
    const auto write = [&](const std::string& text) { write_file(path / "labels.csv", text); };
    write("class_index,note,filename\r\n4,\"a, \"\"b\"\"\",12.png\r\n0,,03.jpg\r\n");
    write_file(path / "classes.txt", "cat\ndog\n");
    const ImageData data = read_image_folder(path);
    CHECK(data.labels == std::vector<std::int32_t>{4, 0});
    CHECK(data.classes == std::vector<std::string>{"cat", "dog"});
    CHECK(data.name == path.filename().string());
    CHECK(data.images->count() == 2);
    CHECK(data.images->image(0).channels == 3);

    const std::string first = data.sha256;
    write("class_index,filename\n4,12.png\n");
    CHECK(read_image_folder(path).sha256 != first);

    // As spreadsheets write it.
    write(
        "\xEF\xBB\xBF"
        "filename , class_index\r\"12.png\", 4\r\n\r\n03.jpg,\"0\"");
    CHECK(read_image_folder(path).labels == std::vector<std::int32_t>{4, 0});
    write("filename,class_index\r12.png,3.0\r");
    CHECK(read_image_folder(path).labels == std::vector<std::int32_t>{3});
    write("note,class_index,filename\n\"two\nlines, and \"\"more\"\"\",3,12.png\n");
    CHECK(read_image_folder(path).labels == std::vector<std::int32_t>{3});

    const auto refused = [&](const std::string& text) {
        write(text);
        return message_of([&] { (void)read_image_folder(path); });
    };
    CHECK_THAT(refused(""), Catch::Contains("labels.csv:1: the header has no column 'filename'"));
    CHECK_THAT(refused("filename,class_index\n"), Catch::Contains("no image"));
    CHECK_THAT(refused("filename;class_index\n12.png;1\n"), Catch::Contains("semicolons"));
    CHECK_THAT(refused("filename\tclass_index\n12.png\t1\n"), Catch::Contains("tabs"));
    CHECK_THAT(refused("file_name,class_index\n12.png,1\n"), Catch::Contains("is 'file_name' meant?"));
    CHECK_THAT(refused(std::string("\xFF\xFE"
                                   "f\0",
                                   4)),
               Catch::Contains("UTF-16"));
    CHECK_THAT(refused("filename,class_index\n\"12.png,1\n"),
               Catch::Contains("labels.csv:2: a quote is never"));
    CHECK_THAT(refused("filename,class_index\n\"12\".png,1\n"),
               Catch::Contains("labels.csv:2: there is text"));
    CHECK_THAT(refused("filename,class_index\na.png\n"),
               Catch::Contains("labels.csv:2: 1 cells, and the header"));
    for (const char* name : {"../a.png", "/a.png", "a/../../b.png", "."})
        CHECK_THAT(refused(fmt::format("filename,class_index\n{},1\n", name)),
                   Catch::Contains(fmt::format("'{}' is not the path", name)));
    CHECK_THAT(refused("filename,class_index\n12.png,-1\n03.jpg,1x\n12.png,3.5\n"),
               Catch::Contains("labels.csv:2: class_index: '-1'") &&
                   Catch::Contains("labels.csv:3: class_index: '1x'") &&
                   Catch::Contains("labels.csv:4: class_index: '3.5'"));
    CHECK_THAT(refused("filename,class_index\nnone.png,1\n12.png,1\nsub/none.png,2\n"),
               Catch::Contains("labels.csv:2: filename: there is no file 'none.png'") &&
                   Catch::Contains("labels.csv:4"));
    write("filename,class_index\nlabels.csv,1\n");
    const ImageData no_image = read_image_folder(path);
    CHECK_THAT(message_of([&] { (void)no_image.images->image(0); }), Catch::Contains("labels.csv"));
    CHECK_THAT(message_of([&] { (void)read_image_folder(path / "none"); }),
               Catch::Contains("no such folder"));
}

TEST_CASE("a folder per class labels its images, and images without either have no labels") {
    const test::TemporaryDirectory directory;
    const auto& path = directory.path();
    const auto golden = std::filesystem::path(JLCM_SOURCE_DIR) / "tests/golden/images";
    const auto put = [&](const std::string& name) {
        std::filesystem::create_directories((path / name).parent_path());
        std::filesystem::copy(golden / (name.ends_with("png") ? "12.png" : "03.jpg"), path / name);
    };
    CHECK_THAT(message_of([&] { (void)read_image_folder(path); }),
               Catch::Contains("no labels.csv and no JPEG"));
    for (const char* name : {"dog/b.png", "dog/a.jpg", "cat/x/z.png", "cat/y.jpg", "cat/.hidden.png"})
        put(name);
    write_file(path / "cat/note.txt", "no image");
    std::filesystem::create_directories(path / ".ipynb_checkpoints");
    const ImageData data = read_image_folder(path);
    // os.walk of each class, sorted, as torchvision.datasets.ImageFolder does.
    CHECK(data.labels == std::vector<std::int32_t>{0, 0, 1, 1});
    CHECK(data.classes == std::vector<std::string>{"cat", "dog"});
    CHECK(data.images->count() == 4);
    CHECK(data.images->image(0).width == data.images->image(2).width);  // y.jpg and a.jpg
    CHECK(is_image_folder(path));

    const ImageData unlabelled = read_image_folder(path, ImageLabels::none);
    CHECK(unlabelled.labels.empty());
    CHECK(unlabelled.images->count() == 4);
    CHECK(unlabelled.sha256 != data.sha256);

    write_file(path / "classes.txt", "dog\nfish\ncat\n");
    CHECK(read_image_folder(path).labels == std::vector<std::int32_t>{2, 2, 0, 0});
    write_file(path / "classes.txt", "dog\nfish\n");
    CHECK_THAT(message_of([&] { (void)read_image_folder(path); }),
               Catch::Contains("no line for the folder 'cat'"));
    std::filesystem::remove(path / "classes.txt");

    std::filesystem::create_directories(path / "empty");
    CHECK_THAT(message_of([&] { (void)read_image_folder(path); }), Catch::Contains("'empty' holds no JPEG"));
    std::filesystem::remove(path / "empty");
    put("loose.png");
    CHECK_THAT(message_of([&] { (void)read_image_folder(path); }), Catch::Contains("loose.png") &&
                                                                       Catch::Contains("cat/y.jpg") &&
                                                                       Catch::Contains("labels: folders"));
    CHECK(read_image_folder(path, ImageLabels::folders).images->count() == 4);
    write_file(path / "dog/c.webp", "");
    CHECK_THAT(message_of([&] { (void)read_image_folder(path, ImageLabels::folders); }),
               Catch::Contains("dog/c.webp"));
    // What is listed counts alone, and may lie in folders.
    write_file(path / "labels.csv", "filename,class_index\ndog/b.png,7\n");
    CHECK(read_image_folder(path).labels == std::vector<std::int32_t>{7});

    const auto plain = path / "plain";
    std::filesystem::create_directories(plain);
    std::filesystem::copy(golden / "12.png", plain / "b.png");
    std::filesystem::copy(golden / "03.jpg", plain / "a.jpg");
    CHECK(read_image_folder(plain).labels.empty());
    CHECK(read_image_folder(plain / "").name == "plain");
    CHECK(read_image_folder(plain).images->count() == 2);
    CHECK_THAT(message_of([&] { (void)read_image_folder(plain, ImageLabels::file); }),
               Catch::Contains("labels.csv"));
    CHECK_THAT(message_of([&] { (void)read_image_folder(plain, ImageLabels::folders); }),
               Catch::Contains("one per class"));
}
