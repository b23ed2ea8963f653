// What lies under the layers: random numbers, the threads' pool, parameters, the optimizer, and where
// a tape's buffers lie.
#include <atomic>
#include <set>

#include "compute/adamw.h"
#include "compute/tape.h"
#include "models/parts.h"
#include "tests/check.h"

using namespace tiller;

namespace {

Checks checks;

void random_numbers() {
  // The known answers of the generator's authors (Random123, kat_vectors).
  checks.holds("philox of zeros", philox({0, 0, 0, 0}, 0) == Philox{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
  checks.holds("philox of ones", philox({~0u, ~0u, ~0u, ~0u}, ~uint64_t{0}) ==
                               Philox{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
  checks.holds("philox of pi", philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, 0x299f31d0a4093822) ==
                             Philox{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
  double sum = 0, squares = 0;
  RandomStream normals(1, Purpose::test);
  for (int i = 0; i < 100000; i++) {
    const double x = normals.normal();
    sum += x, squares += x * x;
  }
  checks.expect("normal mean", std::abs(sum / 100000), 0.01);
  checks.expect("normal variance", std::abs(squares / 100000 - 1), 0.02);
  const auto order = RandomStream(1, Purpose::order, 3).permutation(1000);
  checks.holds("a permutation holds everything once", std::set<int>(order.begin(), order.end()).size() == 1000);
  checks.holds("the same names give the same order", order == RandomStream(1, Purpose::order, 3).permutation(1000));
  checks.holds("another epoch gives another order", order != RandomStream(1, Purpose::order, 4).permutation(1000));
  checks.holds("another purpose gives other numbers",
         RandomStream(1, Purpose::noise).bits() != RandomStream(1, Purpose::timestep).bits());
}

void pool() {
  for (const int threads : {1, 2, 5}) {
    Pool pool(threads);
    std::atomic<int> sum = 0;
    for (int round = 0; round < 500; round++) {
      pool.split(7, [&](Range part) { sum += part.end - part.begin; });
    }
    checks.holds("a pool of " + std::to_string(threads) + " does everything once", sum == 3500);
  }
}

void parameters() {
  Parameters p;
  describe_conv3x3(p, "conv", 5, 21);
  describe_stacked(p, {"q", "k", "v"}, 12, 7, true);
  p.set_trainable(false);
  describe_linear(p, "frozen", 3, 4);
  p.allocate(true);
  p.initialize(9);
  double worst = 0;
  for (auto& tensor : p.tensors()) {
    std::vector<float> in(tensor.size()), out(tensor.size());
    for (size_t i = 0; i < in.size(); i++) in[i] = (float)i;
    tensor.load(in.data());
    tensor.store(out.data());
    worst = std::max(worst, relative_error(out, in, in.size()));
  }
  checks.expect("tensors are stored as they were loaded", worst, 0);
  checks.holds("frozen blocks have no gradient", p.find("frozen.weight")->segments[0].block->gradient == nullptr);
  const Block& conv = *p.find("conv.weight")->segments[0].block;
  checks.holds("OIHW: [2][3][1][2] is tap 5 of input 3 and output 2",
         conv.weight[conv.index(5, 3, 2)] == (float)((2 * 5 + 3) * 9 + 5));
}

// Three steps against the formulas in double.
void optimizer() {
  Parameters p;
  const Weights layer = describe_linear(p, "layer", 11, 6);
  p.allocate(true);
  p.initialize(3);
  const OptimizerSettings o{.learning_rates = {0.01, 0.01}, .beta1 = 0.9, .beta2 = 0.99, .weight_decay = 0.1, .clip = 2, .average = 0.9};
  const size_t n = p.trainable_size();
  const float* weights = p.data(Buffer::weight);
  std::vector<double> w(weights, weights + n), m(n), v(n), a = w;
  Pool pool(2);
  AdamW adamw(p);
  for (int step = 1; step <= 3; step++) {
    RandomStream random(4, Purpose::test, (uint32_t)step);
    double squares = 0;
    float* g = p.data(Buffer::gradient);
    for (int i = 0; i < 11; i++)
      for (int out = 0; out < 6; out++) {
        float& x = g[layer.w->offset + layer.w->index(0, i, out)] = random.normal();
        squares += (double)x * x;
      }
    layer.w->gradient_written = true;
    layer.b->gradient_written = false; // not reached: counts as zero
    const double norm = adamw.step(pool, o, step);
    checks.expect("gradient norm", std::abs(norm / std::sqrt(squares) - 1), 1e-6);
    for (size_t i = 0; i < n; i++) {
      const double clipped = g[i] * std::min(1.0, o.clip / (norm + 1e-6));
      w[i] *= 1 - o.learning_rates[0] * o.weight_decay;
      m[i] = o.beta1 * m[i] + (1 - o.beta1) * clipped;
      v[i] = o.beta2 * v[i] + (1 - o.beta2) * clipped * clipped;
      const double root = std::sqrt(v[i] / (1 - std::pow(o.beta2, step)));
      w[i] -= o.learning_rates[0] * (m[i] / (1 - std::pow(o.beta1, step))) / (root + o.epsilon);
      a[i] += (1 - o.average) * (w[i] - a[i]);
    }
  }
  checks.expect("AdamW weights", relative_error(p.data(Buffer::weight), w.data(), n), 1e-6);
  checks.expect("running average", relative_error(p.data(Buffer::average), a.data(), n), 1e-6);
  const std::vector<float> before(weights, weights + n);
  p.data(Buffer::gradient)[layer.w->offset] = NAN;
  layer.w->gradient_written = true;
  checks.holds("a gradient that is not finite is told", !std::isfinite(adamw.step(pool, o, 4)));
  checks.holds("and changes nothing", std::equal(before.begin(), before.end(), weights));
}

void memory() {
  RandomStream random(6, Purpose::test);
  std::vector<PlacedBuffer> buffers(300);
  for (auto& buffer : buffers) {
    const int begin = (int)random.below(100);
    buffer.life = {begin, begin + (int)random.below(20)};
    buffer.size = 16 * (1 + random.below(50));
  }
  const size_t total = place(buffers);
  bool apart = true;
  for (size_t i = 0; i < buffers.size(); i++)
    for (size_t k = 0; k < i; k++) {
      const auto &a = buffers[i], &b = buffers[k];
      const bool overlap = a.offset < b.offset + b.size && b.offset < a.offset + a.size;
      apart = apart && !(overlap && a.life.meets(b.life)) && a.offset + a.size <= total;
    }
  checks.holds("buffers that live at the same time lie apart", apart);
}

} // namespace

int main() {
  random_numbers();
  pool();
  parameters();
  optimizer();
  memory();
  return checks.exit_code();
}
