// What was trained, out of a checkpoint of Tiller's: a LoRA, or tensors in the place of the base's.
#pragma once

#include <cmath>
#include <memory>
#include <optional>
#include <string>

#include "diffusion/lora/lora.h"
#include "diffusion/lora/targets.h"
#include "training/checkpoint.h"

namespace tiller {

enum class WeightChoice { automatic, raw, ema };  // automatic: the running mean where there is one

class TrainedFiles {
 public:
  // Errors: CHECKPOINT_CORRUPT, CHECKPOINT_MISMATCH.
  TrainedFiles(const fs::path& folder, WeightChoice weights) {
    verify_checkpoint(folder);
    state_ = parse_json(MappedFile(folder / "state.json").text());
    if (!state_.is_object() || state_.value("trainer", Json()) != "tiller-diffusion")
      throw mismatch(folder / "state.json", "is not of tiller-diffusion");
    const fs::path average = folder / "ema.safetensors";
    const bool averaged = weights == WeightChoice::ema || (weights == WeightChoice::automatic && fs::exists(average));
    if (averaged && !fs::exists(average)) throw mismatch(folder, "has no running mean of the weights (ema.safetensors)");
    path_ = averaged ? average : folder / "weights.safetensors";
    file_ = std::make_unique<Safetensors>(path_);
  }

  bool is_lora() const { return state_.contains("lora") && state_["lora"].is_object(); }
  const Json& state() const { return state_; }
  const Safetensors& file() const { return *file_; }

  // Errors: CHECKPOINT_MISMATCH, LORA_NOT_FINITE.
  Lora lora(const LoraTargets& targets) const {
    const Json& settings = state_["lora"];
    const auto number = [&](const char* key) { return settings.contains(key) && settings[key].is_number() ? settings[key].get<float>() : 0; };
    const float rank = number("rank"), alpha = number("alpha"), conv_rank = number("conv_rank"), conv_alpha = number("conv_alpha");
    Lora lora;
    for (const LoraTarget& target : targets.all()) {
      const TensorInfo *down = file_->find(target.name + ".lora_down.weight"), *up = file_->find(target.name + ".lora_up.weight");
      if (down == nullptr && up == nullptr) continue;
      if (down == nullptr || up == nullptr) throw mismatch(path_, "has half of the LoRA of " + target.name);
      const bool conv = target.in_residual_block();
      const auto r = static_cast<int>(down->shape.empty() ? 0 : down->shape[0]);
      const bool fits = r > 0 && static_cast<float>(r) == (conv ? conv_rank : rank) &&
                        down->count() == static_cast<size_t>(r) * static_cast<size_t>(target.columns()) &&
                        up->count() == static_cast<size_t>(r) * static_cast<size_t>(target.rows());
      if (!fits) throw mismatch(path_, "has " + down->name + " of " + shape_text(down->shape) + ", which fits neither the base nor state.json");
      lora.matrices.push_back({target.name, r, conv ? conv_alpha : alpha, finite(*down), finite(*up)});
    }
    if (lora.matrices.size() * 2 == file_->tensors().size() && !lora.matrices.empty()) return lora;
    for (const auto& tensor : file_->tensors()) {
      const std::string name = tensor.name.substr(0, std::max(tensor.name.rfind(".lora_"), size_t{1}));
      if (lora.find(name) == nullptr) throw mismatch(path_, "has " + tensor.name + ", which the base lacks");
    }
    throw mismatch(path_, "holds no LoRA");
  }

  // Each tensor must be one of the base's. Errors: CHECKPOINT_MISMATCH.
  void match(const BaseFiles& base) const {
    Parameters described;
    const UNet unet(described, base.unet());
    std::optional<ClipText> text;
    if (base.has(BasePart::text)) text.emplace(described, base.text());
    for (const auto& tensor : file_->tensors()) {
      const Parameter* known = described.find(tensor.name);
      if (known == nullptr) throw mismatch(path_, "has " + tensor.name + ", which the base lacks");
      if (tensor.shape != std::vector<int64_t>(known->shape.begin(), known->shape.end()))
        throw mismatch(path_, "has " + tensor.name + " of " + shape_text(tensor.shape) + ", unlike the base");
    }
    if (file_->tensors().empty()) throw mismatch(path_, "holds no tensor");
  }

 private:
  static Failure mismatch(const fs::path& path, const std::string& what) {
    return {kBadData, "CHECKPOINT_MISMATCH", path.string() + " " + what, "Give the base that the run was trained from."};
  }
  std::vector<float> finite(const TensorInfo& tensor) const {
    auto values = file_->read(tensor);
    for (const float value : values)
      if (!std::isfinite(value)) throw Failure(kBadData, "LORA_NOT_FINITE", tensor.name + " of " + path_.string() + " is not finite", "Use the epoch before.");
    return values;
  }

  fs::path path_;
  Json state_;
  std::unique_ptr<Safetensors> file_;
};

}  // namespace tiller
