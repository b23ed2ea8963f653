// Numbers into a pass and out of it, and validation: held-out pictures with fixed noise at fixed timesteps.
// Validation and samples can use the running average of the weights: the layers are pointed at it and
// back, and the weights that are trained are never touched.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "diffusion/dataset.h"
#include "diffusion/network.h"
#include "diffusion/state.h"
#include "training/conversation.h"

namespace tiller {

struct EvaluationContext {
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

// ---- filling a pass ----------------------------------------------------------------------------

// A picture as a normalized latent.
inline void fill_picture(const EvaluationContext& c, const Dataset& data, const Item& item, bool flip,
                         std::vector<float>& latent) {
  const auto width = static_cast<size_t>(data.width), stride = static_cast<size_t>(c.codec.stride());
  const uint8_t* pixels = data.pixels(item);
  std::vector<uint8_t> mirrored;
  if (flip) {
    mirrored.resize(data.picture_bytes());
    for (size_t p = 0; p < mirrored.size() / 3; p++) {
      const size_t row = p / width * width, x = p % width;
      for (size_t k = 0; k < 3; k++) mirrored[3 * p + k] = pixels[3 * (row + width - 1 - x) + k];
    }
    pixels = mirrored.data();
  }
  latent.resize(data.picture_bytes() / 3 / (stride * stride) * static_cast<size_t>(c.codec.channels()));
  c.codec.encode(pixels, data.width, data.height, latent.data());
  c.state.latent.normalize(latent);
}

inline void fill_noisy(const EvaluationContext& c, Network::Pass& pass, int i, int timestep,
                       const std::vector<float>& x0, const std::vector<float>& noise) {
  const size_t at = static_cast<size_t>(i) * x0.size();
  c.schedule.noisy(timestep, x0.data(), noise.data(), x0.size(), pass.latent->data + at,
                   pass.loss->target->data + at);
  pass.timesteps->data[i] = static_cast<float>(timestep);
}

inline void fill_tokens(const EvaluationContext& c, Network::Pass& pass, int i, std::string_view text) {
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

// While it lives, the layers compute with the averages.
class UseAverage {
 public:
  UseAverage(Network& network, bool average) : network_(network), average_(average) {
    if (average_) network_.parameters.use(Buffer::average);
  }
  ~UseAverage() {
    if (average_) network_.parameters.use(Buffer::weight);
  }
  UseAverage(const UseAverage&) = delete;
  UseAverage& operator=(const UseAverage&) = delete;

 private:
  Network& network_;
  bool average_;
};

inline const char* weights_name(bool average) { return average ? "ema" : "raw"; }

// ---- validation --------------------------------------------------------------------------------

// The mean squared error of what the model says, unweighted, at the middle of each of `bins` equal
// parts of the timesteps. Noise is f(seed, item, bin, repeat): the same at every epoch.
// Returns false if go_on() ended it.
template <class GoOn>
bool validate(const EvaluationContext& c, const Dataset& data, uint64_t seed, const GoOn& go_on) {
  const auto& settings = c.recipe.validation;
  if (data.validation.empty()) {
    c.conversation.warn("VALIDATION_EMPTY", "no picture is held out, so nothing is validated",
                        "Raise data.validation_share.");
    return true;
  }
  const UseAverage use(c.network, settings.average);
  const int batch = c.recipe.train.batch;
  auto& pass = c.network.pass(Network::Use::measuring, batch, data.height / c.codec.stride(),
                              data.width / c.codec.stride());
  const size_t bins = static_cast<size_t>(settings.bins), repeats = static_cast<size_t>(settings.repeats);
  const size_t total = data.validation.size() * bins * repeats;
  const auto timestep = [&](size_t bin) {
    return static_cast<int>((2 * bin + 1) * static_cast<size_t>(c.schedule.timesteps()) / (2 * bins));
  };
  std::vector<double> sums(bins);
  std::vector<float> picture, noise;
  for (size_t first = 0; first < total; first += static_cast<size_t>(batch)) {
    for (int i = 0; i < batch; i++) {
      const size_t number =
          std::min(first + static_cast<size_t>(i), total - 1);  // the last batch is filled up
      const size_t bin = number % bins, repeat = number / bins % repeats;
      const Item& item = data.validation[number / bins / repeats];
      fill_picture(c, data, item, false, picture);
      noise.resize(picture.size());
      RandomStream(seed, Purpose::validation_noise, static_cast<uint32_t>(repeat * bins + bin), item.name)
          .fill_normal(noise.data(), noise.size());
      fill_noisy(c, pass, i, timestep(bin), picture, noise);
      pass.loss->weights->data[i] = 1;
      fill_tokens(c, pass, i, item.main_caption());
    }
    pass.forward();
    for (size_t i = 0; i < static_cast<size_t>(batch) && first + i < total; i++)
      sums[(first + i) % bins] += pass.loss->losses[i];
    if (!go_on()) return false;
  }
  Json by_bin = Json::array();
  double sum = 0;
  for (size_t bin = 0; bin < bins; bin++) {
    sum += sums[bin];
    by_bin.push_back(
        {{"timestep", timestep(bin)}, {"loss", number(sums[bin] / static_cast<double>(total / bins))}});
  }
  c.conversation.say("validation", {{"step", c.state.step},
                                    {"epoch", c.epoch},
                                    {"loss", number(sum / static_cast<double>(total))},
                                    {"bins", by_bin},
                                    {"items", data.validation.size()},
                                    {"weights", weights_name(settings.average)}});
  return true;
}

}  // namespace tiller
