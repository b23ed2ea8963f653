// What tiller-diffusion reads of a recipe, checked. A trainer checks again what recipes/schema.ts has
// checked: a job may come from anywhere.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "diffusion/schedule.h"
#include "training/job.h"
#include "training/learning_rate.h"

namespace tiller {

struct Prompt {
  std::string text, negative;
  uint64_t seed = 0;
  std::optional<int> width, height;  // the data set's, if left out
};

struct Recipe {
  struct Model {
    std::string latent;
    int base_channels = 0, res_blocks = 0, heads = 0;
    std::vector<int> channel_multipliers, attention_levels;
    struct Text {
      int tokens = 0, width = 0, layers = 0, heads = 0;
      bool train = false;
      float embedding_deviation = 1, position_deviation = 0;
    } text;
  } model;
  struct Train {
    int epochs = 1, batch = 1, accumulation = 1;
    std::optional<int64_t> steps_per_epoch;
    ScheduleSettings schedule;
    LearningRate learning_rate;
    double beta1 = 0, beta2 = 0, epsilon = 0, weight_decay = 0, clip = 1, ema = 0;
  } train;
  struct Samples {
    std::vector<Prompt> prompts;
    std::string sampler;
    int steps = 1;
    double guidance = 1;
    bool average = false;  // made with the running average of the weights
  } samples;
  struct Validation {
    int bins = 1, repeats = 1;
    bool average = false;
  } validation;
  double caption_dropout = 0;
  bool flip = false;
  double checkpoint_seconds = 60;
  std::optional<fs::path> base;
};

namespace detail {

inline int small(const Settings& settings, const std::string& key, int64_t least, int64_t most) {
  return static_cast<int>(settings.integer(key, least, most));
}

inline double below_one(const Settings& settings, const std::string& key, double least) {
  const double found = settings.real(key, least, 1);
  if (found < 1) return found;
  throw settings.wrong(key, "must be below 1");
}

inline std::vector<int> integers(const Settings& settings, const std::string& key, int least, int most) {
  std::vector<int> result;
  if (!settings.value(key).is_array()) throw settings.wrong(key, "is not a list");
  for (const auto& entry : settings.value(key)) {
    const auto number = whole_number(entry, least, most);
    if (!number)
      throw settings.wrong(
          key, "holds " + entry.dump() + ", not " + std::to_string(least) + " to " + std::to_string(most));
    result.push_back(static_cast<int>(*number));
  }
  return result;
}

inline Recipe::Model read_model(const Settings& s) {
  Recipe::Model model;
  s.one_of("architecture", {"sd1-unet"});
  model.latent = s.one_of("latent", {"space-to-depth-2", "pixels"});
  model.base_channels = small(s, "base_channels", 8, 1280);
  model.channel_multipliers = integers(s, "channel_multipliers", 1, 16);
  if (model.channel_multipliers.empty() || model.channel_multipliers.size() > 6)
    throw s.wrong("channel_multipliers", "has not 1 to 6 levels");
  const int levels = static_cast<int>(model.channel_multipliers.size());
  model.attention_levels = integers(s, "attention_levels", 0, levels - 1);
  model.res_blocks = small(s, "res_blocks", 1, 4);
  model.heads = small(s, "heads", 1, 32);
  for (const int multiplier : model.channel_multipliers) {
    if (model.base_channels * multiplier % model.heads != 0)
      throw s.wrong("heads", "does not divide the " + std::to_string(model.base_channels * multiplier) +
                                 " channels of a level");
  }
  const Settings text = s.child("text");
  model.text.tokens = small(text, "tokens", 2, 77);
  if (model.text.tokens < 3)
    throw text.wrong("tokens", "is 2, which leaves no room for a word between start and end");
  model.text.width = small(text, "width", 8, 1024);
  model.text.layers = small(text, "layers", 0, 24);
  model.text.heads = small(text, "heads", 1, 32);
  if (model.text.layers > 0 && model.text.width % model.text.heads != 0)
    throw text.wrong("heads", "does not divide the width");
  model.text.train = text.flag("train");
  model.text.embedding_deviation = static_cast<float>(text.real("embedding_deviation", 1e-9, 10));
  model.text.position_deviation = static_cast<float>(text.real("position_deviation", 0, 10));
  return model;
}

inline Recipe::Train read_train(const Settings& s) {
  Recipe::Train train;
  train.epochs = small(s, "epochs", 1, 100'000);
  if (s.has("steps_per_epoch")) train.steps_per_epoch = s.integer("steps_per_epoch", 1, 10'000'000);
  train.batch = small(s, "batch", 1, 4096);
  train.accumulation = small(s, "accumulation", 1, 1024);
  train.schedule.prediction =
      s.one_of("prediction", {"epsilon", "v"}) == "v" ? Prediction::v : Prediction::epsilon;
  train.schedule.timesteps = small(s, "timesteps", 10, 1000);
  train.schedule.betas = s.one_of("beta_schedule", {"scaled-linear", "linear", "cosine"});
  train.schedule.beta_start = below_one(s, "beta_start", 1e-12);
  train.schedule.beta_end = below_one(s, "beta_end", 1e-12);
  if (s.has("min_snr_gamma")) train.schedule.min_snr_gamma = s.real("min_snr_gamma", 1e-12, 100);
  train.learning_rate.peak = s.real("learning_rate", 0, 1);
  train.learning_rate.schedule = s.one_of("schedule", {"constant", "cosine", "linear"});
  train.learning_rate.warmup = s.integer("warmup_steps", 0, 1'000'000);
  train.beta1 = below_one(s, "beta1", 0);
  train.beta2 = below_one(s, "beta2", 0);
  train.epsilon = s.real("epsilon", 1e-30, 1);
  train.weight_decay = s.real("weight_decay", 0, 1);
  train.clip = s.real("clip", 1e-30, 1000);
  train.ema = s.real("ema", 0, 0.9999999);
  return train;
}

inline Recipe::Samples read_samples(const Settings& s) {
  Recipe::Samples samples;
  samples.sampler = s.one_of("sampler", {"ddim", "dpm++2m"});
  samples.steps = small(s, "steps", 1, 1000);
  samples.guidance = s.real("guidance", 0, 100);
  samples.average = s.one_of("weights", {"ema", "raw"}) == "ema";
  const Json& prompts = s.value("prompts");
  if (!prompts.is_array()) throw s.wrong("prompts", "is not a list");
  for (size_t i = 0; i < prompts.size(); i++) {
    const Settings entry(prompts[i], "recipe.samples.prompts[" + std::to_string(i) + "]");
    Prompt prompt{entry.text("text"), entry.has("negative") ? entry.text("negative") : "", 0, {}, {}};
    prompt.seed = static_cast<uint64_t>(entry.integer("seed", 0, 4'294'967'295));
    if (entry.has("width")) prompt.width = small(entry, "width", 1, 4096);
    if (entry.has("height")) prompt.height = small(entry, "height", 1, 4096);
    samples.prompts.push_back(std::move(prompt));
  }
  return samples;
}

}  // namespace detail

inline Recipe read_recipe(const Json& json) {
  const Settings s(json, "recipe");
  Recipe recipe;
  recipe.model = detail::read_model(s.child("model"));
  recipe.train = detail::read_train(s.child("train"));
  recipe.samples = detail::read_samples(s.child("samples"));
  const Settings validation = s.child("validation");
  recipe.validation.bins = detail::small(validation, "bins", 1, 100);
  if (recipe.validation.bins > recipe.train.schedule.timesteps)
    throw validation.wrong("bins", "is more than there are timesteps");
  recipe.validation.repeats = detail::small(validation, "repeats", 1, 100);
  recipe.validation.average = validation.one_of("weights", {"ema", "raw"}) == "ema";
  recipe.checkpoint_seconds = s.child("checkpoints").real("every_seconds", 0, 86'400);
  if (s.has("base")) recipe.base = s.text("base");
  if (s.has("data")) {
    recipe.caption_dropout = s.child("data").real("caption_dropout", 0, 1);
    recipe.flip = s.child("data").flag("flip");
  }
  // Without a running average there is nothing else to measure with.
  if (recipe.train.ema == 0) recipe.samples.average = recipe.validation.average = false;
  return recipe;
}

}  // namespace tiller
