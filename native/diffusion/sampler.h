// From noise to a picture. Both samplers walk the model's own noise levels at evenly spread timesteps
// that begin with the last one ("trailing"; Lin et al. 2024, table 2), and end at σ = 0.
//   ddim      Song et al. 2021, eq. 12 with η = 0
//   dpm++2m   Lu et al. 2022 (DPM-Solver++), algorithm 2, in the midpoint form; the last step, whose
//             step in log-SNR is infinite, is of first order
#pragma once

#include <algorithm>
#include <cmath>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "diffusion/schedule.h"

namespace tiller {

// The timesteps of a walk of `steps` steps, largest first.
inline std::vector<int> sampling_timesteps(int timesteps, int steps) {
  std::vector<int> walk;
  for (int i = 0; i < steps; i++) {
    const double t = timesteps - static_cast<double>(i) * timesteps / steps;
    walk.push_back(std::max(0, static_cast<int>(std::nearbyint(t)) - 1));
  }
  return walk;
}

// Writes what the model says about x at timestep t.
using Denoiser = std::function<void(int t, const std::vector<float>& x, std::vector<float>& said)>;

// x begins as N(0, 1) noise and becomes the latent of a picture.
inline void sample_latent(const Schedule& schedule, const std::string& sampler, int steps,
                          std::vector<float>& x, const Denoiser& denoise) {
  const auto walk = sampling_timesteps(schedule.timesteps(), steps);
  const size_t count = x.size();
  std::vector<float> said(count), x0(count), x0_before(count);
  double step_before = 0;  // in λ = log(α/σ)
  for (size_t i = 0; i < walk.size(); i++) {
    const int t = walk[i], next = i + 1 < walk.size() ? walk[i + 1] : -1;
    denoise(t, x, said);
    schedule.picture(t, x.data(), said.data(), count, x0.data());
    const double a = schedule.alpha(t), s = schedule.sigma(t);
    const double a_next = schedule.alpha(next), s_next = schedule.sigma(next);
    if (next < 0) {
      x = x0;
    } else if (sampler == "ddim") {
      // x' = α' x0 + σ' ε,   ε = (x - α x0) / σ
      const auto of_x = static_cast<float>(s_next / s), of_x0 = static_cast<float>(a_next - a * s_next / s);
      for (size_t j = 0; j < count; j++) x[j] = of_x * x[j] + of_x0 * x0[j];
    } else {
      // x' = σ'/σ x - α' (e^-h - 1) D,   D = x0 + (x0 - x0_before) h / (2 h_before)
      const double h = std::log(a_next / s_next) - std::log(a / s);
      const auto of_x = static_cast<float>(s_next / s), of_d = static_cast<float>(-a_next * std::expm1(-h));
      const auto slope = static_cast<float>(i > 0 ? h / (2 * step_before) : 0);
      for (size_t j = 0; j < count; j++) x[j] = of_x * x[j] + of_d * (x0[j] + slope * (x0[j] - x0_before[j]));
      step_before = h;
    }
    std::swap(x0, x0_before);
  }
}

}  // namespace tiller
