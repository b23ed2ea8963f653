// Texts of any length in chunks of what CLIP reads at once, 77 tokens for Stable Diffusion 1.x:
//   start, 75 tokens, end      a shorter chunk is filled up with the end token, as that model's was
// The encoder runs on each chunk by itself; the U-Net attends to all of them. As in AUTOMATIC1111's
// web UI: where a chunk is full, what follows its last comma goes to the next chunk, if that comma is
// among the last 20 tokens ("comma padding"), so that a phrase isn't torn.
#pragma once

#include <stdexcept>
#include <string_view>
#include <vector>

#include "text/clip_tokenizer.h"
#include "text/prompt_weights.h"

namespace tiller {

struct PromptChunk {
  std::vector<int> ids;
  std::vector<float> weights;  // of the encoder's rows (layers/emphasis.h); 1 where nothing is said
  bool operator==(const PromptChunk&) const = default;
};

struct ChunkSettings {
  int length = 77;       // of a chunk, with start and end
  int comma_reach = 20;  // 0: chunks are always filled
};

class PromptChunks {
 public:
  explicit PromptChunks(const ClipTokenizer& tokenizer, ChunkSettings settings = {})
      : tokenizer_(tokenizer), settings_(settings) {
    if (settings.length < 3) throw std::invalid_argument("a chunk of less than 3 tokens holds no text");
  }

  // A prompt for sampling: with weights and BREAK. At least one chunk.
  std::vector<PromptChunk> of_prompt(std::string_view text) const {
    std::vector<PromptChunk> chunks;
    const auto sections = PromptWeights::of(text);
    for (size_t i = 0; i < sections.size(); i++) {
      Builder builder{*this, chunks};
      for (const auto& part : sections[i])
        for (const int id : tokenizer_.encode(part.text)) builder.add(id, static_cast<float>(part.weight));
      const bool last = i + 1 == sections.size();
      if (builder.tokens > 0 || !last || chunks.empty()) builder.finish();
    }
    return chunks;
  }
  // A caption for training: brackets are brackets. At least one chunk.
  std::vector<PromptChunk> of_caption(std::string_view text) const {
    std::vector<PromptChunk> chunks;
    Builder builder{*this, chunks};
    for (const int id : tokenizer_.encode(text)) builder.add(id, 1);
    if (builder.tokens > 0 || chunks.empty()) builder.finish();
    return chunks;
  }

  PromptChunk empty() const {
    std::vector<PromptChunk> chunks;
    Builder{*this, chunks}.finish();
    return chunks[0];
  }
  // Empty chunks are added, or the last ones cut off: whether tokens were lost.
  bool fit(std::vector<PromptChunk>& chunks, size_t count) const {
    const bool cut = chunks.size() > count;
    chunks.resize(count, empty());
    return cut;
  }
  // A prompt and its negative, which guidance reads side by side.
  void match(std::vector<PromptChunk>& a, std::vector<PromptChunk>& b) const {
    const size_t count = std::max(a.size(), b.size());
    fit(a, count);
    fit(b, count);
  }

 private:
  // One chunk after another; finish() closes the one that is being filled.
  struct Builder {
    const PromptChunks& owner;
    std::vector<PromptChunk>& chunks;
    PromptChunk open{{owner.tokenizer_.start()}, {1}};
    int tokens = 0, comma = -1;  // how many are in it, and which of them was the last comma

    int room() const { return owner.settings_.length - 2; }
    void add(int id, float weight) {
      const bool is_comma = id == owner.tokenizer_.comma();
      if (tokens == room()) {
        const bool near = comma >= 0 && tokens - comma <= owner.settings_.comma_reach;
        const int stay = near && !is_comma ? comma + 1 : tokens;
        const std::vector<int> ids(open.ids.begin() + 1 + stay, open.ids.end());
        const std::vector<float> weights(open.weights.begin() + 1 + stay, open.weights.end());
        open.ids.resize(static_cast<size_t>(1 + stay));
        open.weights.resize(static_cast<size_t>(1 + stay));
        finish();
        for (size_t i = 0; i < ids.size(); i++) append(ids[i], weights[i]);
      }
      if (is_comma) comma = tokens;
      append(id, weight);
    }
    void append(int id, float weight) {
      open.ids.push_back(id);
      open.weights.push_back(weight);
      tokens++;
    }
    void finish() {
      open.ids.resize(static_cast<size_t>(owner.settings_.length), owner.tokenizer_.end());
      open.weights.resize(static_cast<size_t>(owner.settings_.length), 1);
      chunks.push_back(std::move(open));
      open = {{owner.tokenizer_.start()}, {1}};
      tokens = 0, comma = -1;
    }
  };

  const ClipTokenizer& tokenizer_;
  ChunkSettings settings_;
};

}  // namespace tiller
