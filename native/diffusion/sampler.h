// From noise to a picture: the model is asked what the picture is, and a sampler goes on to the next noise
// level with it, until there is no noise. What a walk gives is a function of x, the settings and the model.
//
// In x, at the same levels, `euler` is `ddim` and `euler-a` is `ddim` with η 1: each is the other's formula
// in other letters. They differ in the levels that their users expect (samplers/levels.h).
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "diffusion/samplers/ddim.h"
#include "diffusion/samplers/dpmpp_2m.h"
#include "diffusion/samplers/euler.h"
#include "diffusion/samplers/fresh_noise.h"
#include "diffusion/samplers/heun.h"
#include "diffusion/samplers/levels.h"
#include "diffusion/samplers/settings.h"
#include "diffusion/samplers/unipc.h"

namespace tiller {

// Writes what the model says about x at a timestep, which lies between whole ones in some walks.
using Denoiser = std::function<void(double timestep, const std::vector<float>& x, std::vector<float>& said)>;

// Is told, after each step of the walk, what the model took the picture for. Steps count from 1.
using Progress = std::function<void(int step, int steps, const std::vector<float>& x0)>;

// What must not change is put back in x, which is at this level (inpainting).
using Keep = std::function<void(const NoiseLevel&, std::vector<float>& x)>;

inline std::unique_ptr<Sampler> make_sampler(const SamplerSettings& settings) {
  check_sampler(settings);
  if (settings.name == "ddim") return std::make_unique<Ddim>(settings.noise(), settings.seeds);
  if (settings.name == "heun") return std::make_unique<Heun>();
  if (settings.name == "unipc") return std::make_unique<UniPc>();
  if (settings.multistep()) return std::make_unique<Dpmpp2m>();
  return std::make_unique<Euler>(settings.noise(), settings.seeds);
}

// The last steps of a walk, from levels[begin], where x is, to the picture.
inline void sample_from(const Schedule& schedule, const SamplerSettings& settings,
                        std::span<const NoiseLevel> levels, size_t begin, std::vector<float>& x,
                        const Denoiser& denoise, const Progress& progress = {}, const Keep& keep = {}) {
  const auto sampler = make_sampler(settings);
  const int steps = static_cast<int>(levels.size() - 1 - begin);
  std::vector<float> said(x.size()), x0(x.size());
  const std::function predict = [&](const NoiseLevel& at, const std::vector<float>& of,
                                    std::vector<float>& to) {
    denoise(at.timestep, of, said);
    schedule.picture(at, of.data(), said.data(), of.size(), to.data());
  };
  for (size_t i = begin; i + 1 < levels.size(); i++) {
    predict(levels[i], x, x0);
    if (levels[i + 1].sigma == 0) x = x0;
    else sampler->step({static_cast<int>(i), levels[i], levels[i + 1], x, x0, predict});
    if (keep) keep(levels[i + 1], x);
    if (progress) progress(static_cast<int>(i - begin) + 1, steps, x0);
  }
}

// x begins as N(0, 1) noise and becomes the latent of a picture.
inline void sample_latent(const Schedule& schedule, const SamplerSettings& settings, std::vector<float>& x,
                          const Denoiser& denoise, const Progress& progress = {}) {
  check_sampler(settings);
  const auto levels = sampling_levels(schedule, settings);
  sample_from(schedule, settings, levels, 0, x, denoise, progress);
}

}  // namespace tiller
