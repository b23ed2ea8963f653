// A LoRA file of anyone's, for a base of Stable Diffusion 1.x: kohya's keys, diffusers' or PEFT's, told key by
// key. Every key must be known: what is passed over in silence is an effect that the file's maker saw and its
// user doesn't.
#pragma once

#include <cmath>
#include <functional>
#include <map>
#include <optional>
#include <string>

#include "diffusion/lora/lora.h"
#include "diffusion/lora/targets.h"

namespace tiller {

namespace detail {

struct LoraKey {
  std::string module;
  enum Kind { down, up, alpha } kind;
};

// `module.ending`; none if the ending is of no LoRA.
inline std::optional<LoraKey> split_lora_key(const std::string& key) {
  static const std::pair<const char*, LoraKey::Kind> endings[] = {
      {".lora_down.weight", LoraKey::down}, {".lora_up.weight", LoraKey::up},   {".lora_A.weight", LoraKey::down},
      {".lora_B.weight", LoraKey::up},      {".lora.down.weight", LoraKey::down}, {".lora.up.weight", LoraKey::up},
      {".alpha", LoraKey::alpha}};
  for (const auto& [ending, kind] : endings)
    if (key.ends_with(ending)) return LoraKey{key.substr(0, key.size() - std::string(ending).size()), kind};
  return std::nullopt;
}

inline Failure not_a_lora(const fs::path& path, const std::string& what) {
  return {kBadData, "LORA_KIND", path.string() + " " + what, "Only plain LoRA is read: a lora_down and a lora_up of each matrix."};
}

// Errors: LORA_SDXL, LORA_KIND.
inline void refuse_other_loras(const fs::path& path, const Safetensors& file) {
  static const std::pair<const char*, const char*> kinds[] = {
      {".hada_w", "is a LoHa"}, {".lokr_w", "is a LoKr"}, {".dora_scale", "is a DoRA"}, {".lora_magnitude_vector", "is a DoRA"},
      {".oft_", "is an OFT"},   {".lora_mid.", "has convolutions in Tucker form (lora_mid)"}, {".diff_b", "has biases (diff_b)"}, {".diff", "has whole differences (diff)"}};
  bool lora = false;
  for (const auto& tensor : file.tensors()) {
    const std::string& name = tensor.name;
    const bool second = name.starts_with("lora_te1_") || name.starts_with("lora_te2_") || name.starts_with("text_encoder_2.");
    const bool deep = name.find("transformer_blocks_1_") != std::string::npos || name.find("transformer_blocks.1.") != std::string::npos;
    const bool sgm = name.starts_with("lora_unet_input_blocks_") || name.starts_with("lora_unet_output_blocks_") || name.starts_with("lora_unet_middle_block_");
    if (second || deep || sgm) {
      throw Failure(kBadData, "LORA_SDXL", path.string() + " is a LoRA for Stable Diffusion XL: it has " + name,
                    "Give one for Stable Diffusion 1.x.");
    }
    for (const auto& [mark, what] : kinds)
      if (name.find(mark) != std::string::npos) throw not_a_lora(path, std::string(what) + ": it has " + name);
    lora = lora || split_lora_key(name).has_value();
  }
  if (!lora) throw not_a_lora(path, "is no LoRA: it has no lora_down or lora_A");
}

// [r, in, 1, 1] is [r, in]: files have both for the same matrix.
inline bool same_shape(std::vector<int64_t> a, std::vector<int64_t> b) {
  for (auto* shape : {&a, &b})
    while (shape->size() > 2 && shape->back() == 1) shape->pop_back();
  return a == b;
}

// α by "lora_adapter_metadata", where a file has it (diffusers, from PEFT's LoraConfig).
class PackedAlphas {
 public:
  explicit PackedAlphas(const Safetensors& file) {
    const auto found = file.metadata().find("lora_adapter_metadata");
    if (found != file.metadata().end()) json_ = parse_json(found->second);
  }
  std::optional<float> of(const LoraTarget& target) const {
    const std::string prefix = target.part == BasePart::unet ? "unet." : "text_encoder.";
    if (!json_.is_object() || !json_.contains(prefix + "lora_alpha")) return std::nullopt;
    if (const auto pattern = json_.find(prefix + "alpha_pattern"); pattern != json_.end() && pattern->is_object())
      for (const auto& [module, alpha] : pattern->items())
        if ((target.module == module || target.module.ends_with("." + module)) && alpha.is_number()) return alpha.get<float>();
    const Json& all = json_[prefix + "lora_alpha"];
    return all.is_number() ? std::optional(all.get<float>()) : std::nullopt;
  }

 private:
  Json json_;
};

struct FoundLora {
  const TensorInfo *down = nullptr, *up = nullptr, *alpha = nullptr;
};

class LoraReader {
 public:
  LoraReader(const fs::path& path, const LoraTargets& targets) : path_(path), targets_(targets), file_(path, Safetensors::Types::all) {}

  Lora read() const {
    refuse_other_loras(path_, file_);
    const auto found = match();
    const PackedAlphas packed(file_);
    Lora lora;
    lora.metadata = file_.metadata();
    for (const LoraTarget& target : targets_.all()) {
      const auto here = found.find(&target);
      if (here == found.end()) continue;
      const FoundLora& tensors = here->second;
      check(target, tensors);
      const auto rank = static_cast<int>(tensors.down->shape[0]);
      const float usual = packed.of(target).value_or(static_cast<float>(rank));
      const float alpha = tensors.alpha == nullptr ? usual : numbers(*tensors.alpha)[0];
      lora.matrices.push_back({target.name, rank, alpha, numbers(*tensors.down), numbers(*tensors.up)});
    }
    return lora;
  }

