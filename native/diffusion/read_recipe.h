// Reads a recipe from a job, and checks again what recipes/schema.ts has checked: a job may come from anywhere.
#pragma once

#include "diffusion/recipe.h"

namespace tiller {

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
  model.sd1 = s.one_of("architecture", {"sd1-unet", "sd1"}) == "sd1";
  if (s.has("clip_skip")) model.clip_skip = small(s, "clip_skip", 1, 12);
  if (model.sd1) return model;
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
  const std::string prediction = s.one_of("prediction", {"auto", "epsilon", "v"});
  train.prediction_of_base = prediction == "auto";
  train.schedule.prediction = prediction == "v" ? Prediction::v : Prediction::epsilon;
  train.schedule.timesteps = small(s, "timesteps", 10, 1000);
  train.schedule.betas = s.one_of("beta_schedule", {"scaled-linear", "linear", "cosine"});
  train.schedule.beta_start = below_one(s, "beta_start", 1e-12);
  train.schedule.beta_end = below_one(s, "beta_end", 1e-12);
  if (s.has("zero_terminal_snr") && s.value("zero_terminal_snr") != "auto") train.zero_terminal_snr = s.flag("zero_terminal_snr");
  train.schedule.zero_terminal_snr = train.zero_terminal_snr.value_or(false);
  if (s.has("noise_offset")) train.noise_offset = s.real("noise_offset", 0, 1);
  if (s.has("optimizer")) train.optimizer = s.one_of("optimizer", {"adamw", "adamw8bit", "prodigy"});
  if (s.has("precision")) train.precision = s.one_of("precision", {"auto", "f32", "bf16", "f16"});
  if (s.has("gradient_checkpointing")) train.checkpointing = s.flag("gradient_checkpointing");
  if (s.has("fused_backward")) train.fused = s.flag("fused_backward");
  if (s.has("text_encoder")) train.text_encoder = s.flag("text_encoder");
  if (s.has("text_encoder_learning_rate")) train.text_encoder_rate = s.real("text_encoder_learning_rate", 0, 1);
  if (s.has("min_snr_gamma")) train.schedule.min_snr_gamma = s.real("min_snr_gamma", 1e-12, 100);
  train.learning_rate.peak = s.real("learning_rate", 0, 1);
  train.learning_rate.schedule = s.one_of("schedule", {"constant", "cosine", "linear"});
  train.learning_rate.warmup = s.integer("warmup_steps", 0, 1'000'000);
  train.beta1 = below_one(s, "beta1", 0);
  train.beta2 = below_one(s, "beta2", 0);
  train.epsilon = s.real("epsilon", 1e-30, 1);
  train.weight_decay = s.real("weight_decay", 0, 1);
  train.clip = s.real("clip", 0, 1000);
  train.ema = s.real("ema", 0, 0.9999999);
  return train;
}

inline PixelFile read_pixel_file(const Settings& s) {
  return {s.text("file"), small(s, "width", 1, 65536), small(s, "height", 1, 65536)};
}

inline void read_picture_of(Prompt& prompt, const Settings& s) {
  if (s.has("steps")) prompt.steps = small(s, "steps", 1, 1000);
  if (s.has("guidance")) prompt.guidance = s.real("guidance", 0, 100);
  if (!s.has("picture")) {
    if (s.has("mask") || s.has("outpaint")) throw s.wrong("picture", "is missing, but there is a mask or outpaint");
    return;
  }
  prompt.picture = read_pixel_file(s.child("picture"));
  if (s.has("strength")) prompt.strength = s.real("strength", 0, 1);
  if (s.has("mask")) prompt.mask = read_pixel_file(s.child("mask"));
  if (!s.has("outpaint")) return;
  if (prompt.mask) throw s.wrong("outpaint", "brings a mask of its own: give one or the other");
  const Settings pads = s.child("outpaint");
  const auto side = [&](const char* key) { return pads.has(key) ? small(pads, key, 0, 4096) : 0; };
  prompt.outpaint = Pads{side("left"), side("top"), side("right"), side("bottom"), side("overlap")};
}

