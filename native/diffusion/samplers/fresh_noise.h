// Noise that a walk draws. Each picture has its own, whatever is made beside it: x is [pictures, ...].
#pragma once

#include <cstdint>
#include <vector>

#include "compute/rng.h"

namespace tiller {

// The noise that the pictures of some seeds begin with, `count` numbers in all.
inline std::vector<float> starting_noise(const std::vector<uint64_t>& seeds, size_t count) {
  std::vector<float> noise(count);
  const size_t each = count / seeds.size();
  for (size_t i = 0; i < seeds.size(); i++)
    RandomStream(seeds[i], Purpose::sample_noise).fill_normal(noise.data() + i * each, each);
  return noise;
}

// Adds a step's fresh noise.
inline void add_fresh_noise(std::vector<float>& x, const std::vector<uint64_t>& seeds, int step, float deviation) {
  const size_t each = x.size() / seeds.size();
  for (size_t i = 0; i < seeds.size(); i++) {
    RandomStream noise(seeds[i], Purpose::sampler_step, static_cast<uint32_t>(step));
    for (size_t j = 0; j < each; j++) x[i * each + j] += deviation * noise.normal();
  }
}

}  // namespace tiller
