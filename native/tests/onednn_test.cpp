// Products by oneDNN beside our own kernels, in F32: the same primitives, layouts and threads as in BF16, for which a
// processor has to have AMX. Without a library only what is chosen then.
//   onednn_test [without]
#include "layers/gated_gelu.h"
#include "models/unet.h"
#include "onednn/choose.h"
#include "tests/finite_differences.h"

using namespace tiller;

namespace {

Checks checks;

void compare(const onednn::Library& library, const std::string& name, Parameters& p, const Builder& build, double limit = 1e-5) {
  randomize(p);
  const auto run_of = [&](const onednn::Library* by, int threads) {
    auto run = std::make_unique<Run>(build, threads, true, by);
    p.zero_gradients();
    run->backward();
    return run;
  };
  auto own = run_of(nullptr, 2);
  const Result expected = result_of(*own, p);
  auto theirs = run_of(&library, 2);
  const Result found = result_of(*theirs, p);
  bool same = true;
  for (const auto& [key, values] : expected) {
    if (values.empty()) continue;
    checks.expect(name + " " + key, relative_error(found.at(key), values, values.size()), limit);
    same = same && found.at(key) == values;
  }
  checks.holds(name + " is computed by it", !same);
  double padding = 0;
  for (Block& block : p.blocks()) {
    if (!block.gradient_written || !block.packed) continue;
    std::vector<bool> counted(block.size());
    for (const size_t at : elements_of(block)) counted[at] = true;
    for (size_t i = 0; i < block.size(); i++) padding += counted[i] ? 0 : std::abs(block.gradient[i]);
  }
  checks.expect(name + " padding", padding, 0);
  checks.holds(name + " again, same bits", result_of(*run_of(&library, 2), p) == found);
  auto twice = run_of(&library, 1);
  twice->backward();
  double worst = 0;
  for (auto& [key, values] : result_of(*twice, p)) {
    if (values.empty()) continue;
    std::vector<float> sums = expected.at(key);
    if (key[0] == 'w')
      for (float& v : sums) v *= 2;
    worst = std::max(worst, relative_error(values, sums, values.size()));
  }
  checks.expect(name + " one thread, two passes add up", worst, limit);
  Run inference(build, 2, false, &library);
  inference.tape.forward();
  checks.holds(name + " inference, same bits", std::equal(found.at("y").begin(), found.at("y").end(), inference.built.y->data));
}

void linear(const onednn::Library& library, const char* name, Shape in, int out, int second, int rank) {
  Parameters p;
  p.set_trainable(rank == 0);
  Block *w = p.matrix(1, in.c + second, out), *b = p.plain(1, out);
  p.set_trainable(true);
  LowRank l;
  if (rank > 0) l = {p.matrix(1, in.c + second, rank), {p.matrix(1, rank, out)}, 0.7f};
  compare(library, name, p, [&](Tape& tape) {
    Built built{{tape.input(in, true), tape.input({in.n, in.h, in.w, out}, true)}, nullptr};
    Linear::Options options{.residual = built.inputs[1], .low_rank = rank > 0 ? &l : nullptr};
    if (second) built.inputs.push_back(options.second_source = tape.input({in.n, in.h, in.w, second}, true));
    // What reads x too makes its gradient one that is added to.
    Value* x = tape.add<Activation>(built.inputs[0], Activation::Function::silu).y;
    Value* y = tape.add<Linear>(x, w, b, options).y;
    built.y = tape.add<GatedGelu>(y, tape.add<Linear>(x, w, b, options).y).y;
    return built;
  });
}

void conv(const onednn::Library& library, const char* name, Shape in, int out, Conv3x3::Options options, int rank = 0) {
  Parameters p;
  p.set_trainable(rank == 0);
  Block *w = p.matrix(9, in.c, out), *b = p.plain(1, out);
  p.set_trainable(true);
  LowRank l;
  if (rank > 0) l = {p.matrix(9, in.c, rank), {p.matrix(1, rank, out)}, 0.7f};
  compare(library, name, p, [&](Tape& tape) {
    Value* input = tape.input(in, true);
    Built built{{input}, nullptr};
    Value* x = tape.add<Activation>(input, Activation::Function::silu).y;
    Conv3x3::Options o = options;
    o.low_rank = rank > 0 ? &l : nullptr;
    built.inputs.push_back(o.per_picture = tape.input({in.n, 1, 1, out}, true));
    Value* y = tape.add<Conv3x3>(x, w, b, o).y;
    o.per_picture = nullptr;
    built.inputs.push_back(o.residual = tape.input(y->shape, true));
    built.y = tape.add<GatedGelu>(y, tape.add<Conv3x3>(x, w, b, o).y).y;
    return built;
  });
}

void unet(const onednn::Library& library) {
  Parameters p;
  const UNet model(p, {.model_channels = 32, .channel_multipliers = {1, 2}, .res_blocks = 1, .attention_levels = {0}, .heads = 2,
                       .context_channels = 48, .norm_groups = 8}, "");
  compare(library, "a U-Net", p, [&](Tape& tape) {
    Built built{{tape.input({2, 8, 8, 4}, true), tape.input({2, 1, 20, 48}, true)}, nullptr};
    Value* t = tape.add<Activation>(tape.input({2, 1, 1, 1}), Activation::Function::silu).y;
    built.y = model.build(tape, built.inputs[0], t, built.inputs[1]);
    return built;
  }, 1e-4);
}

// What is multiplied on a processor with AMX, bit by bit: numbers rounded to nearest, of rows within longer ones and of
// panels.
void rounding(const onednn::Library& library) {
  const onednn::Engine engine(library, 2);
  const int rows = 6, columns = 40, all = 56, out = 37;
  std::vector<float> x((size_t)rows * columns);
  RandomStream(1, Purpose::test).fill_normal(x.data(), x.size());
  x[0] = 1 + 0x1p-8f, x[1] = 1 + 0x3p-8f, x[2] = 1 + 0x1.00001p-8f, x[3] = 0x1p-120f; // halfway twice, just above it
  const auto rounded = [](float value) { return ggml_fp32_to_bf16(value).bits; };
  std::vector<uint16_t> found((size_t)rows * all);
  const onednn::Owned from = engine.strided(2, {rows, columns}, {columns, 1}, onednn::kF32);
  const onednn::Owned to = engine.strided(2, {rows, columns}, {all, 1}, onednn::kBf16);
  engine.execute(engine.reorder(from.get(), to.get()), {{onednn::kSource, from.get(), x.data()}, {onednn::kResult, to.get(), &found[8]}});
  bool same = true, left = true;
  for (int row = 0; row < rows; row++)
    for (int c = 0; c < all; c++) {
      const uint16_t is = found[(size_t)row * all + c];
      if (c >= 8 && c < 8 + columns) same = same && is == rounded(x[(size_t)row * columns + c - 8]);
      else left = left && is == 0;
    }
  checks.holds("rounded to BF16 as ggml does", same);
  checks.holds("what lies beside is left", left);

  Parameters p;
  Block* w = p.matrix(9, columns, out);
  randomize(p);
  const onednn::Owned panels = engine.tagged({out, columns, 3, 3}, onednn::tag_of_panels(), onednn::kF32);
  const onednn::Owned plain = engine.strided(4, {out, columns, 3, 3}, {columns * 9, 9, 3, 1}, onednn::kBf16);
  std::vector<uint16_t> weights((size_t)out * columns * 9);
  checks.holds("panels' size", library.size_of(panels.get()) == w->size() * sizeof(float));
  engine.execute(engine.reorder(panels.get(), plain.get()),
                 {{onednn::kSource, panels.get(), w->weight}, {onednn::kResult, plain.get(), weights.data()}});
  same = true;
  for (size_t i = 0; i < weights.size(); i++)
    same = same && weights[i] == rounded(w->weight[w->index((int)(i % 9), (int)(i / 9) % columns, (int)(i / 9) / columns)]);
  checks.holds("panels rounded to BF16 as ggml does", same);
}

// What a product takes of the memory that it is given, and that it takes no more.
void workspace(const onednn::Library& library, const char* name, const onednn::ProductShape& shape) {
  Pool pool(2);
  onednn::Products products(library, pool, onednn::kF32);
  const auto directions = onednn::directions(true, true);
  if (!products.takes(shape, directions)) return checks.holds(std::string(name) + " is taken", false);
  const size_t size = products.workspace(shape, directions), beside = 4096;
  const size_t weights = (size_t)shape.taps * shape.channels() * round_up(shape.out, kPanel);
  std::vector<float> memory(size + beside, 0.5f), w(weights), y(shape.y_size());
  std::vector<float> x(shape.x_size()), dw(weights);
  const std::vector<onednn::Piece> pieces{{x.data(), shape.in}};
  products.forward(shape, pieces, w.data(), y.data(), memory.data());
  products.data_gradient(shape, y.data(), w.data(), {{x.data(), shape.in, true}}, memory.data());
  products.weight_gradient(shape, pieces, y.data(), dw.data(), true, memory.data());
  checks.holds(std::string(name) + " stays in its workspace", std::all_of(memory.begin() + (long)size, memory.end(), [](float v) { return v == 0.5f; }));
  const double needed = (double)(shape.x_size() + shape.y_size() + 2 * weights);
  checks.expect(std::string(name) + " asks for little more than its factors", (double)size / needed - 1, 0.25);
}

int do_nothing(const void*, void*, int, const onednn::Argument*) { return 0; }

void with_library(const onednn::Library& library) {
  linear(library, "linear", {2, 5, 7, 64}, 96, 0, 0);
  linear(library, "linear, odd", {1, 1, 77, 45}, 70, 0, 0);
  linear(library, "linear, two sources", {2, 4, 4, 40}, 50, 33, 0);
  linear(library, "linear, low rank", {1, 1, 230, 64}, 48, 40, 4);
  conv(library, "conv3x3", {2, 9, 7, 64}, 96, {});
  conv(library, "conv3x3, odd", {1, 6, 6, 45}, 37, {});
  conv(library, "conv3x3 x2", {2, 6, 8, 32}, 48, {.stride = 2});
  conv(library, "conv3x3 x2 (0, 1)", {2, 6, 8, 32}, 48, {.stride = 2, .border = 0});
  conv(library, "conv3x3 up", {2, 5, 6, 32}, 48, {.upsample = true});
  conv(library, "conv3x3 up, low rank", {1, 5, 6, 32}, 48, {.upsample = true}, 3);
  conv(library, "conv3x3, low rank", {1, 9, 7, 64}, 48, {}, 40);
  unet(library);
  rounding(library);
  workspace(library, "a linear layer", {96, 1, 1, 64, 0, 96});
  workspace(library, "a convolution", {1, 12, 12, 64, 0, 64, 9});
  checks.holds("the check at start, of F32", agrees(library, 2, onednn::kF32));
  onednn::Library wrong = library;
  wrong.execute = do_nothing;
  checks.holds("the check at start sees a wrong result", !agrees(wrong, 2, onednn::kF32));
}

} // namespace

