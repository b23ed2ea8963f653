// Every layer's gradients against finite differences, at convenient and at awkward shapes; the same
// bits from any number of threads; gradients that add up over passes.
#include <functional>
#include <map>

#include "layers/activation.h"
#include "layers/attention.h"
#include "layers/conv3x3.h"
#include "layers/feed_forward.h"
#include "layers/group_norm.h"
#include "layers/layer_norm.h"
#include "layers/linear.h"
#include "layers/mse_loss.h"
#include "layers/timestep_embedding.h"
#include "layers/token_embedding.h"
#include "tests/check.h"

using namespace tiller;

namespace {

Checks checks;

// What a case puts on a tape: the inputs to differentiate by, and the result.
struct Built {
  std::vector<Value*> inputs;
  Value* y;
};
using Builder = std::function<Built(Tape&)>;

// Runs one tape with fixed inputs, weights and upstream gradients.
struct Run {
  Pool pool;
  Tape tape;
  Built built;
  std::vector<float> upstream;

  Run(const Builder& build, int threads, bool training = true)
      : pool(threads), tape(pool, training), built(build(tape)) {
    tape.expose(built.y);
    tape.finish();
    for (size_t i = 0; i < built.inputs.size(); i++) {
      RandomStream(1, Purpose::test, 0, i).fill_normal(built.inputs[i]->data, built.inputs[i]->shape.size());
    }
    upstream.resize(built.y->shape.size());
    RandomStream(2, Purpose::test).fill_normal(upstream.data(), upstream.size());
  }
  double loss() {
    tape.forward();
    double sum = 0;
    for (size_t i = 0; i < upstream.size(); i++) sum += (double)upstream[i] * built.y->data[i];
    return sum;
  }
  void backward() {
    tape.forward();
    std::copy(upstream.begin(), upstream.end(), built.y->gradient);
    tape.backward();
  }
};

void randomize(Parameters& parameters) {
  parameters.allocate(true);
  size_t item = 0;
  for (Block& block : parameters.blocks()) {
    RandomStream random(3, Purpose::test, 0, item++);
    const bool vector = !block.packed && block.in == 1;
    for (int tap = 0; tap < block.taps; tap++)
      for (int i = 0; i < block.in; i++)
        for (int o = 0; o < block.out; o++)
          block.weight[block.index(tap, i, o)] = 0.3f * random.normal() + (vector ? 0.8f : 0.f);
  }
}

// (8 (f(+h) - f(-h)) - (f(+2h) - f(-2h))) / 12h, of the fourth order
double derivative(Run& run, float& x) {
  const float before = x;
  const double h = 1.0 / 64;
  const auto at = [&](double offset) {
    x = (float)(before + offset);
    return run.loss();
  };
  const double slope = (8 * (at(h) - at(-h)) - (at(2 * h) - at(-2 * h))) / (12 * h);
  x = before;
  return slope;
}

// The worst difference over some elements, against the gradient's own size.
double worst_difference(Run& run, const std::vector<float*>& elements, const std::vector<float>& gradient) {
  double size = 0, worst = 0;
  for (const float g : gradient) size += (double)g * g;
  size = std::sqrt(size / (double)gradient.size()) + 1e-9;
  RandomStream random(4, Purpose::test);
  const bool all = elements.size() <= 48;
  for (size_t k = 0; k < std::min<size_t>(elements.size(), 48); k++) {
    const size_t i = all ? k : random.below((uint32_t)elements.size());
    worst = std::max(worst, std::abs(derivative(run, *elements[i]) - gradient[i]) / size);
  }
  return worst;
}

std::vector<size_t> elements_of(const Block& block) {
  std::vector<size_t> found;
  for (int tap = 0; tap < block.taps; tap++)
    for (int i = 0; i < block.in; i++)
      for (int o = 0; o < block.out; o++) found.push_back(block.index(tap, i, o));
  return found;
}

void check_differences(const std::string& name, Parameters& parameters, const Builder& build) {
  Run run(build, 1);
  parameters.zero_gradients();
  run.backward();
  for (size_t i = 0; i < run.built.inputs.size(); i++) {
    Value* input = run.built.inputs[i];
    if (!input->needs_gradient) continue;
    std::vector<float*> elements;
    for (size_t k = 0; k < input->shape.size(); k++) elements.push_back(input->data + k);
    const std::vector<float> gradient(input->gradient, input->gradient + input->shape.size());
    checks.expect(name + " dx" + std::to_string(i), worst_difference(run, elements, gradient), 2e-3);
  }
  int number = 0;
  for (Block& block : parameters.blocks()) {
    const std::string label = name + " dw" + std::to_string(number++);
    if (!block.gradient_written) continue;
    std::vector<float*> elements;
    std::vector<float> gradient;
    double everything = 0, counted = 0;
    for (const size_t at : elements_of(block)) {
      elements.push_back(block.weight + at);
      gradient.push_back(block.gradient[at]);
      counted += std::abs(block.gradient[at]);
    }
    for (size_t i = 0; i < block.size(); i++) everything += std::abs(block.gradient[i]);
    checks.expect(label, worst_difference(run, elements, gradient), 2e-3);
    checks.expect(label + " padding", std::abs(everything - counted) / (counted + 1e-9), 1e-9);
  }
}

using Result = std::map<std::string, std::vector<float>>;

Result result_of(Run& run, Parameters& parameters) {
  Result result;
  result["y"].assign(run.built.y->data, run.built.y->data + run.built.y->shape.size());
  for (size_t i = 0; i < run.built.inputs.size(); i++) {
    const Value* x = run.built.inputs[i];
    if (x->needs_gradient) result[std::string("x") + std::to_string(i)].assign(x->gradient, x->gradient + x->shape.size());
  }
  int number = 0;
  for (Block& block : parameters.blocks()) {
    auto& values = result[std::string("w") + std::to_string(number++)];
    if (!block.gradient_written) continue;
    for (const size_t at : elements_of(block)) values.push_back(block.gradient[at]);
  }
  return result;
}

void check_threads_and_passes(const std::string& name, Parameters& parameters, const Builder& build) {
  Result one;
  for (const int threads : {1, 2, 3}) {
    Run run(build, threads);
    parameters.zero_gradients();
    run.backward();
    const Result result = result_of(run, parameters);
    if (threads == 1) one = result;
    checks.expect(name + " " + std::to_string(threads) + " threads, same bits", result == one ? 0 : 1, 0);
    if (threads != 2) continue;
    run.backward(); // adds to the parameters' gradients, and begins the inputs' anew
    Result twice = one;
    for (auto& [key, values] : twice)
      if (key[0] == 'w')
        for (float& v : values) v *= 2;
    double worst = 0;
    for (auto& [key, values] : result_of(run, parameters))
      if (!values.empty()) worst = std::max(worst, relative_error(values, twice[key], values.size()));
    checks.expect(name + " two passes add up", worst, 1e-6);
  }
  Run inference(build, 2, false);
  inference.tape.forward();
  const float* y = inference.built.y->data;
  const std::vector<float> outputs(y, y + inference.built.y->shape.size());
  checks.expect(name + " inference, same bits", outputs == one["y"] ? 0 : 1, 0);
}

void check(const std::string& name, Parameters& parameters, const Builder& build) {
  randomize(parameters);
  check_differences(name, parameters, build);
  check_threads_and_passes(name, parameters, build);
}

std::string label(const char* kind, Shape s) {
  return std::string(kind) + " " + std::to_string(s.n) + "x" + std::to_string(s.h) + "x" + std::to_string(s.w) +
         "x" + std::to_string(s.c);
}

void linear(Shape in, int out, int second, bool residual) {
  Parameters p;
  Block *w = p.matrix(1, in.c + second, out), *b = p.plain(1, out);
  check(label("linear", in) + " to " + std::to_string(out) + (second ? " two sources" : ""), p, [&](Tape& tape) {
    Built built;
    const auto input = [&](int channels) {
      built.inputs.push_back(tape.input({in.n, in.h, in.w, channels}, true));
      return built.inputs.back();
    };
    Value* x = input(in.c);
    Linear::Options options;
    if (second) options.second_source = input(second);
    if (residual) options.residual = input(out);
    built.y = tape.add<Linear>(x, w, b, options).y;
    return built;
  });
}

void conv(Shape in, int out, Conv3x3::Options options, const char* what = "") {
  Parameters p;
  Block *w = p.matrix(9, in.c, out), *b = p.plain(1, out);
  check(label("conv3x3", in) + " to " + std::to_string(out) + what, p, [&](Tape& tape) {
    Built built{{tape.input(in, true)}, nullptr};
    Conv3x3::Options o = options;
    if (std::strchr(what, 'e') != nullptr) o.per_picture = tape.input({in.n, 1, 1, out}, true);
    if (std::strchr(what, 'r') != nullptr) o.residual = tape.input({in.n, in.h, in.w, out}, true);
    for (Value* extra : {o.per_picture, o.residual})
      if (extra != nullptr) built.inputs.push_back(extra);
    built.y = tape.add<Conv3x3>(built.inputs[0], w, b, o).y;
    return built;
  });
}

void group_norm(Shape in, int second, int groups, bool silu) {
  Parameters p;
  Block *gamma = p.plain(1, in.c + second), *beta = p.plain(1, in.c + second);
  check(label("group_norm", in) + (second ? " two sources" : "") + (silu ? " silu" : ""), p, [&](Tape& tape) {
    Built built{{tape.input(in, true)}, nullptr};
    if (second) built.inputs.push_back(tape.input({in.n, in.h, in.w, second}, true));
    Value* x2 = second ? built.inputs[1] : nullptr;
    built.y = tape.add<GroupNorm>(built.inputs[0], gamma, beta, GroupNorm::Options{groups, 1e-5f, silu, x2}).y;
    return built;
  });
}

void layer_norm(Shape in) {
  Parameters p;
  Block *gamma = p.plain(1, in.c), *beta = p.plain(1, in.c);
  check(label("layer_norm", in), p, [&](Tape& tape) {
    Value* x = tape.input(in, true);
    return Built{{x}, tape.add<LayerNorm>(x, gamma, beta).y};
  });
}

void self_attention(int n, int tokens, int heads, int size, bool causal) {
  Parameters p;
  const Shape in{n, 1, tokens, 3 * heads * size};
  check(label(causal ? "self attention causal" : "self attention", in), p, [&](Tape& tape) {
    Value* x = tape.input(in, true);
    const int d = heads * size;
    return Built{{x}, tape.add<Attention>(x, x, Attention::Columns{0, d, 2 * d}, heads, size, causal).o};
  });
}

void cross_attention(int n, int queries, int keys, int heads, int size) {
  Parameters p;
  const int d = heads * size;
  check(label("cross attention", {n, queries, keys, d}), p, [&](Tape& tape) {
    Value *q = tape.input({n, 1, queries, d}, true), *kv = tape.input({n, 1, keys, 2 * d}, true);
    return Built{{q, kv}, tape.add<Attention>(q, kv, Attention::Columns{0, 0, d}, heads, size).o};
  });
}

void feed_forward(Shape in, int hidden) {
  Parameters p;
  const FeedForward::Weights w{p.matrix(1, in.c, hidden), p.matrix(1, in.c, hidden), p.matrix(1, hidden, in.c),
                               p.plain(1, hidden), p.plain(1, hidden), p.plain(1, in.c)};
  check(label("feed_forward", in) + " hidden " + std::to_string(hidden), p, [&](Tape& tape) {
    Value *x = tape.input(in, true), *r = tape.input(in, true);
    return Built{{x, r}, tape.add<FeedForward>(x, w, r).y};
  });
}

void activation(Shape in, Activation::Function function) {
  Parameters p;
  check(label(function == Activation::Function::silu ? "silu" : "quick_gelu", in), p, [&](Tape& tape) {
    Value* x = tape.input(in, true);
    return Built{{x}, tape.add<Activation>(x, function).y};
  });
}

// A residual chain with a skip that is read again later: shared and added gradient buffers.
void residual_chain(Shape in) {
  Parameters p;
  Block *w1 = p.matrix(1, in.c, in.c), *w2 = p.matrix(1, in.c, in.c), *w3 = p.matrix(1, 2 * in.c, in.c);
  check(label("residual chain", in), p, [&](Tape& tape) {
    Value* x = tape.input(in, true);
    Value* a = tape.add<Activation>(x, Activation::Function::silu).y;
    Value* b = tape.add<Linear>(tape.add<Activation>(a, Activation::Function::silu).y, w1, nullptr, Linear::Options{nullptr, a}).y;
    Value* c = tape.add<Linear>(tape.add<Activation>(b, Activation::Function::silu).y, w2, nullptr, Linear::Options{nullptr, b}).y;
    Value* d = tape.add<Linear>(c, w3, nullptr, Linear::Options{a, nullptr}).y; // reads a once more
    return Built{{x}, d};
  });
}

void embedding() {
  Parameters p;
  Block *tokens = p.plain(9, 6), *positions = p.plain(5, 6);
  randomize(p);
  Pool pool(1);
  Tape tape(pool, true);
  Value* ids = tape.input({2, 1, 5, 1});
  Value* y = tape.add<TokenEmbedding>(ids, tokens, positions).y;
  tape.expose(y);
  tape.finish();
  for (int i = 0; i < 10; i++) ids->data[i] = (float)(i * 7 % 9);
  tape.forward();
  double forward = 0, backward = 0;
  for (size_t i = 0; i < y->shape.size(); i++) {
    const int row = (int)i / 6, c = (int)i % 6, token = row * 7 % 9;
    forward += std::abs(y->data[i] - tokens->weight[token * 6 + c] - positions->weight[row % 5 * 6 + c]);
    y->gradient[i] = (float)i;
  }
  tape.backward();
  for (int c = 0; c < 6; c++) {
    backward += std::abs(tokens->gradient[0 * 6 + c] - (float)(0 * 6 + c + 9 * 6 + c)); // rows 0 and 9
    backward += std::abs(positions->gradient[4 * 6 + c] - (float)(4 * 6 + c + 9 * 6 + c));
  }
  checks.expect("token_embedding y", forward, 1e-5);
  checks.expect("token_embedding gradients", backward, 0);
}

void loss() {
  Pool pool(1);
  Tape tape(pool, true);
  Parameters p;
  Block* w = p.matrix(1, 5, 3);
  randomize(p);
  Value* x = tape.input({2, 3, 3, 5}, true);
  auto& layer = tape.add<MeanSquaredError>(tape.add<Linear>(x, w, nullptr).y);
  tape.finish();
  RandomStream random(5, Purpose::test);
  random.fill_normal(x->data, x->shape.size());
  random.fill_normal(layer.target->data, layer.target->shape.size());
  layer.weights->data[0] = 0.5f, layer.weights->data[1] = 2;
  layer.scale = 0.25;
  tape.forward();
  tape.backward();
  double worst = 0;
  for (size_t i = 0; i < x->shape.size(); i++) {
    const float before = x->data[i];
    const auto at = [&](float h) {
      x->data[i] = before + h;
      tape.forward();
      return layer.total();
    };
    const double slope = (at(1.f / 64) - at(-1.f / 64)) * 32;
    x->data[i] = before;
    worst = std::max(worst, std::abs(slope - x->gradient[i]));
  }
  checks.expect("mse_loss dy", worst, 1e-5);
}

} // namespace