inline SamplerSettings read_sampler(const Settings& s) {
  SamplerSettings sampler;
  sampler.name = s.text("sampler");
  if (s.has("spacing")) sampler.spacing = spacing_of(s.one_of("spacing", {"trailing", "leading", "linspace"}));
  if (s.has("karras")) sampler.karras = s.flag("karras");
  if (s.has("eta")) sampler.eta = s.real("eta", 0, 1);
  sampler.steps = small(s, "steps", 1, 1000);
  try {
    check_sampler(sampler);
  } catch (const std::invalid_argument& error) {
    throw s.wrong("sampler", std::string("is refused: ") + error.what());
  }
  return sampler;
}

inline Recipe::Samples read_samples(const Settings& s) {
  Recipe::Samples samples;
  samples.sampler = read_sampler(s);
  samples.guidance = s.real("guidance", 0, 100);
  if (s.has("batch")) samples.batch = small(s, "batch", 1, 64);
  samples.average = s.one_of("weights", {"ema", "raw"}) == "ema";
  const Json& prompts = s.value("prompts");
  if (!prompts.is_array()) throw s.wrong("prompts", "is not a list");
  for (size_t i = 0; i < prompts.size(); i++) {
    const Settings entry(prompts[i], "recipe.samples.prompts[" + std::to_string(i) + "]");
    Prompt prompt;
    prompt.text = entry.text("text");
    if (entry.has("negative")) prompt.negative = entry.text("negative");
    prompt.seed = static_cast<uint64_t>(entry.integer("seed", 0, 4'294'967'295));
    if (entry.has("width")) prompt.width = small(entry, "width", 1, 4096);
    if (entry.has("height")) prompt.height = small(entry, "height", 1, 4096);
    read_picture_of(prompt, entry);
    samples.prompts.push_back(std::move(prompt));
  }
  return samples;
}

inline Recipe::Data read_data(const Settings& s) {
  Recipe::Data data;
  data.caption_dropout = s.real("caption_dropout", 0, 1);
  data.flip = s.flag("flip");
  if (s.has("crop")) data.random_crop = s.one_of("crop", {"centre", "random"}) == "random";
  if (s.has("prior_loss_weight")) data.prior_loss_weight = s.real("prior_loss_weight", 0, 100);
  if (s.has("shuffle_captions")) data.captions.shuffle = s.flag("shuffle_captions");
  if (s.has("keep_tokens")) data.captions.keep_tokens = small(s, "keep_tokens", 0, 1000);
  if (s.has("tag_dropout")) data.captions.tag_dropout = s.real("tag_dropout", 0, 1);
  if (s.has("trigger_word")) data.captions.trigger_word = s.text("trigger_word");
  if (s.has("resolution")) data.resolution = small(s, "resolution", 1, 65536);
  return data;
}

inline LowRankSettings read_lora(const Settings& s) {
  LowRankSettings lora;
  lora.rank = small(s, "rank", 1, 1024);
  lora.alpha = static_cast<float>(s.real("alpha", 1e-6, 4096));
  if (s.has("conv_rank")) lora.conv_rank = small(s, "conv_rank", 0, 1024);
  if (s.has("conv_alpha")) lora.conv_alpha = static_cast<float>(s.real("conv_alpha", 1e-6, 4096));
  return lora;
}

inline void check_together(const Recipe& recipe, const Settings& s) {
  if (recipe.model.sd1 && !recipe.base) throw s.wrong("base", "is missing: model.architecture sd1 is all of the base");
  if (recipe.lora && !recipe.base) throw s.wrong("lora", "needs a base: adapters change one");
  const auto& schedule = recipe.train.schedule;
  if (schedule.zero_terminal_snr && !recipe.train.prediction_of_base && schedule.prediction == Prediction::epsilon)
    throw s.wrong("train.zero_terminal_snr", "needs prediction v: at a timestep of noise alone, epsilon says nothing of the picture");
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
  if (s.has("vae")) recipe.vae = s.text("vae");
  if (s.has("lora")) recipe.lora = detail::read_lora(s.child("lora"));
  if (s.has("data")) recipe.data = detail::read_data(s.child("data"));
  detail::check_together(recipe, s);
  // Without a running average there is nothing else to measure with.
  if (recipe.train.ema == 0) recipe.samples.average = recipe.validation.average = false;
  return recipe;
}

}  // namespace tiller
