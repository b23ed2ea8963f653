// Samplers, spacings, zero terminal SNR and noise offset against diffusers (test/golden/samplers.json,
// made by test/peers/samplers.py), and what they promise.
//   sampler_test GOLDEN.json
#include <cstdio>
#include <limits>

#include "diffusion/draws.h"
#include "diffusion/sampler.h"
#include "tests/check.h"
#include "tests/toy_denoiser.h"

using namespace tiller;

namespace {

using Latent = std::vector<float>;

void check_zero_terminal_snr(Checks& checks, const nlohmann::json& golden) {
  for (const auto& entry : golden["zero_terminal_snr"]) {
    ScheduleSettings settings;
    settings.betas = entry["betas"], settings.zero_terminal_snr = true, settings.min_snr_gamma = 5;
    const Schedule schedule(settings);
    std::vector<double> alpha, weight;
    for (const int t : golden["timesteps"]) {
      alpha.push_back(schedule.alpha(t) * schedule.alpha(t));
      weight.push_back(schedule.weight(t));
    }
    const auto compare = [&](const std::string& name, const std::vector<double>& ours, const char* key) {
      const auto theirs = entry[key].get<std::vector<double>>();
      checks.expect("zero terminal SNR: " + name + ", " + settings.betas,
                    relative_error(ours, theirs, ours.size()), 1e-5);
    };
    compare("alpha squared", alpha, "alpha_squared");
    compare("min-SNR weight of v", weight, "min_snr_v");
    checks.holds("zero terminal SNR: none is left, " + settings.betas,
                 schedule.alpha(999) == 0 && schedule.sigma(999) == 1 && schedule.weight(999) == 0);
    Schedule plain(ScheduleSettings{.betas = settings.betas});
    checks.expect("zero terminal SNR: the first stays, " + settings.betas,
                  std::fabs(schedule.alpha(0) - plain.alpha(0)), 1e-15);
  }
  checks.holds("zero terminal SNR: epsilon is refused",
               refused("use v", [] { toy_schedule(Prediction::epsilon, true); }));
  checks.holds("SNR 0 by a beta of 1: epsilon is refused", refused("use v", [] {
    Schedule(ScheduleSettings{.beta_end = 1, .prediction = Prediction::epsilon});
  }));
  checks.holds("zero terminal SNR of one timestep is refused", refused("two timesteps", [] {
    Schedule(ScheduleSettings{.timesteps = 1, .zero_terminal_snr = true});
  }));
}

void check_noise_offset(Checks& checks, const nlohmann::json& golden) {
  const Item item{0, "00000000000000aa", 0xaa, {}};
  const auto theirs = golden["noise_offset"].get<Latent>();
  Latent noise(theirs.size());
  draw_noise(golden["seed"], 3, item, noise.data(), noise.size());
  const Latent before = noise;
  offset_noise(golden["seed"], 3, item, 0, noise.data(), noise.size(), 4);
  checks.holds("noise offset 0 is none", noise == before);
  offset_noise(golden["seed"], 3, item, 0.1, noise.data(), noise.size(), 4);
  checks.expect("noise offset", relative_error(noise, theirs, noise.size()), 1e-6);
}

SamplerSettings settings_of(const nlohmann::json& entry, uint64_t seed) {
  SamplerSettings settings;
  settings.name = entry["sampler"], settings.steps = entry["steps"], settings.seed = seed;
  settings.spacing = spacing_of(entry["spacing"]);
  settings.karras = entry.value("karras", false);
  if (entry.contains("eta")) settings.eta = entry["eta"].get<double>();
  return settings;
}

void check_goldens(Checks& checks, const nlohmann::json& golden) {
  for (const auto& entry : golden["samplers"]) {
    if (entry.contains("strength")) continue;  // inpainting_test
    SamplerSettings settings = settings_of(entry, golden["seed"]);
    // The name has Karras's levels in it.
    if (settings.name == "dpm++2m" && settings.karras) settings.name = "dpm++2m-karras", settings.karras = false;
    auto x = golden["start"].get<Latent>();
    std::vector<double> told;
    sample_latent(toy_schedule(entry["prediction"] == "v" ? Prediction::v : Prediction::epsilon,
                               entry.value("zero", false)),
                  settings, x, [&](double t, const Latent& at, Latent& said) {
                    told.push_back(t);
                    toy_denoiser(t, at, said);
                  });
    std::string name = settings.name + " " + entry["prediction"].get<std::string>() + " " +
                       entry["spacing"].get<std::string>() + " " + std::to_string(settings.steps) + " steps";
    for (const char* key : {"karras", "zero", "eta"})
      if (entry.contains(key)) name += std::string(" ") + key + " " + entry[key].dump();
    const auto timesteps = entry["timesteps"].get<std::vector<double>>();
    checks.holds(name + ": calls", told.size() == timesteps.size());
    checks.expect(name + ": timesteps", relative_error(told, timesteps, told.size()), 1e-5);
    // diffusers' Euler works with σ/α, which is large but not infinite at zero terminal SNR.
    const bool rounded = entry.contains("zero") && settings.name.starts_with("euler");
    checks.expect(name, relative_error(x, entry["x"].get<Latent>(), x.size()), rounded ? 1e-3 : 1e-5);
  }
}

// What `ddim` and `dpm++2m` were before they had headers of their own: runs of then give the same bits.
Latent sample_as_before(const Schedule& schedule, bool ddim, int steps, Latent x) {
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
      for (size_t j = 0; j < x.size(); j++) x[j] = of_x * x[j] + of_d * (x0[j] + slope * (x0[j] - x0_before[j]));
      step_before = h;
    }
    std::swap(x0, x0_before);
  }
  return x;
}

