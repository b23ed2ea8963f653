// A Stable Diffusion 1.x model as people have it, to train from: one .safetensors file, or a diffusers
// folder. Opening one finds its sizes and checks every tensor's name, shape and type against the model
// of these sizes; numbers are read one tensor at a time, out of the mapped files.
//
//   const BaseFiles base(path);
//   UNet unet(parameters, base.unet()); …; parameters.allocate(…);
//   base.load(parameters, BasePart::unet);
#pragma once

#include <cmath>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "compute/parameters.h"
#include "diffusion/base_kind.h"
#include "diffusion/diffusers_config.h"
#include "diffusion/weight_files.h"

namespace tiller {

enum class BasePart { unet, vae, text };

inline const char* prefix_of(BasePart part) {
  return part == BasePart::unet ? kUNetPrefix : part == BasePart::vae ? kVaePrefix : kTextPrefix;
}
inline const char* title_of(BasePart part) {
  return part == BasePart::unet ? "U-Net" : part == BasePart::vae ? "autoencoder" : "text encoder";
}

class BaseFiles {
 public:
  // Errors: BASE_NOT_FOUND, BASE_UNKNOWN, BASE_PICKLE, BASE_GGUF, BASE_LORA, BASE_SDXL, BASE_SD2,
  // BASE_CORRUPT, BASE_CONFIG, BASE_MISMATCH, BASE_TYPE.
  explicit BaseFiles(const fs::path& path) : path_(path), kind_(require_base(path)) {
    try {
      kind_ == BaseKind::single_file ? open_file() : open_folder();
    } catch (const FormatError& error) {
      throw Failure(kBadData, "BASE_CORRUPT", error.what(), "Fetch the file again, and compare its size or hash.");
    } catch (const std::invalid_argument& error) {
      throw bad_config(path.string(), error.what());
    }
  }

  BaseKind kind() const { return kind_; }
  const fs::path& path() const { return path_; }
  // Some files come without an autoencoder or a text encoder.
  bool has(BasePart part) const { return !parts_.at(part).empty(); }
  const UNetConfig& unet() const { return unet_; }
  const VaeConfig& vae() const { return require(BasePart::vae), vae_; }
  const ClipTextConfig& text() const { return require(BasePart::text), text_; }
  const Parameterization& parameterization() const { return parameterization_; }

  // One tensor by its name in single files. Errors: BASE_NOT_FINITE.
  std::vector<float> read(const std::string& name) const {
    const auto part = part_of_name(name);
    const Source& source = parts_.at(part.value()).at(name);
    std::vector<float> values = source.file->read(*source.info);
    for (const float value : values) {
      if (std::isfinite(value)) continue;
      throw Failure(kBadData, "BASE_NOT_FINITE", source.info->name + " of " + path_.string() + " holds NaN or infinite numbers",
                    "The model is broken, by its training or by its conversion to F16; use another copy.");
    }
    return values;
  }

  // Fills the part's tensors among the parameters. Errors: BASE_MISMATCH, BASE_TYPE, BASE_NOT_FINITE.
  void load(Parameters& parameters, BasePart part) const {
    check(parameters, part);
    const bool average = parameters.data(Buffer::average) != nullptr;
    for (Parameter& tensor : parameters.tensors()) {
      if (!is_of(part, tensor)) continue;
      const std::vector<float> values = read(tensor.name);
      tensor.load(values.data());
      if (average && tensor.trainable()) tensor.load(values.data(), Buffer::average); // it begins as the weights
    }
  }

  // Every tensor of the part, by name, shape and type. Errors: BASE_MISMATCH, BASE_TYPE.
  void check(const Parameters& parameters, BasePart part) const {
    require(part);
    Complaint missing{"lacks"}, surplus{"has, which this model has not,"};
    size_t known = 0;
    for (const Parameter& tensor : parameters.tensors()) {
      if (!is_of(part, tensor)) continue;
      const auto found = parts_.at(part).find(tensor.name);
      if (found == parts_.at(part).end()) missing.add(tensor.name);
      else known++, check_tensor(tensor, *found->second.info);
    }
    if (known < parts_.at(part).size()) {
      for (const auto& [name, source] : parts_.at(part))
        if (parameters.find(name) == nullptr) surplus.add(source.info->name);
    }
    for (const Complaint* complaint : {&missing, &surplus}) {
      if (complaint->count == 0) continue;
      throw mismatch(std::string("the ") + title_of(part) + " of " + path_.string() + " " + complaint->text());
    }
  }