 private:
  std::map<const LoraTarget*, FoundLora> match() const {
    std::map<const LoraTarget*, FoundLora> found;
    std::string strangers;
    size_t count = 0;
    for (const auto& tensor : file_.tensors()) {
      const auto key = split_lora_key(tensor.name);
      const bool kohya = tensor.name.starts_with("lora_");
      const LoraTarget* target = !key ? nullptr : kohya ? targets_.find_kohya(key->module) : targets_.find_peft(key->module);
      if (target == nullptr) {
        if (++count <= 3) strangers += (count > 1 ? ", " : "") + tensor.name;
        continue;
      }
      const TensorInfo*& place = key->kind == LoraKey::down ? found[target].down : key->kind == LoraKey::up ? found[target].up : found[target].alpha;
      if (place != nullptr) throw mismatch(tensor.name + " comes twice, also as " + place->name);
      place = &tensor;
    }
    if (count == 0) return found;
    throw Failure(kBadData, "LORA_UNMATCHED",
                  path_.string() + " has keys that match nothing in the base: " + strangers +
                      (count > 3 ? " and " + std::to_string(count - 3) + " more" : ""),
                  "It may be for another kind of model, or for a base with other parts.");
  }

  Failure mismatch(const std::string& what) const {
    return {kBadData, "LORA_MISMATCH", path_.string() + ": " + what, "It may be cut, or for another kind of model, such as Stable Diffusion 2.x."};
  }

  void check(const LoraTarget& target, const FoundLora& tensors) const {
    if (tensors.down == nullptr || tensors.up == nullptr)
      throw mismatch("the LoRA of " + target.kohya() + " lacks its " + (tensors.down == nullptr ? "down" : "up") + " matrix");
    const auto& down = tensors.down->shape;
    const int64_t rank = down.empty() ? 0 : down[0];
    if (rank < 1 || rank > 1 << 20 || !same_shape(down, target.down_shape(static_cast<int>(rank))))
      throw mismatch(tensors.down->name + " is " + shape_text(down) + ", but the base's matrix " + shape_text(target.shape));
    if (!same_shape(tensors.up->shape, target.up_shape(static_cast<int>(rank))))
      throw mismatch(tensors.up->name + " is " + shape_text(tensors.up->shape) + ", not " + shape_text(target.up_shape(static_cast<int>(rank))));
    if (tensors.alpha != nullptr && tensors.alpha->count() != 1) throw mismatch(tensors.alpha->name + " is no single number");
  }

  std::vector<float> numbers(const TensorInfo& tensor) const {
    if (!is_float(tensor.dtype)) throw mismatch(tensor.name + " is " + tensor.dtype + "; only F32, F16 and BF16 are read");
    auto values = file_.read(tensor);
    for (const float value : values) {
      if (std::isfinite(value)) continue;
      throw Failure(kBadData, "LORA_NOT_FINITE", tensor.name + " of " + path_.string() + " holds NaN or infinite numbers",
                    "Its training failed; use one of an earlier epoch.");
    }
    return values;
  }

  const fs::path& path_;
  const LoraTargets& targets_;
  const Safetensors file_;
};

}  // namespace detail

// Errors: LORA_NOT_FOUND, LORA_SDXL, LORA_KIND, LORA_UNMATCHED, LORA_MISMATCH, LORA_NOT_FINITE, BASE_PICKLE,
// BASE_GGUF.
inline Lora read_lora(const fs::path& path, const LoraTargets& targets) {
  std::error_code ignored;
  if (!fs::is_regular_file(path, ignored))
    throw Failure(kBadData, "LORA_NOT_FOUND", "there is no LoRA file at " + path.string(), "Check the path; of a folder, name its .safetensors.");
  detail::refuse_file(path);
  try {
    return detail::LoraReader(path, targets).read();
  } catch (const FormatError& error) {
    throw detail::not_a_lora(path, std::string("can't be read: ") + error.what());
  }
}

// Into the low-rank parts of a model on its tapes. A part that the LoRA has no matrix for becomes nothing; one
// of a larger rank has the rest of it zero. Errors: LORA_UNMATCHED, LORA_MISMATCH.
inline void load_lora(const Lora& lora, const Adapters& adapters) {
  size_t known = 0;
  for (const Adapters::Entry& entry : adapters.entries()) {
    std::vector<float> down(entry.down->size()), up(entry.up->size());
    if (const LoraMatrix* matrix = lora.find(entry.name)) {
      known++;
      if (matrix->rank > entry.rank)
        throw Failure(kBadData, "LORA_MISMATCH", entry.name + " has rank " + std::to_string(matrix->rank) + " in the LoRA, " + std::to_string(entry.rank) + " here",
                      "Give lora.rank (and conv_rank) the LoRA's.");
      const auto r = static_cast<size_t>(matrix->rank), wide = static_cast<size_t>(entry.rank);
      const float scale = matrix->alpha / static_cast<float>(matrix->rank) / (entry.alpha / static_cast<float>(entry.rank));
      std::copy(matrix->down.begin(), matrix->down.end(), down.begin());
      for (size_t i = 0; i < matrix->up.size(); i++) up[i / r * wide + i % r] = scale * matrix->up[i];
    }
    entry.down->load(down.data());
    entry.up->load(up.data());
  }
  if (known == lora.matrices.size()) return;
  for (const LoraMatrix& matrix : lora.matrices) {
    const auto same = [&](const auto& entry) { return entry.name == matrix.name; };
    if (std::none_of(adapters.entries().begin(), adapters.entries().end(), same))
      throw Failure(kBadData, "LORA_UNMATCHED", "the LoRA changes " + matrix.name + ", which has no low-rank part here",
                    "Give lora.conv_rank a rank, or train the text encoder too.");
  }
}

}  // namespace tiller
