// Which matrices of a model get a low-rank part (layers/low_rank.h), and their tensors. A's begin as
// PyTorch's linear layers do and B's at zero, so that an untrained adapter changes nothing (E. Hu et al.,
// 2021, section 4.1). Tensors are called NAME.lora_down.weight [r, K] and NAME.lora_up.weight [N, r], NAME
// being the matrix's own in the model's file without ".weight".
#pragma once
#include <deque>

#include "layers/low_rank.h"
#include "models/parts.h"

namespace tiller {

struct LowRankSettings {
  int rank = 16;
  float alpha = 16;
  int conv_rank = 0; // of convolutions, and of whatever else a residual block has; 0: none
  float conv_alpha = 1;
};

class Adapters {
 public:
  explicit Adapters(LowRankSettings settings) : settings_(settings) {}
  Adapters(const Adapters&) = delete; // layers point at its members
  Adapters& operator=(const Adapters&) = delete;

  const LowRankSettings& settings() const { return settings_; }
  bool has_convolutions() const { return settings_.conv_rank > 0; }

  // For one matrix, or for several that are stacked in one product: names without ".weight".
  const LowRank* linear(Parameters& p, const std::vector<std::string>& names, int in, int out) {
    return add(p, names, in, out, settings_.rank, settings_.alpha, 1);
  }
  // The same with the rank of convolutions: a residual block's 1x1 shortcut and time embedding.
  const LowRank* block_linear(Parameters& p, const std::string& name, int in, int out) {
    return has_convolutions() ? add(p, {name}, in, out, settings_.conv_rank, settings_.conv_alpha, 1) : nullptr;
  }
  // A is a convolution [r, K, 3, 3], B one of a single pixel.
  const LowRank* conv3x3(Parameters& p, const std::string& name, int in, int out) {
    return has_convolutions() ? add(p, {name}, in, out, settings_.conv_rank, settings_.conv_alpha, 9) : nullptr;
  }

  struct Entry {
    std::string name; // of the matrix
    int rank;
    float alpha;
    Parameter *down, *up;
  };
  const std::vector<Entry>& entries() const { return entries_; }

 private:
  const LowRank* add(Parameters& p, const std::vector<std::string>& names, int in, int out, int rank, float alpha, int taps) {
    if (rank < 1) throw std::invalid_argument("a low-rank part needs a rank of at least 1");
    const int parts = (int)names.size();
    const bool before = p.trainable();
    p.set_trainable(true);
    LowRank& made = all_.emplace_back(LowRank{p.matrix(taps, in, rank * parts), {}, alpha / (float)rank});
    for (int i = 0; i < parts; i++) {
      made.up.push_back(p.matrix(1, rank, out));
      std::vector<int> down{rank, in}, up{out, rank};
      if (taps > 1) down.insert(down.end(), {3, 3}), up.insert(up.end(), {1, 1});
      Parameter* a = p.name(names[i] + ".lora_down.weight", down, {{made.down, 0, i * rank, rank}}, fan_in_uniform(in * taps));
      Parameter* b = p.name(names[i] + ".lora_up.weight", up, {{made.up.back(), 0, 0, out}}, {});
      entries_.push_back({names[i], rank, alpha, a, b});
    }
    p.set_trainable(before);
    return &made;
  }

  LowRankSettings settings_;
  std::deque<LowRank> all_;
  std::vector<Entry> entries_;
};

} // namespace tiller
