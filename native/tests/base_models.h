// base_models.h   a Stable Diffusion 1.x model small enough for tests: sizes, weights, and both ways of
// writing it.
#pragma once

#include "diffusion/base_files.h"
#include "diffusion/write_base.h"
#include "tests/golden.h"

namespace tiller {

inline UNetConfig small_base_unet(int in_channels = 4) {
  UNetConfig config;
  config.in_channels = in_channels;
  config.model_channels = 8;
  config.channel_multipliers = {1, 2};
  config.res_blocks = 1;
  config.attention_levels = {0};
  config.heads = 2;
  config.context_channels = 12;
  config.norm_groups = 4;
  return config;
}

inline VaeConfig small_base_vae() {
  VaeConfig config;
  config.base_channels = 8;
  config.channel_multipliers = {1, 2, 3};
  config.norm_groups = 4;
  return config;
}

inline ClipTextConfig small_base_text() {
  ClipTextConfig config;
  config.vocabulary = 30, config.positions = 9;
  config.channels = 12, config.layers = 2, config.heads = 3, config.hidden = 20;
  return config;
}

// All three parts over one set of parameters.
struct SmallBase {
  Parameters parameters;
  UNet unet;
  Vae vae;
  ClipText text;
  Parameterization trained;

  explicit SmallBase(const UNetConfig& u = small_base_unet(), const VaeConfig& v = small_base_vae(),
                     const ClipTextConfig& t = small_base_text())
      : unet(parameters, u), vae(parameters, v), text(parameters, t) {
    parameters.allocate(/*training=*/false);
  }
  // As a file has it.
  explicit SmallBase(const BaseFiles& files) : SmallBase(files.unet(), files.vae(), files.text()) {
    for (const BasePart part : {BasePart::unet, BasePart::vae, BasePart::text}) files.load(parameters, part);
    trained = files.parameterization();
  }

  BaseModel model() { return {unet.config, vae.config, text.config, trained, {&parameters}}; }
};

}  // namespace tiller
