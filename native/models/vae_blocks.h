// What Stable Diffusion 1.x's autoencoder is made of (P. Esser et al., "Taming transformers for
// high-resolution image synthesis", 2021, appendix), with the tensor names of its checkpoints.
#pragma once
#include <optional>

#include "layers/attention.h"
#include "layers/conv3x3.h"
#include "layers/group_norm.h"
#include "layers/linear.h"
#include "models/parts.h"

namespace tiller {

// y = shortcut(x) + conv(silu(norm(conv(silu(norm(x))))))
struct VaeResBlock {
  Weights norm1, conv1, norm2, conv2;
  std::optional<Weights> shortcut;
  int groups;
  float epsilon;

  VaeResBlock(Parameters& p, const std::string& name, int in, int out, int groups, float epsilon)
      : norm1(describe_norm(p, name + ".norm1", in)), conv1(describe_conv3x3(p, name + ".conv1", in, out)),
        norm2(describe_norm(p, name + ".norm2", out)), conv2(describe_conv3x3(p, name + ".conv2", out, out)),
        groups(groups), epsilon(epsilon) {
    if (in != out) shortcut = describe_conv1x1(p, name + ".nin_shortcut", in, out);
  }

  Value* build(Tape& tape, Value* x) const {
    const GroupNorm::Options norm{groups, epsilon, true, nullptr};
    Value* h = tape.add<GroupNorm>(x, norm1.w, norm1.b, norm).y;
    h = tape.add<Conv3x3>(h, conv1.w, conv1.b).y;
    h = tape.add<GroupNorm>(h, norm2.w, norm2.b, norm).y;
    Value* straight = shortcut ? tape.add<Linear>(x, shortcut->w, shortcut->b).y : x;
    return tape.add<Conv3x3>(h, conv2.w, conv2.b, Conv3x3::Options{.residual = straight}).y;
  }
};

// y = x + project(attention(norm(x))): one head of all channels, the pixels being the tokens. In the
// files all four projections are 1x1 convolutions.
struct VaeAttention {
  Weights norm, qkv, project;
  int groups;
  float epsilon;

  VaeAttention(Parameters& p, const std::string& name, int channels, int groups, float epsilon)
      : norm(describe_norm(p, name + ".norm", channels)),
        qkv(describe_stacked_1x1(p, {name + ".q", name + ".k", name + ".v"}, channels, channels)),
        project(describe_conv1x1(p, name + ".proj_out", channels, channels)), groups(groups), epsilon(epsilon) {}

  Value* build(Tape& tape, Value* x) const {
    const int c = x->channels();
    Value* h = tape.add<GroupNorm>(x, norm.w, norm.b, GroupNorm::Options{groups, epsilon, false, nullptr}).y;
    h = tape.add<Linear>(h, qkv.w, qkv.b).y;
    h = tape.add<Attention>(h, h, Attention::Columns{0, c, 2 * c}, /*heads=*/1, c).o;
    return tape.add<Linear>(h, project.w, project.b, Linear::Options{.residual = x}).y;
  }
};

// The coarsest part, which encoder and decoder share in kind.
struct VaeMiddle {
  VaeResBlock block1;
  VaeAttention attention;
  VaeResBlock block2;

  VaeMiddle(Parameters& p, const std::string& name, int channels, int groups, float epsilon)
      : block1(p, name + ".block_1", channels, channels, groups, epsilon),
        attention(p, name + ".attn_1", channels, groups, epsilon),
        block2(p, name + ".block_2", channels, channels, groups, epsilon) {}

  Value* build(Tape& tape, Value* x) const {
    return block2.build(tape, attention.build(tape, block1.build(tape, x)));
  }
};

} // namespace tiller
