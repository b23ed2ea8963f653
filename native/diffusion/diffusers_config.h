// The sizes of a base from the config.json files of a diffusers folder. A setting that would make another
// model of the same tensors is refused by name, not passed over.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "diffusion/base_config.h"
#include "diffusion/schedule.h"
#include "formats/files.h"

namespace tiller {

class DiffusersConfig {
 public:
  explicit DiffusersConfig(const fs::path& path) : path_(path), json_(parse_json(MappedFile(path).text())) {
    if (!json_.is_object()) throw bad_config(path.string(), "is no JSON object");
  }

  bool has(const char* key) const { return json_.contains(key) && !json_[key].is_null(); }
  std::string text(const char* key) const {
    return has(key) && json_[key].is_string() ? json_[key].get<std::string>() : "";
  }
  bool flag(const char* key) const {
    if (!has(key)) return false;
    if (json_[key].is_boolean()) return json_[key].get<bool>();
    throw failure(std::string(key) + " is " + json_[key].dump() + ", not true or false");
  }
  int count(const char* key, int otherwise, int most = 1 << 20) const {
    if (!has(key)) return otherwise;
    if (const auto number = whole_number(json_[key], 1, most)) return static_cast<int>(*number);
    throw failure(std::string(key) + " is " + json_[key].dump() + ", not a count up to " + std::to_string(most));
  }
  std::vector<int> counts(const char* key, const std::vector<int>& otherwise) const {
    if (!has(key)) return otherwise;
    std::vector<int> found;
    if (json_[key].is_array())
      for (const auto& item : json_[key])
        if (const auto number = whole_number(item, 1, 1 << 20)) found.push_back(static_cast<int>(*number));
    if (!found.empty() && found.size() == json_[key].size()) return found;
    throw bad_config(path_.string(), std::string(key) + " is " + json_[key].dump() + ", not a list of counts");
  }
  double number(const char* key, double otherwise) const {
    if (!has(key)) return otherwise;
    if (json_[key].is_number()) return json_[key].get<double>();
    throw bad_config(path_.string(), std::string(key) + " is " + json_[key].dump() + ", not a number");
  }
  const Json& operator[](const char* key) const { return json_[key]; }
  // A setting may be missing or null, or must be this.
  void expect(const char* key, const Json& value) const {
    if (has(key) && json_[key] != value)
      throw bad_config(path_.string(), std::string(key) + " is " + json_[key].dump() + ", but only " +
                                           value.dump() + " is known here");
  }
  void expect_absent(const char* key) const {
    if (has(key)) throw bad_config(path_.string(), std::string(key) + " is " + json_[key].dump() + ", which is not known here");
  }
  Failure failure(const std::string& what) const { return bad_config(path_.string(), what); }
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
  const Json json_;
};

namespace detail {

inline constexpr int kMostLayers = 256; // lest a wrong number describes tensors for hours

inline std::vector<int> multipliers_of(const DiffusersConfig& json, const std::vector<int>& channels) {
  std::vector<int> multipliers;
  for (const int c : channels) multipliers.push_back(multiplier(c, channels[0], json.path().string()));
  return multipliers;
}

// attention_head_dim is a number of heads, despite its name; a list has one for each level.
inline void read_heads(const DiffusersConfig& json, const std::vector<int>& channels, UNetConfig* config) {
  const char* key = json.has("num_attention_heads") ? "num_attention_heads" : "attention_head_dim";
  if (!json.has(key) || !json[key].is_array()) {
    config->heads = json.count(key, 8);
    return;
  }
  const auto heads = json.counts(key, {});
  if (heads.size() != channels.size()) throw json.failure(std::string(key) + " needs a number for each level");
  bool same = true, same_size = true;
  for (size_t i = 0; i < heads.size(); i++) {
    same = same && heads[i] == heads[0];
    same_size = same_size && channels[i] % heads[i] == 0 && channels[i] / heads[i] == channels[0] / heads[0];
  }
  if (same) config->heads = heads[0];
  else if (same_size) config->head_size = channels[0] / heads[0];
  else throw json.failure(std::string(key) + " has neither one number nor one size of heads");
}

}  // namespace detail

inline UNetConfig unet_of_json(const DiffusersConfig& json) {
  json.expect("act_fn", "silu");
  json.expect("center_input_sample", false);
  json.expect("dual_cross_attention", false);
  json.expect("only_cross_attention", false);
  json.expect("flip_sin_to_cos", true);
  json.expect("freq_shift", 0);
  json.expect("norm_eps", 1e-5);
  json.expect("mid_block_type", "UNetMidBlock2DCrossAttn");
  json.expect("mid_block_scale_factor", 1);
  json.expect("resnet_time_scale_shift", "default");
  json.expect("resnet_out_scale_factor", 1.0);
  json.expect("time_embedding_type", "positional");
  json.expect("downsample_padding", 1);
  json.expect("attention_type", "default");
  for (const char* key : {"class_embed_type", "addition_embed_type", "num_class_embeds", "encoder_hid_dim", "cross_attention_norm",
                          "time_cond_proj_dim", "time_embedding_dim", "timestep_post_act", "time_embedding_act_fn"})
    json.expect_absent(key);
  UNetConfig config;
  const auto channels = json.counts("block_out_channels", {320, 640, 1280, 1280});
  config.in_channels = json.count("in_channels", 4);
  config.out_channels = json.count("out_channels", 4);
  config.model_channels = channels[0];
  config.channel_multipliers = detail::multipliers_of(json, channels);
  config.res_blocks = json.count("layers_per_block", 2, detail::kMostLayers);
  config.transformer_depth = json.count("transformer_layers_per_block", 1, detail::kMostLayers);
  config.context_channels = json.count("cross_attention_dim", 768);
  config.norm_groups = json.count("norm_num_groups", 32);
  detail::read_heads(json, channels, &config);
  if (!json.has("down_block_types")) return config;
  config.attention_levels.clear();
  const Json& types = json["down_block_types"];
  for (size_t level = 0; level < types.size(); level++) {
    if (types[level] == "CrossAttnDownBlock2D") config.attention_levels.push_back(static_cast<int>(level));
    else if (types[level] != "DownBlock2D") throw json.failure("down_block_types has " + types[level].dump() + ", which is not known here");
  }
  if (types.size() != channels.size()) throw json.failure("down_block_types and block_out_channels differ in length");
  return config;
}

inline VaeConfig vae_of_json(const DiffusersConfig& json) {
  json.expect("act_fn", "silu");
  json.expect("mid_block_add_attention", true);
  json.expect("use_quant_conv", true);
  json.expect("use_post_quant_conv", true);
  for (const char* key : {"latents_mean", "latents_std", "shift_factor"}) json.expect_absent(key);
  VaeConfig config;
  const auto channels = json.counts("block_out_channels", {128, 256, 512, 512});
  config.in_channels = json.count("in_channels", 3);
  json.expect("out_channels", config.in_channels);
  config.base_channels = channels[0];
  config.channel_multipliers = detail::multipliers_of(json, channels);
  config.res_blocks = json.count("layers_per_block", 2, detail::kMostLayers);
  config.z_channels = json.count("latent_channels", 4);
  config.norm_groups = json.count("norm_num_groups", 32);
  config.scale = static_cast<float>(json.number("scaling_factor", 0.18215));
  return config;
}

inline ClipTextConfig text_of_json(const DiffusersConfig& json) {
  json.expect("hidden_act", "quick_gelu");
  json.expect("layer_norm_eps", 1e-5);
  ClipTextConfig config;
  config.vocabulary = json.count("vocab_size", 49408);
  config.positions = json.count("max_position_embeddings", 77);
  config.channels = json.count("hidden_size", 768);
  config.layers = json.count("num_hidden_layers", 12, detail::kMostLayers);
  config.heads = json.count("num_attention_heads", 12);
  config.hidden = json.count("intermediate_size", 3072);
  return config;
}

// "epsilon", "v_prediction" (a folder), "v" (modelspec), or nothing.
inline std::optional<Prediction> prediction_of(const std::string& text, const std::string& where) {
  if (text == "epsilon") return Prediction::epsilon;
  if (text == "v_prediction" || text == "v") return Prediction::v;
  if (text.empty()) return std::nullopt;
  throw bad_config(where, "prediction_type is \"" + text + "\", but only epsilon and v_prediction are known here");
}

// Of a scheduler's file. Its timestep_spacing is for who samples.
inline Parameterization parameterization_of_json(const DiffusersConfig& json) {
  return {prediction_of(json.text("prediction_type"), json.path().string()), json.flag("rescale_betas_zero_snr")};
}

}  // namespace tiller