int main(int count, char** arguments) {
  const bool without = count > 1 && std::string(arguments[1]) == "without";
  const onednn::Choice plain = onednn::choose(2, false);
  checks.holds("no AMX, no BF16", plain.library == nullptr && !plain.amx && plain.why.find("the processor has no AMX") != std::string::npos);
  if (!without) {
    const onednn::Library library(onednn::Library::place());
    with_library(library);
    // As if the processor had AMX: whatever it has, what is chosen has been checked.
    const onednn::Choice choice = onednn::choose(2, true);
    checks.holds("what is chosen has AMX", (choice.library != nullptr) == (library.uses_amx() && agrees(library, 2, onednn::kBf16)));
    const bool said = choice.why.find("makes no use of AMX") != std::string::npos;
    checks.holds("what makes no use of AMX is told apart", said == !library.uses_amx());
    std::fprintf(stderr, "oneDNN %s: %s\n", library.name().c_str(), choice.library ? "BF16" : choice.why.c_str());
  }
  setenv("TILLER_ONEDNN", "/nowhere/libdnnl.so.3", 1);
  const onednn::Choice missing = onednn::choose(2, true);
  checks.holds("no library, no BF16", missing.library == nullptr && missing.why.find("/nowhere/libdnnl.so.3") != std::string::npos);
  return checks.exit_code();
}
