// Everything that is drawn for a picture: pure functions of the seed, the pass over the data set, and the
// picture's name (and its number, where it comes several times a pass).
#pragma once

#include <vector>

#include "compute/rng.h"
#include "diffusion/dataset.h"

namespace tiller {

// What an item is trained with in one pass.
struct Draw {
  uint64_t name;               // of the appearance, in seeds
  int timestep;
  bool flip;
  int x, y;                    // the crop's first pixel in the stored picture
  const std::string* caption;  // null: without a caption, which guidance needs
};

struct DrawSettings {
  uint64_t seed;
  int timesteps;
  double caption_dropout;
  bool flip, random_crop;
};

// An item's own name, or one for each further time that it comes in a pass.
inline uint64_t name_of(const Item& item, uint32_t repeat) {
  return repeat == 0 ? item.name : hash_name(item.key + " " + std::to_string(repeat));
}

inline Draw draw(const DrawSettings& settings, uint32_t pass, const Item& item, uint32_t repeat = 0) {
  Draw result{};
  result.name = name_of(item, repeat);
  const auto stream = [&](Purpose purpose) { return RandomStream(settings.seed, purpose, pass, result.name); };
  const int spare_x = item.width - item.bucket_width, spare_y = item.height - item.bucket_height;
  result.x = spare_x / 2, result.y = spare_y / 2;
  if (settings.random_crop) {
    RandomStream crop = stream(Purpose::crop);
    result.x = static_cast<int>(crop.below(static_cast<uint32_t>(spare_x) + 1));
    result.y = static_cast<int>(crop.below(static_cast<uint32_t>(spare_y) + 1));
  }
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

inline void draw_noise(uint64_t seed, uint32_t pass, uint64_t name, float* noise, size_t count) {
  RandomStream(seed, Purpose::noise, pass, name).fill_normal(noise, count);
}

// Noise offset (N. Guttenberg, "Diffusion with Offset Noise", 2023): the noise of a latent [.., channels]
// is moved by `offset` times one more normal number a channel, so that a model learns to move whole
// channels, which make a picture bright or dark.
inline void offset_noise(uint64_t seed, uint32_t pass, uint64_t name, double offset, float* noise, size_t count,
                         size_t channels) {
  if (offset == 0) return;
  RandomStream random(seed, Purpose::noise_offset, pass, name);
  for (size_t k = 0; k < channels; k++) {
    const float move = static_cast<float>(offset) * random.normal();
    for (size_t i = k; i < count; i += channels) noise[i] += move;
  }
}

}  // namespace tiller
