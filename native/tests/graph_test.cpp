// Every layer's CPU kernels against its ggml graph, at ordinary and awkward sizes.
// graph_test [DEVICE [PRECISION]]
#include "layers/activation.h"
#include "layers/attention.h"
#include "layers/conv3x3.h"
#include "layers/emphasis.h"
#include "layers/feed_forward.h"
#include "layers/gated_gelu.h"
#include "layers/group_norm.h"
#include "layers/join_tokens.h"
#include "layers/layer_norm.h"
#include "layers/linear.h"
#include "layers/mse_loss.h"
#include "layers/timestep_embedding.h"
#include "layers/token_embedding.h"
#include "tests/graph_compare.h"

using namespace tiller;

namespace {

void linear(GraphComparison& t) {
  for (const auto& [k, m, rows] : {std::array{32, 64, 48}, std::array{7, 5, 9}, std::array{19, 33, 1}}) {
    Parameters p;
    Block *w = p.matrix(1, k, m), *b = p.plain(1, m), *w2 = p.matrix(1, k + m, m);
    t.fill(p);
    t.compare("linear " + std::to_string(k) + "->" + std::to_string(m), p, [&](Tape& tape) {
      Value* x = tape.input({2, 1, rows, k}, true);
      Value* r = tape.input({2, 1, rows, m}, true);
      Value* y = tape.add<Linear>(x, w, b, Linear::Options{.residual = r}).y;
      return Built{{x, r}, tape.add<Linear>(x, w2, nullptr, Linear::Options{.second_source = y}).y};
    });
  }
}

void conv3x3(GraphComparison& t) {
  struct Case {
    int in, out, h, w;
    Conv3x3::Options options;
    const char* what;
  };
  for (const Case& c : {Case{16, 32, 16, 16, {}, ""}, Case{5, 7, 3, 6, {}, ""},
                        Case{16, 16, 8, 8, {.stride = 2}, " stride 2"}, Case{5, 3, 5, 7, {.stride = 2}, " stride 2"},
                        Case{16, 16, 8, 8, {.stride = 2, .border = 0}, " no border"}, Case{5, 3, 5, 7, {.stride = 2, .border = 0}, " no border"},
                        Case{16, 16, 4, 4, {.upsample = true}, " upsample"}, Case{3, 9, 3, 5, {.upsample = true}, " upsample"}}) {
    Parameters p;
    Block *w = p.matrix(9, c.in, c.out), *b = p.plain(1, c.out), *w2 = p.matrix(9, c.out, c.out), *b2 = p.plain(1, c.out);
    t.fill(p);
    t.compare("conv3x3" + std::string(c.what) + " " + std::to_string(c.in) + "->" + std::to_string(c.out), p, [&](Tape& tape) {
      Value* x = tape.input({2, c.h, c.w, c.in}, true);
      Value* e = tape.input({2, 1, 1, c.out}, true);
      Value* y = tape.add<Conv3x3>(x, w, b, c.options).y;
      Value* z = tape.add<Conv3x3>(y, w2, b2, Conv3x3::Options{.per_picture = e}).y;
      return Built{{x, e}, tape.add<Conv3x3>(z, w2, b2, Conv3x3::Options{.residual = y}).y};
    });
  }
}

// A frozen matrix with a trained low-rank part, and with none. `parts` of `columns` each.
LowRank low_rank(Parameters& p, int taps, int in, int rank, int parts, int columns) {
  LowRank made{p.matrix(taps, in, rank * parts), {}, 0.7f};
  for (int i = 0; i < parts; i++) made.up.push_back(p.matrix(1, rank, columns));
  return made;
}

void low_rank_linear(GraphComparison& t) {
  struct Case {
    int in, in2, rank, parts, columns, rows;
  };
  for (const Case& c : {Case{32, 0, 4, 1, 64, 48}, Case{16, 16, 8, 3, 16, 20}, Case{7, 4, 3, 2, 5, 9}, Case{5, 0, 1, 1, 3, 1}}) {
    Parameters p;
    p.set_trainable(false);
    const int out = c.parts * c.columns;
    Block *w = p.matrix(1, c.in + c.in2, out), *b = p.plain(1, out), *w2 = p.matrix(1, out, out);
    p.set_trainable(true);
    const LowRank l = low_rank(p, 1, c.in + c.in2, c.rank, c.parts, c.columns);
    t.fill(p);
    t.compare("low-rank linear " + std::to_string(c.in) + "+" + std::to_string(c.in2) + "->" + std::to_string(out), p, [&](Tape& tape) {
      std::vector<Value*> x{tape.input({2, 1, c.rows, c.in}, true), tape.input({2, 1, c.rows, out}, true)};
      if (c.in2 > 0) x.push_back(tape.input({2, 1, c.rows, c.in2}, true));
      const Linear::Options options{.second_source = c.in2 > 0 ? x[2] : nullptr, .residual = x[1], .low_rank = &l};
      return Built{x, tape.add<Linear>(tape.add<Linear>(x[0], w, b, options).y, w2, nullptr).y};
    });
  }
}

void low_rank_conv3x3(GraphComparison& t) {
  struct Case {
    int in, out, rank, h, w;
    Conv3x3::Options options;
    const char* what;
  };
  for (const Case& c : {Case{16, 32, 4, 8, 8, {}, ""}, Case{5, 7, 3, 3, 6, {}, ""},
                        Case{5, 3, 2, 5, 7, {.stride = 2}, " stride 2"}, Case{16, 16, 4, 8, 8, {.stride = 2}, " stride 2"},
                        Case{3, 9, 2, 3, 5, {.upsample = true}, " upsample"}}) {
    Parameters p;
    p.set_trainable(false);
    Block *w = p.matrix(9, c.in, c.out), *b = p.plain(1, c.out), *w2 = p.matrix(9, c.out, c.out);
    p.set_trainable(true);
    const LowRank l = low_rank(p, 9, c.in, c.rank, 1, c.out);
    t.fill(p);
    t.compare("low-rank conv3x3" + std::string(c.what) + " " + std::to_string(c.in) + "->" + std::to_string(c.out), p, [&](Tape& tape) {
      Value* x = tape.input({2, c.h, c.w, c.in}, true);
      Value* e = tape.input({2, 1, 1, c.out}, true);
      Conv3x3::Options options = c.options;
      options.per_picture = e, options.low_rank = &l;
      return Built{{x, e}, tape.add<Conv3x3>(tape.add<Conv3x3>(x, w, b, options).y, w2, b).y};
    });
  }
}

void activations(GraphComparison& t) {
  Parameters none;
  t.fill(none);
  for (const auto f : {Activation::Function::silu, Activation::Function::quick_gelu}) {
    t.compare(f == Activation::Function::silu ? "silu" : "quick gelu", none, [&](Tape& tape) {
      Value* x = tape.input({2, 3, 5, 7}, true);
      return Built{{x}, tape.add<Activation>(x, f).y};
    });
  }
}

void norms(GraphComparison& t) {
  struct Case {
    int c1, c2, groups, h, w;
    bool silu;
  };
  for (const Case& c : {Case{32, 0, 32, 8, 8, false}, Case{64, 32, 32, 4, 4, true}, Case{5, 7, 4, 3, 5, true}, Case{6, 0, 3, 1, 7, true}}) {
    Parameters p;
    Block *gamma = p.plain(1, c.c1 + c.c2), *beta = p.plain(1, c.c1 + c.c2);
    t.fill(p);
    t.compare("group norm " + std::to_string(c.c1) + "+" + std::to_string(c.c2), p, [&](Tape& tape) {
      std::vector<Value*> x{tape.input({2, c.h, c.w, c.c1}, true)};
      if (c.c2) x.push_back(tape.input({2, c.h, c.w, c.c2}, true));
      const GroupNorm::Options options{.groups = c.groups, .silu = c.silu, .second_source = c.c2 ? x[1] : nullptr};
      return Built{x, tape.add<GroupNorm>(x[0], gamma, beta, options).y};
    });
  }
  for (const int channels : {32, 13}) {
    Parameters p;
    Block *gamma = p.plain(1, channels), *beta = p.plain(1, channels);
    t.fill(p);
    t.compare("layer norm " + std::to_string(channels), p, [&](Tape& tape) {
      Value* x = tape.input({2, 1, 9, channels}, true);
      return Built{{x}, tape.add<LayerNorm>(x, gamma, beta).y};
    });
  }
}

void attentions(GraphComparison& t) {
  Parameters none;
  t.fill(none);
  struct Case {
    int heads, size, queries, keys;
    bool causal;
  };
  for (const Case& c : {Case{4, 8, 64, 64, false}, Case{2, 5, 7, 7, false}, Case{2, 16, 12, 12, true}, Case{3, 7, 5, 5, true}}) {
    const int d = c.heads * c.size;
    t.compare(std::string(c.causal ? "causal" : "self") + " attention " + std::to_string(c.heads) + "x" + std::to_string(c.size), none, [&](Tape& tape) {
      Value* x = tape.input({2, 1, c.queries, 3 * d}, true);
      return Built{{x}, tape.add<Attention>(x, x, Attention::Columns{0, d, 2 * d}, c.heads, c.size, c.causal).o};
    });
  }
  for (const Case& c : {Case{4, 8, 64, 12, false}, Case{3, 11, 5, 77, false}}) {
    const int d = c.heads * c.size;
    t.compare("cross attention " + std::to_string(c.heads) + "x" + std::to_string(c.size), none, [&](Tape& tape) {
      Value* q = tape.input({2, 1, c.queries, d}, true);
      Value* kv = tape.input({2, 1, c.keys, 2 * d}, true);
      return Built{{q, kv}, tape.add<Attention>(q, kv, Attention::Columns{0, 0, d}, c.heads, c.size).o};
    });
  }
}

void feed_forward(GraphComparison& t) {
  for (const auto& [channels, hidden, rows] : {std::array{32, 128, 64}, std::array{7, 19, 5}}) {
    Parameters p;
    const FeedForward::Weights w{p.matrix(1, channels, hidden), p.matrix(1, channels, hidden), p.matrix(1, hidden, channels),
                                 p.plain(1, hidden), p.plain(1, hidden), p.plain(1, channels)};
    t.fill(p, 0.1f);
    t.compare("feed forward " + std::to_string(channels), p, [&](Tape& tape) {
      Value* x = tape.input({2, 1, rows, channels}, true);
      Value* y = tape.add<FeedForward>(x, w).y;
      return Built{{x}, tape.add<FeedForward>(y, w, y).y};  // weights shared, and a residual
    });
  }
}

void gated_gelu(GraphComparison& t) {
  Parameters none;
  t.fill(none);
  for (const int hidden : {32, 7}) {
    t.compare("gated gelu " + std::to_string(hidden), none, [&](Tape& tape) {
      Value* x = tape.input({2, 1, 9, 2 * hidden}, true);
      return Built{{x}, tape.add<GatedGelu>(x).y};
    });
    t.compare("gated gelu of two values " + std::to_string(hidden), none, [&](Tape& tape) {
      Value *x = tape.input({2, 1, 9, hidden}, true), *gate = tape.input(x->shape, true);
      return Built{{x, gate}, tape.add<GatedGelu>(x, gate).y};
    });
  }
}

void embeddings(GraphComparison& t) {
  Parameters p;
  Block *tokens = p.plain(11, 6), *positions = p.plain(9, 6);
  t.fill(p);
  t.compare("token embedding", p, [&](Tape& tape) {
    Value* ids = tape.input({2, 1, 5, 1});
    return Built{{ids}, tape.add<TokenEmbedding>(ids, tokens, positions).y};
  });
  Parameters q;
  Block *w = q.matrix(1, 9, 6), *b = q.plain(1, 6);
  t.fill(q);
  t.compare("timestep embedding", q, [&](Tape& tape) {
    Value* time = tape.input({3, 1, 1, 1});
    return Built{{time}, tape.add<Linear>(tape.add<TimestepEmbedding>(time, 9).y, w, b).y};
  });
}

void chunks(GraphComparison& t) {
  Parameters p;
  Block* w = p.matrix(1, 5, 7);
  t.fill(p);
  t.compare("join tokens", p, [&](Tape& tape) {
    Value* x = tape.input({6, 1, 4, 5}, true);
    return Built{{x}, tape.add<Linear>(tape.add<JoinTokens>(x, 3).y, w, nullptr).y};
  });
  t.compare("emphasis", p, [&](Tape& tape) {
    Value *x = tape.input({3, 1, 4, 5}), *weights = tape.input({3, 1, 4, 1});
    return Built{{x, weights}, tape.add<Emphasis>(x, weights).y};
  });
}

void loss(GraphComparison& t) {
  Parameters p;
  Block *w = p.matrix(1, 6, 5), *b = p.plain(1, 5);
  t.fill(p);
  t.compare("squared error", p, [&](Tape& tape) {
    Value* x = tape.input({3, 4, 2, 6}, true);
    auto& loss = tape.add<MeanSquaredError>(tape.add<Linear>(x, w, b).y);
    loss.scale = 1.0 / 12;
    return Built{{x, loss.target, loss.weights}, nullptr, &loss};
  });
}

// What the device multiplies with: every weight as it is now, to the nearest number that there is, ties to even.
void copies(GraphComparison& t) {
  Parameters p;
  Block *w = p.matrix(9, 37, 64), *b = p.plain(1, 64);
  t.fill(p);
  DeviceWeights weights(t.backend(), t.precision()), in_f32(t.backend());
  for (DeviceWeights* of : {&weights, &in_f32}) {
    for (Block* block : {w, b}) of->weight(block);
    of->allocate();
  }
  for (const std::string when : {"at first", "after a step"}) {
    weights.changed();
    weights.send();
    for (Block* block : {w, b}) {
      std::vector<float> wanted(unpacked_size(*block)), got(wanted.size());
      unpack(*block, block->weight, wanted.data());
      Tensor copy = weights.weight(block);
      if (copy->type == GGML_TYPE_BF16) {
        std::vector<ggml_bf16_t> bits(wanted.size());
        ggml_backend_tensor_get(copy, bits.data(), 0, ggml_nbytes(copy));
        ggml_bf16_to_fp32_row(bits.data(), got.data(), static_cast<int64_t>(got.size()));
        for (float& value : wanted) value = ggml_bf16_to_fp32(ggml_fp32_to_bf16(value));
      } else {
        ggml_backend_tensor_get(copy, got.data(), 0, ggml_nbytes(copy));
      }
      t.checks.holds((block == w ? "the copy of a matrix " : "the copy of a bias ") + when, got == wanted);
      for (size_t i = 0; i < block->size(); i++) block->weight[i] *= 1.37f;
    }
  }
  const double share = static_cast<double>(weights.bytes()) / static_cast<double>(in_f32.bytes());
  t.checks.holds("the copies' memory", t.precision() == Precision::bf16 ? share < 0.52 : share == 1);
}

// CUDA alone is asked what it does; these must not be taken for one that gains.
void choices(GraphComparison& t) {
  t.checks.holds("f32 is F32", choose_precision("f32", t.backend()) == Precision::f32);
  t.checks.holds("bf16 is BF16", choose_precision("bf16", t.backend()) == Precision::bf16);
  const bool asked = t.backend().info().kind == "cuda";
  t.checks.holds("a product in BF16 is seen to be", asked || multiplies_in_bf16(t.backend()));
  t.checks.holds("auto is F32 elsewhere", asked || choose_precision("auto", t.backend()) == Precision::f32);
}

// A layer with an op that no device of ours has: a product of columns in F16.
struct Impossible : Layer {
  Value *x, *y;
  Impossible(Tape& tape, Value* x) : Layer(tape), x(reads(x)) { y = makes({1, 1, 4, 4}, false); }
  const char* kind() const override { return "impossible"; }
  void forward() override {}
  void backward() override {}
  void graph_forward(Graph& graph) override {
    Tensor half = ggml_cast(graph.context(), graph.tokens(x), GGML_TYPE_F16);
    graph.set_tokens(y, ggml_out_prod(graph.context(), graph.tokens(x), half));
  }
  void graph_backward(Graph&) override {}
};

// Nothing is run elsewhere in silence: the graph is refused, by the names of op and layer.
void refusal(GraphComparison& t) {
  Pool pool(1);
  Tape tape(pool, false);
  tape.expose(tape.add<Impossible>(tape.input({1, 1, 3, 4})).y);
  DeviceWeights weights(t.backend());
  std::string said;
  try {
    GraphRunner runner(tape, weights);
  } catch (const OpMissing& error) {
    said = error.what();
  }
  t.checks.holds("an op that the device lacks is refused", said.find(" can't run OUT_PROD of the layer impossible: a step would go in 3 parts,") != std::string::npos);
}

}  // namespace

int main(int count, char** arguments) {
  try {
    GraphComparison t(count, arguments);
    linear(t);
    conv3x3(t);
    low_rank_linear(t);
    low_rank_conv3x3(t);
    activations(t);
    norms(t);
    attentions(t);
    feed_forward(t);
    gated_gelu(t);
    embeddings(t);
    chunks(t);
    loss(t);
    copies(t);
    choices(t);
    refusal(t);
    return t.checks.exit_code();
  } catch (const DeviceError& error) {
    std::fprintf(stderr, "%s. %s\n", error.what(), error.hint.c_str());
    return 1;
  }
}
