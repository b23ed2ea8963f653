// How models describe their tensors: named blocks of the kinds that layers take.
#pragma once
#include "compute/parameters.h"

namespace tiller {

struct LowRank; // layers/low_rank.h

struct Weights {
  Block *w = nullptr, *b = nullptr;
  const LowRank* low_rank = nullptr;
};

inline Block* describe_bias(Parameters& p, const std::string& name, int size, Initialization values) {
  Block* b = p.plain(1, size);
  p.name(name, {size}, {{b, 0, 0, size}}, values);
  return b;
}

// name.weight [out, in, 3, 3], name.bias [out]
inline Weights describe_conv3x3(Parameters& p, const std::string& name, int in, int out) {
  const Initialization values = fan_in_uniform(in * 9);
  Block* w = p.matrix(9, in, out);
  p.name(name + ".weight", {out, in, 3, 3}, {{w, 0, 0, out}}, values);
  return {w, describe_bias(p, name + ".bias", out, values), nullptr};
}

// name.weight [out, in, 1, 1], name.bias [out]: a linear layer inside
inline Weights describe_conv1x1(Parameters& p, const std::string& name, int in, int out) {
  const Initialization values = fan_in_uniform(in);
  Block* w = p.matrix(1, in, out);
  p.name(name + ".weight", {out, in, 1, 1}, {{w, 0, 0, out}}, values);
  return {w, describe_bias(p, name + ".bias", out, values), nullptr};
}

// name.weight [out, in], name.bias [out]
inline Weights describe_linear(Parameters& p, const std::string& name, int in, int out) {
  Block* w = p.matrix(1, in, out);
  p.name(name + ".weight", {out, in}, {{w, 0, 0, out}}, fan_in_uniform(in));
  return {w, describe_bias(p, name + ".bias", out, fan_in_uniform(in)), nullptr};
}

// Several tensors `shape`, [out, in] or [out, in, 1, 1], as one matrix: one product computes all of them.
inline Weights describe_stacked_as(Parameters& p, const std::vector<std::string>& names,
                                   const std::vector<int>& shape, bool bias) {
  const int count = (int)names.size(), out = shape[0], in = shape[1];
  Weights stacked{p.matrix(1, in, out * count), bias ? p.plain(1, out * count) : nullptr, nullptr};
  for (int i = 0; i < count; i++) {
    p.name(names[i] + ".weight", shape, {{stacked.w, 0, i * out, out}}, fan_in_uniform(in));
    if (bias) p.name(names[i] + ".bias", {out}, {{stacked.b, 0, i * out, out}}, fan_in_uniform(in));
  }
  return stacked;
}

inline Weights describe_stacked(Parameters& p, const std::vector<std::string>& names, int in, int out, bool bias) {
  return describe_stacked_as(p, names, {out, in}, bias);
}
inline Weights describe_stacked_1x1(Parameters& p, const std::vector<std::string>& names, int in, int out) {
  return describe_stacked_as(p, names, {out, in, 1, 1}, true);
}

// name.weight (ones) and name.bias (zeros): a norm's scale and shift
inline Weights describe_norm(Parameters& p, const std::string& name, int channels) {
  Block* gamma = p.plain(1, channels);
  p.name(name + ".weight", {channels}, {{gamma, 0, 0, channels}}, {Initialization::ones});
  return {gamma, describe_bias(p, name + ".bias", channels, {}), nullptr};
}

} // namespace tiller
