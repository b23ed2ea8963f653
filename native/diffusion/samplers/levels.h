// The noise levels that a sampler walks over, from noise to the picture itself (σ 0).
//
// With T timesteps and n steps, the i-th from the noise (Lin et al. 2024, table 2; what users of
// diffusers find under the same names):
//   trailing   every sampler                round(T - i T/n) - 1
//   leading    ddim, euler, euler-a, heun   (n-1-i) ⌊T/n⌋ + 1       the 1 is SD 1.x's steps_offset
//              dpm++2m, unipc               (n-i) ⌊T/(n+1)⌋ + 1
//   linspace   ddim                         round((n-1-i) (T-1)/(n-1))
//              euler, euler-a, heun         the same, not rounded
//              dpm++2m, unipc               round((n-i) (T-1)/n)
// Trailing is the default because it alone begins at the last timestep, where x is noise, and leaves out
// the first, where there is nothing to do: it is the best of the three at few steps, and the only one
// that zero terminal SNR works with. A1111 and diffusers have `leading` for ddim and `linspace` for the
// others when nothing is said: usual_spacing() is for who wants their pictures. They end ddim at the
// first timestep's noise (SD 1.x's set_alpha_to_one: false); here every walk ends at none.
//
// A schedule has no more levels than timesteps: a walk of more steps than it can have is shorter.
#pragma once

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "diffusion/samplers/settings.h"
#include "diffusion/schedule.h"

namespace tiller {

inline Spacing usual_spacing(const std::string& sampler) {
  return sampler == "ddim" ? Spacing::leading : Spacing::linspace;
}

// σ/α at timesteps between the schedule's own: log(σ/α) is linear between neighbours, as in k-diffusion.
class RatioTable {
 public:
  explicit RatioTable(const Schedule& schedule) {
    // At zero terminal SNR the last σ/α is infinite; α² is 2^-24 there, as diffusers has it.
    for (int t = 0; t < schedule.timesteps(); t++)
      logs_.push_back(std::log(schedule.sigma(t) / std::max(schedule.alpha(t), 0x1p-12)));
  }

  double smallest() const { return std::exp(logs_.front()); }
  double largest() const { return std::exp(logs_.back()); }

  NoiseLevel at_timestep(double t) const {
    const auto low = static_cast<size_t>(std::clamp(t, 0.0, static_cast<double>(logs_.size() - 1)));
    const size_t high = std::min(low + 1, logs_.size() - 1);
    const double share = t - static_cast<double>(low);
    return level(t, std::exp((1 - share) * logs_[low] + share * logs_[high]));
  }

  NoiseLevel at_ratio(double ratio) const {
    const double log = std::log(ratio);
    const auto above = std::upper_bound(logs_.begin(), logs_.end(), log);
    if (above == logs_.begin()) return level(0, ratio);
    const auto low = static_cast<size_t>(above - logs_.begin()) - 1;
    if (above == logs_.end()) return level(static_cast<double>(low), ratio);
    return level(static_cast<double>(low) + (log - logs_[low]) / (*above - logs_[low]), ratio);
  }

 private:
  static NoiseLevel level(double t, double ratio) {
    const double alpha = 1 / std::sqrt(1 + ratio * ratio);
    return {t, alpha, ratio * alpha};
  }

  std::vector<double> logs_;
};

namespace detail {

// Karras et al. 2022, eq. 5 with ρ = 7, between the schedule's own least and greatest level.
inline std::vector<NoiseLevel> karras_levels(const RatioTable& table, int steps) {
  const double rho = 7, most = std::pow(table.largest(), 1 / rho),
               least = std::pow(table.smallest(), 1 / rho);
  std::vector<NoiseLevel> levels;
  for (int i = 0; i < steps; i++) {
    const double share = steps > 1 ? static_cast<double>(i) / (steps - 1) : 0;
    levels.push_back(table.at_ratio(std::pow(most + share * (least - most), rho)));
  }
  return levels;
}

// As many steps as the spacing can tell apart.
inline int possible_steps(const SamplerSettings& settings, int timesteps) {
  int most = timesteps;
  if (settings.spacing != Spacing::trailing && settings.multistep()) most--;  // one level is left out
  if (settings.spacing == Spacing::leading) most--;                           // the first
  return std::max(1, std::min(settings.steps, most));
}

inline double spaced_timestep(const SamplerSettings& settings, int timesteps, int steps, int i) {
  const double t = timesteps, n = steps;
  if (settings.spacing == Spacing::trailing) return std::max(0.0, std::nearbyint(t - i * t / n) - 1);
  // Multistep samplers are given a level more, of which the last is left out.
  const int from_below = settings.multistep() ? steps - i : steps - 1 - i;
  const int parts = settings.multistep() ? steps + 1 : steps;
  if (settings.spacing == Spacing::leading) return std::min(t - 1, from_below * std::floor(t / parts) + 1);
  const double even = parts > 1 ? from_below * (t - 1) / (parts - 1) : t - 1;
  return settings.multistep() || settings.name == "ddim" ? std::nearbyint(even) : even;
}

}  // namespace detail

// One level a step, the noisiest first, and then the picture.
inline std::vector<NoiseLevel> sampling_levels(const Schedule& schedule, const SamplerSettings& settings) {
  std::vector<NoiseLevel> levels;
  if (settings.uses_karras()) {
    levels = detail::karras_levels(RatioTable(schedule), settings.steps);
  } else {
    const int timesteps = schedule.timesteps(), steps = detail::possible_steps(settings, timesteps);
    std::optional<RatioTable> table;
    for (int i = 0; i < steps; i++) {
      const double t = detail::spaced_timestep(settings, timesteps, steps, i);
      if (t == std::floor(t)) {
        levels.push_back(schedule.level(static_cast<int>(t)));
      } else {
        if (!table) table.emplace(schedule);
        levels.push_back(table->at_timestep(t));
      }
    }
  }
  levels.push_back({});
  return levels;
}

}  // namespace tiller
