// The model of a run: text encoder and U-Net over one set of parameters, and the passes through them for a
// number of pictures of a size. Here, and only here, it is decided what computes a pass: our own kernels
// (`cpu`), with oneDNN's products in BF16 where the processor is fast at those, or a ggml graph on a device.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <tuple>

#include "compute/choose_precision.h"
#include "compute/fused_step.h"
#include "compute/graph_runner.h"
#include "diffusion/foundation.h"
#include "models/clip_text.h"
#include "models/unet.h"
#include "onednn/choose.h"

namespace tiller {

class Network {
 public:
  // The caller fills the inputs, and reads `said` or `loss` after forward(). Texts come as token ids where
  // their encoder is trained, else as the numbers that context() made of them.
  struct Pass {
    Pass(Pool& pool, bool training, onednn::Products* products) : tape(pool, training, products) {}
    Tape tape;
    Value *latent = nullptr, *timesteps = nullptr, *ids = nullptr, *context = nullptr, *said = nullptr;
    MeanSquaredError* loss = nullptr;  // null in a pass for sampling
    std::unique_ptr<GraphRunner> runner;

    void forward() { runner ? runner->forward() : tape.forward(); }
    void backward() { runner ? runner->backward() : tape.backward(); }
    // Only where our own kernels compute. Returns the gradient's norm.
    double backward(FusedStep& fused, const OptimizerSettings& settings, long step) { return fused.backward(tape, settings, step); }
  };

  // Words' rows of the token table come from the words themselves, so that a word begins with the same
  // vector whatever other words there are.
  static constexpr const char* kWordTable =
      "cond_stage_model.transformer.text_model.embeddings.token_embedding.weight";

  // Describes the model and opens the device; allocate() gives it memory.
  Network(const Foundation& found, const Recipe& recipe, const std::string& device, int threads)
      : pool(device == "cpu" ? threads : 1), checkpointing_(recipe.train.checkpointing), text_length_(found.text.positions) {
    if (recipe.lora) adapters_.emplace(*recipe.lora), text_adapters_.emplace(*recipe.lora);
    if (device == "cpu") choose_products(recipe.train.precision);
    else precision_ = choose_precision(recipe.train.precision, backend_.emplace(device, threads));
    parameters.set_group(1);
    const bool adapt_text = recipe.lora && recipe.train.text_encoder;
    text_.emplace(parameters, found.text, kTextPrefix, adapt_text ? &*text_adapters_ : nullptr);
    text_learns_ = found.text.trainable || adapt_text;
    parameters.set_group(0);
    parameters.set_trainable(!recipe.lora);
    unet_.emplace(parameters, found.unet, kUNetPrefix, recipe.lora ? &*adapters_ : nullptr);
  }

  void allocate(bool training, bool average, bool gradients = true) {
    if (backend_) weights_.emplace(*backend_, precision_), passing_memory_ = std::make_shared<PassingMemory>(*backend_);
    parameters.allocate(training, average, gradients);
  }

  // Everything, from the seed.
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
  // A Stable Diffusion 1.x base, and untrained adapters where there are any.
  void load(const BaseFiles& files, uint64_t seed) {
    initialize_adapters(seed);
    files.load(parameters, BasePart::unet);
    files.load(parameters, BasePart::text);
    parameters.reset_average();
  }
  // Adapters that change nothing yet, on weights that come from elsewhere.
  void initialize_adapters(uint64_t seed) {
    for (const auto* adapters : {&adapters_, &text_adapters_}) {
      if (!*adapters) continue;
      for (const auto& entry : (*adapters)->entries())
        for (Parameter* tensor : {entry.down, entry.up}) parameters.initialize(seed, *tensor);
    }
  }

