// sampler_walks.h   what samplers promise without a peer: the bits of earlier runs, any number of steps,
//                   equal formulas, and their orders. For sampler_test.cpp.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "diffusion/sampler.h"
#include "tests/check.h"
#include "tests/toy_denoiser.h"

namespace tiller {

using Latent = std::vector<float>;

// What `ddim` and `dpm++2m` were before they had headers of their own: runs of then give the same bits.
inline Latent sample_as_before(const Schedule& schedule, bool ddim, int steps, Latent x) {
  Latent said(x.size()), x0(x.size()), x0_before(x.size());
  double step_before = 0;
  for (int i = 0; i < steps; i++) {
    const auto timestep = [&](int j) {
      return std::max(0, static_cast<int>(std::nearbyint(1000 - static_cast<double>(j) * 1000 / steps)) - 1);
    };
    const int t = timestep(i), next = i + 1 < steps ? timestep(i + 1) : -1;
    toy_denoiser(t, x, said);
    schedule.picture(schedule.level(t), x.data(), said.data(), x.size(), x0.data());
    const double a = schedule.alpha(t), s = schedule.sigma(t);
    const double a_next = schedule.alpha(next), s_next = schedule.sigma(next);
    const auto of_x = static_cast<float>(s_next / s);
    if (next < 0) {
      x = x0;
    } else if (ddim) {
      const auto of_x0 = static_cast<float>(a_next - a * s_next / s);
      for (size_t j = 0; j < x.size(); j++) x[j] = of_x * x[j] + of_x0 * x0[j];
    } else {
      const double h = std::log(a_next / s_next) - std::log(a / s);
      const auto of_d = static_cast<float>(-a_next * std::expm1(-h));
      const auto slope = static_cast<float>(i > 0 ? h / (2 * step_before) : 0);
      for (size_t j = 0; j < x.size(); j++)
        x[j] = of_x * x[j] + of_d * (x0[j] + slope * (x0[j] - x0_before[j]));
      step_before = h;
    }
    std::swap(x0, x0_before);
  }
  return x;
}

inline void check_old_runs(Checks& checks) {
  for (const auto prediction : {Prediction::epsilon, Prediction::v}) {
    const Schedule schedule = toy_schedule(prediction);
    for (const std::string name : {"ddim", "dpm++2m"}) {
      for (const int steps : {1, 2, 7, 20, 50, 333, 1000}) {
        auto x = starting_noise({5}, 1003);
        const Latent before = sample_as_before(schedule, name == "ddim", steps, x);
        SamplerSettings settings;
        settings.name = name, settings.steps = steps;
        sample_latent(schedule, settings, x, toy_denoiser);
        checks.holds(name + " " + std::to_string(steps) + " steps: the bits of earlier runs", x == before);
      }
    }
  }
}

// Every sampler, spacing and number of steps ends, with finite numbers, near where many steps lead.
inline void check_any_steps(Checks& checks) {
  const Schedule schedule = toy_schedule(Prediction::v), zero = toy_schedule(Prediction::v, true);
  for (const auto& name : known_samplers()) {
    for (const auto spacing : {Spacing::trailing, Spacing::leading, Spacing::linspace}) {
      for (const int steps : {1, 2, 3, 999, 1000, 1001, 1500}) {
        for (const bool from_nothing : {false, true}) {
          SamplerSettings settings;
          settings.name = name, settings.spacing = spacing, settings.steps = steps;
          settings.karras = steps == 1500;
          auto x = starting_noise({5}, 64);
          int calls = 0, told = 0;
          double last = std::numeric_limits<double>::infinity();
          bool in_order = true;
          Latent seen;
          sample_latent(
              from_nothing ? zero : schedule, settings, x,
              [&](double t, const Latent& at, Latent& said) {
                in_order = in_order && t <= last && t >= 0 && t <= 999, last = t;
                calls++;
                toy_denoiser(t, at, said);
              },
              [&](int step, int of, const Latent& x0) {
                in_order = in_order && step == ++told && of <= steps;
                seen = x0;
              });
          double worst = 0;
          for (const float value : x) worst = std::fmax(worst, std::isfinite(value) ? std::fabs(value) : 1e9);
          const bool whole =
              in_order && worst < 100 && seen == x && (steps > 998 || told == steps) && calls >= told;
          // A line for each failure, not for each of hundreds.
          if (!whole)
            checks.holds(name + ", spacing " + std::to_string(static_cast<int>(spacing)) + ", " +
                             std::to_string(steps) + " steps" + (from_nothing ? ", from SNR 0" : ""),
                         false);
        }
      }
    }
    checks.holds(name + ": any number of steps", true);
  }
}

// Euler's step in σ/α and DDIM's in α and σ are one.
inline void check_equal_formulas(Checks& checks) {
  const Schedule schedule = toy_schedule(Prediction::v);
  const auto sample = [&](const SamplerSettings& settings) {
    auto x = starting_noise({5}, 64);
    sample_latent(schedule, settings, x, toy_denoiser);
    return x;
  };
  const auto alike = [&](const char* name, const SamplerSettings& a, const SamplerSettings& b) {
    checks.expect(name, relative_error(sample(a), sample(b), 64), 2e-6);
  };
  alike("euler is ddim", {.name = "euler"}, {.name = "ddim"});
  alike("euler-a is ddim with eta 1", {.name = "euler-a"}, {.name = "ddim", .eta = 1});
  alike("euler-a with eta 0 is euler", {.name = "euler-a", .eta = 0}, {.name = "euler"});
  checks.holds("the same seed, the same picture",
               sample({.name = "euler-a", .seeds = {3}}) == sample({.name = "euler-a", .seeds = {3}}));
  checks.holds("another seed, another picture",
               sample({.name = "euler-a", .seeds = {3}}) != sample({.name = "euler-a", .seeds = {4}}));
}

// Halving the steps' length divides the error by 2 to the power of the sampler's order.
inline void check_orders(Checks& checks) {
  const Schedule schedule = toy_schedule(Prediction::v);
  const auto sample = [&](const std::string& name, int steps) {
    auto x = starting_noise({5}, 64);
    sample_latent(schedule, {.name = name, .steps = steps, .karras = true}, x, toy_denoiser);
    return x;
  };
  const Latent best = sample("heun", 2000);
  for (const auto& [name, order] : {std::pair{"euler", 1}, {"dpm++2m", 2}, {"heun", 2}, {"unipc", 2}}) {
    const double coarse = relative_error(sample(name, 20), best, 64),
                 fine = relative_error(sample(name, 40), best, 64);
    checks.holds(std::string(name) + ": its order", std::log2(coarse / fine) > order - 0.4);
  }
}

}  // namespace tiller
