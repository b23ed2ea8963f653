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
#include "layers/group_norm.h"
#include "layers/layer_norm.h"
#include "layers/linear.h"
#include "models/parts.h"

namespace tiller {

// y = shortcut(x) + conv(silu(norm(conv(silu(norm(x))) + linear(e)))), x being x and skip side by side
struct ResBlock {
  Weights norm1, conv1, time, norm2, conv2;
  std::optional<Weights> shortcut;
  int groups;

  ResBlock(Parameters& p, const std::string& name, int in, int out, int time_channels, int groups)
      : norm1(describe_norm(p, name + ".in_layers.0", in)),
        conv1(describe_conv3x3(p, name + ".in_layers.2", in, out)),
        time(describe_linear(p, name + ".emb_layers.1", time_channels, out)),
        norm2(describe_norm(p, name + ".out_layers.0", out)),
        conv2(describe_conv3x3(p, name + ".out_layers.3", out, out)), groups(groups) {
    if (in != out) shortcut = describe_conv1x1(p, name + ".skip_connection", in, out);
  }

  // `embedding` is the time embedding after its SiLU. `skip` may be null.
  Value* build(Tape& tape, Value* x, Value* skip, Value* embedding) const {
    const GroupNorm::Options first{groups, 1e-5f, true, skip}, second{groups, 1e-5f, true, nullptr};
    Value* h = tape.add<GroupNorm>(x, norm1.w, norm1.b, first).y;
    Value* e = tape.add<Linear>(embedding, time.w, time.b).y;
    h = tape.add<Conv3x3>(h, conv1.w, conv1.b, Conv3x3::Options{.per_picture = e}).y;
    h = tape.add<GroupNorm>(h, norm2.w, norm2.b, second).y;
    Value* straight = x;
    if (shortcut) {
      straight = tape.add<Linear>(x, shortcut->w, shortcut->b, Linear::Options{.second_source = skip}).y;
    }
    return tape.add<Conv3x3>(h, conv2.w, conv2.b, Conv3x3::Options{.residual = straight}).y;
  }
};

// x += attention(norm(x)); x += attention(norm(x), context); x += feed_forward(norm(x))
struct TransformerBlock {
  Weights norm1, self_qkv, self_out, norm2, cross_q, cross_kv, cross_out, norm3;
  FeedForward::Weights feed_forward;
  int heads;

  TransformerBlock(Parameters& p, const std::string& name, int channels, int heads, int context_channels)
      : norm1(describe_norm(p, name + ".norm1", channels)),
        self_qkv(describe_stacked(p, {name + ".attn1.to_q", name + ".attn1.to_k", name + ".attn1.to_v"}, channels,
                                  channels, false)),
        self_out(describe_linear(p, name + ".attn1.to_out.0", channels, channels)),
        norm2(describe_norm(p, name + ".norm2", channels)),
        cross_q(describe_stacked(p, {name + ".attn2.to_q"}, channels, channels, false)),
        cross_kv(describe_stacked(p, {name + ".attn2.to_k", name + ".attn2.to_v"}, context_channels, channels, false)),
        cross_out(describe_linear(p, name + ".attn2.to_out.0", channels, channels)),
        norm3(describe_norm(p, name + ".norm3", channels)),
        feed_forward(describe_feed_forward(p, name + ".ff.net", channels)), heads(heads) {}

  Value* build(Tape& tape, Value* x, Value* context) const {
    const int d = x->channels(), size = d / heads;
    Value* h = tape.add<LayerNorm>(x, norm1.w, norm1.b).y;
    Value* qkv = tape.add<Linear>(h, self_qkv.w, nullptr).y;
    h = tape.add<Attention>(qkv, qkv, Attention::Columns{0, d, 2 * d}, heads, size).o;
    x = tape.add<Linear>(h, self_out.w, self_out.b, Linear::Options{.residual = x}).y;

    h = tape.add<LayerNorm>(x, norm2.w, norm2.b).y;
    Value* q = tape.add<Linear>(h, cross_q.w, nullptr).y;
    Value* kv = tape.add<Linear>(context, cross_kv.w, nullptr).y;
    h = tape.add<Attention>(q, kv, Attention::Columns{0, 0, d}, heads, size).o;
    x = tape.add<Linear>(h, cross_out.w, cross_out.b, Linear::Options{.residual = x}).y;

    h = tape.add<LayerNorm>(x, norm3.w, norm3.b).y;
    return tape.add<FeedForward>(h, feed_forward, x).y;
  }

 private:
  // In files the two halves of the projection are one tensor: value first, gate second.
  static FeedForward::Weights describe_feed_forward(Parameters& p, const std::string& name, int channels) {
    const int hidden = 4 * channels;
    Block *value = p.matrix(1, channels, hidden), *gate = p.matrix(1, channels, hidden);
    Block *value_bias = p.plain(1, hidden), *gate_bias = p.plain(1, hidden);
    p.name(name + ".0.proj.weight", {2 * hidden, channels}, {{value, 0, 0, hidden}, {gate, hidden, 0, hidden}},
           fan_in_uniform(channels));
    p.name(name + ".0.proj.bias", {2 * hidden}, {{value_bias, 0, 0, hidden}, {gate_bias, hidden, 0, hidden}},
           fan_in_uniform(channels));
    const Weights down = describe_linear(p, name + ".2", hidden, channels);
    return {value, gate, down.w, value_bias, gate_bias, down.b};
  }
};

// y = x + project(transformer(project(norm(x)))), the pixels being the tokens
struct SpatialTransformer {
  Weights norm, project_in;
  std::vector<TransformerBlock> blocks;
  Weights project_out;
  int groups;

  SpatialTransformer(Parameters& p, const std::string& name, int channels, int depth, int heads, int context_channels,
                     int groups)
      : norm(describe_norm(p, name + ".norm", channels)),
        project_in(describe_conv1x1(p, name + ".proj_in", channels, channels)), groups(groups) {
    for (int i = 0; i < depth; i++) {
      blocks.emplace_back(p, name + ".transformer_blocks." + std::to_string(i), channels, heads, context_channels);
    }
    project_out = describe_conv1x1(p, name + ".proj_out", channels, channels);
  }

  Value* build(Tape& tape, Value* x, Value* context) const {
    Value* h = tape.add<GroupNorm>(x, norm.w, norm.b, GroupNorm::Options{groups, 1e-6f, false, nullptr}).y;
    h = tape.add<Linear>(h, project_in.w, project_in.b).y;
    for (const auto& block : blocks) h = block.build(tape, h, context);
    return tape.add<Linear>(h, project_out.w, project_out.b, Linear::Options{.residual = x}).y;
  }
};

} // namespace tiller