  const UNetConfig& unet() const { return unet_->config; }
  int text_channels() const { return unet_->config.context_channels; }
  const Backend* backend() const { return backend_ ? &*backend_ : nullptr; }  // null on our own kernels
  Precision precision() const { return precision_; }
  const std::string& why_f32() const { return why_f32_; }  // where BF16 may be used and isn't, on our own kernels
  bool text_learns() const { return text_learns_; }
  // What the numbers depend on besides our own kernels.
  std::string fingerprint() const {
    return backend_ ? backend_->fingerprint() : products_ ? "+onednn-" + onednn_->name() + "-bf16" : "";
  }
  size_t adapted_matrices() const {
    size_t count = 0;
    for (const auto* adapters : {&adapters_, &text_adapters_})
      if (*adapters) count += (*adapters)->entries().size();
    return count;
  }

  enum class Use { training, measuring, sampling };
  struct PassKey {
    Use use;
    int pictures, height, width; // of the latent
    int chunks = 1;              // of each text
    bool masked = false;
    auto operator<=>(const PassKey&) const = default;
  };
  // Made at first use, and kept. Passes take turns in one arena (on a device, in one buffer), so the inputs have to
  // be filled each time.
  Pass& pass(const PassKey& key) {
    auto& kept = passes_[key];
    if (!kept) kept = make_pass(key);
    if (!backend_) kept->tape.bind(arena_.reserve(kept->tape.bytes() / sizeof(float)));
    return *kept;
  }

  // What the tape of such a pass needs on a CPU; nothing is allocated.
  size_t planned_bytes(const PassKey& key) {
    Pass pass(pool, key.use == Use::training, products());
    build(pass, key);
    return pass.tape.lay_out() * sizeof(float);
  }

  // What gradients need in a fused step.
  size_t lent_bytes(const PassKey& key) {
    Pass pass(pool, true, products());
    build(pass, key);
    return FusedStep::lent_size(pass.tape) * sizeof(float);
  }

  // What a pass needs on a device, beside the weights and gradients there, of which `weights` knows afterwards.
  GraphRunner::Needs planned_graph(const PassKey& key, DeviceWeights& weights) {
    Pass pass(pool, key.use == Use::training, products());
    build(pass, key);
    return GraphRunner::needs(pass.tape, weights);
  }
  // Of reading a text of some chunks.
  GraphRunner::Needs planned_reading(int chunks, DeviceWeights& weights) {
    Pass pass(pool, false, products());
    build_reading(pass, chunks, true);
    return GraphRunner::needs(pass.tape, weights);
  }
  // What the device holds now: weights and gradients, the passes' inputs, and what they take turns in.
  size_t device_bytes() const {
    size_t sum = weights_->bytes() + passing_memory_->bytes();
    for (const auto& [key, pass] : passes_) sum += pass->runner->lasting_bytes();
    return sum;
  }

  // What the U-Net attends to for some texts of as many chunks each: [texts, chunks T, C].
  const std::vector<float>& context(const std::vector<PromptChunk>& chunks) {
    bool weighted = false;
    std::string key;
    for (const auto& chunk : chunks) {
      for (const float weight : chunk.weights) weighted = weighted || weight != 1;
      key.append(reinterpret_cast<const char*>(chunk.ids.data()), chunk.ids.size() * sizeof(int));
      key.append(reinterpret_cast<const char*>(chunk.weights.data()), chunk.weights.size() * sizeof(float));
    }
    if (const auto found = contexts_.find(key); found != contexts_.end()) return found->second;
    if (contexts_.size() >= kMostContexts) contexts_.clear();
    return contexts_[key] = encode(chunks, weighted);
  }

  void weights_changed() {
    if (weights_) weights_->changed();
    if (text_learns_) contexts_.clear();
  }
  // The layers compute with the weights, or with their running average, from now on.
  void use(Buffer source) {
    parameters.use(source);
    if (text_learns_) contexts_.clear();
  }
  size_t arena_bytes() const { return arena_.floats() * sizeof(float); }

  Parameters parameters;
  Pool pool;

 private:
  static constexpr size_t kMostContexts = 256; // 0.24 MB each for Stable Diffusion

