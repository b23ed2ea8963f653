// Text as words: the vocabulary of the training captions, sorted by bytes, kept in every checkpoint.
//
// A word is a run of letters and digits of any script, in lower case (Latin, Greek, Cyrillic). A prompt
// becomes  <start> w1 … wn <end> <pad> …  of a fixed length: as CLIP's, with a pad of its own. The
// empty prompt, <start> <end> <pad> …, is "unconditional".
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "text/utf8.h"

namespace tiller {

namespace detail {

// Punctuation and spaces of ASCII, Latin-1, "General Punctuation" and "CJK Symbols".
inline bool separates(uint32_t c) {
  if (c < 0x80) return !((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z'));
  return c < 0xC0 || c == 0xD7 || c == 0xF7 || (c >= 0x2000 && c < 0x2070) || (c >= 0x3000 && c < 0x3040) ||
         c == 0xFE0F;
}

inline uint32_t lower(uint32_t c) {
  if ((c >= 'A' && c <= 'Z') || (c >= 0xC0 && c <= 0xDE) || (c >= 0x391 && c <= 0x3A9) ||
      (c >= 0x410 && c <= 0x42F))
    return c + 32;
  if (c >= 0x400 && c <= 0x40F) return c + 80;
  if (c >= 0x100 && c <= 0x137 && c != 0x130) return c | 1;  // Latin Extended-A: in pairs
  return c;
}

}  // namespace detail

inline std::vector<std::string> split_words(std::string_view text) {
  std::vector<std::string> words;
  std::string word;
  for (size_t i = 0; i < text.size();) {
    const uint32_t c = next_code_point(text, i);
    if (!detail::separates(c)) {
      append_utf8(word, detail::lower(c));
    } else if (!word.empty()) {
      words.push_back(std::move(word));
      word.clear();
    }
  }
  if (!word.empty()) words.push_back(std::move(word));
  return words;
}

class Vocabulary {
 public:
  static constexpr int kPad = 0, kStart = 1, kEnd = 2, kFirstWord = 3;

  Vocabulary() = default;
  explicit Vocabulary(std::vector<std::string> words) : words_(std::move(words)) {
    for (size_t i = 0; i < words_.size(); i++) index_[words_[i]] = kFirstWord + static_cast<int>(i);
  }
  static Vocabulary of_captions(const std::vector<std::string>& captions) {
    std::set<std::string> words;
    for (const auto& caption : captions)
      for (auto& word : split_words(caption)) words.insert(std::move(word));
    return Vocabulary({words.begin(), words.end()});
  }

  const std::vector<std::string>& words() const { return words_; }
  int size() const { return kFirstWord + static_cast<int>(words_.size()); }

  struct Tokens {
    std::vector<int> ids;
    std::vector<std::string> unknown;  // dropped
    bool cut = false;                  // there was no room for all words
  };
  Tokens tokens(std::string_view text, int length) const {
    Tokens result;
    result.ids.push_back(kStart);
    for (const auto& word : split_words(text)) {
      const auto found = index_.find(word);
      if (found == index_.end()) {
        result.unknown.push_back(word);
      } else if (static_cast<int>(result.ids.size()) < length - 1) {
        result.ids.push_back(found->second);
      } else {
        result.cut = true;
      }
    }
    result.ids.push_back(kEnd);
    result.ids.resize(static_cast<size_t>(length), kPad);
    return result;
  }

 private:
  std::vector<std::string> words_;
  std::map<std::string, int> index_;
};

}  // namespace tiller
