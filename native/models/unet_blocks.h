// What Stable Diffusion 1.x's U-Net is made of (R. Rombach et al., "High-resolution image synthesis
// with latent diffusion models", 2022, appendix E.2), with the tensor names of its checkpoints.
//
// Weights begin as PyTorch's layers do, also those that Stable Diffusion began at zero (out_layers.3,
// proj_out, out.2): from nothing, the demo's model then knows after 8 epochs what it else knew after 10.
#pragma once
#include <optional>

#include "layers/activation.h"
#include "layers/attention.h"
#include "layers/conv3x3.h"
#include "layers/feed_forward.h"
#include "layers/gated_gelu.h"
#include "layers/group_norm.h"
#include "layers/layer_norm.h"
#include "layers/linear.h"
#include "layers/timestep_embedding.h"
#include "models/adapters.h"

namespace tiller {

// y = silu(linear(silu(linear(waves(t))))); every ResBlock begins with the last SiLU, which is shared.
struct TimeEmbedding {
  Weights first, second;
  int waves;

  TimeEmbedding(Parameters& p, const std::string& name, int waves, int channels)
      : first(describe_linear(p, name + ".0", waves, channels)), second(describe_linear(p, name + ".2", channels, channels)),
        waves(waves) {}

  Value* build(Tape& tape, Value* timesteps) const {
    Value* e = tape.add<TimestepEmbedding>(timesteps, waves).y;
    e = tape.add<Linear>(e, first.w, first.b).y;
    e = tape.add<Activation>(e, Activation::Function::silu).y;
    e = tape.add<Linear>(e, second.w, second.b).y;
    return tape.add<Activation>(e, Activation::Function::silu).y;
  }
};

// A convolution that halves a picture's size, or one of the picture at twice its size.
struct Resize {
  enum class To { half, twice };
  Weights conv;
  To to;

  Resize(Parameters& p, const std::string& name, int channels, To to, Adapters* adapters)
      : conv(describe_conv3x3(p, name, channels, channels)), to(to) {
    if (adapters != nullptr) conv.low_rank = adapters->conv3x3(p, name, channels, channels);
  }

  Value* build(Tape& tape, Value* x) const {
    const bool half = to == To::half;
    const Conv3x3::Options options{.stride = half ? 2 : 1, .upsample = !half, .low_rank = conv.low_rank};
    return tape.add<Conv3x3>(x, conv.w, conv.b, options).y;
  }
};

// y = shortcut(x) + conv(silu(norm(conv(silu(norm(x))) + linear(e)))), x being x and skip side by side
struct ResBlock {
  Weights norm1, conv1, time, norm2, conv2;
  std::optional<Weights> shortcut;
  int groups;

  ResBlock(Parameters& p, const std::string& name, int in, int out, int time_channels, int groups, Adapters* adapters)
      : norm1(describe_norm(p, name + ".in_layers.0", in)),
        conv1(describe_conv3x3(p, name + ".in_layers.2", in, out)),
        time(describe_linear(p, name + ".emb_layers.1", time_channels, out)),
        norm2(describe_norm(p, name + ".out_layers.0", out)),
        conv2(describe_conv3x3(p, name + ".out_layers.3", out, out)), groups(groups) {
    if (in != out) shortcut = describe_conv1x1(p, name + ".skip_connection", in, out);
    if (adapters == nullptr) return;
    conv1.low_rank = adapters->conv3x3(p, name + ".in_layers.2", in, out);
    time.low_rank = adapters->block_linear(p, name + ".emb_layers.1", time_channels, out);
    conv2.low_rank = adapters->conv3x3(p, name + ".out_layers.3", out, out);
    if (shortcut) shortcut->low_rank = adapters->block_linear(p, name + ".skip_connection", in, out);
  }