 private:
  // Adapters stand among a model's parameters, but are none of its base.
  static bool is_of(BasePart part, const Parameter& tensor) {
    return tensor.name.starts_with(prefix_of(part)) && tensor.name.find(".lora_") == std::string::npos;
  }

  struct Source {
    const Safetensors* file;
    const TensorInfo* info;
  };
  using Tensors = std::map<std::string, Source>;  // by their names in single files

  struct Complaint {
    std::string what, names{};
    size_t count = 0;
    void add(const std::string& name) {
      if (++count <= 3) names += (count > 1 ? ", " : "") + name;
    }
    std::string text() const {
      return what + " " + names + (count > 3 ? " and " + std::to_string(count - 3) + " more" : "");
    }
  };

  static Failure mismatch(const std::string& message) {
    return {kBadData, "BASE_MISMATCH", message, "The file may be cut, merged wrongly, or of another kind of model."};
  }

  void require(BasePart part) const {
    if (!has(part)) throw mismatch(path_.string() + " has no " + title_of(part) + " (" + prefix_of(part) + "*)");
  }

  void check_tensor(const Parameter& tensor, const TensorInfo& info) const {
    if (!is_float(info.dtype)) {
      throw Failure(kBadData, "BASE_TYPE",
                    info.name + " of " + path_.string() + " is " + info.dtype + "; only F32, F16 and BF16 are read",
                    "Convert the model to F16 or F32.");
    }
    // A 1x1 convolution [out, in, 1, 1] is a linear layer [out, in]: diffusers has both.
    std::vector<int64_t> wanted(tensor.shape.begin(), tensor.shape.end()), got = info.shape;
    const std::string was = shape_text(got), should = shape_text(wanted);
    for (auto* shape : {&wanted, &got})
      while (shape->size() > 2 && shape->back() == 1) shape->pop_back();
    if (got != wanted) throw mismatch(info.name + " of " + path_.string() + " is " + was + ", not " + should);
  }

  void open_file() {
    const Safetensors& file = *files_.emplace_back(std::make_unique<Safetensors>(path_, Safetensors::Types::all));
    const ShapeOf shape_of = [&](const std::string& name) {
      const TensorInfo* tensor = file.find(name);
      return tensor == nullptr ? std::vector<int64_t>{} : tensor->shape;
    };
    std::vector<std::string> names;
    for (const auto& tensor : file.tensors()) names.push_back(tensor.name);
    const auto text = shape_of(std::string(kUNetPrefix) + "middle_block.1.transformer_blocks.0.attn2.to_k.weight");
    refuse_other_models(path_, names, text.size() == 2 ? static_cast<int>(text[1]) : 0);
    Complaint strangers{"has tensors that are of no Stable Diffusion 1.x:"};
    for (const auto& tensor : file.tensors()) {
      if (is_surplus_of_people(tensor.name)) continue;
      const auto part = part_of_name(tensor.name);
      if (part) parts_[*part][tensor.name] = {&file, &tensor};
      else strangers.add(tensor.name);
    }
    if (strangers.count > 0) throw mismatch(path_.string() + " " + strangers.text());
    read_metadata(file, shape_of);
    check_all();
  }

