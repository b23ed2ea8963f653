// CLIP's text, cut into what byte pairs are merged inside of: lower-cased runs of letters, single
// numerals, runs of other characters, and English contractions. White space only separates. The pattern
// is OpenAI's (simple_tokenizer.py), as transformers' CLIPTokenizerFast runs it:
//   's|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+
// Its two alternatives <\|startoftext\|> and <\|endoftext\|> are there too: written so, these are tokens
// and don't come here (clip_tokenizer.h); in capitals they do, and the byte-level step cuts what they
// matched once more, by a pattern without them.
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "text/clip_vocabulary.h"
#include "text/utf8.h"

namespace tiller {

inline constexpr std::string_view kStartText = "<|startoftext|>", kEndText = "<|endoftext|>";

class ClipPieces {
 public:
  explicit ClipPieces(const ClipVocabulary& vocabulary) : vocabulary_(vocabulary) {}

  // In UTF-8. The text has to be in normal form C: that is made in TypeScript (clipText()).
  std::vector<std::string> of(std::string_view text) const {
    std::vector<uint32_t> points;
    for (size_t i = 0; i < text.size();) vocabulary_.append_lower(points, next_code_point(text, i));
    std::vector<std::string> pieces;
    for (size_t i = 0; i < points.size();) {
      const Kind kind = kind_of(points[i]);
      if (kind == Kind::space) {
        i++;
        continue;
      }
      if (take_special(points, i, pieces)) continue;
      size_t length = contraction(points, i);
      if (length == 0) length = kind == Kind::number ? 1 : run(points, i, kind);
      pieces.push_back(utf8(points, i, length));
      i += length;
    }
    return pieces;
  }

 private:
  enum class Kind { space, letter, number, other };

  Kind kind_of(uint32_t point) const {
    if (vocabulary_.letters.has(point)) return Kind::letter;
    if (vocabulary_.digits.has(point)) return Kind::number;
    return vocabulary_.spaces.has(point) ? Kind::space : Kind::other;
  }
  size_t run(const std::vector<uint32_t>& points, size_t from, Kind kind) const {
    size_t to = from + 1;
    while (to < points.size() && kind_of(points[to]) == kind) to++;
    return to - from;
  }
  static bool begins(const std::vector<uint32_t>& points, size_t at, std::string_view ascii) {
    if (points.size() - at < ascii.size()) return false;
    for (size_t k = 0; k < ascii.size(); k++)
      if (points[at + k] != static_cast<unsigned char>(ascii[k])) return false;
    return true;
  }
  static size_t contraction(const std::vector<uint32_t>& points, size_t at) {
    if (points[at] != '\'') return 0;
    static constexpr std::array<std::string_view, 7> kAll = {"'s", "'t", "'re", "'ve", "'m", "'ll", "'d"};
    for (const auto& one : kAll)
      if (begins(points, at, one)) return one.size();
    return 0;
  }
  static bool take_special(const std::vector<uint32_t>& points, size_t& at, std::vector<std::string>& pieces) {
    for (const auto special : {kStartText, kEndText}) {
      if (!begins(points, at, special)) continue;
      pieces.emplace_back("<|");
      pieces.emplace_back(special.substr(2, special.size() - 4));
      pieces.emplace_back("|>");
      at += special.size();
      return true;
    }
    return false;
  }
  static std::string utf8(const std::vector<uint32_t>& points, size_t from, size_t length) {
    std::string text;
    for (size_t k = 0; k < length; k++) append_utf8(text, points[from + k]);
    return text;
  }

  const ClipVocabulary& vocabulary_;
};

}  // namespace tiller
