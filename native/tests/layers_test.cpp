// Every layer at convenient and at awkward shapes, by tests/finite_differences.h.
#include "layers/activation.h"
#include "layers/attention.h"
#include "layers/conv3x3.h"
#include "layers/feed_forward.h"
#include "layers/gated_gelu.h"
#include "layers/group_norm.h"
#include "layers/join_tokens.h"
#include "layers/layer_norm.h"
#include "layers/linear.h"
#include "layers/mse_loss.h"
#include "layers/timestep_embedding.h"
#include "layers/token_embedding.h"
#include "tests/finite_differences.h"

using namespace tiller;

namespace {

Checks checks;

std::string label(const char* kind, Shape s) {
  return std::string(kind) + " " + std::to_string(s.n) + "x" + std::to_string(s.h) + "x" + std::to_string(s.w) +
         "x" + std::to_string(s.c);
}

void linear(Shape in, int out, int second, bool residual) {
  Parameters p;
  Block *w = p.matrix(1, in.c + second, out), *b = p.plain(1, out);
  check(checks, label("linear", in) + " to " + std::to_string(out) + (second ? " two sources" : ""), p, [&](Tape& tape) {
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

// Against the sums as they stand, which finite differences have checked: of so many numbers these see
// mostly rounding.
void many_channels(Shape in, int out) {
  Parameters p;
  Block *w = p.matrix(9, in.c, out), *b = p.plain(1, out);
  randomize(p);
  const std::string name = label("conv3x3 by Winograd", in);
  check_threads_and_passes(checks, name, p, [&](Tape& tape) {
    Built built{{tape.input(in, true), tape.input({in.n, in.h, in.w, out}, true)}, nullptr};
    built.y = tape.add<Conv3x3>(built.inputs[0], w, b, Conv3x3::Options{.residual = built.inputs[1]}).y;
    return built;
  });
  p.zero_gradients();
  Pool pool(2);
  Tape tape(pool, true);
  Value* x = tape.input(in, true);
  auto& layer = tape.add<Conv3x3>(x, w, b);
  tape.expose(layer.y);
  tape.finish();
  RandomStream(8, Purpose::test).fill_normal(x->data, x->shape.size());
  RandomStream(9, Purpose::test).fill_normal(layer.y->gradient, layer.y->shape.size());
  const std::vector<float> dy(layer.y->gradient, layer.y->gradient + layer.y->shape.size());
  const ConvGeometry& geometry = layer.geometry;
  std::vector<float> y(layer.y->shape.size() + kPanel), dx(x->shape.size() + kPanel), dw(w->size()), panels(transposed_size(9, w->in, w->out));
  convolve(pool, {&geometry.forward, in.n, x->data, in.tokens(), in.c, 9, w->weight, y.data(), in.tokens(), out, b->weight});
  transpose_panels(pool, w->weight, *w, 0, w->in, panels.data());
  convolve(pool, {&geometry.backward, in.n, dy.data(), in.tokens(), out, 9, panels.data(), dx.data(), in.tokens(), in.c});
  weight_gradient(pool, {&geometry.blocks, in.n, x->data, in.c, in.c, dy.data(), out, out, dw.data(), 9 * in.c, 0, in.c, false});
  tape.forward();
  tape.backward();
  checks.expect(name + " y", relative_error(layer.y->data, y.data(), layer.y->shape.size()), 3e-6);
  checks.expect(name + " dx", relative_error(x->gradient, dx.data(), x->shape.size()), 3e-6);
  checks.expect(name + " dw", relative_error(w->gradient, dw.data(), w->size()), 3e-6);
  std::vector<float> db(out);
  for (size_t i = 0; i < dy.size(); i++) db[i % out] += dy[i];
  checks.expect(name + " db", relative_error(b->gradient, db.data(), db.size()), 1e-5);
}

// A frozen matrix with a low-rank part for each of `parts`.
void low_rank(Shape in, int columns, int parts, int rank, int second) {
  Parameters p;
  p.set_trainable(false);
  Block *w = p.matrix(1, in.c + second, columns * parts), *b = p.plain(1, columns * parts);
  p.set_trainable(true);
  LowRank l{p.matrix(1, in.c + second, rank * parts), {}, 0.7f};
  for (int i = 0; i < parts; i++) l.up.push_back(p.matrix(1, rank, columns));
  check(checks, label("low rank", in) + " to " + std::to_string(parts) + "x" + std::to_string(columns), p, [&](Tape& tape) {
    Built built{{tape.input(in, true), tape.input({in.n, in.h, in.w, columns * parts}, true)}, nullptr};
    Linear::Options options{.residual = built.inputs[1], .low_rank = &l};
    if (second) built.inputs.push_back(options.second_source = tape.input({in.n, in.h, in.w, second}, true));
    built.y = tape.add<Linear>(built.inputs[0], w, b, options).y;
    return built;
  });
}

void low_rank_conv(Shape in, int out, int rank, Conv3x3::Options options, const char* what) {
  Parameters p;
  p.set_trainable(false);
  Block *w = p.matrix(9, in.c, out), *b = p.plain(1, out);
  p.set_trainable(true);
  LowRank l{p.matrix(9, in.c, rank), {p.matrix(1, rank, out)}, 0.7f};
  check(checks, label("low rank conv3x3", in) + " to " + std::to_string(out) + what, p, [&](Tape& tape) {
    Built built{{tape.input(in, true)}, nullptr};
    Conv3x3::Options o = options;
    o.low_rank = &l;
    built.y = tape.add<Conv3x3>(built.inputs[0], w, b, o).y;
    return built;
  });
}

void gated_gelu(Shape in) {
  Parameters p;
  check(checks, label("gated_gelu", in), p, [&](Tape& tape) {
    Value* x = tape.input(in, true);
    return Built{{x}, tape.add<GatedGelu>(x).y};
  });
  check(checks, label("gated_gelu of two values", in), p, [&](Tape& tape) {
    Value *x = tape.input(in, true), *gate = tape.input(in, true);
    return Built{{x, gate}, tape.add<GatedGelu>(x, gate).y};
  });
}

void conv(Shape in, int out, Conv3x3::Options options, const char* what = "") {
  Parameters p;
  Block *w = p.matrix(9, in.c, out), *b = p.plain(1, out);
  check(checks, label("conv3x3", in) + " to " + std::to_string(out) + what, p, [&](Tape& tape) {
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
  check(checks, label("group_norm", in) + (second ? " two sources" : "") + (silu ? " silu" : ""), p, [&](Tape& tape) {
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
  check(checks, label("layer_norm", in), p, [&](Tape& tape) {
    Value* x = tape.input(in, true);
    return Built{{x}, tape.add<LayerNorm>(x, gamma, beta).y};
  });
}

void self_attention(int n, int tokens, int heads, int size, bool causal) {
  Parameters p;
  const Shape in{n, 1, tokens, 3 * heads * size};
  check(checks, label(causal ? "self attention causal" : "self attention", in), p, [&](Tape& tape) {
    Value* x = tape.input(in, true);
    const int d = heads * size;
    return Built{{x}, tape.add<Attention>(x, x, Attention::Columns{0, d, 2 * d}, heads, size, causal).o};
  });
}

void cross_attention(int n, int queries, int keys, int heads, int size) {
  Parameters p;
  const int d = heads * size;
  check(checks, label("cross attention", {n, queries, keys, d}), p, [&](Tape& tape) {
    Value *q = tape.input({n, 1, queries, d}, true), *kv = tape.input({n, 1, keys, 2 * d}, true);
    return Built{{q, kv}, tape.add<Attention>(q, kv, Attention::Columns{0, 0, d}, heads, size).o};
  });
}

void feed_forward(Shape in, int hidden) {
  Parameters p;
  const FeedForward::Weights w{p.matrix(1, in.c, hidden), p.matrix(1, in.c, hidden), p.matrix(1, hidden, in.c),
                               p.plain(1, hidden), p.plain(1, hidden), p.plain(1, in.c)};
  check(checks, label("feed_forward", in) + " hidden " + std::to_string(hidden), p, [&](Tape& tape) {
    Value *x = tape.input(in, true), *r = tape.input(in, true);
    return Built{{x, r}, tape.add<FeedForward>(x, w, r).y};
  });
}

void join_tokens(int texts, int chunks) {
  Parameters p;
  Block* w = p.matrix(1, 10, 4);
  check(checks, "join_tokens of " + std::to_string(chunks) + " chunks", p, [&](Tape& tape) {
    Value* x = tape.input({texts * chunks, 1, 3, 5}, true);
    Value* a = tape.add<JoinTokens>(x, chunks).y; // its gradient is the second, and is added
    Value* b = tape.add<JoinTokens>(tape.add<Activation>(x, Activation::Function::silu).y, chunks).y;
    return Built{{x}, tape.add<Linear>(a, w, nullptr, Linear::Options{.second_source = b}).y};
  });
}

void activation(Shape in, Activation::Function function) {
  Parameters p;
  check(checks, label(function == Activation::Function::silu ? "silu" : "quick_gelu", in), p, [&](Tape& tape) {
    Value* x = tape.input(in, true);
    return Built{{x}, tape.add<Activation>(x, function).y};
  });
}

// A residual chain with a skip that is read again later: shared and added gradient buffers.
void residual_chain(Shape in) {
  Parameters p;
  Block *w1 = p.matrix(1, in.c, in.c), *w2 = p.matrix(1, in.c, in.c), *w3 = p.matrix(1, 2 * in.c, in.c);
  check(checks, label("residual chain", in), p, [&](Tape& tape) {
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
  low_rank({2, 3, 3, 32}, 16, 3, 4, 0);
  low_rank({1, 1, 230, 21}, 37, 1, 5, 13); // more than a block of rows
  low_rank_conv({2, 5, 6, 12}, 21, 4, {}, "");
  low_rank_conv({2, 6, 5, 7}, 16, 3, {.stride = 2}, " x2");
  low_rank_conv({2, 3, 5, 9}, 18, 5, {.upsample = true}, " up");
  gated_gelu({2, 1, 5, 14});
  gated_gelu({1, 3, 3, 64});
  conv({2, 4, 4, 32}, 32, {}, "");
  conv({3, 5, 7, 12}, 21, {}, " e");
  conv({2, 3, 4, 140}, 9, {}, " r"); // more than a block of channels
  conv({1, 1, 1, 3}, 5, {});
  conv({2, 6, 5, 7}, 16, {.stride = 2}, " x2");
  conv({2, 8, 8, 16}, 12, {.stride = 2}, " x2");
  conv({2, 6, 8, 7}, 16, {.stride = 2, .border = 0}, " x2 (0, 1)");
  conv({2, 5, 7, 16}, 12, {.stride = 2, .border = 0}, " x2 (0, 1)");
  conv({1, 2, 3, 3}, 5, {.stride = 2, .border = 0}, " x2 (0, 1)");
  conv({2, 3, 5, 9}, 18, {.upsample = true}, " up");
  conv({1, 1, 1, 5}, 4, {.upsample = true}, " up");
  conv({1, 40, 20, 3}, 4, {}); // more than a block of pixels
  many_channels({2, 5, 7, 164}, 161);
  many_channels({1, 32, 29, 160}, 160); // more than a block of tiles
  many_channels({2, 13, 10, 200}, 170);
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
  join_tokens(2, 3);
  join_tokens(1, 1);
  residual_chain({2, 3, 3, 10});
  embedding();
  loss();
  return checks.exit_code();
}
