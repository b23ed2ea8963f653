// Schedules, min-SNR weights and samplers against diffusers (test/golden/schedules.json, made by
// test/peers/schedules.py); codecs, words, draws, the learning rate by what they promise.
//   diffusion_test GOLDEN.json
#include <unistd.h>

#include <cstdio>
#include <map>
#include <set>

#include "diffusion/batches.h"
#include "diffusion/draws.h"
#include "diffusion/latent.h"
#include "diffusion/sampler.h"
#include "diffusion/words.h"
#include "tests/check.h"
#include "training/learning_rate.h"

using namespace tiller;

namespace {

Schedule schedule_of(const std::string& betas, Prediction prediction, std::optional<double> gamma = {}) {
  ScheduleSettings settings;
  settings.betas = betas, settings.prediction = prediction, settings.min_snr_gamma = gamma;
  return Schedule(settings);
}

void check_schedules(Checks& checks, const nlohmann::json& golden) {
  for (const auto& entry : golden["schedules"]) {
    const std::string betas = entry["betas"];
    const Schedule epsilon = schedule_of(betas, Prediction::epsilon, 5),
                   v = schedule_of(betas, Prediction::v, 5);
    std::vector<double> alpha, of_epsilon, of_v;
    for (const int t : golden["timesteps"]) {
      alpha.push_back(epsilon.alpha(t) * epsilon.alpha(t));
      of_epsilon.push_back(epsilon.weight(t));
      of_v.push_back(v.weight(t));
    }
    const auto compare = [&](const std::string& name, const std::vector<double>& ours, const char* key) {
      const auto theirs = entry[key].get<std::vector<double>>();
      checks.expect(name + ", " + betas, relative_error(ours, theirs, ours.size()), 1e-4);
    };
    compare("alpha squared", alpha, "alpha_squared");
    compare("min-SNR weight of epsilon", of_epsilon, "min_snr_epsilon");
    compare("min-SNR weight of v", of_v, "min_snr_v");
  }
}

void check_samplers(Checks& checks, const nlohmann::json& golden) {
  for (const auto& entry : golden["samplers"]) {
    const auto prediction = entry["prediction"] == "v" ? Prediction::v : Prediction::epsilon;
    const int steps = entry["steps"];
    auto x = golden["start"].get<std::vector<float>>();
    std::vector<int> walk;
    SamplerSettings settings;
    settings.name = entry["sampler"], settings.steps = steps;
    sample_latent(schedule_of("scaled-linear", prediction), settings, x,
                  [&](double t, const std::vector<float>& at, std::vector<float>& said) {
                    walk.push_back(static_cast<int>(t));
                    for (size_t i = 0; i < at.size(); i++)
                      said[i] = 0.3f * at[i] + 0.1f * std::sin(3 * at[i]) + static_cast<float>(t) / 4000;
                  });
    const std::string name = entry["sampler"].get<std::string>() + " " +
                             entry["prediction"].get<std::string>() + " " + std::to_string(steps) + " steps";
    checks.holds(name + ": timesteps", walk == entry["timesteps"].get<std::vector<int>>());
    checks.expect(name, relative_error(x, entry["x"].get<std::vector<float>>(), x.size()), 1e-4);
  }
}

void check_codecs(Checks& checks) {
  for (const char* name : {"space-to-depth-2", "pixels"}) {
    const auto codec = make_codec(name);
    const int width = 24, height = 16;
    std::vector<uint8_t> rgb(width * height * 3), back(rgb.size());
    for (size_t i = 0; i < rgb.size(); i++) rgb[i] = static_cast<uint8_t>(i * 7 + i / 256);
    std::vector<float> latent(rgb.size());
    codec->encode(rgb.data(), width, height, latent.data());
    LatentMeter meter(codec->channels());
    meter.add(latent);
    const LatentStatistics statistics = meter.statistics();
    statistics.normalize(latent);
    double sum = 0, squares = 0;
    for (const float x : latent) sum += x, squares += x * x;
    const auto n = static_cast<double>(latent.size());
    checks.expect(std::string(name) + ": mean 0", std::fabs(sum / n), 1e-5);
    checks.expect(std::string(name) + ": deviation 1", std::fabs(squares / n - 1), 1e-5);
    statistics.restore(latent);
    codec->decode(latent.data(), width, height, back.data());
    checks.holds(std::string(name) + ": nothing is lost", rgb == back);
  }
  const auto codec = make_codec("space-to-depth-2");
  const uint8_t block[12] = {0, 0, 0, 255, 255, 255, 51, 51, 51, 204, 204, 204};  // 2 x 2, row by row
  float latent[12];
  codec->encode(block, 2, 2, latent);
  const float expected[12] = {-1, -1, -1, 1, 1, 1, -0.6f, -0.6f, -0.6f, 0.6f, 0.6f, 0.6f};
  checks.expect("space-to-depth-2: order of channels", relative_error(latent, expected, 12), 1e-6);
}

void check_words(Checks& checks) {
  const std::vector<std::string> expected = {"smiling", "cat",  "face", "with", "heart",
                                             "eyes",    "élan", "жук",  "42",   "日本"};
  checks.holds("words", split_words("  Smiling cat-face, with heart\u2019eyes! ÉLAN Жук 42 「日本」\xff\xc3") ==
                            expected);
  const auto vocabulary = Vocabulary::of_captions({"red heart", "Blue Heart", "a heart"});
  checks.holds("vocabulary is sorted", vocabulary.words() == std::vector<std::string>{"a", "blue", "heart", "red"});
  const auto tokens = vocabulary.tokens("RED green heart", 6);
  checks.holds("tokens", tokens.ids == std::vector<int>{1, 6, 5, 2, 0, 0} &&
                             tokens.unknown == std::vector<std::string>{"green"} && !tokens.cut);
  const auto cut = vocabulary.tokens("a a a a a a", 4);
  checks.holds("a long prompt is cut", cut.ids == std::vector<int>{1, 3, 3, 2} && cut.cut);
  checks.holds("the empty prompt", vocabulary.tokens("", 4).ids == std::vector<int>{1, 2, 0, 0});
}

void check_draws(Checks& checks) {
  Item item{.key = "00000000000000aa", .name = 0xaa};
  item.captions = {{"light", 1}, {"heavy", 3}, {"never", 0}};
  std::map<std::string, int> counts;
  double timesteps = 0, flips = 0;
  const int passes_drawn = 4000;
  for (uint32_t pass = 0; pass < passes_drawn; pass++) {
    const Draw drawn = draw({42, 1000, 0.1, true, false}, pass, item);
    counts[drawn.caption == nullptr ? "" : *drawn.caption]++;
    timesteps += drawn.timestep, flips += drawn.flip;
  }
  checks.expect("10 % without a caption", std::fabs(counts[""] / 400.0 - 1), 0.15);
  checks.expect("captions by weight", std::fabs(static_cast<double>(counts["heavy"]) / counts["light"] - 3),
                0.4);
  checks.expect("a caption of weight 0 is never chosen", counts["never"], 0);
  checks.expect("timesteps are even", std::fabs(timesteps / passes_drawn / 499.5 - 1), 0.03);
  checks.expect("half are mirrored", std::fabs(flips / passes_drawn - 0.5), 0.03);
}

// Three sizes, repeats, a bucket of one picture.
void check_batches(Checks& checks) {
  std::vector<Batches::Entry> items;
  for (int i = 0; i < 50; i++) items.push_back({512, 512, 1});
  for (int i = 0; i < 7; i++) items.push_back({448, 576, 3});
  items.push_back({64, 1024, 1});
  Batches batches(42, items, 4, 3), again(42, items, 4, 3);
  // 13 of 50, 6 of 21, 1: 20 micro-batches in steps of 3
  checks.expect("steps of a pass", std::fabs(static_cast<double>(batches.steps_of_pass()) - 7), 0);
  int wrong = 0, mixed = 0, same_order = 0;
  std::vector<size_t> before;
  const int64_t passes = 4, steps = batches.steps_of_pass();
  for (int64_t pass = 0; pass < passes; pass++) {
    std::map<std::pair<size_t, uint32_t>, int> seen;
    std::vector<size_t> order;
    for (int64_t s = 1; s <= steps; s++) {
      const auto step = batches.at(pass * steps + s);
      wrong += step.pass != pass || step.micro_batches.empty() || step.micro_batches.size() > 3;
      for (const auto& batch : step.micro_batches)
        for (const auto& [item, repeat] : batch) {
          seen[{item, repeat}]++;
          order.push_back(item);
          mixed += items[item].bucket_width != items[batch[0].item].bucket_width;
          wrong += batch.size() > 4;
        }
    }
    for (size_t i = 0; i < items.size(); i++)
      for (int r = 0; r < items[i].repeats; r++) wrong += seen[{i, static_cast<uint32_t>(r)}] != 1;
    wrong += seen.size() != 72;
    same_order += order == before;
    before = order;
  }
  checks.expect("every picture exactly as often as it is repeated, each pass", wrong, 0);
  checks.expect("a micro-batch has one size", mixed, 0);
  checks.expect("each pass has its own order", same_order, 0);
  const auto flat = [](const Batches::Step& step) {
    std::vector<std::pair<size_t, uint32_t>> all;
    for (const auto& batch : step.micro_batches)
      for (const auto& [item, repeat] : batch) all.emplace_back(item, repeat);
    return all;
  };
  for (int64_t s = passes * steps; s > 0; s--) wrong += flat(again.at(s)) != flat(batches.at(s));
  checks.expect("a step's pictures are a function of the step", wrong, 0);
  std::vector<Batches::Entry> one(items.begin(), items.begin() + 48);
  Batches whole(7, one, 8, 1), halves(7, one, 4, 2);
  for (int64_t s = 1; s <= 6; s++) wrong += flat(whole.at(s)) != flat(halves.at(s));
  checks.expect("two of 4 are one of 8", wrong, 0);
}

// Two pictures of sizes of their own, the second with a mask, and one that is held out.
void check_dataset(Checks& checks) {
  const fs::path folder = fs::temp_directory_path() / ("tiller-dataset-" + std::to_string(getpid()));
  fs::create_directories(folder);
  const auto write = [&](const char* name, const std::string& text) {
    OutputFile out(folder / name);
    out.write(text);
    out.finish();
  };
  std::string pixels;
  for (int i = 0; i < (2 * 3 + 4 * 2 + 1) * 3; i++) pixels += static_cast<char>(i);
  write("pixels.u8", pixels);
  write("masks.u8", std::string("\x01\x02\x03\x04\x05\x06\x07\x08", 8));
  write("manifest.json", R"({"version": 2, "channels": 3, "pixels": "pixels.u8", "masks": "masks.u8",
    "train": [
      {"key": "00000000000000aa", "file": "a.png", "width": 2, "height": 3, "bucket": [2, 2], "offset": 0,
       "repeats": 5, "regularisation": true, "captions": [{"text": "a", "weight": 1}]},
      {"key": "00000000000000ab", "file": "b/b.png", "width": 4, "height": 2, "bucket": [3, 2], "offset": 18,
       "mask_offset": 0, "repeats": 1, "regularisation": false, "captions": [{"text": "b", "weight": 1}]}],
    "validation": [
      {"key": "00000000000000ac", "file": "c.png", "width": 1, "height": 1, "bucket": [1, 1], "offset": 42,
       "repeats": 1, "regularisation": false, "captions": [{"text": "c", "weight": 1}]}]})");
  const Dataset data(folder / "manifest.json");
  const Item &a = data.train[0], &b = data.train[1], &c = data.validation[0];
  checks.holds("a picture has its size, bucket, repeats and purpose",
               a.width == 2 && a.height == 3 && a.bucket_width == 2 && a.bucket_height == 2 &&
                   a.repeats == 5 && a.regularisation && a.file == "a.png" && a.name == 0xaa && a.is_cropped());
  checks.holds("and its pixels", data.pixels(a)[0] == 0 && data.pixels(b)[0] == 18 && data.pixels(c)[2] == 44);
  checks.holds("and its mask, or none", data.mask(a) == nullptr && data.mask(b)[7] == 8);
  fs::remove_all(folder);
}

void check_learning_rate(Checks& checks) {
  const LearningRate constant{1e-3, "constant", 100, 1000}, cosine{1e-3, "cosine", 100, 1100},
      linear{1e-3, "linear", 0, 10};
  const double error = std::fabs(constant.at(1) - 1e-5) + std::fabs(constant.at(100) - 1e-3) +
                       std::fabs(constant.at(999) - 1e-3) + std::fabs(cosine.at(101) - 1e-3) +
                       std::fabs(cosine.at(601) - 5e-4) + std::fabs(linear.at(1) - 1e-3) +
                       std::fabs(linear.at(10) - 1e-4) + std::fabs(linear.at(11));
  checks.expect("learning rate", error, 1e-12);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return std::fprintf(stderr, "usage: diffusion_test GOLDEN.json\n"), 64;
  const auto golden = nlohmann::json::parse(MappedFile(argv[1]).text());
  Checks checks;
  check_schedules(checks, golden);
  check_samplers(checks, golden);
  check_codecs(checks);
  check_words(checks);
  check_draws(checks);
  check_batches(checks);
  check_dataset(checks);
  check_learning_rate(checks);
  return checks.exit_code();
}