  // `embedding` is the time embedding after its SiLU. `skip` may be null.
  Value* build(Tape& tape, Value* x, Value* skip, Value* embedding) const {
    const GroupNorm::Options first{groups, 1e-5f, true, skip}, second{groups, 1e-5f, true, nullptr};
    Value* h = tape.add<GroupNorm>(x, norm1.w, norm1.b, first).y;
    Value* e = tape.add<Linear>(embedding, time.w, time.b, Linear::Options{.low_rank = time.low_rank}).y;
    h = tape.add<Conv3x3>(h, conv1.w, conv1.b, Conv3x3::Options{.per_picture = e, .low_rank = conv1.low_rank}).y;
    h = tape.add<GroupNorm>(h, norm2.w, norm2.b, second).y;
    Value* straight = x;
    if (shortcut) {
      const Linear::Options both{.second_source = skip, .low_rank = shortcut->low_rank};
      straight = tape.add<Linear>(x, shortcut->w, shortcut->b, both).y;
    }
    return tape.add<Conv3x3>(h, conv2.w, conv2.b, Conv3x3::Options{.residual = straight, .low_rank = conv2.low_rank}).y;
  }
};

// What follows the attentions: as one fused layer, or, with a low-rank part or with oneDNN's products, as several.
struct GatedFeedForward {
  FeedForward::Weights fused{};
  Weights up, down;

  GatedFeedForward(Parameters& p, const std::string& name, int channels, Adapters* adapters) {
    const int hidden = 4 * channels;
    const std::string project = name + ".0.proj";
    if (adapters == nullptr) {
      // In files the two halves of the projection are one tensor: value first, gate second.
      Block *value = p.matrix(1, channels, hidden), *gate = p.matrix(1, channels, hidden);
      Block *value_bias = p.plain(1, hidden), *gate_bias = p.plain(1, hidden);
      p.name(project + ".weight", {2 * hidden, channels}, {{value, 0, 0, hidden}, {gate, hidden, 0, hidden}},
             fan_in_uniform(channels));
      p.name(project + ".bias", {2 * hidden}, {{value_bias, 0, 0, hidden}, {gate_bias, hidden, 0, hidden}},
             fan_in_uniform(channels));
      down = describe_linear(p, name + ".2", hidden, channels);
      fused = {value, gate, down.w, value_bias, gate_bias, down.b};
      return;
    }
    up = describe_linear(p, project, channels, 2 * hidden);
    down = describe_linear(p, name + ".2", hidden, channels);
    up.low_rank = adapters->linear(p, {project}, channels, 2 * hidden);
    down.low_rank = adapters->linear(p, {name + ".2"}, hidden, channels);
  }

  Value* build(Tape& tape, Value* x, Value* residual) const {
    if (up.w == nullptr && tape.products == nullptr) return tape.add<FeedForward>(x, fused, residual).y;
    Value *h = nullptr, *gate = nullptr;
    if (up.w == nullptr) {
      h = tape.add<Linear>(x, fused.value, fused.value_bias).y;
      gate = tape.add<Linear>(x, fused.gate, fused.gate_bias).y;
    } else {
      h = tape.add<Linear>(x, up.w, up.b, Linear::Options{.low_rank = up.low_rank}).y;
    }
    h = tape.add<GatedGelu>(h, gate).y;
    return tape.add<Linear>(h, down.w, down.b, Linear::Options{.residual = residual, .low_rank = down.low_rank}).y;
  }
};

// x += attention(norm(x)); x += attention(norm(x), context); x += feed_forward(norm(x))
struct TransformerBlock {
  Weights norm1, self_qkv, self_out, norm2, cross_q, cross_kv, cross_out, norm3;
  GatedFeedForward feed_forward;
  int heads;

