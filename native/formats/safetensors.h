// safetensors: u64 length of the header, the header (JSON), the tensors' bytes.
//   {"name": {"dtype": "F32", "shape": [2, 3], "data_offsets": [begin, end]}, "__metadata__": {…}}
// Read by mmap, every bound checked before a byte of a tensor is touched; F32, F16 and BF16 are read
// as F32, and written so. https://huggingface.co/docs/safetensors
#pragma once

#include <algorithm>
#include <bit>
#include <functional>
#include <map>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include "formats/files.h"
#include "formats/half.h"
#include "formats/json.h"

namespace tiller {

static_assert(std::endian::native == std::endian::little, "safetensors are read as they lie in memory");

// The bytes are not what the format says; what() names the file and the place.
struct FormatError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

struct TensorInfo {
  std::string name;
  std::vector<int64_t> shape;
  std::string dtype = "F32";
  size_t count() const {
    size_t n = 1;
    for (const int64_t side : shape) n *= static_cast<size_t>(side);
    return n;
  }
};

inline std::string shape_text(const std::vector<int64_t>& shape) {
  std::string text = "[";
  for (const int64_t side : shape) text += (text.size() > 1 ? ", " : "") + std::to_string(side);
  return text + "]";
}

// How many bytes an element has; 0 for a type that safetensors don't have.
inline size_t bytes_of(const std::string& dtype) {
  static const std::map<std::string, size_t> sizes = {
      {"F64", 8}, {"I64", 8},     {"U64", 8},     {"F32", 4}, {"I32", 4},
      {"U32", 4}, {"F16", 2},     {"BF16", 2},    {"I16", 2}, {"U16", 2},
      {"I8", 1},  {"F8_E4M3", 1}, {"F8_E5M2", 1}, {"U8", 1},  {"BOOL", 1}};
  const auto found = sizes.find(dtype);
  return found == sizes.end() ? 0 : found->second;
}

// The types that become F32, and that F32 becomes.
inline bool is_float(const std::string& dtype) { return dtype == "F32" || dtype == "F16" || dtype == "BF16"; }

// `fill` writes tensor `index` to the floats it is given; they are rounded to the tensor's type. The
// caller finishes the file.
inline void write_safetensors(OutputFile& out, const std::vector<TensorInfo>& tensors,
                              const std::map<std::string, std::string>& metadata,
                              const std::function<void(size_t index, float* to)>& fill) {
  Json header = Json::object();
  if (!metadata.empty()) header["__metadata__"] = metadata;
  size_t offset = 0, largest = 0;
  for (const auto& tensor : tensors) {
    if (!is_float(tensor.dtype)) throw std::logic_error(tensor.dtype + " is not written");
    const size_t end = offset + tensor.count() * bytes_of(tensor.dtype);
    header[tensor.name] = {{"dtype", tensor.dtype}, {"shape", tensor.shape}, {"data_offsets", {offset, end}}};
    largest = std::max(largest, tensor.count());
    offset = end;
  }
  std::string text = header.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');  // the tensors begin aligned
  const uint64_t length = text.size();
  out.write(&length, sizeof length);
  out.write(text);
  std::vector<float> values(largest);
  std::vector<uint16_t> halves;
  for (size_t i = 0; i < tensors.size(); i++) {
    const size_t count = tensors[i].count();
    fill(i, values.data());
    if (tensors[i].dtype == "F32") {
      out.write(values.data(), count * sizeof(float));
      continue;
    }
    halves.resize(count);
    const auto round = tensors[i].dtype == "F16" ? to_f16 : to_bf16;
    std::transform(values.begin(), values.begin() + static_cast<ptrdiff_t>(count), halves.begin(), round);
    out.write(halves.data(), count * sizeof(uint16_t));
  }
}

class Safetensors {
 public:
  // Of all types a file may hold tensors that are only looked at; read() refuses them.
  enum class Types { floats, all };

  explicit Safetensors(const fs::path& path, Types types = Types::floats)
      : file_(path), path_(path), types_(types) {
    const auto bytes = file_.bytes();
    uint64_t length = 0;
    if (bytes.size() < sizeof length) fail("the file is shorter than its header's length");
    std::memcpy(&length, bytes.data(), sizeof length);
    if (length > kLongestHeader || length > bytes.size() - sizeof length)
      fail("the header ends past the file");
    data_ = bytes.subspan(sizeof length + length);
    read_header(file_.text().substr(sizeof length, length));
    check_layout();
  }

  const std::vector<TensorInfo>& tensors() const { return tensors_; }
  const std::map<std::string, std::string>& metadata() const { return metadata_; }
  const TensorInfo* find(const std::string& name) const {
    const auto found = by_name_.find(name);
    return found == by_name_.end() ? nullptr : &tensors_[found->second];
  }

