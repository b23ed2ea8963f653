// What a fine-tune changed in a base, as a LoRA: of each matrix D = W₁ - W₀ = U Σ Vᵀ, cut after rank r,
//   up = U √Σ, down = √Σ Vᵀ, α = r
// (the way of kohya's extract_lora_from_models.py; the cut is the best of its rank: C. Eckart, G. Young, 1936).
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "diffusion/base_json.h"
#include "diffusion/lora/lora.h"
#include "diffusion/lora/svd.h"
#include "diffusion/lora/targets.h"

namespace tiller {

struct Extraction {
  Lora lora;
  double energy = 0;  // the share of all Σσ² that is kept
  struct Left {       // changed, and no matrix of a LoRA: norms, biases, embeddings
    size_t count = 0;
    std::string first{};
  } left;
};

using ExtractProgress = std::function<void(size_t done, size_t total)>;

// Matrices that are the same get no low-rank part.
// Errors: LORA_MISMATCH where the two differ in size.
inline Extraction extract_lora(Pool& pool, const BaseFiles& base, const BaseFiles& tuned, const LoraTargets& targets, int rank,
                               const ExtractProgress& progress) {
  const bool texts_fit = !base.has(BasePart::text) || !tuned.has(BasePart::text) || json_of(base.text()) == json_of(tuned.text());
  if (json_of(base.unet()) != json_of(tuned.unet()) || !texts_fit)
    throw Failure(kBadData, "LORA_MISMATCH", base.path().string() + " and " + tuned.path().string() + " are models of different sizes",
                  "Give the base that the other was trained from.");
  Extraction result;
  double kept = 0, all = 0;
  size_t done = 0;
  const bool texts = base.has(BasePart::text) && tuned.has(BasePart::text);
  for (const LoraTarget& target : targets.all()) {
    if (target.part == BasePart::text && !texts) continue;
    progress(done++, targets.all().size());
    std::vector<float> d = tuned.read(target.name + ".weight");
    const std::vector<float> before = base.read(target.name + ".weight");
    double energy = 0;
    for (size_t i = 0; i < d.size(); i++) {
      d[i] -= before[i];
      energy += static_cast<double>(d[i]) * static_cast<double>(d[i]);
    }
    if (energy == 0) continue;
    if (!target.usual) {
      if (result.left.count++ == 0) result.left.first = target.name + ".weight";
      continue;
    }
    all += energy;
    const auto m = static_cast<int>(target.rows()), n = static_cast<int>(target.columns());
    const Svd svd = truncated_svd(pool, d, m, n, rank);
    const auto r = svd.sigma.size();
    LoraMatrix matrix{target.name, static_cast<int>(r), static_cast<float>(r)};
    matrix.down.resize(r * static_cast<size_t>(n));
    matrix.up.resize(static_cast<size_t>(m) * r);
    for (size_t i = 0; i < r; i++) {
      const double root = std::sqrt(svd.sigma[i]);
      kept += svd.sigma[i] * svd.sigma[i];
      for (int j = 0; j < n; j++) matrix.down[i * static_cast<size_t>(n) + static_cast<size_t>(j)] = static_cast<float>(root * svd.v.column(static_cast<int>(i))[j]);
      for (int j = 0; j < m; j++) matrix.up[static_cast<size_t>(j) * r + i] = static_cast<float>(root * svd.u.column(static_cast<int>(i))[j]);
    }
    result.lora.matrices.push_back(std::move(matrix));
  }
  result.energy = all > 0 ? kept / all : 0;
  Parameters described;
  const UNet unet(described, base.unet());
  std::optional<ClipText> text;
  if (texts) text.emplace(described, base.text());
  for (const Parameter& tensor : described.tensors()) {
    const bool matrix = tensor.name.ends_with(".weight") && targets.find(tensor.name.substr(0, tensor.name.size() - 7)) != nullptr;
    if (matrix || tuned.read(tensor.name) == base.read(tensor.name)) continue;
    if (result.left.count++ == 0) result.left.first = tensor.name;
  }
  return result;
}

}  // namespace tiller
