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

namespace tiller {

namespace detail {

// The next code point; a broken sequence gives 0, and one byte is passed.
inline uint32_t next_code_point(std::string_view text, size_t& i) {
  const auto byte = static_cast<unsigned char>(text[i++]);
  const int more = byte < 0x80 ? 0 : byte >> 5 == 6 ? 1 : byte >> 4 == 14 ? 2 : byte >> 3 == 30 ? 3 : -1;
  if (more < 0 || i + static_cast<size_t>(more) > text.size()) return 0;
  uint32_t point = more == 0 ? byte : byte & (0x3Fu >> more);
  for (int k = 0; k < more; k++) {
    const auto next = static_cast<unsigned char>(text[i + static_cast<size_t>(k)]);
    if (next >> 6 != 2) return 0;
    point = point << 6 | (next & 0x3Fu);
  }
  i += static_cast<size_t>(more);
  return point;
}

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

inline void append_utf8(std::string& text, uint32_t c) {
  if (c < 0x80) {
    text += static_cast<char>(c);
    return;
  }
  const int more = c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
  text += static_cast<char>((0xFF00u >> (more + 1) & 0xFF) | c >> 6 * more);
  for (int k = more - 1; k >= 0; k--) text += static_cast<char>(0x80 | (c >> 6 * k & 0x3F));
}

}  // namespace detail

inline std::vector<std::string> split_words(std::string_view text) {
  std::vector<std::string> words;
  std::string word;
  for (size_t i = 0; i < text.size();) {
    const uint32_t c = detail::next_code_point(text, i);
    if (!detail::separates(c)) {
      detail::append_utf8(word, detail::lower(c));
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
