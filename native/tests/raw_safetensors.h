// raw_safetensors.h   safetensors files taken apart and put together again without the code under test's
// rules, so that tests can make other people's files and broken ones.
#pragma once

#include <fstream>
#include <string>
#include <vector>

#include "formats/files.h"
#include "formats/json.h"

namespace tiller {

struct RawTensor {
  std::string name, dtype;
  Json shape;
  std::string bytes;
};

struct RawFile {
  std::vector<RawTensor> tensors;
  Json metadata = Json::object();

  RawFile() = default;
  explicit RawFile(const fs::path& path) {
    const MappedFile file(path);
    uint64_t length;
    std::memcpy(&length, file.bytes().data(), 8);
    const Json header = parse_json(file.text().substr(8, length));
    for (const auto& [name, entry] : header.items()) {
      if (name == "__metadata__") {
        metadata = entry;
        continue;
      }
      const size_t begin = entry["data_offsets"][0], end = entry["data_offsets"][1];
      tensors.push_back({name, entry["dtype"], entry["shape"], std::string(file.text().substr(8 + length + begin, end - begin))});
    }
  }

  void write(const fs::path& path) const {
    Json header = Json::object();
    if (!metadata.empty()) header["__metadata__"] = metadata;
    size_t offset = 0;
    for (const auto& t : tensors) {
      header[t.name] = {{"dtype", t.dtype}, {"shape", t.shape}, {"data_offsets", {offset, offset + t.bytes.size()}}};
      offset += t.bytes.size();
    }
    const std::string text = header.dump();
    const uint64_t length = text.size();
    std::ofstream out(path, std::ios::binary);
    out.write(reinterpret_cast<const char*>(&length), 8) << text;
    for (const auto& t : tensors) out << t.bytes;
  }

  RawTensor& at(const std::string& name) {
    for (auto& t : tensors)
      if (t.name == name) return t;
    throw std::logic_error("the test's file lacks " + name);
  }
  void erase(const std::string& begin) {
    std::erase_if(tensors, [&](const auto& t) { return t.name.starts_with(begin); });
  }
  void add(const std::string& name, const std::string& dtype = "F32", Json shape = Json::array({1}), size_t bytes = 4) {
    tensors.push_back({name, dtype, std::move(shape), std::string(bytes, '\0')});
  }
};

}  // namespace tiller
