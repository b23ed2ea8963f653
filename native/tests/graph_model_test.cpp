// Whole models, by our CPU kernels and as one ggml graph: the demo's U-Net with its text encoder, tiny
// ones of awkward sizes, with low-rank parts and gradient checkpointing, and the autoencoder.
// graph_model_test [DEVICE [PRECISION]]
// Roundings to BF16 add up over a model's layers: there all is within 2 %, and weights' gradients within 6 % of the size
// that they have on average. bf16_test.cpp has PyTorch's beside them.
#include <chrono>

#include "models/clip_text.h"
#include "models/unet.h"
#include "models/vae.h"
#include "tests/graph_compare.h"

using namespace tiller;

namespace {

struct Case {
  const char* name;
  UNetConfig unet;
  ClipTextConfig text;
  int batch, height, width, tokens;
  bool low_rank = false, checkpointing = false;
  int chunks = 1;  // of each text
};

// What the trainer runs: text → U-Net → loss.
struct Model {
  Value *x, *time, *ids, *y;
  MeanSquaredError* loss;

  Model(Tape& tape, const UNet& unet, const ClipText& text, const Case& c)
      : x(tape.input({c.batch, c.height, c.width, c.unet.in_channels}, true)),
        time(tape.input({c.batch, 1, 1, 1})),
        ids(tape.input({c.batch * c.chunks, 1, c.tokens, 1})) {
    Value* context = text.build(tape, {.ids = ids, .chunks = c.chunks}, c.checkpointing);
    y = unet.build(tape, x, time, context, c.checkpointing);
    tape.expose(y);
    loss = &tape.add<MeanSquaredError>(y);
    loss->scale = 1.0 / c.batch;
  }
  std::vector<Value*> inputs() const { return {x, time, ids, loss->target, loss->weights}; }
};

double seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// Normal numbers that keep activations near 1; a trained model has no tensor of zeros either.
void randomize(GraphComparison& t, Parameters& parameters) {
  for (Block& block : parameters.blocks()) {
    std::vector<float> values(unpacked_size(block));
    const bool matrix = block.packed, table = block.in > 1;
    t.fill(values.data(), values.size(), matrix ? 1 / std::sqrt(static_cast<float>(block.rows())) : 0.3f);
    if (!matrix && !table) {
      for (float& value : values) value += 0.5f;
    }
    pack(block, values.data(), block.weight, false);
  }
}

// The worst relative error over all tensors. Some gradients are 0 in exact arithmetic (a bias before a
// norm of single channels), and are then noise: less than 3 % of the typical size counts as that.
void compare_gradients(GraphComparison& t, const std::string& name, const Parameters& parameters,
                       const std::vector<std::vector<float>>& ours, const std::vector<std::vector<float>>& graph) {
  double square = 0, count = 0;
  for (const auto& tensor : graph) {
    for (const float value : tensor) square += static_cast<double>(value) * value;
    count += static_cast<double>(tensor.size());
  }
  const bool bf16 = t.precision() == Precision::bf16;
  const double nothing = (bf16 ? 1 : 1e-3) * square / count;
  double worst = 0;
  std::string worst_name = "none";
  std::vector<std::string> names;
  for (const Parameter& tensor : parameters.tensors()) {
    if (tensor.trainable()) names.push_back(tensor.name);
  }
  for (size_t i = 0; i < ours.size(); i++) {
    const size_t size = ours[i].size();
    const double error = relative_error(ours[i], graph[i], size, nothing * static_cast<double>(size));
    if (error > worst || std::isnan(error)) worst = error, worst_name = names[i];
  }
  t.checks.expect(name + " " + std::to_string(ours.size()) + " weights, worst " + worst_name, worst, bf16 ? 3 * t.limit : t.limit);
}

std::vector<std::vector<float>> gradients(const Parameters& parameters) {
  std::vector<std::vector<float>> all;
  for (const Parameter& tensor : parameters.tensors()) {
    if (!tensor.trainable()) continue;
    all.emplace_back(tensor.size());
    tensor.store(all.back().data(), Buffer::gradient);
  }
  return all;
}

// What two micro-batches leave behind; their gradients add up.
struct Outcome {
  std::vector<float> y, loss, dx;
  std::vector<std::vector<float>> weights;
};

template <class Runner>
Outcome run(const char* what, Runner& runner, const Model& model, Parameters& parameters,
            const std::vector<std::vector<float>>& numbers) {
  Outcome outcome;
  parameters.zero_gradients();
  for (size_t begin = 0; begin < numbers.size(); begin += model.inputs().size()) {
    for (size_t i = 0; i < model.inputs().size(); i++) {
      const auto& from = numbers[begin + i];
      std::copy(from.begin(), from.end(), model.inputs()[i]->data);
    }
    const double start = seconds();
    runner.forward();
    const double middle = seconds();
    outcome.y.insert(outcome.y.end(), model.y->data, model.y->data + model.y->shape.size());
    outcome.loss.push_back(static_cast<float>(model.loss->total()));
    runner.backward();
    std::fprintf(stderr, "%s: forward %.3f s, backward %.3f s\n", what, middle - start, seconds() - middle);
    outcome.dx.insert(outcome.dx.end(), model.x->gradient, model.x->gradient + model.x->shape.size());
  }
  outcome.weights = gradients(parameters);
  return outcome;
}

void compare(GraphComparison& t, const Case& c) {
  Parameters parameters;
  Adapters adapters({.rank = 2, .alpha = 3, .conv_rank = 3, .conv_alpha = 2});
  Adapters* const added = c.low_rank ? &adapters : nullptr;
  parameters.set_trainable(!c.low_rank);
  const UNet unet(parameters, c.unet, "model.diffusion_model.", added);
  ClipTextConfig text_config = c.text;
  text_config.trainable = !c.low_rank;
  const ClipText text(parameters, text_config, "cond_stage_model.transformer.text_model.", added);
  parameters.allocate(/*training=*/true);
  randomize(t, parameters);
  Pool pool(1);
  Tape tape(pool, true), graph_tape(pool, true);
  const Model a(tape, unet, text, c), b(graph_tape, unet, text, c);
  tape.finish();
  DeviceWeights weights(t.backend(), t.precision());
  GraphRunner graph(graph_tape, weights);
  std::vector<std::vector<float>> numbers;
  for (int micro_batch = 0; micro_batch < 2; micro_batch++) {
    for (Value* input : a.inputs()) {
      t.fill(*input);
      numbers.emplace_back(input->data, input->data + input->shape.size());
    }
  }
  const std::string name = c.name;
  std::fprintf(stderr, "%s: %.2f M parameters, graph %.1f MB, tape %.1f MB, %d nodes, %d split\n", c.name, parameters.count() / 1e6,
               (graph.bytes() + weights.bytes()) / 1e6, tape.bytes() / 1e6, graph.nodes(), graph.splits());
  const Outcome ours = run("  ours ", tape, a, parameters, numbers);
  const Outcome theirs = run("  graph", graph, b, parameters, numbers);
  t.expect(name + " y", ours.y.data(), theirs.y.data(), ours.y.size());
  t.expect(name + " loss", ours.loss.data(), theirs.loss.data(), ours.loss.size());
  // A graph for sampling shares the weights, and uses the running average when told to.
  Tape sampling(pool, false);
  const Model s(sampling, unet, text, c);
  GraphRunner sampler(sampling, weights);
  for (size_t i = 0; i < s.inputs().size(); i++) std::copy(numbers[i].begin(), numbers[i].end(), s.inputs()[i]->data);
  sampler.forward();
  t.expect(name + " sampled", ours.y.data(), s.y->data, s.y->shape.size());
  if (!c.low_rank) {  // frozen weights have no average
    parameters.use(Buffer::average);  // zeros
    sampler.forward();
    const std::vector<float> nothing(s.y->shape.size());
    t.checks.expect(name + " averaged", relative_error(s.y->data, nothing.data(), nothing.size()), 0);
    parameters.use(Buffer::weight);
  }
  t.expect(name + " dx", ours.dx.data(), theirs.dx.data(), ours.dx.size());
  compare_gradients(t, name, parameters, ours.weights, theirs.weights);
}

// Computing blocks again is for the memory's sake, which is the only difference that it makes.
void checkpointing_memory(GraphComparison& t, Case c) {
  size_t bytes[2];
  for (const bool checkpointing : {false, true}) {
    c.checkpointing = checkpointing;
    Parameters parameters;
    const UNet unet(parameters, c.unet);
    const ClipText text(parameters, c.text);
    parameters.allocate(/*training=*/true);
    Pool pool(1);
    Tape tape(pool, true);
    const Model model(tape, unet, text, c);
    DeviceWeights weights(t.backend(), t.precision());
    bytes[checkpointing] = GraphRunner(tape, weights).bytes();
  }
  t.checks.holds(std::string(c.name) + " needs less memory with checkpointing", bytes[1] < bytes[0] * 3 / 4);
  std::fprintf(stderr, "%s: graph %.2f MB, with checkpointing %.2f MB\n", c.name, bytes[0] / 1e6, bytes[1] / 1e6);
}

// Both halves of the autoencoder; the encoder also backwards, as inpainting's losses may want.
void autoencoder(GraphComparison& t) {
  const VaeConfig config{.base_channels = 8, .channel_multipliers = {1, 2, 3}, .res_blocks = 1, .norm_groups = 4};
  Parameters parameters;
  const Vae vae(parameters, config);
  parameters.allocate(/*training=*/true);
  randomize(t, parameters);
  t.compare("VAE encoder", parameters, [&](Tape& tape) {
    Value* rgb = tape.input({2, 19, 13, 3}, true);
    return Built{{rgb}, vae.build_encoder(tape, rgb)};
  });
  t.compare("VAE decoder", parameters, [&](Tape& tape) {
    Value* z = tape.input({2, 5, 3, 4}, true);
    return Built{{z}, vae.build_decoder(tape, z)};
  });
}

}  // namespace