  // Memory that tapes take turns in. It grows; what was bound to it before must be bound anew.
  class Arena {
   public:
    float* reserve(size_t floats) {
      if (floats > buffer_.size()) {
        buffer_ = HugeBuffer();
        buffer_ = HugeBuffer(floats);
      }
      return buffer_.data();
    }
    size_t floats() const { return buffer_.size(); }

   private:
    HugeBuffer buffer_;
  };

  std::unique_ptr<Pass> make_pass(const PassKey& key) {
    auto made = std::make_unique<Pass>(pool, key.use == Use::training, products());
    build(*made, key);
    finish(*made);
    return made;
  }

  void build(Pass& pass, const PassKey& key) const {
    Tape& tape = pass.tape;
    const int n = key.pictures;
    pass.latent = tape.input({n, key.height, key.width, unet_->config.in_channels});
    pass.timesteps = tape.input({n, 1, 1, 1});
    Value* context = nullptr;
    if (key.use == Use::training && text_learns_) {
      pass.ids = tape.input({n * key.chunks, 1, text_length_, 1});
      context = text_->build(tape, {pass.ids, key.chunks}, checkpointing_);
    } else {
      context = pass.context = tape.input({n, 1, key.chunks * text_length_, text_channels()});
    }
    pass.said = unet_->build(tape, pass.latent, pass.timesteps, context, checkpointing_);
    if (key.use == Use::sampling) tape.expose(pass.said);
    else pass.loss = &tape.add<MeanSquaredError>(pass.said, key.masked);
  }

  // Returns the tokens' weights, null where there are none.
  Value* build_reading(Pass& pass, int chunks, bool weighted) const {
    pass.ids = pass.tape.input({chunks, 1, text_length_, 1});
    Value* weights = weighted ? pass.tape.input(pass.ids->shape) : nullptr;
    pass.said = text_->build(pass.tape, {pass.ids, 1, weights});
    pass.tape.expose(pass.said);
    return weights;
  }

  std::vector<float> encode(const std::vector<PromptChunk>& chunks, bool weighted) {
    Pass pass(pool, false, products());
    Value* weights = build_reading(pass, static_cast<int>(chunks.size()), weighted);
    finish(pass);
    if (!backend_) pass.tape.bind(arena_.reserve(pass.tape.bytes() / sizeof(float)));
    const auto length = static_cast<size_t>(text_length_);
    for (size_t i = 0; i < chunks.size(); i++)
      for (size_t t = 0; t < length; t++) {
        pass.ids->data[i * length + t] = static_cast<float>(chunks[i].ids[t]);
        if (weighted) weights->data[i * length + t] = chunks[i].weights[t];
      }
    pass.forward();
    return {pass.said->data, pass.said->data + pass.said->shape.size()};
  }

  void choose_products(const std::string& wanted) {
    if (wanted != "auto" && wanted != "bf16") return;
    const onednn::Choice choice = onednn::choose(pool.threads());
    why_f32_ = choice.why;
    if (!choice.library) return;
    onednn_ = choice.library;
    products_.emplace(*onednn_, pool, onednn::kBf16);
    precision_ = Precision::bf16;
  }
  onednn::Products* products() { return products_ ? &*products_ : nullptr; }

  void finish(Pass& pass) {
    if (backend_) pass.runner = std::make_unique<GraphRunner>(pass.tape, *weights_, passing_memory_);
    else pass.tape.lay_out();
  }

  Precision precision_ = Precision::f32;
  std::string why_f32_;
  std::shared_ptr<const onednn::Library> onednn_;
  std::optional<onednn::Products> products_;
  bool checkpointing_, text_learns_ = false;
  int text_length_;
  std::optional<Adapters> adapters_, text_adapters_;
  std::optional<ClipText> text_;
  std::optional<UNet> unet_;
  std::optional<Backend> backend_;
  std::optional<DeviceWeights> weights_;
  std::shared_ptr<PassingMemory> passing_memory_;
  Arena arena_;
  std::map<PassKey, std::unique_ptr<Pass>> passes_;
  std::map<std::string, std::vector<float>> contexts_;
};

}  // namespace tiller
