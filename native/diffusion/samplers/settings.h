// Which sampler walks from noise to a picture, and how. Names are looked up here and nowhere else;
// other programs' names for them are in recipes/sampler-names.ts.
#pragma once

#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

namespace tiller {

// Where a walk's timesteps lie; what each does for which sampler is in samplers/levels.h.
enum class Spacing { trailing, leading, linspace };

struct SamplerSettings {
  std::string name = "ddim";
  int steps = 20;
  Spacing spacing = Spacing::trailing;
  bool karras = false;        // Karras's levels instead of the spacing's; dpm++2m-karras has them always
  std::optional<double> eta;  // fresh noise of a step, 0 to 1; left out: 0 for ddim, 1 for euler-a
  std::vector<uint64_t> seeds{0};  // of that noise: one for each picture that is made at once

  bool draws() const { return name == "ddim" || name == "euler-a"; }
  bool multistep() const { return name.starts_with("dpm++2m") || name == "unipc"; }
  bool uses_karras() const { return karras || name == "dpm++2m-karras"; }
  double noise() const { return eta.value_or(name == "euler-a" ? 1 : 0); }
};

inline const std::vector<std::string>& known_samplers() {
  static const std::vector<std::string> names = {"ddim",    "euler",          "euler-a", "heun",
                                                 "dpm++2m", "dpm++2m-karras", "unipc"};
  return names;
}

inline const std::vector<std::string>& known_spacings() {  // in the order of Spacing
  static const std::vector<std::string> names = {"trailing", "leading", "linspace"};
  return names;
}

namespace detail {

inline size_t index_of(const std::string& what, const std::string& name,
                       const std::vector<std::string>& known) {
  std::string list;
  for (size_t i = 0; i < known.size(); i++) {
    if (known[i] == name) return i;
    list += (i > 0 ? ", " : "") + known[i];
  }
  throw std::invalid_argument("there is no " + what + " '" + name + "'; there are " + list);
}

}  // namespace detail

inline Spacing spacing_of(const std::string& name) {
  return static_cast<Spacing>(detail::index_of("spacing", name, known_spacings()));
}

// Throws std::invalid_argument, saying what is wrong.
inline void check_sampler(const SamplerSettings& settings) {
  detail::index_of("sampler", settings.name, known_samplers());
  if (settings.steps < 1)
    throw std::invalid_argument("a picture takes one step or more, not " + std::to_string(settings.steps));
  if (!settings.eta) return;
  if (!settings.draws())
    throw std::invalid_argument("eta is for ddim and euler-a: " + settings.name + " draws no noise");
  if (!(*settings.eta >= 0 && *settings.eta <= 1)) throw std::invalid_argument("eta must be from 0 to 1");
}

}  // namespace tiller