  void read_metadata(const Safetensors& file, const ShapeOf& shape_of) {
    const auto metadata = [&](const char* key) {
      const auto found = file.metadata().find(key);
      return found == file.metadata().end() ? "" : found->second;
    };
    const Json model = parse_json(metadata("tiller.model"));
    unet_ = unet_of_shapes(shape_of, model);
    if (has(BasePart::vae)) vae_ = vae_of_shapes(shape_of, model);
    if (has(BasePart::text)) text_ = text_of_shapes(shape_of, model);
    parameterization_.prediction = prediction_of(metadata("modelspec.prediction_type"), path_.string());
    if (!parameterization_.prediction && file.find(kVPrediction) != nullptr) parameterization_.prediction = Prediction::v;
    parameterization_.zero_terminal_snr = file.find(kZeroTerminalSnr) != nullptr;
  }

  void open_folder() {
    const fs::path index = path_ / "model_index.json";
    const bool xl = fs::exists(index) && DiffusersConfig(index).text("_class_name").find("XL") != std::string::npos;
    if (xl || fs::exists(path_ / "text_encoder_2")) refuse_other_models(path_, std::vector<std::string>{}, 2048);
    const DiffusersConfig unet(path_ / "unet" / "config.json");
    const int context = unet.count("cross_attention_dim", 768);
    refuse_other_models(path_, std::vector{std::string(kUNetPrefix) + "input_blocks.0.0.weight"}, context);
    unet_ = unet_of_json(unet);
    open_part(BasePart::unet, "unet", "diffusion_pytorch_model", unet_names(unet_), nullptr);
    if (fs::exists(path_ / "vae")) {
      vae_ = vae_of_json(DiffusersConfig(path_ / "vae" / "config.json"));
      open_part(BasePart::vae, "vae", "diffusion_pytorch_model", vae_names(vae_), usual_vae_name);
    }
    if (fs::exists(path_ / "text_encoder")) {
      text_ = text_of_json(DiffusersConfig(path_ / "text_encoder" / "config.json"));
      open_part(BasePart::text, "text_encoder", "model", text_names(), usual_text_name);
    }
    const fs::path scheduler = path_ / "scheduler" / "scheduler_config.json";
    if (fs::exists(scheduler)) parameterization_ = parameterization_of_json(DiffusersConfig(scheduler));
    check_all();
  }

  void open_part(BasePart part, const char* folder, const char* stem, const NameTable& table,
                 std::string (*usual)(const std::string&)) {
    Complaint strangers{"has tensors that are of no Stable Diffusion 1.x:"};
    for (const fs::path& path : find_weight_files(path_ / folder, stem)) {
      const Safetensors& file = *files_.emplace_back(std::make_unique<Safetensors>(path, Safetensors::Types::all));
      for (const auto& tensor : file.tensors()) {
        if (tensor.name.ends_with("embeddings.position_ids")) continue;
        const auto name = table.to_sd(usual == nullptr ? tensor.name : usual(tensor.name));
        if (!name) strangers.add(tensor.name);
        else if (!parts_[part].emplace(*name, Source{&file, &tensor}).second)
          throw mismatch(tensor.name + " is twice in " + (path_ / folder).string());
      }
    }
    if (strangers.count > 0) throw mismatch((path_ / folder).string() + " " + strangers.text());
    require(part);
  }

  // Against the model that has these sizes; nothing is allocated for it.
  void check_all() const {
    Parameters parameters;
    const UNet unet(parameters, unet_);
    check(parameters, BasePart::unet);
    if (has(BasePart::vae)) {
      const Vae vae(parameters, vae_);
      check(parameters, BasePart::vae);
    }
    if (has(BasePart::text)) {
      const ClipText text(parameters, text_);
      check(parameters, BasePart::text);
    }
  }

  static std::optional<BasePart> part_of_name(const std::string& name) {
    for (const BasePart part : {BasePart::unet, BasePart::vae, BasePart::text})
      if (name.starts_with(prefix_of(part))) return part;
    return std::nullopt;
  }

  fs::path path_;
  BaseKind kind_;
  std::vector<std::unique_ptr<Safetensors>> files_;
  std::map<BasePart, Tensors> parts_{{BasePart::unet, {}}, {BasePart::vae, {}}, {BasePart::text, {}}};
  UNetConfig unet_;
  VaeConfig vae_;
  ClipTextConfig text_;
  Parameterization parameterization_;
};

}  // namespace tiller
