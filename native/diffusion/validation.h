// Validation: held-out pictures with fixed noise at fixed timesteps. It and samples can use the running
// average of the weights: the layers are pointed at it and back, and the weights that are trained are
// never touched.
#pragma once

#include <vector>

#include "diffusion/inputs.h"

namespace tiller {

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

// The mean squared error of what the model says, unweighted, at the middle of each of `bins` equal
// parts of the timesteps. Noise is f(seed, item, bin, repeat): the same at every epoch.
// Returns false if go_on() ended it.
template <class GoOn>
bool validate(const Context& c, const Dataset& data, uint64_t seed, const GoOn& go_on) {
  const auto& settings = c.recipe.validation;
  if (data.validation.empty()) {
    c.conversation.warn("VALIDATION_EMPTY", "no picture is held out, so nothing is validated",
                        "Raise data.validation_share.");
    return true;
  }
  const UseAverage use(c.network, settings.average);
  const int batch = c.recipe.train.batch;
  auto& pass = c.network.pass(Network::Use::measuring, batch, c.state.height / c.codec.stride(),
                              c.state.width / c.codec.stride());
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
