// What a pass is filled with, in training, validation and sampling alike: pictures, noise and words as
// numbers.
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "diffusion/dataset.h"
#include "diffusion/network.h"
#include "diffusion/state.h"
#include "training/conversation.h"

namespace tiller {

// What is known of a job while it works.
struct Context {
  const Recipe& recipe;
  Network& network;
  const LatentCodec& codec;
  const Schedule& schedule;
  const State& state;
  fs::path samples_folder;
  int epoch;
  Conversation& conversation;
  std::set<std::string>& warned;  // what was said once already
};

// A picture as a normalized latent.
inline void fill_picture(const Context& c, const Dataset& data, const Item& item, bool flip,
                         std::vector<float>& latent) {
  const auto width = static_cast<size_t>(item.width), stride = static_cast<size_t>(c.codec.stride());
  const uint8_t* pixels = data.pixels(item);
  std::vector<uint8_t> mirrored;
  if (flip) {
    mirrored.resize(item.pixel_count() * 3);
    for (size_t p = 0; p < mirrored.size() / 3; p++) {
      const size_t row = p / width * width, x = p % width;
      for (size_t k = 0; k < 3; k++) mirrored[3 * p + k] = pixels[3 * (row + width - 1 - x) + k];
    }
    pixels = mirrored.data();
  }
  latent.resize(item.pixel_count() / (stride * stride) * static_cast<size_t>(c.codec.channels()));
  c.codec.encode(pixels, item.width, item.height, latent.data());
  c.state.latent.normalize(latent);
}

inline void fill_noisy(const Context& c, Network::Pass& pass, int i, int timestep,
                       const std::vector<float>& x0, const std::vector<float>& noise) {
  const size_t at = static_cast<size_t>(i) * x0.size();
  c.schedule.noisy(timestep, x0.data(), noise.data(), x0.size(), pass.latent->data + at,
                   pass.loss->target->data + at);
  pass.timesteps->data[i] = static_cast<float>(timestep);
}

inline void fill_tokens(const Context& c, Network::Pass& pass, int i, std::string_view text) {
  const int length = c.network.tokens();
  const auto tokens = c.state.vocabulary.tokens(text, length);
  for (int t = 0; t < length; t++)
    pass.ids->data[i * length + t] = static_cast<float>(tokens.ids[static_cast<size_t>(t)]);
  const auto once = [&](const std::string& key) { return c.warned.insert(key).second; };
  std::string unknown;
  for (const auto& word : tokens.unknown)
    if (once("word " + word)) unknown += (unknown.empty() ? "" : ", ") + word;
  if (!unknown.empty())
    c.conversation.warn("WORD_UNKNOWN", "no caption of the training set has the word: " + unknown,
                        "These words are dropped.");
  if (tokens.cut && once("cut " + std::string(text)))
    c.conversation.warn(
        "TEXT_CUT",
        "longer than " + std::to_string(length - 2) + " words, and cut: " + std::string(text.substr(0, 200)),
        "Raise model.text.tokens.");
}

}  // namespace tiller
