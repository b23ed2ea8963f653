// Latents on disk, so that an autoencoder runs once for a picture. A file's name is the hash of all that its
// numbers come from: the very pixels that were encoded (so the crop, the size and the mirroring with them),
// the autoencoder's weights, and what computed. What is stale has another name; nothing has to be noticed.
//
//   FOLDER/3f/3f0c…  "TLR1", u32 rows, u32 columns, u32 channels, F32 numbers, SHA-256 of all before
//
// A file that was cut off or damaged is not read, and written again. Runs at once may share a folder.
#pragma once

#include <atomic>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "formats/files.h"

namespace tiller {

class LatentCache {
 public:
  // `origin`: what the numbers depend on besides the pixels.
  LatentCache(fs::path folder, std::string origin) : folder_(std::move(folder)), origin_(std::move(origin)) {}

  struct Shape {
    uint32_t rows, columns, channels;
    size_t count() const { return size_t{rows} * columns * channels; }
  };

  std::string key(std::span<const uint8_t> rgb, const Shape& shape) const {
    Sha256 hash;
    hash.update(origin_);
    hash.update(&shape, sizeof shape);
    hash.update(rgb.data(), rgb.size());
    return hash.hex();
  }

  std::optional<std::vector<float>> find(const std::string& key, const Shape& shape) const {
    const fs::path path = path_of(key);
    std::error_code absent;
    if (!fs::is_regular_file(path, absent)) return std::nullopt;
    const MappedFile file(path);
    const std::string_view text = file.text();
    const std::string head = header(shape);
    const size_t body = shape.count() * sizeof(float);
    if (text.size() != head.size() + body + kDigest || !text.starts_with(head)) return std::nullopt;
    Sha256 hash;
    hash.update(text.substr(0, text.size() - kDigest));
    if (hash.hex() != text.substr(text.size() - kDigest)) return std::nullopt;
    std::vector<float> values(shape.count());
    std::memcpy(values.data(), text.data() + head.size(), body);
    return values;
  }

  void keep(const std::string& key, const Shape& shape, std::span<const float> values) const {
    static std::atomic<int> number{0};
    const fs::path path = path_of(key);
    fs::create_directories(path.parent_path());
    const fs::path temporary =
        path.parent_path() / ("." + key + "." + std::to_string(getpid()) + "-" + std::to_string(number++));
    std::string text = header(shape);
    text.append(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float));
    Sha256 hash;
    hash.update(text);
    text += hash.hex();
    try {
      OutputFile out(temporary);
      out.write(text);
      out.finish();
      rename_file(temporary, path);
    } catch (...) {
      std::error_code gone_already;
      fs::remove(temporary, gone_already);
      throw;
    }
  }

 private:
  static constexpr size_t kDigest = 64;

  fs::path path_of(const std::string& key) const { return folder_ / key.substr(0, 2) / key; }
  static std::string header(const Shape& shape) {
    std::string text = "TLR1";
    text.append(reinterpret_cast<const char*>(&shape), sizeof shape);
    return text;
  }

  fs::path folder_;
  std::string origin_;
};

}  // namespace tiller
