// The prepared data set (native/PROTOCOL.md): manifest.json beside pixels.u8 (and masks.u8), which are
// mapped, so that a set may be larger than memory.
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
  std::string key;                           // 16 hex digits
  uint64_t name = 0;                         // the key as a number: the item in seeds
  std::string file;                          // in the data folder, for messages
  int width = 0, height = 0;                 // as stored: covers the bucket
  int bucket_width = 0, bucket_height = 0;   // as trained
  uint64_t offset = 0;                       // in pixels.u8
  std::optional<uint64_t> mask_offset = {};  // in masks.u8; without one all of it is trained
  int repeats = 1;                           // times a pass
  bool regularisation = false;               // of the class, not of the subject: prior_loss_weight
  std::vector<Caption> captions = {};

  size_t pixel_count() const { return static_cast<size_t>(width) * static_cast<size_t>(height); }
  bool is_cropped() const { return width != bucket_width || height != bucket_height; }

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
      if (manifest.at("version") != 2) fail("is of the unknown version " + manifest.at("version").dump());
      if (manifest.at("channels") != 3) fail("has pictures of other than 3 channels");
      pixels_.emplace(beside(manifest.at("pixels"), "pixels"));
      if (manifest.contains("masks")) masks_.emplace(beside(manifest.at("masks"), "masks"));
      train = items(manifest.at("train"));
      validation = items(manifest.at("validation"));
    } catch (const Json::exception& error) {
      fail(std::string("can't be read: ") + error.what());
    } catch (const std::system_error& error) {
      throw Failure(kBadData, "TRAINER_BAD_DATA", error.what(), "Prepare the data set again.");
    }
    if (train.empty()) fail("has no picture to train on");
  }

  // The stored picture: rows top to bottom, 3 bytes a pixel.
  const uint8_t* pixels(const Item& item) const { return pixels_->bytes().data() + item.offset; }

  // One byte a pixel of the stored picture, 255 is trained; null where all of it is.
  const uint8_t* mask(const Item& item) const {
    return item.mask_offset ? masks_->bytes().data() + *item.mask_offset : nullptr;
  }

  std::vector<Item> train, validation;

 private:
  fs::path beside(const std::string& name, const char* what) const {
    if (fs::path(name).filename() != name) fail(std::string("names ") + what + " outside its folder");
    return file_.parent_path() / name;
  }

  int number(const Json& entry, const Json& value, const char* what, int64_t most) const {
    if (const auto found = whole_number(value, 1, most)) return static_cast<int>(*found);
    fail("gives picture " + std::string(entry.at("key")) + " an impossible " + what + ", " + value.dump());
  }

  // Where `bytes` bytes begin in a file of `size`.
  uint64_t place(const Json& entry, const char* key, const char* file, size_t size, size_t bytes) const {
    const auto last = static_cast<int64_t>(size) - static_cast<int64_t>(bytes);
    if (const auto found = whole_number(entry.at(key), 0, last)) return static_cast<uint64_t>(*found);
    fail("names picture " + std::string(entry.at("key")) + ", which is past the end of its " + file);
  }

  std::vector<Item> items(const Json& list) const {
    if (!list.is_array()) fail("has pictures that are not in a list");
    std::vector<Item> result;
    for (const auto& entry : list) result.push_back(item(entry));
    return result;
  }

  Item item(const Json& entry) const {
    constexpr int64_t kSide = 65536, kRepeats = 1'000'000;
    Item item{.key = entry.at("key")};
    const bool hex =
        item.key.size() == 16 && item.key.find_first_not_of("0123456789abcdef") == std::string::npos;
    if (!hex) fail("has the key \"" + item.key + "\", which is not 16 hex digits");
    item.name = std::stoull(item.key, nullptr, 16);
    item.file = entry.at("file");
    item.width = number(entry, entry.at("width"), "width", kSide);
    item.height = number(entry, entry.at("height"), "height", kSide);
    const Json& bucket = entry.at("bucket");
    item.bucket_width = number(entry, bucket.at(0), "bucket width", kSide);
    item.bucket_height = number(entry, bucket.at(1), "bucket height", kSide);
    if (item.width < item.bucket_width || item.height < item.bucket_height)
      fail("has a picture that does not cover its bucket: " + item.key);
    item.offset = place(entry, "offset", "pixels", pixels_->bytes().size(), item.pixel_count() * 3);
    if (entry.contains("mask_offset")) {
      if (!masks_) fail("has a mask and no masks: " + item.key);
      item.mask_offset = place(entry, "mask_offset", "masks", masks_->bytes().size(), item.pixel_count());
    }
    item.repeats = number(entry, entry.at("repeats"), "number of repeats", kRepeats);
    item.regularisation = entry.at("regularisation");
    for (const auto& caption : entry.at("captions")) {
      item.captions.push_back({caption.at("text"), caption.at("weight")});
      if (!(item.captions.back().weight >= 0)) fail("has a caption of negative weight: " + item.key);
    }
    // Trained as empty it would teach the model that this picture is what no prompt means.
    if (item.captions.empty()) fail("has a picture without a caption: " + item.key);
    return item;
  }

  [[noreturn]] void fail(const std::string& what) const {
    throw Failure(kBadData, "TRAINER_BAD_DATA", file_.string() + " " + what, "Prepare the data set again.");
  }

  fs::path file_;
  std::optional<MappedFile> pixels_, masks_;
};

}  // namespace tiller
