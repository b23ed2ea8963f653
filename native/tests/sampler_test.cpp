// Samplers, spacings, zero terminal SNR and noise offset against diffusers (test/golden/samplers.json,
// made by test/peers/samplers.py), and what they promise.
//   sampler_test GOLDEN.json
#include "diffusion/sampler.h"

#include <cstdio>
#include <limits>

#include "diffusion/draws.h"
#include "tests/check.h"
#include "tests/sampler_walks.h"
#include "tests/toy_denoiser.h"

using namespace tiller;

namespace {

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
  const auto theirs = golden["noise_offset"].get<Latent>();
  Latent noise(theirs.size());
  draw_noise(golden["seed"], 3, 0xaa, noise.data(), noise.size());
  const Latent before = noise;
  offset_noise(golden["seed"], 3, 0xaa, 0, noise.data(), noise.size(), 4);
  checks.holds("noise offset 0 is none", noise == before);
  offset_noise(golden["seed"], 3, 0xaa, 0.1, noise.data(), noise.size(), 4);
  checks.expect("noise offset", relative_error(noise, theirs, noise.size()), 1e-6);
}

SamplerSettings settings_of(const nlohmann::json& entry, uint64_t seed) {
  SamplerSettings settings;
  settings.name = entry["sampler"], settings.steps = entry["steps"], settings.seeds = {seed};
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
    if (settings.name == "dpm++2m" && settings.karras)
      settings.name = "dpm++2m-karras", settings.karras = false;
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

void check_refusals(Checks& checks) {
  const Schedule schedule = toy_schedule(Prediction::v);
  const auto refuses = [&](const std::string& words, const SamplerSettings& settings) {
    checks.holds("refused: " + words, refused(words, [&] {
                   auto x = starting_noise({5}, 4);
                   sample_latent(schedule, settings, x, toy_denoiser);
                 }));
  };
  refuses("there is no sampler 'plms'; there are ddim, euler, euler-a, heun, dpm++2m, dpm++2m-karras, unipc",
          {.name = "plms"});
  refuses("one step or more, not 0", {.steps = 0});
  refuses("heun draws no noise", {.name = "heun", .eta = 1});
  refuses("from 0 to 1", {.eta = 1.5});
  refuses("from 0 to 1", {.eta = std::numeric_limits<double>::quiet_NaN()});
  checks.holds("refused: a spacing",
               refused("there are trailing, leading, linspace", [] { spacing_of("even"); }));
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
