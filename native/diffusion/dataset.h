// The prepared data set (native/PROTOCOL.md): manifest.json beside pixels.u8, which is mapped, so that
// a set may be larger than memory.
#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "formats/files.h"
#include "formats/json.h"
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
      const auto manifest = Json::parse(mapped.text());
      if (manifest.at("version") != 1) fail("is of the unknown version " + manifest.at("version").dump());
      if (manifest.at("channels") != 3) fail("has pictures of other than 3 channels");
      width = side(manifest, "width");
      height = side(manifest, "height");
      const std::string pixels = manifest.at("pixels");
      if (fs::path(pixels).filename() != pixels) fail("names pixels outside its folder");
      pixels_.emplace(manifest_file.parent_path() / pixels);
      train = items(manifest.at("train"));
      validation = items(manifest.at("validation"));
    } catch (const Json::exception& error) {
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
  int side(const Json& manifest, const char* key) const {
    if (const auto found = whole_number(manifest.at(key), 1, 65536)) return static_cast<int>(*found);
    fail(std::string("has an impossible ") + key + ", " + manifest.at(key).dump());
  }

  std::vector<Item> items(const Json& list) const {
    if (!list.is_array()) fail("has pictures that are not in a list");
    const auto last = static_cast<int64_t>(pixels_->bytes().size() / picture_bytes()) - 1;
    std::vector<Item> result;
    for (const auto& entry : list) {
      Item item{0, entry.at("key"), 0, {}};
      const bool hex =
          item.key.size() == 16 && item.key.find_first_not_of("0123456789abcdef") == std::string::npos;
      if (!hex) fail("has the key \"" + item.key + "\", which is not 16 hex digits");
      item.name = std::stoull(item.key, nullptr, 16);
      const auto index = whole_number(entry.at("index"), 0, last);
      if (!index) fail("names picture " + item.key + ", which is past the end of its pixels");
      item.index = static_cast<size_t>(*index);
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
