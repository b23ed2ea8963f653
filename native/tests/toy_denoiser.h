// toy_denoiser.h   what stands in for a model in tests of samplers, here and in test/peers/schedules.py:
//                  it depends on x and on t, and no sampler is exact on it.
#pragma once

#include <cmath>
#include <vector>

#include "diffusion/sampler.h"

namespace tiller {

inline void toy_denoiser(double t, const std::vector<float>& x, std::vector<float>& said) {
  for (size_t i = 0; i < x.size(); i++)
    said[i] = 0.3f * x[i] + 0.1f * std::sin(3 * x[i]) + static_cast<float>(t) / 4000;
}

inline Schedule toy_schedule(Prediction prediction, bool zero = false) {
  ScheduleSettings settings;
  settings.prediction = prediction, settings.zero_terminal_snr = zero;
  return Schedule(settings);
}

// Whether it throws std::invalid_argument with these words in its message.
template <class Do>
bool refused(const std::string& words, const Do& attempt) {
  try {
    attempt();
  } catch (const std::invalid_argument& error) {
    return std::string(error.what()).find(words) != std::string::npos;
  }
  return false;
}

}  // namespace tiller