int main(int count, char** arguments) {
  try {
    GraphComparison t(count, arguments);
    const bool bf16 = t.precision() == Precision::bf16;
    if (bf16) t.limit = 2e-2;
    const UNetConfig awkward{.in_channels = 3, .out_channels = 3, .model_channels = 6, .channel_multipliers = {1, 3},
                             .res_blocks = 2, .attention_levels = {1}, .transformer_depth = 2, .heads = 2,
                             .head_size = 0, .context_channels = 10, .norm_groups = 3};
    const ClipTextConfig layered{.vocabulary = 23, .positions = 9, .channels = 10, .layers = 2, .heads = 2, .hidden = 19};
    compare(t, {"awkward U-Net", awkward, layered, 3, 6, 10, 5});
    compare(t, {"checkpointed U-Net", awkward, layered, 2, 4, 6, 5, /*low_rank=*/false, /*checkpointing=*/true, /*chunks=*/2});
    compare(t, {"low-rank U-Net", awkward, layered, 2, 4, 6, 5, /*low_rank=*/true, /*checkpointing=*/true});
    checkpointing_memory(t, {"awkward U-Net", awkward, layered, 3, 6, 10, 5});
    if (!bf16) autoencoder(t);  // which is never run in it
    const UNetConfig demo{.in_channels = 12, .out_channels = 12, .model_channels = 32, .channel_multipliers = {1, 2, 4},
                          .res_blocks = 1, .attention_levels = {0, 1, 2}, .transformer_depth = 1, .heads = 4,
                          .head_size = 0, .context_channels = 64, .norm_groups = 32};
    const ClipTextConfig words{.vocabulary = 156, .positions = 12, .channels = 64, .layers = 0};
    // Software Vulkan takes 400 times as long. Fewer numbers still, and biases before a norm of single
    // channels, whose gradient is 0, have more noise than they may, on ggml-cpu as well.
    const int pictures = t.backend().info().kind == "ggml-cpu" ? 4 : 2;
    compare(t, {"demo U-Net", demo, words, pictures, 16, 16, 12});
    return t.checks.exit_code();
  } catch (const DeviceError& error) {
    std::fprintf(stderr, "%s. %s\n", error.what(), error.hint.c_str());
    return 1;
  }
}
