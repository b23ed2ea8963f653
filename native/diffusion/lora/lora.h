// A LoRA as numbers, whatever its file calls them: for some matrices of a base a low-rank part each
// (E. Hu et al., "LoRA: low-rank adaptation of large language models", 2021, section 4.1).
//   W' = W + s α/r B A      W [N, K], A [r, K], B [N, r]; of a convolution K = in · 3 · 3, as PyTorch has it
#pragma once

#include <algorithm>
#include <map>
#include <string>
#include <vector>

namespace tiller {

struct LoraMatrix {
  std::string name;  // the matrix's own in single files, without ".weight"
  int rank = 0;
  float alpha = 0;
  std::vector<float> down{}, up{};  // A, B
};

struct Lora {
  std::vector<LoraMatrix> matrices;             // in the order of the base's
  std::map<std::string, std::string> metadata;  // of its file

  const LoraMatrix* find(const std::string& name) const {
    const auto found = std::find_if(matrices.begin(), matrices.end(), [&](const auto& m) { return m.name == name; });
    return found == matrices.end() ? nullptr : &*found;
  }
};

// w += scale α/r B A
inline void add_low_rank(const LoraMatrix& lora, float scale, std::vector<float>& w) {
  const auto r = static_cast<size_t>(lora.rank), n = lora.up.size() / r, k = lora.down.size() / r;
  const float s = scale * lora.alpha / static_cast<float>(lora.rank);
  std::vector<float> sum(k);
  for (size_t row = 0; row < n; row++) {
    std::fill(sum.begin(), sum.end(), 0.f);
    for (size_t i = 0; i < r; i++) {
      const float b = lora.up[row * r + i];
      const float* a = lora.down.data() + i * k;
      for (size_t c = 0; c < k; c++) sum[c] += b * a[c];
    }
    for (size_t c = 0; c < k; c++) w[row * k + c] += s * sum[c];
  }
}

}  // namespace tiller