int main() {
  linear({1, 1, 3, 5}, 7, 0, false);
  linear({2, 3, 3, 32}, 48, 0, true);
  linear({2, 5, 7, 12}, 21, 19, true);
  linear({1, 1, 300, 600}, 16, 0, false); // more than a block of rows and of depth
  conv({2, 4, 4, 32}, 32, {}, "");
  conv({3, 5, 7, 12}, 21, {}, " e");
  conv({2, 3, 4, 140}, 9, {}, " r"); // more than a block of channels
  conv({1, 1, 1, 3}, 5, {});
  conv({2, 6, 5, 7}, 16, {.stride = 2}, " x2");
  conv({2, 8, 8, 16}, 12, {.stride = 2}, " x2");
  conv({2, 3, 5, 9}, 18, {.upsample = true}, " up");
  conv({1, 1, 1, 5}, 4, {.upsample = true}, " up");
  conv({1, 40, 20, 3}, 4, {}); // more than a block of pixels
  group_norm({2, 4, 4, 32}, 0, 32, true);
  group_norm({3, 3, 5, 12}, 9, 7, true);
  group_norm({1, 9, 9, 64}, 32, 32, false);
  layer_norm({2, 1, 70, 40});
  layer_norm({1, 1, 3, 13});
  self_attention(2, 16, 4, 8, false);
  self_attention(1, 77, 2, 40, true);
  self_attention(1, 150, 1, 5, false); // more than a block of keys
  self_attention(1, 150, 1, 24, true);
  cross_attention(2, 35, 12, 2, 8);
  cross_attention(1, 9, 77, 1, 20);
  feed_forward({2, 4, 4, 32}, 128);
  feed_forward({1, 1, 530, 12}, 48); // more than a block of rows
  feed_forward({1, 1, 5, 75}, 300);  // more than a chunk of hidden columns
  activation({1, 1, 5, 7}, Activation::Function::silu);
  activation({2, 1, 5, 7}, Activation::Function::quick_gelu);
  residual_chain({2, 3, 3, 10});
  embedding();
  loss();
  return checks.exit_code();
}
