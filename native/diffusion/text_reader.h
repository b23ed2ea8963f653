// Texts as the tokens that a model's text encoder reads, in chunks of a fixed length: words of the captions
// (words.h) for a model that learns from nothing, CLIP's byte pairs (text/) for Stable Diffusion.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "diffusion/words.h"
#include "text/prompt_chunks.h"

namespace tiller {

struct ReadText {
  std::vector<PromptChunk> chunks;   // at least one
  std::vector<std::string> unknown;  // words that were dropped
  bool cut = false;                  // there was no room for all of it
};

class TextReader {
 public:
  virtual ~TextReader() = default;
  virtual int length() const = 0;  // tokens of a chunk
  // Literally, for training; and with what people write to be heeded, for sampling.
  virtual ReadText caption(std::string_view text) const = 0;
  virtual ReadText prompt(std::string_view text) const = 0;
  // Texts that stand side by side have as many chunks each.
  virtual void fit(ReadText& text, size_t chunks) const = 0;
};

class WordReader : public TextReader {
 public:
  WordReader(const Vocabulary& vocabulary, int length) : vocabulary_(vocabulary), length_(length) {}

  int length() const override { return length_; }
  ReadText caption(std::string_view text) const override {
    auto tokens = vocabulary_.tokens(text, length_);
    const std::vector<float> weights(tokens.ids.size(), 1);
    return {{{std::move(tokens.ids), weights}}, std::move(tokens.unknown), tokens.cut};
  }
  ReadText prompt(std::string_view text) const override { return caption(text); }
  void fit(ReadText&, size_t) const override {} // always one

 private:
  const Vocabulary& vocabulary_;
  int length_;
};

class ClipReader : public TextReader {
 public:
  // Captions of more chunks are cut: each adds as many tokens to every attention.
  static constexpr size_t kMostChunks = 8;

  ClipReader(const fs::path& asset, int length) : tokenizer_(asset), chunks_(tokenizer_, {.length = length}), length_(length) {}

  int length() const override { return length_; }
  int vocabulary() const { return tokenizer_.size(); }
  ReadText caption(std::string_view text) const override { return limited({chunks_.of_caption(text), {}, false}); }
  ReadText prompt(std::string_view text) const override { return limited({chunks_.of_prompt(text), {}, false}); }
  void fit(ReadText& text, size_t chunks) const override { text.cut |= chunks_.fit(text.chunks, chunks); }

 private:
  ReadText limited(ReadText text) const {
    if (text.chunks.size() > kMostChunks) text.chunks.resize(kMostChunks), text.cut = true;
    return text;
  }

  ClipTokenizer tokenizer_;
  PromptChunks chunks_;
  int length_;
};

}  // namespace tiller
