// Picture to picture, inpainting and outpainting: against diffusers where it does the same
// (test/golden/samplers.json), and by what they promise.
//   inpainting_test GOLDEN.json
#include "diffusion/inpainting.h"

#include <cstdio>

#include "formats/files.h"
#include "formats/json.h"
#include "tests/check.h"
#include "tests/outpainting_checks.h"
#include "tests/toy_denoiser.h"

using namespace tiller;

namespace {

using Latent = std::vector<float>;

const LatentSize size{6, 4, 3};

Latent test_picture(size_t count) {
  Latent picture(count);
  RandomStream(9, Purpose::test).fill_normal(picture.data(), count);
  return picture;
}

// The left half is made anew, the right half stays.
Mask half_mask() {
  Mask mask = make_mask(size.width, size.height);
  for (int y = 0; y < mask.height; y++)
    for (int x = 0; x < mask.width / 2; x++) mask.at(x, y) = 1;
  return mask;
}

void check_goldens(Checks& checks, const nlohmann::json& golden) {
  const auto original = golden["original"].get<Latent>();
  for (const auto& entry : golden["samplers"]) {
    if (!entry.contains("strength")) continue;
    SamplerSettings settings;
    settings.name = entry["sampler"], settings.steps = entry["steps"], settings.seeds = {golden["seed"]};
    const Schedule schedule = toy_schedule(entry["prediction"] == "v" ? Prediction::v : Prediction::epsilon);
    std::vector<double> told;
    const Denoiser denoise = [&](double t, const Latent& at, Latent& said) {
      told.push_back(t);
      toy_denoiser(t, at, said);
    };
    const double strength = entry["strength"];
    Latent x;
    if (entry.contains("mask")) {
      const Mask mask{4, 1, entry["mask"].get<Latent>()};
      x = inpaint_latent(schedule, settings, {4, 1, 2}, original, mask, strength, denoise);
    } else {
      x = sample_from_picture(schedule, settings, original, strength, denoise);
    }
    const std::string name = (entry.contains("mask") ? "inpainting, " : "picture to picture, ") +
                             settings.name + " " + entry["prediction"].get<std::string>() + " " +
                             std::to_string(settings.steps);
    checks.holds(name + ": timesteps", told == entry["timesteps"].get<std::vector<double>>());
    checks.expect(name, relative_error(x, entry["x"].get<Latent>(), x.size()), 1e-5);
  }
}

void check_strength(Checks& checks, const Schedule& schedule, const SamplerSettings& settings) {
  const Latent original = test_picture(size.count());
  int calls = 0, told = 0;
  const Denoiser denoise = [&](double t, const Latent& at, Latent& said) {
    calls++;
    toy_denoiser(t, at, said);
  };
  const auto from_picture = [&](double strength) {
    calls = told = 0;
    return sample_from_picture(
        schedule, settings, original, strength, denoise, [&](int step, int steps, const Latent&) {
          told = step == told + 1 && steps == static_cast<int>(strength * settings.steps) ? step : -1000;
        });
  };
  checks.holds(settings.name + ": strength 0 is the picture itself",
               from_picture(0) == original && calls == 0);
  auto from_noise = starting_noise(settings.seeds, original.size());
  sample_latent(schedule, settings, from_noise, toy_denoiser);
  checks.holds(settings.name + ": strength 1 is the picture of the prompt alone",
               from_picture(1) == from_noise);
  const Latent middle = from_picture(0.5);
  const int half = settings.steps / 2;
  checks.holds(settings.name + ": strength 0.5 makes half of the steps",
               told == half && calls == (settings.name == "heun" ? 2 * half - 1 : half));
  checks.holds(settings.name + ": strength 0.5 is neither", middle != original && middle != from_noise);
}

void check_inpainting(Checks& checks, const Schedule& schedule, const SamplerSettings& settings) {
  const Latent original = test_picture(size.count());
  const auto noise = starting_noise(settings.seeds, original.size());
  const auto levels = sampling_levels(schedule, settings);
  const auto inpaint = [&](const Mask& mask, double strength, const Denoiser& denoise = toy_denoiser,
                           const Progress& progress = {}) {
    return inpaint_latent(schedule, settings, size, original, mask, strength, denoise, progress);
  };
  for (const double strength : {0.5, 1.0}) {
    const std::string name = settings.name + ", strength " + (strength < 1 ? "0.5" : "1") + ": ";
    checks.holds(name + "a mask of ones is picture to picture",
                 inpaint(make_mask(size.width, size.height, 1), strength) ==
                     sample_from_picture(schedule, settings, original, strength, toy_denoiser));
    checks.holds(name + "a mask of zeros is the picture itself",
                 inpaint(make_mask(size.width, size.height, 0), strength) == original);
    const Mask mask = half_mask();
    const auto outside = [&](size_t i) { return mask.values[i / static_cast<size_t>(size.channels)] == 0; };
    int seen_wrong = 0, shown_wrong = 0;
    const Latent x = inpaint(
        mask, strength,
        [&](double t, const Latent& at, Latent& said) {
          Latent noised(at.size());
          for (const auto& level : levels)
            if (level.timestep == t) add_noise(level, original, noise, noised);
          // Heun's second look is at an x of its own.
          for (size_t i = 0; i < at.size(); i++)
            seen_wrong += settings.name != "heun" && outside(i) && at[i] != noised[i];
          toy_denoiser(t, at, said);
        },
        [&](int, int, const Latent& x0) {
          for (size_t i = 0; i < x0.size(); i++) shown_wrong += outside(i) && x0[i] != original[i];
        });
    int moved = 0, alike = 0;
    for (size_t i = 0; i < x.size(); i++)
      (outside(i) ? moved : alike) += outside(i) ? x[i] != original[i] : x[i] == original[i];
    checks.expect(name + "outside the mask all is as it was", moved, 0);
    checks.expect(name + "inside nothing is", alike, 0);
    checks.expect(name + "the model sees the picture at the level's noise outside", seen_wrong, 0);
    checks.expect(name + "previews have the picture outside", shown_wrong, 0);
  }
  checks.holds(settings.name + ": strength 0 is the picture whatever the mask",
               inpaint(half_mask(), 0) == original);
}

void check_nine_channels(Checks& checks) {
  const LatentSize two{2, 1, 2};
  const Mask mask{2, 1, {1, 0.25f}};
  checks.holds(
      "x, the mask and the masked picture, place by place",
      inpainting_input(two, {1, 2, 3, 4}, mask, {5, 6, 7, 8}) == Latent{1, 2, 1, 5, 6, 3, 4, 0, 7, 8});
  const Schedule schedule = toy_schedule(Prediction::v);
  const Latent masked = test_picture(size.count());
  int wrong = 0;
  const Denoiser model = [&](double t, const Latent& input, Latent& said) {
    wrong += input.size() != size.places() * 7 || said.size() != size.count();
    Latent x;
    for (size_t place = 0; place < size.places(); place++)
      x.insert(x.end(), input.begin() + static_cast<std::ptrdiff_t>(place * 7),
               input.begin() + static_cast<std::ptrdiff_t>(place * 7 + 3));
    toy_denoiser(t, x, said);
  };
  auto x = starting_noise({5}, size.count()), plain = x;
  sample_latent(schedule, {}, x, inpainting_denoiser(size, half_mask(), masked, model));
  sample_latent(schedule, {}, plain, toy_denoiser);
  checks.holds("an inpainting model is walked with as any other", wrong == 0 && x == plain);

  std::vector<uint8_t> rgb = {1, 2, 3, 4, 5, 6};
  hide_masked(mask, 2, 1, rgb);
  checks.holds("the masked part is grey", rgb == std::vector<uint8_t>{128, 128, 128, 4, 5, 6});
  std::vector<float> values = {1, 1, 1, 1, 1, 1};
  hide_masked(mask, 2, 1, values);
  checks.holds("the masked part is 0", values == Latent{0, 0, 0, 1, 1, 1});
}

void check_masks(Checks& checks) {
  Mask pixels = make_mask(6, 4);
  pixels.at(2, 1) = 0.5f, pixels.at(5, 3) = 1;
  const Mask mask = latent_mask(pixels, 2);
  checks.holds("a place of the latent is masked as its most masked pixel",
               mask.width == 3 && mask.height == 2 && mask.values == Latent{0, 0.5f, 0, 0, 0, 1});
  const Schedule schedule = toy_schedule(Prediction::v);
  const Latent original = test_picture(size.count());
  const auto inpaint = [&](const Mask& with, const Latent& latent) {
    inpaint_latent(schedule, {}, size, latent, with, 1, toy_denoiser);
  };
  checks.holds("refused: a mask of another size", refused("the mask is 4x6, but the latent is 6x4",
                                                          [&] { inpaint(make_mask(4, 6), original); }));
  checks.holds("refused: a mask with too few values",
               refused("has 3 values, not 6x4", [&] { inpaint({6, 4, {0, 1, 0}}, original); }));
  checks.holds("refused: a mask beyond 1",
               refused("from 0 to 1", [&] { inpaint(make_mask(6, 4, 1.5f), original); }));
  checks.holds("refused: a mask with NaN",
               refused("from 0 to 1", [&] { inpaint(make_mask(6, 4, NAN), original); }));
  checks.holds("refused: a latent of another size",
               refused("is not 6x4 with 3 channels", [&] { inpaint(half_mask(), Latent(12)); }));
  checks.holds("refused: a mask that isn't whole places",
               refused("squares of 4 pixels", [&] { latent_mask(pixels, 4); }));
  std::vector<uint8_t> rgb(6);
  checks.holds("refused: a picture's mask of another size",
               refused("but the picture is 2x1", [&] { hide_masked(make_mask(1, 2), 2, 1, rgb); }));
  for (const double strength : {-0.1, 1.1, static_cast<double>(NAN)})
    checks.holds("refused: a strength",
                 refused("strength must be", [&] { steps_of_strength(20, strength); }));
  checks.holds("strength times steps", steps_of_strength(100, 0.29) == 29 &&
                                           steps_of_strength(20, 0.99) == 19 &&
                                           steps_of_strength(20, 0.04) == 0 && steps_of_strength(7, 1) == 7);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return std::fprintf(stderr, "usage: inpainting_test GOLDEN.json\n"), 64;
  const auto golden = nlohmann::json::parse(MappedFile(argv[1]).text());
  Checks checks;
  check_goldens(checks, golden);
  for (const auto& name : known_samplers()) {
    SamplerSettings settings;
    settings.name = name, settings.steps = 10, settings.seeds = {21};
    const Schedule schedule = toy_schedule(Prediction::v);
    check_strength(checks, schedule, settings);
    check_inpainting(checks, schedule, settings);
  }
  check_nine_channels(checks);
  check_masks(checks);
  check_outpainting(checks);
  return checks.exit_code();
}
