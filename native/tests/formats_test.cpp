// SHA-256 against the vectors of FIPS 180-4, safetensors against damaged files; pictures for
// test/native/formats.test.ts, which has sharp decode them.
//   formats_test FOLDER
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "formats/png.h"
#include "formats/safetensors.h"
#include "formats/sha256.h"
#include "tests/check.h"

using namespace tiller;

namespace {

void check_sha256(Checks& checks) {
  const std::string million(1'000'000, 'a');
  const std::pair<std::string, const char*> vectors[] = {
      {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
      {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
      {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
       "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
      {million, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"}};
  for (const bool portable : {true, false}) {
    for (const auto& [text, expected] : vectors) {
      const std::string name =
          "sha256 of " + std::to_string(text.size()) + (portable ? " bytes, portable" : " bytes");
      checks.holds(name, Sha256(portable).update(text).hex() == expected);
    }
    // Cut anywhere, the hash is the same.
    const std::string whole = Sha256(portable).update(million.substr(0, 300)).hex();
    int wrong = 0;
    for (size_t cut = 0; cut <= 300; cut++)
      wrong += Sha256(portable).update(million.substr(0, cut)).update(million.substr(cut, 300 - cut)).hex() !=
               whole;
    checks.expect(portable ? "sha256 in two parts, portable" : "sha256 in two parts", wrong, 0);
  }
}

std::string file_of(const std::string& header, size_t data_bytes, uint64_t length) {
  std::string bytes(8, '\0');
  std::memcpy(bytes.data(), &length, 8);
  return bytes + header + std::string(data_bytes, '\0');
}
std::string file_of(const std::string& header, size_t data_bytes) {
  return file_of(header, data_bytes, header.size());
}

void write_text(const fs::path& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

void check_safetensors(Checks& checks, const fs::path& folder) {
  const fs::path path = folder / "good.safetensors";
  const std::vector<TensorInfo> tensors = {
      {"a", {2, 3}}, {"b.weight", {4}}, {"scalar", {}}, {"empty", {0, 5}}};
  OutputFile out(path);
  write_safetensors(out, tensors, {{"format", "pt"}}, [](size_t index, float* to) {
    for (int i = 0; i < 6; i++) to[i] = static_cast<float>(index * 10) + static_cast<float>(i) * 0.1f;
  });
  out.finish();
  checks.holds("the running hash is the file's", out.sha256() == hash_file(path));
  const Safetensors good(path);
  double error = good.tensors().size() == 4 && good.metadata().at("format") == "pt" ? 0 : 1;
  for (size_t t = 0; t < tensors.size(); t++) {
    const TensorInfo* found = good.find(tensors[t].name);
    if (found == nullptr || found->shape != tensors[t].shape) error = 1;
    else
      for (size_t i = 0; const float x : good.read(*found))
        error =
            std::fmax(error, std::fabs(x - (static_cast<float>(t * 10) + static_cast<float>(i++) * 0.1f)));
  }
  checks.expect("what was written is read", error, 0);

  const std::string halves =
      R"({"h":{"dtype":"F16","shape":[4],"data_offsets":[0,8]},"b":{"dtype":"BF16","shape":[2],"data_offsets":[8,12]}})";
  const uint16_t values[] = {0x3C00, 0xC000, 0x0001, 0x7C00, 0x3F80, 0xC040};  // 1, -2, 2^-24, inf; 1, -3
  std::string bytes = file_of(halves, 12);
  std::memcpy(bytes.data() + bytes.size() - 12, values, 12);
  write_text(folder / "halves.safetensors", bytes);
  const Safetensors read(folder / "halves.safetensors");
  const auto h = read.read(*read.find("h")), b = read.read(*read.find("b"));
  checks.holds("F16 and BF16",
               h[0] == 1 && h[1] == -2 && h[2] == 0x1p-24f && std::isinf(h[3]) && b[0] == 1 && b[1] == -3);

  const auto entry = [](const std::string& name, const std::string& shape, size_t begin, size_t end) {
    return "\"" + name + R"(":{"dtype":"F32","shape":)" + shape + R"(,"data_offsets":[)" +
           std::to_string(begin) + "," + std::to_string(end) + "]}";
  };
  const std::pair<const char*, std::string> damaged[] = {
      {"empty file", ""},
      {"7 bytes", "1234567"},
      {"header longer than the file", file_of("{}", 0, 1000)},
      {"header length near 2^64", file_of("{}", 0, ~uint64_t{0} - 4)},
      {"header of 200 MB", file_of("{}", 0, 200'000'000)},
      {"header is no JSON", file_of("{\"a\":", 0)},
      {"header is a list", file_of("[]", 0)},
      {"nested deeply", file_of(std::string(5000, '['), 0)},
      {"truncated data", file_of("{" + entry("a", "[2]", 0, 8) + "}", 7)},
      {"bytes left over", file_of("{" + entry("a", "[2]", 0, 8) + "}", 9)},
      {"overlap", file_of("{" + entry("a", "[2]", 0, 8) + "," + entry("b", "[2]", 4, 12) + "}", 12)},
      {"the same bytes twice",
       file_of("{" + entry("a", "[2]", 0, 8) + "," + entry("b", "[2]", 0, 8) + "}", 8)},
      {"a hole", file_of("{" + entry("a", "[2]", 0, 8) + "," + entry("b", "[2]", 12, 20) + "}", 20)},
      {"offsets reversed", file_of("{" + entry("a", "[2]", 8, 0) + "}", 8)},
      {"other bytes than its shape", file_of("{" + entry("a", "[3]", 0, 8) + "}", 8)},
      {"shape overflows", file_of("{" + entry("a", "[4294967296,4294967296,4]", 0, 8) + "}", 8)},
      {"negative side", file_of("{" + entry("a", "[-2]", 0, 8) + "}", 8)},
      {"fractional side", file_of("{" + entry("a", "[2.0]", 0, 8) + "}", 8)},
      {"a name twice", file_of("{" + entry("a", "[2]", 0, 8) + "," + entry("a", "[2]", 8, 16) + "}", 16)},
      {"unknown type", file_of(R"({"a":{"dtype":"F33","shape":[2],"data_offsets":[0,8]}})", 8)},
      {"a type that is not read", file_of(R"({"a":{"dtype":"I64","shape":[1],"data_offsets":[0,8]}})", 8)},
      {"no offsets", file_of(R"({"a":{"dtype":"F32","shape":[2]}})", 8)},
      {"metadata with numbers", file_of(R"({"__metadata__":{"a":1}})", 0)}};
  for (const auto& [name, content] : damaged) {
    write_text(folder / "damaged.safetensors", content);
    bool refused = false;
    try {
      const Safetensors file(folder / "damaged.safetensors");
    } catch (const FormatError& error) {
      refused = std::string(error.what()).find("damaged.safetensors: ") != std::string::npos;
    }
    checks.holds(std::string("refused: ") + name, refused);
  }
}

// Every half survives; every F32 between two halves becomes the nearer one, or of two as near the even one.
template <class Half>
void check_halves(Checks& checks, const std::string& name, float (*widen)(Half), Half (*round)(float)) {
  int changed = 0, wrong = 0;
  const uint32_t infinity = name == "F16" ? 0x7C00 : 0x7F80;
  for (uint32_t h = 0; h < 0x10000; h++) {
    const auto half = static_cast<Half>(h);
    const float value = widen(half);
    if (std::isnan(value)) changed += !std::isnan(widen(round(value)));
    else changed += round(value) != half;
    const uint32_t size = h & 0x7FFF;
    if (size + 1 >= infinity) continue;
    const double here = value, next = widen(static_cast<Half>(h + 1));
    const auto middle = static_cast<float>((here + next) / 2);  // exact: halves have few bits
    wrong += round(middle) != (h & 1 ? h + 1 : h);
    wrong += round(std::nextafter(middle, value)) != h;
    wrong += round(std::nextafter(middle, static_cast<float>(next))) != h + 1;
  }
  checks.expect(name + " values that change when read and written", changed, 0);
  checks.expect(name + " values that round to another than the nearest even", wrong, 0);
}

void check_rounding(Checks& checks, const fs::path& folder) {
  check_halves<uint16_t>(checks, "F16", from_f16, to_f16);
  check_halves<uint16_t>(checks, "BF16", from_bf16, to_bf16);
  checks.holds("F16 ends at 65504", to_f16(65519.996f) == 0x7BFF && to_f16(65520) == 0x7C00 && to_f16(-1e9f) == 0xFC00);
  const fs::path path = folder / "rounded.safetensors";
  OutputFile out(path);
  write_safetensors(out, {{"a", {2}, "F16"}, {"b", {1}, "BF16"}, {"c", {2}, "F32"}}, {},
                    [](size_t, float* to) { to[0] = 1.00048828125f, to[1] = -0.1f; });
  out.finish();
  const Safetensors file(path);
  const auto a = file.read(*file.find("a")), b = file.read(*file.find("b")), c = file.read(*file.find("c"));
  checks.holds("three types in one file", a[0] == 1 && a[1] == from_f16(0xAE66) && b[0] == 1 && c[0] == 1.00048828125f &&
                                              file.find("b")->dtype == "BF16" && fs::file_size(path) % 4 == 2);
}

void check_other_types(Checks& checks, const fs::path& folder) {
  write_text(folder / "counts.safetensors", file_of(R"({"a":{"dtype":"I64","shape":[1],"data_offsets":[0,8]}})", 8));
  const Safetensors file(folder / "counts.safetensors", Safetensors::Types::all);
  bool refused = false;
  try {
    file.read(*file.find("a"));
  } catch (const FormatError& error) {
    refused = std::string(error.what()).find("a is I64") != std::string::npos;
  }
  checks.holds("another type is seen, and not read", file.find("a")->dtype == "I64" && refused);
}

// Pictures of several kinds, so that every filter, literals, and short and long matches occur.
void write_pngs(const fs::path& folder) {
  for (const auto& [name, width, height] :
       {std::tuple{"noise", 37, 23}, {"flat", 300, 200}, {"gradient", 64, 64}, {"pixel", 1, 1}}) {
    std::vector<uint8_t> rgb;
    uint32_t state = 1;
    for (int y = 0; y < height; y++)
      for (int x = 0; x < width; x++)
        for (int c = 0; c < 3; c++) {
          state = state * 1664525 + 1013904223;
          const bool noise = std::string(name) == "noise", flat = std::string(name) == "flat";
          rgb.push_back(static_cast<uint8_t>(noise ? state >> 24 : flat ? 200 : x * 3 + y * c));
        }
    write_text(folder / (std::string(name) + ".png"), encode_png(rgb, width, height));
    write_text(folder / (std::string(name) + ".rgb"), std::string(rgb.begin(), rgb.end()));
  }
}

}  // namespace

int main(int argc, char** argv) {
  const fs::path folder = argc > 1 ? argv[1] : fs::temp_directory_path() / "tiller-formats";
  fs::create_directories(folder);
  Checks checks;
  check_sha256(checks);
  check_safetensors(checks, folder);
  check_rounding(checks, folder);
  check_other_types(checks, folder);
  write_pngs(folder);
  return checks.exit_code();
}
