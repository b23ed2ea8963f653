// The prepared data set (native/PROTOCOL.md): manifest.json beside pixels.u8, which is mapped, so that
// a set may be larger than memory.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "formats/files.h"
#include "training/failure.h"

namespace tiller {

struct Caption {
  std::string text;
  double weight = 1;
};

struct Item {
  size_t index = 0;   // of its picture in pixels.u8
  std::string key;    // 16 hex digits
  uint64_t name = 0;  // the key as a number: the item in seeds
  std::vector<Caption> captions;

  // The heaviest caption, the first of equals: what validation uses.
  const std::string& main_caption() const {
    return std::max_element(captions.begin(), captions.end(),
                            [](auto& a, auto& b) { return a.weight < b.weight; })
        ->text;
  }
};

class Dataset {
 public:
  explicit Dataset(const fs::path& manifest_file) : file_(manifest_file) {
    try {
      const MappedFile mapped(manifest_file);
      const auto manifest = nlohmann::json::parse(mapped.text());
      if (manifest.at("version") != 1) fail("is of the unknown version " + manifest.at("version").dump());
      if (manifest.at("channels") != 3) fail("has pictures of other than 3 channels");
      width = manifest.at("width");
      height = manifest.at("height");
      if (width < 1 || height < 1 || width > 65536 || height > 65536)
        fail("has pictures of an impossible size");
      pixels_.emplace(manifest_file.parent_path() / manifest.at("pixels").get<std::string>());
      train = items(manifest.at("train"));
      validation = items(manifest.at("validation"));
    } catch (const nlohmann::json::exception& error) {
      fail(std::string("can't be read: ") + error.what());
    } catch (const std::system_error& error) {
      throw Failure(kBadData, "TRAINER_BAD_DATA", error.what(), "Prepare the data set again.");
    }
    if (train.empty()) fail("has no picture to train on");
  }

  const uint8_t* pixels(const Item& item) const {
    return pixels_->bytes().data() + item.index * picture_bytes();
  }
  size_t picture_bytes() const { return static_cast<size_t>(width) * static_cast<size_t>(height) * 3; }

  int width = 0, height = 0;
  std::vector<Item> train, validation;

 private:
  std::vector<Item> items(const nlohmann::json& list) const {
    std::vector<Item> result;
    for (const auto& entry : list) {
      Item item{entry.at("index"), entry.at("key"), 0, {}};
      const bool hex =
          item.key.size() == 16 && item.key.find_first_not_of("0123456789abcdef") == std::string::npos;
      if (!hex) fail("has the key \"" + item.key + "\", which is not 16 hex digits");
      item.name = std::stoull(item.key, nullptr, 16);
      if (item.index >= pixels_->bytes().size() / picture_bytes())
        fail("names picture " + item.key + ", which is past the end of its pixels");
      for (const auto& caption : entry.at("captions")) {
        item.captions.push_back({caption.at("text"), caption.at("weight")});
        if (!(item.captions.back().weight >= 0)) fail("has a caption of negative weight: " + item.key);
      }
      // Trained as empty it would teach the model that this picture is what no prompt means.
      if (item.captions.empty()) fail("has a picture without a caption: " + item.key);
      result.push_back(std::move(item));
    }
    return result;
  }

  [[noreturn]] void fail(const std::string& what) const {
    throw Failure(kBadData, "TRAINER_BAD_DATA", file_.string() + " " + what, "Prepare the data set again.");
  }

  fs::path file_;
  std::optional<MappedFile> pixels_;
};

}  // namespace tiller