  std::vector<float> read(const TensorInfo& tensor) const {
    const size_t index = by_name_.at(tensor.name);
    const std::string& dtype = tensors_[index].dtype;
    if (!is_float(dtype)) fail(tensor.name + " is " + dtype + "; only F32, F16 and BF16 are read");
    const uint8_t* from = data_.data() + places_[index].begin;
    std::vector<float> values(tensors_[index].count());
    if (dtype == "F32") {
      if (!values.empty()) std::memcpy(values.data(), from, values.size() * 4);
      return values;
    }
    const auto widen = dtype == "F16" ? from_f16 : from_bf16;
    for (size_t i = 0; i < values.size(); i++) {
      uint16_t half;
      std::memcpy(&half, from + 2 * i, 2);
      values[i] = widen(half);
    }
    return values;
  }

 private:
  struct Place {
    size_t begin, end;
  };
  static constexpr uint64_t kLongestHeader = 100'000'000;  // as the reference reader

  [[noreturn]] void fail(const std::string& what) const { throw FormatError(path_.string() + ": " + what); }

  void read_header(std::string_view text) {
    std::set<std::string> names;
    const auto unique = [&](int depth, Json::parse_event_t event, Json& parsed) {
      if (depth > 4) fail("the header is nested too deeply");
      if (depth == 1 && event == Json::parse_event_t::key &&
          !names.insert(parsed.get<std::string>()).second)
        fail("two tensors are called " + parsed.get<std::string>());
      return true;
    };
    const auto header = Json::parse(text, unique, /*allow_exceptions=*/false);
    if (!header.is_object()) fail("the header is not a JSON object");
    for (const auto& [name, entry] : header.items()) {
      if (name == "__metadata__") {
        if (!entry.is_object()) fail("__metadata__ is not an object");
        for (const auto& [key, value] : entry.items()) {
          if (!value.is_string()) fail("__metadata__ holds something else than text");
          metadata_[key] = value;
        }
        continue;
      }
      read_entry(name, entry);
    }
  }

  void read_entry(const std::string& name, const Json& entry) {
    const auto valid = entry.is_object() && entry.contains("dtype") && entry["dtype"].is_string() &&
                       entry.contains("shape") && entry["shape"].is_array() &&
                       entry.contains("data_offsets") && entry["data_offsets"].is_array() &&
                       entry["data_offsets"].size() == 2;
    if (!valid) fail("the entry of " + name + " is not {dtype, shape, data_offsets}");
    const std::string dtype = entry["dtype"];
    const auto bytes = bytes_of(dtype);
    if (bytes == 0) fail(name + " has the unknown type " + dtype);
    TensorInfo tensor{name, {}, dtype};
    size_t size = bytes;
    for (const auto& side : entry["shape"]) {
      if (!side.is_number_unsigned()) fail(name + " has a side that is no count");
      const auto length = side.get<uint64_t>();
      if (length > INT64_MAX || __builtin_mul_overflow(size, length, &size)) fail(name + " is too large");
      tensor.shape.push_back(static_cast<int64_t>(length));
    }
    const auto& offsets = entry["data_offsets"];
    if (!offsets[0].is_number_unsigned() || !offsets[1].is_number_unsigned())
      fail(name + " has an offset that is no count");
    const auto begin = offsets[0].get<uint64_t>(), end = offsets[1].get<uint64_t>();
    if (begin > end || end > data_.size()) fail(name + " ends past the file");
    if (end - begin != size)
      fail(name + " has other bytes than its shape " + shape_text(tensor.shape) + " needs");
    if (types_ == Types::floats && !is_float(dtype))
      fail(name + " is " + dtype + "; only F32, F16 and BF16 are read");
    by_name_[name] = tensors_.size();
    tensors_.push_back(std::move(tensor));
    places_.push_back({begin, end});
  }

  // The tensors fill the rest of the file exactly: no byte twice, none left over.
  void check_layout() const {
    std::vector<size_t> order(places_.size());
    for (size_t i = 0; i < order.size(); i++) order[i] = i;
    std::sort(order.begin(), order.end(), [&](size_t a, size_t b) {
      return std::pair(places_[a].begin, places_[a].end) < std::pair(places_[b].begin, places_[b].end);
    });
    size_t end = 0;
    for (const size_t i : order) {
      if (places_[i].begin < end) fail(tensors_[i].name + " overlaps another tensor");
      if (places_[i].begin > end) fail("there is a hole before " + tensors_[i].name);
      end = places_[i].end;
    }
    if (end != data_.size()) fail("bytes are left over after the last tensor");
  }

  MappedFile file_;
  fs::path path_;
  Types types_;
  std::span<const uint8_t> data_;
  std::vector<TensorInfo> tensors_;
  std::vector<Place> places_;
  std::map<std::string, size_t> by_name_;
  std::map<std::string, std::string> metadata_;
};

}  // namespace tiller
