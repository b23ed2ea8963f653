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
    if (average_) network_.use(Buffer::average);
  }
  ~UseAverage() {
    if (average_) network_.use(Buffer::weight);
  }
  UseAverage(const UseAverage&) = delete;
  UseAverage& operator=(const UseAverage&) = delete;

 private:
  Network& network_;
  bool average_;
};

inline const char* weights_name(bool average) { return average ? "ema" : "raw"; }

// One measurement: a picture at a timestep, with a noise.
struct Measurement {
  const Item* item;
  size_t bin, repeat;
};

// All of them, pictures of one size together.
inline std::vector<std::vector<Measurement>> measurements(const Dataset& data, size_t bins, size_t repeats, size_t batch) {
  std::map<std::pair<int, int>, std::vector<Measurement>> by_size;
  for (const auto& item : data.validation)
    for (size_t repeat = 0; repeat < repeats; repeat++)
      for (size_t bin = 0; bin < bins; bin++)
        by_size[{item.bucket_width, item.bucket_height}].push_back({&item, bin, repeat});
  std::vector<std::vector<Measurement>> batches;
  for (const auto& [size, all] : by_size)
    for (size_t first = 0; first < all.size(); first += batch)
      batches.emplace_back(all.begin() + static_cast<std::ptrdiff_t>(first),
                           all.begin() + static_cast<std::ptrdiff_t>(std::min(first + batch, all.size())));
  return batches;
}

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
  const size_t bins = static_cast<size_t>(settings.bins), repeats = static_cast<size_t>(settings.repeats);
  const size_t total = data.validation.size() * bins * repeats;
  const auto timestep = [&](size_t bin) {
    return static_cast<int>((2 * bin + 1) * static_cast<size_t>(c.schedule.timesteps()) / (2 * bins));
  };
  std::vector<double> sums(bins);
  std::vector<float> picture, noise;
  for (const auto& batch : measurements(data, bins, repeats, static_cast<size_t>(c.recipe.train.batch))) {
    std::vector<ReadText> texts;
    for (const auto& one : batch) texts.push_back(heard(c, c.reader.caption(one.item->main_caption()), one.item->main_caption()));
    const TextInput text = text_input(c, std::move(texts), false);
    const Item& like = *batch[0].item;
    auto& pass = c.network.pass({Network::Use::measuring, static_cast<int>(batch.size()), like.bucket_height / c.space.stride(),
                                 like.bucket_width / c.space.stride(), text.chunks});
    fill_texts(pass, text);
    for (size_t i = 0; i < batch.size(); i++) {
      const Item& item = *batch[i].item;
      const Draw middle{item.name, 0, false, (item.width - item.bucket_width) / 2, (item.height - item.bucket_height) / 2, nullptr};
      c.space.encode(crop_of(data.pixels(item), item, middle, 3), item.bucket_width, item.bucket_height, nullptr, picture);
      noise.resize(picture.size());
      RandomStream(seed, Purpose::validation_noise, static_cast<uint32_t>(batch[i].repeat * bins + batch[i].bin), item.name)
          .fill_normal(noise.data(), noise.size());
      fill_noisy(c, pass, static_cast<int>(i), timestep(batch[i].bin), picture, noise);
      pass.loss->weights->data[i] = 1;
    }
    pass.forward();
    for (size_t i = 0; i < batch.size(); i++) sums[batch[i].bin] += pass.loss->losses[i];
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
