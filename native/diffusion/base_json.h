// The JSON files of a diffusers folder, as diffusers writes them for Stable Diffusion 1.x. The reader of
// the same: diffusion/diffusers_config.h.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "diffusion/schedule.h"
#include "formats/json.h"
#include "models/clip_text.h"
#include "models/unet.h"
#include "models/vae.h"

namespace tiller {

inline constexpr const char* kDiffusersVersion = "0.21.0"; // whose keys these are

inline Json json_of(const UNetConfig& config) {
  std::vector<int> channels, heads;
  std::vector<std::string> down, up;
  for (int level = 0; level < config.levels(); level++) {
    channels.push_back(config.channels(level));
    heads.push_back(config.heads_for(config.channels(level)));
    const bool attention = config.has_attention(level);
    down.push_back(attention ? "CrossAttnDownBlock2D" : "DownBlock2D");
    up.insert(up.begin(), attention ? "CrossAttnUpBlock2D" : "UpBlock2D");
  }
  return {{"_class_name", "UNet2DConditionModel"},
          {"_diffusers_version", kDiffusersVersion},
          {"act_fn", "silu"},
          {"attention_head_dim", config.head_size != 0 ? Json(heads) : Json(config.heads)},
          {"block_out_channels", channels},
          {"center_input_sample", false},
          {"cross_attention_dim", config.context_channels},
          {"down_block_types", down},
          {"downsample_padding", 1},
          {"flip_sin_to_cos", true},
          {"freq_shift", 0},
          {"in_channels", config.in_channels},
          {"layers_per_block", config.res_blocks},
          {"mid_block_scale_factor", 1},
          {"norm_eps", 1e-5},
          {"norm_num_groups", config.norm_groups},
          {"out_channels", config.out_channels},
          {"sample_size", 64},
          {"transformer_layers_per_block", config.transformer_depth},
          {"up_block_types", up}};
}

inline Json json_of(const VaeConfig& config) {
  const auto levels = static_cast<size_t>(config.levels());
  std::vector<int> channels;
  for (int level = 0; level < config.levels(); level++) channels.push_back(config.channels(level));
  return {{"_class_name", "AutoencoderKL"},
          {"_diffusers_version", kDiffusersVersion},
          {"act_fn", "silu"},
          {"block_out_channels", channels},
          {"down_block_types", std::vector<std::string>(levels, "DownEncoderBlock2D")},
          {"in_channels", config.in_channels},
          {"latent_channels", config.z_channels},
          {"layers_per_block", config.res_blocks},
          {"norm_num_groups", config.norm_groups},
          {"out_channels", config.in_channels},
          {"sample_size", 512},
          {"scaling_factor", short_number(config.scale)},
          {"up_block_types", std::vector<std::string>(levels, "UpDecoderBlock2D")}};
}

// CLIP's begin and end of text are its vocabulary's last two.
inline Json json_of(const ClipTextConfig& config) {
  return {{"architectures", {"CLIPTextModel"}},
          {"attention_dropout", 0.0},
          {"bos_token_id", config.vocabulary - 2},
          {"eos_token_id", config.vocabulary - 1},
          {"hidden_act", "quick_gelu"},
          {"hidden_size", config.channels},
          {"initializer_factor", 1.0},
          {"initializer_range", 0.02},
          {"intermediate_size", config.hidden},
          {"layer_norm_eps", 1e-5},
          {"max_position_embeddings", config.positions},
          {"model_type", "clip_text_model"},
          {"num_attention_heads", config.heads},
          {"num_hidden_layers", config.layers},
          {"pad_token_id", 1},
          {"projection_dim", config.channels},
          {"vocab_size", config.vocabulary}};
}

// With zero terminal SNR a walk must begin at the last timestep, which is noise alone.
inline Json scheduler_json(const Parameterization& trained) {
  Json json = {{"_class_name", "DDIMScheduler"},
               {"_diffusers_version", kDiffusersVersion},
               {"beta_end", 0.012},
               {"beta_schedule", "scaled_linear"},
               {"beta_start", 0.00085},
               {"clip_sample", false},
               {"num_train_timesteps", 1000},
               {"prediction_type", trained.prediction == Prediction::v ? "v_prediction" : "epsilon"},
               {"set_alpha_to_one", false},
               {"steps_offset", 1},
               {"trained_betas", nullptr}};
  if (trained.zero_terminal_snr) json["rescale_betas_zero_snr"] = true, json["timestep_spacing"] = "trailing";
  return json;
}

// A pipeline that paints into a picture reads 9 channels: latent, mask, and the masked picture's latent.
inline Json pipeline_json(const UNetConfig& unet, bool vae, bool text, bool tokenizer) {
  const auto none = [] { return Json::array({nullptr, nullptr}); };
  const bool inpaint = unet.in_channels == 9;
  return {{"_class_name", inpaint ? "StableDiffusionInpaintPipeline" : "StableDiffusionPipeline"},
          {"_diffusers_version", kDiffusersVersion},
          {"feature_extractor", none()},
          {"requires_safety_checker", false},
          {"safety_checker", none()},
          {"scheduler", Json::array({"diffusers", "DDIMScheduler"})},
          {"text_encoder", text ? Json::array({"transformers", "CLIPTextModel"}) : none()},
          {"tokenizer", tokenizer ? Json::array({"transformers", "CLIPTokenizer"}) : none()},
          {"unet", Json::array({"diffusers", "UNet2DConditionModel"})},
          {"vae", vae ? Json::array({"diffusers", "AutoencoderKL"}) : none()}};
}

}  // namespace tiller
