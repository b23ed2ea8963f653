// A byte-pair vocabulary in numbers, with what of Unicode its tokenizer needs: one JSON file, which
// native/clip-tokenizer.ts writes.
//   {"format": "tiller-clip-tokenizer", "version": 1, "size": 49408, "start": 49406, "end": 49407,
//    "bytes": [256 tokens: a byte inside a word],  "last_bytes": [256: the last byte of a word],
//    "merges": [left, right, result, … in the order of rank],
//    "letters", "numbers", "spaces": [first, last, first, last, … code points],
//    "lower": [[a code point, what it becomes, …], …]}
// What isn't so is refused: as bad data, by the file's name and the key.
#pragma once

#include <algorithm>
#include <iterator>
#include <map>
#include <string>
#include <unordered_map>
#include <vector>

#include "formats/files.h"
#include "formats/json.h"
#include "training/failure.h"

namespace tiller {

// A set of code points, as sorted ranges.
class CodePoints {
 public:
  CodePoints() = default;
  explicit CodePoints(std::vector<int> edges) : edges_(std::move(edges)) {}  // first, last, first, last, …
  bool has(uint32_t point) const {
    const auto c = static_cast<int>(point);
    const auto after = std::upper_bound(edges_.begin(), edges_.end(), c) - edges_.begin();
    return after % 2 == 1 || (after > 0 && edges_[static_cast<size_t>(after) - 1] == c);
  }

 private:
  std::vector<int> edges_;
};

class ClipVocabulary {
 public:
  struct Merge {
    int rank, result;
  };

  explicit ClipVocabulary(const fs::path& file) : file_(file) {
    try {
      const MappedFile mapped(file);
      const Json asset = parse_json(mapped.text());
      if (!asset.is_object()) fail("is no JSON object");
      if (!asset.contains("format") || asset["format"] != "tiller-clip-tokenizer") fail("is no tokenizer");
      if (!asset.contains("version") || asset["version"] != 1) fail("is of an unknown version");
      size = number(asset, "size", 1 << 24);
      start = number(asset, "start", size - 1);
      end = number(asset, "end", size - 1);
      bytes = numbers(asset, "bytes", size - 1);
      last_bytes = numbers(asset, "last_bytes", size - 1);
      if (bytes.size() != 256) fail("has not 256 \"bytes\"");
      if (last_bytes.size() != 256) fail("has not 256 \"last_bytes\"");
      read_merges(numbers(asset, "merges", size - 1));
      letters = ranges(asset, "letters");
      digits = ranges(asset, "numbers");
      spaces = ranges(asset, "spaces");
      read_lower(list(asset, "lower"));
    } catch (const std::system_error& error) {
      throw Failure(kBadData, "TRAINER_BAD_DATA", error.what(), kHint);
    }
  }

  const Merge* merge(int left, int right) const {
    const auto found = merges_.find(pair(left, right));
    return found == merges_.end() ? nullptr : &found->second;
  }
  void append_lower(std::vector<uint32_t>& to, uint32_t point) const {
    const auto found = lower_.find(point);
    if (found == lower_.end()) to.push_back(point);
    else to.insert(to.end(), found->second.begin(), found->second.end());
  }

  int size = 0, start = 0, end = 0;
  std::vector<int> bytes, last_bytes;
  CodePoints letters, digits, spaces;

 private:
  static constexpr int kLastPoint = 0x10FFFF;
  static constexpr const char* kHint = "Start again: Tiller writes the tokenizer's file anew.";

  static uint64_t pair(int left, int right) { return static_cast<uint64_t>(left) << 32 | static_cast<uint32_t>(right); }

  void read_merges(const std::vector<int>& flat) {
    if (flat.size() % 3 != 0) fail("has \"merges\" that are not threes");
    merges_.reserve(flat.size() / 3);
    for (size_t i = 0; i < flat.size(); i += 3) {
      merges_[pair(flat[i], flat[i + 1])] = {static_cast<int>(i / 3), flat[i + 2]};
    }
  }
  void read_lower(const Json& cases) {
    for (const auto& entry : cases) {
      const auto points = whole_numbers(entry, "lower", kLastPoint);
      if (points.size() < 2) fail("has a \"lower\" that becomes nothing");
      lower_[static_cast<uint32_t>(points[0])].assign(points.begin() + 1, points.end());
    }
  }
  CodePoints ranges(const Json& asset, const char* key) const {
    auto edges = numbers(asset, key, kLastPoint);
    bool sound = edges.size() % 2 == 0;
    for (size_t i = 1; i < edges.size(); i++) {
      if (i % 2 == 1 ? edges[i - 1] > edges[i] : edges[i - 1] >= edges[i]) sound = false;
    }
    if (!sound) fail(std::string("has \"") + key + "\" that are not ranges in order");
    return CodePoints(std::move(edges));
  }

  int number(const Json& asset, const char* key, int most) const {
    const auto found = asset.contains(key) ? whole_number(asset[key], 0, most) : std::nullopt;
    if (!found) fail(std::string("has no \"") + key + "\" from 0 to " + std::to_string(most));
    return static_cast<int>(*found);
  }
  const Json& list(const Json& asset, const char* key) const {
    if (!asset.contains(key) || !asset[key].is_array()) fail(std::string("has no list \"") + key + "\"");
    return asset[key];
  }
  std::vector<int> numbers(const Json& asset, const char* key, int most) const {
    return whole_numbers(list(asset, key), key, most);
  }
  std::vector<int> whole_numbers(const Json& values, const char* key, int most) const {
    std::vector<int> result;
    if (!values.is_array()) fail(std::string("has no list in \"") + key + "\"");
    result.reserve(values.size());
    for (const auto& value : values) {
      const auto number = whole_number(value, 0, most);
      if (!number) {
        fail(std::string("has \"") + key + "\" of which number " + std::to_string(result.size() + 1) +
             " is not from 0 to " + std::to_string(most));
      }
      result.push_back(static_cast<int>(*number));
    }
    return result;
  }
  [[noreturn]] void fail(const std::string& what) const {
    throw Failure(kBadData, "TRAINER_BAD_DATA", file_.string() + " " + what, kHint);
  }

  fs::path file_;
  std::unordered_map<uint64_t, Merge> merges_;
  std::unordered_map<uint32_t, std::vector<uint32_t>> lower_;
};

}  // namespace tiller
