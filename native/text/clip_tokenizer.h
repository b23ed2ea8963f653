// CLIP's tokenizer: text → tokens, as transformers' CLIPTokenizerFast gives them
// (test/peers/tokenizer.py), without the start and end around them: those belong to a chunk
// (prompt_chunks.h).
//
//   const ClipTokenizer tokenizer("…/tokenizers/clip-14aa….json");
//   tokenizer.encode("a photo of a cat")  →  {320, 1125, 539, 320, 2368}
#pragma once

#include <string_view>
#include <vector>

#include "text/byte_pairs.h"
#include "text/clip_pieces.h"

namespace tiller {

class ClipTokenizer {
 public:
  explicit ClipTokenizer(const fs::path& file) : vocabulary_(file), pieces_(vocabulary_) {
    const auto comma = encode(",");
    comma_ = comma.size() == 1 ? comma[0] : -1;
  }
  ClipTokenizer(const ClipTokenizer&) = delete;  // the pieces look into the vocabulary
  ClipTokenizer& operator=(const ClipTokenizer&) = delete;

  // <|startoftext|> and <|endoftext|> in a text are those tokens, as elsewhere.
  std::vector<int> encode(std::string_view text) const {
    std::vector<int> ids;
    while (!text.empty()) {
      const size_t start = text.find(kStartText), end = text.find(kEndText), special = std::min(start, end);
      for (const auto& piece : pieces_.of(text.substr(0, special))) append_byte_pairs(vocabulary_, piece, ids);
      if (special == std::string_view::npos) break;
      ids.push_back(start < end ? vocabulary_.start : vocabulary_.end);
      text.remove_prefix(special + (start < end ? kStartText : kEndText).size());
    }
    return ids;
  }

  int size() const { return vocabulary_.size; }
  int start() const { return vocabulary_.start; }
  int end() const { return vocabulary_.end; }
  int comma() const { return comma_; }  // -1 if it is no single token

 private:
  ClipVocabulary vocabulary_;
  ClipPieces pieces_;
  int comma_ = -1;
};

}  // namespace tiller
