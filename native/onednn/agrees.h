// agrees.h   whether a library computes what our own kernels do of rounded factors: the result is asked, since this
// library was neither built nor tried with this program.
#pragma once
#include <vector>

#include "compute/rng.h"
#include "ggml.h"
#include "layers/conv3x3.h"
#include "layers/linear.h"
#include "onednn/products.h"

namespace tiller::onednn {

namespace detail {

inline constexpr double kAgreement = 1e-5; // of sums in F32 in another order

inline void fill(uint64_t number, float* x, size_t count, bool rounded) {
  RandomStream(1, Purpose::test, 0, number).fill_normal(x, count);
  for (size_t i = 0; rounded && i < count; i++) x[i] = ggml_bf16_to_fp32(ggml_fp32_to_bf16(x[i]));
}

// A layer of 64 to 48 channels on 72 pixels: y, dx and dW.
template <class L>
std::vector<std::vector<float>> results(Pool& pool, int taps, Products* products, bool rounded) {
  Parameters parameters;
  Block *w = parameters.matrix(taps, 64, 48), *b = parameters.plain(1, 48);
  parameters.allocate(true, false);
  std::vector<float> weights(size_t{48} * taps * 64);
  fill(0, weights.data(), weights.size(), rounded);
  for (size_t i = 0; i < weights.size(); i++) w->weight[w->index(i / 48 / 64, i / 48 % 64, i % 48)] = weights[i];
  Tape tape(pool, true, products);
  Value* x = tape.input({2, 6, 6, 64}, true);
  Value* y = tape.add<L>(x, w, b).y;
  tape.expose(y);
  tape.finish();
  fill(1, x->data, x->shape.size(), rounded);
  fill(2, y->gradient, y->shape.size(), rounded);
  tape.forward();
  tape.backward();
  return {{y->data, y->data + y->shape.size()}, {x->gradient, x->gradient + x->shape.size()}, {w->gradient, w->gradient + w->size()}};
}

template <class L>
bool agrees(Pool& pool, int taps, Products& products) {
  const auto theirs = results<L>(pool, taps, &products, false), ours = results<L>(pool, taps, nullptr, products.numbers == kBf16);
  for (size_t k = 0; k < ours.size(); k++) {
    double difference = 0, size = 0;
    for (size_t i = 0; i < ours[k].size(); i++) {
      const double d = (double)theirs[k][i] - ours[k][i];
      difference += d * d, size += (double)ours[k][i] * ours[k][i];
    }
    if (!(difference <= kAgreement * kAgreement * size)) return false; // nor where one is NaN
  }
  return true;
}

} // namespace detail

inline bool agrees(const Library& library, int threads, Type numbers) {
  Pool pool(threads);
  Products products(library, pool, numbers);
  const bool has_both = products.takes({72, 1, 1, 64, 0, 48}, directions(true, true)) &&
                        products.takes({2, 6, 6, 64, 0, 48, 9}, directions(true, true));
  return has_both && detail::agrees<Linear>(pool, 1, products) && detail::agrees<Conv3x3>(pool, 9, products);
}

} // namespace tiller::onednn
