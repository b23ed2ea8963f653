// The text encoder of CLIP (A. Radford et al., "Learning transferable visual models from natural
// language supervision", 2021, section 2.4) with free sizes and the names that Stable Diffusion 1.x's
// checkpoints have. With 0 layers it is the normalized sum of token and position embeddings. A text of
// several chunks (text/prompt_chunks.h) is encoded chunk by chunk, then they stand side by side.
#pragma once
#include "layers/activation.h"
#include "layers/attention.h"
#include "layers/emphasis.h"
#include "layers/join_tokens.h"
#include "layers/layer_norm.h"
#include "layers/linear.h"
#include "layers/token_embedding.h"
#include "models/adapters.h"

namespace tiller {

// The defaults are those of Stable Diffusion 1.x's encoder.
struct ClipTextConfig {
  int vocabulary = 49408, positions = 77;
  int channels = 768;
  int layers = 12, heads = 12;
  int hidden = 3072; // of the MLP
  // Where the layers end, counted from 1, the last; the final norm follows in any case (A1111, kohya's
  // sd-scripts). Those after it are in the checkpoint, but are neither run nor trained.
  int clip_skip = 1;
  float token_deviation = 0.02f, position_deviation = 0.01f; // of the initial embeddings
  bool trainable = true; // if not, neither gradients nor the optimizer's state are kept for it
};

class ClipText {
 public:
  const ClipTextConfig config;

  ClipText(Parameters& parameters, const ClipTextConfig& wanted,
           const std::string& prefix = "cond_stage_model.transformer.text_model.", Adapters* adapters = nullptr)
      : config(wanted) {
    if (config.layers > 0 && (config.heads < 1 || config.channels % config.heads != 0)) {
      throw std::invalid_argument("the text encoder's " + std::to_string(config.channels) +
                                  " channels can't be split into " + std::to_string(config.heads) + " heads");
    }
    if (config.clip_skip < 1 || config.clip_skip > std::max(config.layers, 1)) {
      throw std::invalid_argument("clip_skip is " + std::to_string(config.clip_skip) + ", but the text encoder has " +
                                  std::to_string(config.layers) + " layers");
    }
    parameters.set_trainable(config.trainable);
    const int c = config.channels;
    tokens_ = parameters.plain(config.vocabulary, c);
    parameters.name(prefix + "embeddings.token_embedding.weight", {config.vocabulary, c}, {{tokens_, 0, 0, c}},
                    {Initialization::normal, config.token_deviation});
    positions_ = parameters.plain(config.positions, c);
    parameters.name(prefix + "embeddings.position_embedding.weight", {config.positions, c}, {{positions_, 0, 0, c}},
                    {Initialization::normal, config.position_deviation});
    for (int i = 0; i < config.layers; i++) {
      const bool is_run = i < layers_run();
      parameters.set_trainable(config.trainable && is_run);
      layers_.push_back({parameters, prefix + "encoder.layers." + std::to_string(i), config, is_run ? adapters : nullptr});
    }
    parameters.set_trainable(config.trainable);
    norm_ = describe_norm(parameters, prefix + "final_layer_norm", c);
    parameters.set_trainable(true);
  }

  struct Text {
    Value* ids;                // [n chunks, 1, T, 1], whole numbers
    int chunks = 1;            // of each text
    Value* emphasis = nullptr; // [n chunks, 1, T, 1], each token's weight
  };
  // → [n, 1, chunks T, channels]. With `checkpointing` each layer keeps only its input (Tape::Segment).
  Value* build(Tape& tape, const Text& text, bool checkpointing = false) const {
    Value* x = tape.add<TokenEmbedding>(text.ids, tokens_, positions_).y;
    for (int i = 0; i < layers_run(); i++) {
      const Tape::Segment segment(tape, checkpointing);
      x = layers_[(size_t)i].build(tape, x, config.heads);
    }
    x = tape.add<LayerNorm>(x, norm_.w, norm_.b).y;
    if (text.emphasis != nullptr) x = tape.add<Emphasis>(x, text.emphasis).y;
    return text.chunks == 1 ? x : tape.add<JoinTokens>(x, text.chunks).y;
  }
  Value* build(Tape& tape, Value* ids) const { return build(tape, Text{ids}); }

  int layers_run() const { return config.layers == 0 ? 0 : config.layers - config.clip_skip + 1; }

 private:
  // x += attention(norm(x)), causal; x += mlp(norm(x))
  struct EncoderLayer {
    Weights norm1, qkv, out, norm2, up, down;

    EncoderLayer(Parameters& p, const std::string& name, const ClipTextConfig& config, Adapters* adapters)
        : norm1(describe_norm(p, name + ".layer_norm1", config.channels)),
          qkv(describe_stacked(p, {name + ".self_attn.q_proj", name + ".self_attn.k_proj", name + ".self_attn.v_proj"},
                               config.channels, config.channels, true)),
          out(describe_linear(p, name + ".self_attn.out_proj", config.channels, config.channels)),
          norm2(describe_norm(p, name + ".layer_norm2", config.channels)),
          up(describe_linear(p, name + ".mlp.fc1", config.channels, config.hidden)),
          down(describe_linear(p, name + ".mlp.fc2", config.hidden, config.channels)) {
      if (adapters == nullptr) return;
      const int c = config.channels;
      const std::string attention = name + ".self_attn.";
      qkv.low_rank = adapters->linear(p, {attention + "q_proj", attention + "k_proj", attention + "v_proj"}, c, c);
      out.low_rank = adapters->linear(p, {attention + "out_proj"}, c, c);
      up.low_rank = adapters->linear(p, {name + ".mlp.fc1"}, c, config.hidden);
      down.low_rank = adapters->linear(p, {name + ".mlp.fc2"}, config.hidden, c);
    }

    Value* build(Tape& tape, Value* x, int heads) const {
      const int d = x->channels();
      const auto product = [&](Value* from, const Weights& w, Value* residual) {
        return tape.add<Linear>(from, w.w, w.b, Linear::Options{.residual = residual, .low_rank = w.low_rank}).y;
      };
      Value* h = tape.add<LayerNorm>(x, norm1.w, norm1.b).y;
      h = product(h, qkv, nullptr);
      h = tape.add<Attention>(h, h, Attention::Columns{0, d, 2 * d}, heads, d / heads, /*causal=*/true).o;
      x = product(h, out, x);
      h = tape.add<LayerNorm>(x, norm2.w, norm2.b).y;
      h = tape.add<Activation>(product(h, up, nullptr), Activation::Function::quick_gelu).y;
      return product(h, down, x);
    }
  };

  Block *tokens_, *positions_;
  std::vector<EncoderLayer> layers_;
  Weights norm_;
};

} // namespace tiller
