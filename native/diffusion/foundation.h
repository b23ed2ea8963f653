// What a run stands on: the sizes of its model, how it reads texts and sees pictures. All of it is the
// base's for Stable Diffusion 1.x, else the recipe's.
#pragma once

#include <memory>
#include <numeric>

#include "diffusion/base_files.h"
#include "diffusion/latent_space.h"
#include "diffusion/recipe.h"
#include "diffusion/state.h"
#include "diffusion/text_reader.h"
#include "diffusion/vae_files.h"
#include "training/job.h"
#include "training/machine.h"

namespace tiller {

struct Foundation {
  std::unique_ptr<BaseFiles> files;    // of Stable Diffusion 1.x; else null
  std::unique_ptr<VaeFiles> vae_files;  // another autoencoder than the base's; else null
  std::unique_ptr<LatentCodec> codec;   // of a model with free sizes; else null
  UNetConfig unet;
  ClipTextConfig text;
  Parameterization trained;            // of Stable Diffusion 1.x

  int latent_channels() const { return unet.out_channels; }
  const VaeConfig& vae() const { return vae_files ? vae_files->config() : files->vae(); }
  int stride() const { return files ? vae().stride() : codec->stride(); }
  // A picture's sides must be multiples of this.
  int size_multiple() const { return stride() * unet.size_multiple(); }
  // Made for inpainting: it sees the mask and the rest of the picture beside the latent.
  bool inpaints() const { return unet.in_channels == 2 * unet.out_channels + 1; }
};

namespace detail {

inline ClipTextConfig text_of_recipe(const Recipe& recipe, const Vocabulary& vocabulary) {
  const auto& text = recipe.model.text;
  return {.vocabulary = vocabulary.size(),
          .positions = text.tokens,
          .channels = text.width,
          .layers = text.layers,
          .heads = text.heads,
          .hidden = 4 * text.width,
          .token_deviation = text.embedding_deviation,
          .position_deviation = text.position_deviation,
          .trainable = text.train && !recipe.lora};
}

inline UNetConfig unet_of_recipe(const Recipe::Model& model, const LatentCodec& codec) {
  UNetConfig config;
  config.in_channels = config.out_channels = codec.channels();
  config.model_channels = model.base_channels;
  config.channel_multipliers = model.channel_multipliers;
  config.res_blocks = model.res_blocks;
  config.attention_levels = model.attention_levels;
  config.heads = model.heads;
  config.context_channels = model.text.width;
  config.norm_groups = std::gcd(model.base_channels, 32);  // 32 wherever the channels allow it
  return config;
}

}  // namespace detail

// Opens a Stable Diffusion 1.x base. Errors: BASE_…, TRAINER_BAD_RECIPE.
inline Foundation open_base(const Recipe& recipe) {
  Foundation found;
  found.files = std::make_unique<BaseFiles>(*recipe.base);
  found.unet = found.files->unet();
  if (recipe.vae) found.vae_files = std::make_unique<VaeFiles>(*recipe.vae, found.latent_channels());
  found.text = found.files->text();
  if (recipe.model.clip_skip > found.text.layers)
    throw Failure(kBadRecipe, "TRAINER_BAD_RECIPE",
                  "recipe.model.clip_skip is " + std::to_string(recipe.model.clip_skip) + ", but the base's text encoder has " +
                      std::to_string(found.text.layers) + " layers",
                  "Use 1 or 2.");
  found.text.clip_skip = recipe.model.clip_skip;
  found.text.trainable = recipe.train.text_encoder && !recipe.lora;
  found.trained = found.files->parameterization().with(
      recipe.train.prediction_of_base ? std::nullopt : std::optional(recipe.train.schedule.prediction), recipe.train.zero_terminal_snr);
  if (found.trained.zero_terminal_snr && found.trained.prediction != Prediction::v)
    throw Failure(kBadRecipe, "TRAINER_BAD_RECIPE", "recipe.train.zero_terminal_snr needs prediction v, and the base predicts epsilon",
                  "Leave train.zero_terminal_snr out, or set train.prediction: v to teach the base to predict that.");
  return found;
}

inline std::unique_ptr<TextReader> make_reader(const Foundation& found, const Job& job, const State& state) {
  if (!found.files) return std::make_unique<WordReader>(state.vocabulary, found.text.positions);
  if (!job.tokenizer)
    throw Failure(kBadRecipe, "TRAINER_BAD_RECIPE", "job.tokenizer is missing", "Stable Diffusion reads tokens of CLIP's.");
  auto reader = std::make_unique<ClipReader>(*job.tokenizer, found.text.positions);
  if (reader->vocabulary() == found.text.vocabulary) return reader;
  throw Failure(kBadData, "BASE_MISMATCH",
                "the tokenizer has " + std::to_string(reader->vocabulary()) + " tokens, the base's text encoder " +
                    std::to_string(found.text.vocabulary),
                "Use the base's own tokenizer: as a diffusers folder the base brings it.");
}

// With the base's autoencoder, or with another one's file or folder.
inline std::unique_ptr<LatentSpace> make_space(const Foundation& found, const Job& job, const State& state, Pool& pool) {
  if (!found.files) return std::make_unique<PixelSpace>(*found.codec, state.latent);
  const auto codec = [&found, &pool] {
    auto made = std::make_unique<VaeCodec>(pool, found.vae());
    if (found.vae_files) found.vae_files->load(made->parameters);
    else found.files->load(made->parameters, BasePart::vae);
    return made;
  };
  // The same numbers come from the same weights, kernels and threads alone.
  const std::string origin = job.latents_origin + ", " + vector_set() + ", " + std::to_string(pool.threads()) + " threads";
  return std::make_unique<VaeSpace>(found.vae(), codec, job.latents, origin);
}

}  // namespace tiller
