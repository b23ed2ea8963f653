// Picture to picture (C. Meng et al., "SDEdit: Guided Image Synthesis and Editing with Stochastic
// Differential Equations", ICLR 2022): noise is put over a picture, up to a level in the middle of a walk,
// and the rest of the walk takes it off again.
//
// Of n steps the last ⌊strength n⌋ are made, as in diffusers. Strength 0 gives the picture itself; strength
// 1 leaves nothing of it, and is what the same seed gives from noise alone.
#pragma once

#include <cmath>
#include <stdexcept>
#include <string>
#include <vector>

#include "diffusion/sampler.h"

namespace tiller {

inline size_t steps_of_strength(size_t steps, double strength) {
  if (!(strength >= 0 && strength <= 1)) throw std::invalid_argument("strength must be from 0 to 1");
  // 0.29 · 100 is a little less than 29 in floating point.
  return static_cast<size_t>(std::floor(strength * static_cast<double>(steps) + 1e-9));
}

// A latent at a level of noise.
inline void add_noise(const NoiseLevel& at, const std::vector<float>& x0, const std::vector<float>& noise,
                      std::vector<float>& x) {
  const auto a = static_cast<float>(at.alpha), s = static_cast<float>(at.sigma);
  for (size_t i = 0; i < x.size(); i++) x[i] = a * x0[i] + s * noise[i];
}

// What becomes of a latent. The noise is starting_noise(settings.seeds).
inline std::vector<float> sample_from_picture(const Schedule& schedule, const SamplerSettings& settings,
                                              const std::vector<float>& original, double strength,
                                              const Denoiser& denoise, const Progress& progress = {},
                                              const Keep& keep = {}) {
  check_sampler(settings);
  const auto levels = sampling_levels(schedule, settings);
  const size_t all = levels.size() - 1, steps = steps_of_strength(all, strength);
  if (steps == 0) return original;
  auto x = starting_noise(settings.seeds, original.size());
  if (steps < all) add_noise(levels[all - steps], original, std::vector<float>(x), x);
  if (keep) keep(levels[all - steps], x);
  sample_from(schedule, settings, levels, all - steps, x, denoise, progress, keep);
  return x;
}

}  // namespace tiller
