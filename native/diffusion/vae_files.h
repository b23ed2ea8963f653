// An autoencoder of its own, which replaces a base's: one .safetensors file with Stable Diffusion's names (with
// or without "first_stage_model.") or diffusers', or the folder that diffusers wrote.
#pragma once

#include <memory>
#include <string>

#include "diffusion/base_config.h"
#include "diffusion/base_kind.h"
#include "diffusion/diffusers_config.h"
#include "diffusion/weight_files.h"
#include "models/sd1_names.h"

namespace tiller {

class VaeFiles {
 public:
  // For a U-Net that reads latents of so many channels. Errors: BASE_NOT_FOUND, BASE_PICKLE, BASE_CORRUPT, BASE_CONFIG, BASE_MISMATCH, BASE_TYPE.
  VaeFiles(const fs::path& path, int latent_channels) : path_(path), latent_channels_(latent_channels) {
    std::error_code absent;
    if (!fs::exists(path, absent)) throw Failure(kBadData, "BASE_NOT_FOUND", "there is no autoencoder at " + path.string(), "Check `vae`.");
    try {
      if (!fs::is_directory(path, absent)) {
        const fs::path beside = path.parent_path() / "config.json";
        open(path, fs::exists(beside, absent) ? vae_of_json(DiffusersConfig(beside)) : VaeConfig{});
        return;
      }
      const fs::path folder = fs::exists(path / "vae" / "config.json") ? path / "vae" : path;
      const VaeConfig config = vae_of_json(DiffusersConfig(folder / "config.json"));
      open(find_weight_files(folder, "diffusion_pytorch_model").at(0), config);
    } catch (const FormatError& error) {
      throw Failure(kBadData, "BASE_CORRUPT", error.what(), "Fetch the file again, and compare its size or hash.");
    }
  }

  const VaeConfig& config() const { return config_; }

  // One tensor by its name in single files. Errors: BASE_NOT_FINITE.
  std::vector<float> read(const std::string& name) const {
    std::vector<float> values = file_->read(*sources_.at(name));
    for (const float value : values)
      if (!std::isfinite(value))
        throw Failure(kBadData, "BASE_NOT_FINITE", name + " of " + path_.string() + " holds NaN or infinite numbers",
                      "Use another copy of the autoencoder.");
    return values;
  }

  // Errors: BASE_NOT_FINITE.
  void load(Parameters& parameters) const {
    for (Parameter& tensor : parameters.tensors()) tensor.load(read(tensor.name).data());
  }

 private:
  void open(const fs::path& file, const VaeConfig& usual) {
    if (detail::is_pickle_name(file)) throw pickled(file);
    file_ = std::make_unique<Safetensors>(file, Safetensors::Types::all);
    const NameTable names = vae_names(usual);
    std::map<std::string, const TensorInfo*> found;
    for (const auto& tensor : file_->tensors()) {
      const std::string full = tensor.name.starts_with(kVaePrefix) ? tensor.name : kVaePrefix + tensor.name;
      const auto translated = names.to_sd(usual_vae_name(tensor.name));
      found[translated.value_or(full)] = &tensor;
    }
    const ShapeOf shape_of = [&](const std::string& name) {
      const auto tensor = found.find(name);
      return tensor == found.end() ? std::vector<int64_t>{} : tensor->second->shape;
    };
    const auto written = file_->metadata().find("tiller.model");
    config_ = vae_of_shapes(shape_of, written == file_->metadata().end() ? Json() : parse_json(written->second));
    if (written == file_->metadata().end()) config_.norm_groups = usual.norm_groups, config_.scale = usual.scale;
    if (config_.z_channels != latent_channels_)
      throw mismatch("has latents of " + std::to_string(config_.z_channels) + " channels, and the base reads " + std::to_string(latent_channels_));
    Parameters described;
    const Vae model(described, config_);
    for (const auto& tensor : described.tensors()) {
      const auto source = found.find(tensor.name);
      if (source == found.end()) throw mismatch("lacks " + tensor.name);
      if (!is_float(source->second->dtype))
        throw Failure(kBadData, "BASE_TYPE", source->second->name + " of " + path_.string() + " is " + source->second->dtype +
                                                 "; only F32, F16 and BF16 are read", "Convert it to F16 or F32.");
      if (source->second->count() != tensor.size())
        throw mismatch("has " + source->second->name + " of " + shape_text(source->second->shape));
      sources_[tensor.name] = source->second;
    }
  }

  Failure mismatch(const std::string& what) const {
    return {kBadData, "BASE_MISMATCH", "the autoencoder " + path_.string() + " " + what,
            "Give an autoencoder of Stable Diffusion 1.x, such as vae-ft-mse."};
  }

  fs::path path_;
  int latent_channels_;
  std::unique_ptr<Safetensors> file_;
  std::map<std::string, const TensorInfo*> sources_;
  VaeConfig config_;
};

}  // namespace tiller
