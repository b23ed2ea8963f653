// What tiller-diffusion needs of a recipe.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "diffusion/captions.h"
#include "diffusion/outpainting.h"
#include "diffusion/samplers/settings.h"
#include "diffusion/schedule.h"
#include "models/adapters.h"
#include "training/job.h"
#include "training/learning_rate.h"

namespace tiller {

// A picture in a file of 8-bit numbers: 3 a pixel, or 1 of a mask.
struct PixelFile {
  fs::path file;
  int width = 0, height = 0;
};

struct Prompt {
  std::string text, negative;
  uint64_t seed = 0;
  std::optional<int> width, height;  // the data set's, if left out
  std::optional<int> steps;          // the recipe's, if left out
  std::optional<double> guidance;
  std::optional<PixelFile> picture;  // to begin from
  std::optional<PixelFile> mask;     // 255 is made anew
  std::optional<Pads> outpaint;
  double strength = 1;               // how much of the picture is made anew
};

struct Recipe {
  struct Model {
    bool sd1 = false;  // everything is as the base has it, but for clip_skip
    int clip_skip = 1;
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
    bool prediction_of_base = false;
    std::optional<bool> zero_terminal_snr;  // none: the base's
    LearningRate learning_rate;
    std::string optimizer = "adamw", precision = "auto";
    bool text_encoder = false, checkpointing = false, fused = false;
    double text_encoder_rate = 0, noise_offset = 0;
    double beta1 = 0, beta2 = 0, epsilon = 0, weight_decay = 0, clip = 1, ema = 0;
  } train;
  struct Samples {
    std::vector<Prompt> prompts;
    SamplerSettings sampler;
    double guidance = 1;
    int batch = 1;  // pictures that are made at once
    bool average = false;  // made with the running average of the weights
  } samples;
  struct Validation {
    int bins = 1, repeats = 1;
    bool average = false;
  } validation;
  struct Data {
    double caption_dropout = 0, prior_loss_weight = 1;
    bool flip = false, random_crop = false;
    CaptionSettings captions;
    int resolution = 0;
  } data;
  std::optional<LowRankSettings> lora;
  double checkpoint_seconds = 60;
  std::optional<fs::path> base, vae;

  // Whether a checkpoint holds the trained tensors alone: the others are the base's.
  bool keeps_trained_only() const { return model.sd1 || lora; }
};

}  // namespace tiller