  TransformerBlock(Parameters& p, const std::string& name, int channels, int heads, int context_channels, Adapters* adapters)
      : norm1(describe_norm(p, name + ".norm1", channels)),
        self_qkv(stacked(p, {name + ".attn1.to_q", name + ".attn1.to_k", name + ".attn1.to_v"}, channels, channels, adapters)),
        self_out(output(p, name + ".attn1.to_out.0", channels, adapters)),
        norm2(describe_norm(p, name + ".norm2", channels)),
        cross_q(stacked(p, {name + ".attn2.to_q"}, channels, channels, adapters)),
        cross_kv(stacked(p, {name + ".attn2.to_k", name + ".attn2.to_v"}, context_channels, channels, adapters)),
        cross_out(output(p, name + ".attn2.to_out.0", channels, adapters)),
        norm3(describe_norm(p, name + ".norm3", channels)),
        feed_forward(p, name + ".ff.net", channels, adapters), heads(heads) {}

  Value* build(Tape& tape, Value* x, Value* context) const {
    const int d = x->channels(), size = d / heads;
    const auto product = [&](Value* from, const Weights& w, Value* residual) {
      return tape.add<Linear>(from, w.w, w.b, Linear::Options{.residual = residual, .low_rank = w.low_rank}).y;
    };
    Value* h = tape.add<LayerNorm>(x, norm1.w, norm1.b).y;
    Value* qkv = product(h, self_qkv, nullptr);
    h = tape.add<Attention>(qkv, qkv, Attention::Columns{0, d, 2 * d}, heads, size).o;
    x = product(h, self_out, x);

    h = tape.add<LayerNorm>(x, norm2.w, norm2.b).y;
    Value* q = product(h, cross_q, nullptr);
    Value* kv = product(context, cross_kv, nullptr);
    h = tape.add<Attention>(q, kv, Attention::Columns{0, 0, d}, heads, size).o;
    x = product(h, cross_out, x);

    h = tape.add<LayerNorm>(x, norm3.w, norm3.b).y;
    return feed_forward.build(tape, h, x);
  }

 private:
  static Weights stacked(Parameters& p, const std::vector<std::string>& names, int in, int out, Adapters* adapters) {
    Weights w = describe_stacked(p, names, in, out, false);
    if (adapters != nullptr) w.low_rank = adapters->linear(p, names, in, out);
    return w;
  }
  static Weights output(Parameters& p, const std::string& name, int channels, Adapters* adapters) {
    Weights w = describe_linear(p, name, channels, channels);
    if (adapters != nullptr) w.low_rank = adapters->linear(p, {name}, channels, channels);
    return w;
  }
};

// y = x + project(transformer(project(norm(x)))), the pixels being the tokens
struct SpatialTransformer {
  Weights norm, project_in;
  std::vector<TransformerBlock> blocks;
  Weights project_out;
  int groups;

  SpatialTransformer(Parameters& p, const std::string& name, int channels, int depth, int heads, int context_channels,
                     int groups, Adapters* adapters)
      : norm(describe_norm(p, name + ".norm", channels)),
        project_in(describe_conv1x1(p, name + ".proj_in", channels, channels)), groups(groups) {
    for (int i = 0; i < depth; i++) {
      blocks.emplace_back(p, name + ".transformer_blocks." + std::to_string(i), channels, heads, context_channels, adapters);
    }
    project_out = describe_conv1x1(p, name + ".proj_out", channels, channels);
    if (adapters == nullptr) return;
    project_in.low_rank = adapters->linear(p, {name + ".proj_in"}, channels, channels);
    project_out.low_rank = adapters->linear(p, {name + ".proj_out"}, channels, channels);
  }

  Value* build(Tape& tape, Value* x, Value* context) const {
    Value* h = tape.add<GroupNorm>(x, norm.w, norm.b, GroupNorm::Options{groups, 1e-6f, false, nullptr}).y;
    h = tape.add<Linear>(h, project_in.w, project_in.b, Linear::Options{.low_rank = project_in.low_rank}).y;
    for (const auto& block : blocks) h = block.build(tape, h, context);
    const Linear::Options last{.residual = x, .low_rank = project_out.low_rank};
    return tape.add<Linear>(h, project_out.w, project_out.b, last).y;
  }
};

} // namespace tiller
