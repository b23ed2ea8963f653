// What lies at a path that should be a Stable Diffusion 1.x base, and why it is refused where it is none.
#pragma once

#include <array>
#include <fstream>
#include <set>
#include <string>

#include "formats/files.h"
#include "models/sd1_names.h"
#include "training/failure.h"

namespace tiller {

enum class BaseKind { none, single_file, diffusers };

// Never throws: `none` may be anything else, a checkpoint of Tiller's for example.
inline BaseKind base_kind(const fs::path& path) {
  std::error_code ignored;
  if (fs::is_directory(path, ignored)) {
    const bool folder = fs::is_regular_file(path / "model_index.json", ignored) ||
                        fs::is_regular_file(path / "unet" / "config.json", ignored);
    return folder ? BaseKind::diffusers : BaseKind::none;
  }
  const bool file = fs::is_regular_file(path, ignored) && path.extension() == ".safetensors";
  return file ? BaseKind::single_file : BaseKind::none;
}

inline Failure pickled(const fs::path& path) {
  return {kBadData, "BASE_PICKLE",
          path.string() + " is a pickle: a program that runs when it is opened, which Tiller doesn't do",
          "Convert it to .safetensors once, on a machine that may run it: in Python, with torch and safetensors, "
          "save_file({k: v for k, v in torch.load(FILE, weights_only=True)['state_dict'].items()}, "
          "'base.safetensors'); or look for the same model as .safetensors."};
}

namespace detail {

inline std::string lower_extension(const fs::path& path) {
  std::string text = path.extension().string();
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

inline bool is_pickle_name(const fs::path& path) {
  static const std::set<std::string> names{".ckpt", ".bin", ".pt", ".pth", ".pkl"};
  return names.contains(lower_extension(path));
}

inline void refuse_file(const fs::path& path) {
  std::array<char, 4> magic{};
  std::ifstream(path, std::ios::binary).read(magic.data(), magic.size());
  const std::string_view first(magic.data(), magic.size());
  if (first == "GGUF" || lower_extension(path) == ".gguf") {
    throw Failure(kBadData, "BASE_GGUF", path.string() + " is a GGUF file, whose weights are mostly quantised",
                  "Train on the model's .safetensors file; a GGUF can be made of the result.");
  }
  const bool zip = first == std::string_view("PK\x03\x04", 4);
  const bool pickle = magic[0] == '\x80' && magic[1] >= 2 && magic[1] <= 5 && magic[3] != 0;
  if (zip || pickle || is_pickle_name(path)) throw pickled(path);
}

inline void refuse_folder(const fs::path& path) {
  for (const auto& entry : fs::directory_iterator(path)) {
    if (entry.path().filename() == "adapter_config.json" || entry.path().filename() == "adapter_model.safetensors") {
      throw Failure(kBadData, "BASE_LORA", path.string() + " is a LoRA, which changes a base and is none",
                    "Give the base that it was made for.");
    }
  }
  throw Failure(kBadData, "BASE_UNKNOWN",
                path.string() + " is no diffusers folder: it has neither model_index.json nor unet/config.json",
                "Give a .safetensors file of Stable Diffusion 1.x, or a folder that diffusers wrote.");
}

}  // namespace detail

// The kind, or a failure that says what it is instead.
// Errors: BASE_NOT_FOUND, BASE_PICKLE, BASE_GGUF, BASE_LORA, BASE_UNKNOWN.
inline BaseKind require_base(const fs::path& path) {
  std::error_code ignored;
  if (!fs::exists(path, ignored))
    throw Failure(kBadData, "BASE_NOT_FOUND", "there is no base at " + path.string(), "Check the path.");
  if (!fs::is_directory(path, ignored)) detail::refuse_file(path);
  const BaseKind kind = base_kind(path);
  if (kind != BaseKind::none) return kind;
  if (fs::is_directory(path, ignored)) detail::refuse_folder(path);
  throw Failure(kBadData, "BASE_UNKNOWN", path.string() + " is no .safetensors file",
                "Give a .safetensors file of Stable Diffusion 1.x, or a folder that diffusers wrote.");
}

// Other kinds of model that come as .safetensors, told by their tensors' names and shapes (`context`: how
// many channels of text the U-Net reads; 0 if unknown).
// Errors: BASE_LORA, BASE_SDXL, BASE_SD2, BASE_UNKNOWN.
template <class Names>
void refuse_other_models(const fs::path& path, const Names& names, int context) {
  bool lora = false, sdxl = context == 2048, sd2 = context == 1024, unet = false;
  for (const std::string& name : names) {
    lora = lora || name.starts_with("lora_") || name.find(".lora_A.") != std::string::npos ||
           name.find(".lora_B.") != std::string::npos || name.find(".lora_down.") != std::string::npos ||
           name.find(".lora.down.") != std::string::npos;
    sdxl = sdxl || name.starts_with("conditioner.embedders.") || name.find("label_emb.") != std::string::npos;
    sd2 = sd2 || name.starts_with("cond_stage_model.model.");
    unet = unet || name == std::string(kUNetPrefix) + "input_blocks.0.0.weight";
  }
  if (lora) {
    throw Failure(kBadData, "BASE_LORA", path.string() + " is a LoRA, which changes a base and is none",
                  "Give the base that it was made for.");
  }
  if (sdxl) {
    throw Failure(kBadData, "BASE_SDXL", path.string() + " is a Stable Diffusion XL model, with two text encoders",
                  "Give a Stable Diffusion 1.x base; XL can't be trained yet.");
  }
  if (sd2) {
    throw Failure(kBadData, "BASE_SD2", path.string() + " is a Stable Diffusion 2.x model, with another text encoder",
                  "Give a Stable Diffusion 1.x base.");
  }
  if (!unet) {
    throw Failure(kBadData, "BASE_UNKNOWN", path.string() + " has no U-Net of Stable Diffusion 1.x (model.diffusion_model.*)",
                  "Give the whole model's .safetensors file, or a folder that diffusers wrote.");
  }
}

}  // namespace tiller
