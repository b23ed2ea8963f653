// Inpainting: a part of a picture is made anew, the rest stays.
//
// Any model can do it by blending latents (O. Avrahami, O. Fried, D. Lischinski, "Blended Latent
// Diffusion", SIGGRAPH 2023, algorithm 1): after every step x is
// (1) x = m x + (1 - m) (α x_0 + σ ε)
// with the picture x_0 under the noise of that level, so that in the end what the mask leaves out is x_0.
//
// Models made for it (Rombach et al. 2022, section 4.5; sd-v1-5-inpainting) are shown the mask and the
// rest of the picture with x, and need no blending. Their input [H, W, 2 C + 1] is
// (2) x (C), the mask (1), the latent of the picture with the masked part grey (C)
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <vector>

#include "diffusion/mask.h"
#include "diffusion/picture_to_picture.h"

namespace tiller {

struct LatentSize {
  int width = 0, height = 0, channels = 0;  // [height, width, channels]
  size_t places() const { return static_cast<size_t>(width) * static_cast<size_t>(height); }
  size_t count() const { return places() * static_cast<size_t>(channels); }
};

// (1), where a mask of 0 puts back exactly the other and one of 1 changes nothing.
inline void blend(const Mask& mask, int channels, const std::vector<float>& outside, std::vector<float>& x) {
  const auto c = static_cast<size_t>(channels);
  for (size_t i = 0; i < x.size(); i++) {
    const float m = mask.values[i / c];
    if (m < 1) x[i] = m > 0 ? m * x[i] + (1 - m) * outside[i] : outside[i];
  }
}

inline void check_latent(const LatentSize& size, const std::vector<float>& latent) {
  if (latent.size() != size.count())
    throw std::invalid_argument("a latent of " + std::to_string(latent.size()) + " values is not " +
                                size_text(size.width, size.height) + " with " +
                                std::to_string(size.channels) + " channels");
}

// What becomes of a latent under the mask [H, W] of the same size. Progress sees the picture whole.
inline std::vector<float> inpaint_latent(const Schedule& schedule, const SamplerSettings& settings,
                                         const LatentSize& size, const std::vector<float>& original,
                                         const Mask& mask, double strength, const Denoiser& denoise,
                                         const Progress& progress = {}) {
  check_latent(size, original);
  check_mask(mask, size.width, size.height, "the latent");
  const auto noise = starting_noise(settings.seeds, original.size());
  std::vector<float> outside(original.size()), seen;
  const Keep keep = [&](const NoiseLevel& at, std::vector<float>& x) {
    if (at.sigma > 0) add_noise(at, original, noise, outside);
    blend(mask, size.channels, at.sigma > 0 ? outside : original, x);
  };
  const Progress whole = [&](int step, int steps, const std::vector<float>& x0) {
    seen = x0;
    blend(mask, size.channels, original, seen);
    progress(step, steps, seen);
  };
  return sample_from_picture(schedule, settings, original, strength, denoise, progress ? whole : Progress{},
                             keep);
}

// The pixels [H, W, 3] that an inpainting model must not see, grey: 0 in -1 to 1, 128 of 8 bits. Half a
// mask is a whole one: these models have seen no others.
template <class Value>
void hide_masked(const Mask& mask, int width, int height, std::vector<Value>& rgb) {
  check_mask(mask, width, height, "the picture");
  if (rgb.size() != mask.values.size() * 3)
    throw std::invalid_argument("the picture is not " + size_text(width, height));
  for (size_t i = 0; i < rgb.size(); i++)
    if (mask.values[i / 3] >= 0.5f) rgb[i] = std::is_floating_point_v<Value> ? Value{0} : Value{128};
}

// (2)
inline std::vector<float> inpainting_input(const LatentSize& size, const std::vector<float>& x,
                                           const Mask& mask, const std::vector<float>& masked) {
  check_latent(size, x);
  check_latent(size, masked);
  check_mask(mask, size.width, size.height, "the latent");
  const auto channels = static_cast<std::ptrdiff_t>(size.channels);
  std::vector<float> input;
  input.reserve(size.places() * static_cast<size_t>(2 * channels + 1));
  for (size_t place = 0; place < size.places(); place++) {
    const auto at = static_cast<std::ptrdiff_t>(place) * channels;
    input.insert(input.end(), x.begin() + at, x.begin() + at + channels);
    input.push_back(mask.values[place] >= 0.5f ? 1.f : 0.f);
    input.insert(input.end(), masked.begin() + at, masked.begin() + at + channels);
  }
  return input;
}

// Such a model as one that is shown x alone: `model` is given [H, W, 2 C + 1] and writes [H, W, C].
inline Denoiser inpainting_denoiser(LatentSize size, Mask mask, std::vector<float> masked, Denoiser model) {
  return [=](double timestep, const std::vector<float>& x, std::vector<float>& said) {
    model(timestep, inpainting_input(size, x, mask, masked), said);
  };
}

}  // namespace tiller
