// Which picture comes when, and everything that is drawn for it: pure functions of the seed, the pass
// over the data set, and the item. So the state of a run at a step is the step.
//
// A run is one endless row of passes, each a permutation of all pictures: position p of the row is
// item `order(p / n)[p % n]`. Steps take batch · accumulation positions each; epochs don't begin new
// passes. So every picture comes exactly once a pass, whatever the batch is.
#pragma once

#include <vector>

#include "compute/rng.h"
#include "diffusion/dataset.h"

namespace tiller {

class ItemOrder {
 public:
  ItemOrder(uint64_t seed, size_t items) : seed_(seed), items_(items) {}

  struct Place {
    uint32_t pass;
    size_t item;
  };
  Place at(uint64_t position) {
    const auto pass = static_cast<uint32_t>(position / items_);
    if (order_.empty() || pass != pass_) {
      order_ = RandomStream(seed_, Purpose::order, pass).permutation(static_cast<int>(items_));
      pass_ = pass;
    }
    return {pass, static_cast<size_t>(order_[position % items_])};
  }

 private:
  uint64_t seed_;
  size_t items_;
  uint32_t pass_ = 0;
  std::vector<int> order_;
};

// What an item is trained with in one pass.
struct Draw {
  int timestep;
  bool flip;
  const std::string* caption;  // null: without a caption, which guidance needs
};

struct DrawSettings {
  uint64_t seed;
  int timesteps;
  double caption_dropout;
  bool flip;
};

inline Draw draw(const DrawSettings& settings, uint32_t pass, const Item& item) {
  const auto stream = [&](Purpose purpose) { return RandomStream(settings.seed, purpose, pass, item.name); };
  Draw result{};
  result.timestep =
      static_cast<int>(stream(Purpose::timestep).below(static_cast<uint32_t>(settings.timesteps)));
  result.flip = settings.flip && (stream(Purpose::augmentation).bits() & 1);
  if (static_cast<double>(stream(Purpose::caption_dropout).uniform()) < settings.caption_dropout)
    return result;
  double total = 0;
  for (const auto& caption : item.captions) total += caption.weight;
  double left = static_cast<double>(stream(Purpose::caption_choice).uniform()) * total;
  for (const auto& caption : item.captions) {
    if (caption.weight <= 0 && total > 0) continue;
    result.caption = &caption.text;
    left -= caption.weight;
    if (left < 0) break;
  }
  return result;
}

inline void draw_noise(uint64_t seed, uint32_t pass, const Item& item, float* noise, size_t count) {
  RandomStream(seed, Purpose::noise, pass, item.name).fill_normal(noise, count);
}

// Noise offset (N. Guttenberg, "Diffusion with Offset Noise", 2023): the noise of a latent [.., channels]
// is moved by `offset` times one more normal number a channel, so that a model learns to move whole
// channels, which make a picture bright or dark.
inline void offset_noise(uint64_t seed, uint32_t pass, const Item& item, double offset, float* noise,
                         size_t count, size_t channels) {
  if (offset == 0) return;
  RandomStream random(seed, Purpose::noise_offset, pass, item.name);
  for (size_t k = 0; k < channels; k++) {
    const float move = static_cast<float>(offset) * random.normal();
    for (size_t i = k; i < count; i += channels) noise[i] += move;
  }
}

}  // namespace tiller
