// The model of a recipe: text encoder and U-Net over one set of parameters, and the passes through
// them for a number of pictures of a size. Here, and only here, it is decided what computes a pass:
// our own kernels (`cpu`) or a ggml graph on a device.
#pragma once

#include <map>
#include <memory>
#include <numeric>
#include <optional>
#include <tuple>

#include "compute/graph_runner.h"
#include "diffusion/latent.h"
#include "diffusion/recipe.h"
#include "diffusion/words.h"
#include "models/clip_text.h"
#include "models/unet.h"

namespace tiller {

class Network {
 public:
  // The caller fills the inputs, and reads `said` or `loss` after forward().
  struct Pass {
    Pass(Pool& pool, bool training) : tape(pool, training) {}
    Tape tape;
    Value *latent = nullptr, *timesteps = nullptr, *ids = nullptr, *said = nullptr;
    MeanSquaredError* loss = nullptr;  // null in a pass for sampling
    std::unique_ptr<GraphRunner> runner;

    void forward() { runner ? runner->forward() : tape.forward(); }
    void backward() { runner ? runner->backward() : tape.backward(); }
  };

  // Words' rows of the token table come from the words themselves, so that a word begins with the same
  // vector whatever other words there are.
  static constexpr const char* kWordTable =
      "cond_stage_model.transformer.text_model.embeddings.token_embedding.weight";

  Network(const Recipe& recipe, const LatentCodec& codec, const Vocabulary& vocabulary, bool training,
          const std::string& device, int threads)
      : pool(device == "cpu" ? threads : 1),
        text_(parameters, text_config(recipe.model, vocabulary)),
        unet_(parameters, unet_config(recipe.model, codec)),
        tokens_(recipe.model.text.tokens) {
    if (device != "cpu") weights_.emplace(backend_.emplace(device, threads));
    parameters.allocate(training, recipe.train.ema > 0);
  }

  void initialize(uint64_t seed, const Vocabulary& vocabulary) {
    parameters.initialize(seed);
    Parameter* table = parameters.find(kWordTable);
    std::vector<float> rows(table->size());
    table->store(rows.data());
    const auto width = static_cast<size_t>(table->shape[1]);
    for (size_t i = 0; i < vocabulary.words().size(); i++) {
      RandomStream random(seed, Purpose::initialization, 0, hash_name("word " + vocabulary.words()[i]));
      float* row = rows.data() + (Vocabulary::kFirstWord + i) * width;
      for (size_t c = 0; c < width; c++) row[c] = table->initialization.scale * random.normal();
    }
    table->load(rows.data());
    parameters.reset_average();
  }

  // A side of a picture's latent must be a multiple of this.
  int size_multiple() const { return unet_.config.size_multiple(); }
  int tokens() const { return tokens_; }
  std::string fingerprint() const { return backend_ ? backend_->fingerprint() : ""; }

  enum class Use { training, measuring, sampling };
  // Made at first use, and kept: a night's first samples must not be the first to need their memory.
  Pass& pass(Use use, int pictures, int height, int width) {
    auto& pass = passes_[{use, pictures, height, width}];
    if (pass) return *pass;
    auto made = std::make_unique<Pass>(pool, use == Use::training);
    Tape& tape = made->tape;
    made->latent = tape.input({pictures, height, width, unet_.config.in_channels});
    made->timesteps = tape.input({pictures, 1, 1, 1});
    made->ids = tape.input({pictures, 1, tokens_, 1});
    made->said = unet_.build(tape, made->latent, made->timesteps, text_.build(tape, made->ids));
    if (use == Use::sampling) tape.expose(made->said);
    else made->loss = &tape.add<MeanSquaredError>(made->said);
    if (backend_) made->runner = std::make_unique<GraphRunner>(tape, *weights_);
    else tape.finish();
    return *(pass = std::move(made));
  }
  void weights_changed() {
    if (weights_) weights_->changed();
  }

  Parameters parameters;
  Pool pool;

 private:
  static ClipTextConfig text_config(const Recipe::Model& model, const Vocabulary& vocabulary) {
    const auto& text = model.text;
    return {.vocabulary = vocabulary.size(),
            .positions = text.tokens,
            .channels = text.width,
            .layers = text.layers,
            .heads = text.heads,
            .hidden = 4 * text.width,
            .token_deviation = text.embedding_deviation,
            .position_deviation = text.position_deviation,
            .trainable = text.train};
  }
  static UNetConfig unet_config(const Recipe::Model& model, const LatentCodec& codec) {
    UNetConfig config;
    config.in_channels = config.out_channels = codec.channels();
    config.model_channels = model.base_channels;
    config.channel_multipliers = model.channel_multipliers;
    config.res_blocks = model.res_blocks;
    config.attention_levels = model.attention_levels;
    config.heads = model.heads;
    config.context_channels = model.text.width;
    config.norm_groups = std::gcd(model.base_channels, 32);  // 32 wherever the channels allow it
    return config;
  }

  ClipText text_;
  UNet unet_;
  int tokens_;
  std::optional<Backend> backend_;
  std::optional<DeviceWeights> weights_;
  std::map<std::tuple<Use, int, int, int>, std::unique_ptr<Pass>> passes_;
};

}  // namespace tiller
