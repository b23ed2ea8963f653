// What a pass is filled with, in training, validation and sampling alike: pictures, noise and texts as numbers.
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "diffusion/dataset.h"
#include "diffusion/draws.h"
#include "diffusion/network.h"
#include "diffusion/state.h"
#include "training/conversation.h"

namespace tiller {

// What is known of a job while it works.
struct Context {
  const Recipe& recipe;
  const Foundation& foundation;
  Network& network;
  LatentSpace& space;
  const TextReader& reader;
  const Schedule& schedule;
  const State& state;
  fs::path samples_folder;
  int epoch;
  Conversation& conversation;
  std::set<std::string>& warned;  // what was said once already
};

// A part of a stored picture (or of its mask), mirrored or not: [height, width, channels].
inline std::vector<uint8_t> crop_of(const uint8_t* pixels, const Item& item, const Draw& drawn, int channels) {
  const auto c = static_cast<size_t>(channels), width = static_cast<size_t>(item.bucket_width);
  std::vector<uint8_t> part(width * static_cast<size_t>(item.bucket_height) * c);
  for (int y = 0; y < item.bucket_height; y++) {
    const size_t first = static_cast<size_t>(drawn.y + y) * static_cast<size_t>(item.width) + static_cast<size_t>(drawn.x);
    uint8_t* to = part.data() + static_cast<size_t>(y) * width * c;
    for (size_t x = 0; x < width; x++)
      std::memcpy(to + x * c, pixels + (first + (drawn.flip ? width - 1 - x : x)) * c, c);
  }
  return part;
}

// How much of each place of a latent is trained: the mean of its pixels, 0 … 1.
inline void fill_mask(const Dataset& data, const Item& item, const Draw& drawn, int stride, float* to) {
  const int columns = item.bucket_width / stride, rows = item.bucket_height / stride;
  const uint8_t* mask = data.mask(item);
  if (mask == nullptr) return std::fill(to, to + static_cast<size_t>(rows) * static_cast<size_t>(columns), 1.f);
  const auto pixels = crop_of(mask, item, drawn, 1);
  for (int row = 0; row < rows; row++)
    for (int column = 0; column < columns; column++) {
      int sum = 0;
      for (int y = 0; y < stride; y++)
        for (int x = 0; x < stride; x++)
          sum += pixels[static_cast<size_t>(row * stride + y) * static_cast<size_t>(item.bucket_width) +
                        static_cast<size_t>(column * stride + x)];
      *to++ = static_cast<float>(sum) / (255.f * static_cast<float>(stride * stride));
    }
}

inline void fill_noisy(const Context& c, Network::Pass& pass, int i, int timestep, const std::vector<float>& x0,
                       const std::vector<float>& noise) {
  const size_t at = static_cast<size_t>(i) * x0.size();
  c.schedule.noisy(timestep, x0.data(), noise.data(), x0.size(), pass.latent->data + at, pass.loss->target->data + at);
  pass.timesteps->data[i] = static_cast<float>(timestep);
}

// Says once what was dropped of a text.
inline ReadText heard(const Context& c, ReadText text, std::string_view written) {
  const auto once = [&](const std::string& key) { return c.warned.insert(key).second; };
  std::string unknown;
  for (const auto& word : text.unknown)
    if (once("word " + word)) unknown += (unknown.empty() ? "" : ", ") + word;
  if (!unknown.empty())
    c.conversation.warn("WORD_UNKNOWN", "no caption of the training set has the word: " + unknown,
                        "These words are dropped.");
  if (text.cut && once("cut " + std::string(written))) {
    const std::string limit = c.foundation.files ? "than " + std::to_string(ClipReader::kMostChunks) + " chunks of " +
                                                       std::to_string(c.reader.length() - 2) + " tokens"
                                                 : "than " + std::to_string(c.reader.length() - 2) + " words";
    c.conversation.warn("TEXT_CUT", "longer " + limit + ", and cut: " + std::string(written.substr(0, 200)),
                        c.foundation.files ? "Shorten it." : "Raise model.text.tokens.");
  }
  return text;
}

// As many chunks for each of the texts; returns how many.
inline int make_even(const Context& c, std::vector<ReadText>& texts) {
  size_t chunks = 1;
  for (const auto& text : texts) chunks = std::max(chunks, text.chunks.size());
  for (auto& text : texts) c.reader.fit(text, chunks);
  return static_cast<int>(chunks);
}

// Texts for a pass of as many pictures: token ids where the encoder is trained, else what it makes of them,
// which must be asked for before the pass is (Network::pass).
struct TextInput {
  std::vector<ReadText> texts;
  int chunks = 1;
  std::vector<float> context;
};
inline TextInput text_input(const Context& c, std::vector<ReadText> texts, bool as_ids) {
  TextInput input{std::move(texts), 1, {}};
  input.chunks = make_even(c, input.texts);
  if (as_ids) return input;
  for (const auto& text : input.texts) {
    const auto& numbers = c.network.context(text.chunks);
    input.context.insert(input.context.end(), numbers.begin(), numbers.end());
  }
  return input;
}
inline void fill_texts(Network::Pass& pass, const TextInput& input) {
  if (pass.context != nullptr) {
    std::copy(input.context.begin(), input.context.end(), pass.context->data);
    return;
  }
  float* to = pass.ids->data;
  for (const auto& text : input.texts)
    for (const auto& chunk : text.chunks)
      for (const int id : chunk.ids) *to++ = static_cast<float>(id);
}

}  // namespace tiller