void check_old_runs(Checks& checks) {
  for (const auto prediction : {Prediction::epsilon, Prediction::v}) {
    const Schedule schedule = toy_schedule(prediction);
    for (const std::string name : {"ddim", "dpm++2m"}) {
      for (const int steps : {1, 2, 7, 20, 50, 333, 1000}) {
        auto x = starting_noise(5, 1003);
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
void check_any_steps(Checks& checks) {
  const Schedule schedule = toy_schedule(Prediction::v), zero = toy_schedule(Prediction::v, true);
  for (const auto& name : known_samplers()) {
    for (const auto spacing : {Spacing::trailing, Spacing::leading, Spacing::linspace}) {
      for (const int steps : {1, 2, 3, 999, 1000, 1001, 1500}) {
        for (const bool from_nothing : {false, true}) {
          SamplerSettings settings;
          settings.name = name, settings.spacing = spacing, settings.steps = steps;
          settings.karras = steps == 1500;
          auto x = starting_noise(5, 64);
          int calls = 0, told = 0;
          double last = std::numeric_limits<double>::infinity();
          bool in_order = true;
          Latent seen;
          sample_latent(from_nothing ? zero : schedule, settings, x,
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
          const bool whole = in_order && worst < 100 && seen == x && (steps > 998 || told == steps) && calls >= told;
          // A line for each failure, not for each of hundreds.
          if (!whole) checks.holds(name + ", spacing " + std::to_string(static_cast<int>(spacing)) + ", " +
                                       std::to_string(steps) + " steps" + (from_nothing ? ", from SNR 0" : ""),
                                   false);
        }
      }
    }
    checks.holds(name + ": any number of steps", true);
  }
}

// Euler's step in σ/α and DDIM's in α and σ are one.
void check_equal_formulas(Checks& checks) {
  const Schedule schedule = toy_schedule(Prediction::v);
  const auto sample = [&](const SamplerSettings& settings) {
    auto x = starting_noise(5, 64);
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
               sample({.name = "euler-a", .seed = 3}) == sample({.name = "euler-a", .seed = 3}));
  checks.holds("another seed, another picture",
               sample({.name = "euler-a", .seed = 3}) != sample({.name = "euler-a", .seed = 4}));
}

// Halving the steps' length divides the error by 2 to the power of the sampler's order.
void check_orders(Checks& checks) {
  const Schedule schedule = toy_schedule(Prediction::v);
  const auto sample = [&](const std::string& name, int steps) {
    auto x = starting_noise(5, 64);
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

void check_refusals(Checks& checks) {
  const Schedule schedule = toy_schedule(Prediction::v);
  const auto refuses = [&](const std::string& words, const SamplerSettings& settings) {
    checks.holds("refused: " + words, refused(words, [&] {
                   auto x = starting_noise(5, 4);
                   sample_latent(schedule, settings, x, toy_denoiser);
                 }));
  };
  refuses("there is no sampler 'plms'; there are ddim, euler, euler-a, heun, dpm++2m, dpm++2m-karras, unipc",
          {.name = "plms"});
  refuses("one step or more, not 0", {.steps = 0});
  refuses("heun draws no noise", {.name = "heun", .eta = 1});
  refuses("from 0 to 1", {.eta = 1.5});
  refuses("from 0 to 1", {.eta = std::numeric_limits<double>::quiet_NaN()});
  checks.holds("refused: a spacing", refused("there are trailing, leading, linspace", [] { spacing_of("even"); }));
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return std::fprintf(stderr, "usage: sampler_test GOLDEN.json\n"), 64;
  const auto golden = nlohmann::json::parse(MappedFile(argv[1]).text());
  Checks checks;
  check_zero_terminal_snr(checks, golden);
  check_noise_offset(checks, golden);
  check_goldens(checks, golden);
  check_old_runs(checks);
  check_any_steps(checks);
  check_equal_formulas(checks);
  check_orders(checks);
  check_refusals(checks);
  return checks.exit_code();
}
