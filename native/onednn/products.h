// products.h   products of matrices on oneDNN for layers, whose own kernels do all the rest. Each is made at its first
// use and kept. Rounded copies are made anew for each product, in memory that its caller gives, so that the plan of
// memory counts them as it counts all that a tape takes.
#pragma once
#include <algorithm>
#include <map>
#include <memory>
#include <utility>

#include "compute/pool.h"
#include "onednn/product.h"

namespace tiller::onednn {

// A value's part of x or of dx: what is beside it begins after its channels.
struct Piece {
  const float* data;
  int channels;
};
struct Sink {
  float* data; // may be null
  int channels;
  bool accumulate;
};

// What a layer asks for.
inline std::vector<Direction> directions(bool data, bool weights) {
  std::vector<Direction> all{Direction::forward};
  if (data) all.push_back(Direction::data);
  if (weights) all.push_back(Direction::weights);
  return all;
}

class Products {
 public:
  // Smaller ones don't repay the conversions.
  static constexpr int kLeast = 32;

  Products(const Library& library, Pool& pool, Type numbers) : numbers(numbers), pool_(pool), engine_(library, pool.threads()) {}

  const Type numbers;

  // Whether it has all of these.
  bool takes(const ProductShape& s, const std::vector<Direction>& directions) {
    if (std::min({s.pictures * s.height * s.width, s.in, s.out}) < kLeast) return false;
    try {
      for (const auto direction : directions) of(s, direction);
      return true;
    } catch (const Refused&) {
      return false;
    }
  }

  // Floats.
  size_t workspace(const ProductShape& s, const std::vector<Direction>& directions) {
    size_t most = 0;
    for (const auto direction : directions) {
      const Product& p = of(s, direction);
      const size_t y = direction != Direction::forward ? p.y_bytes() : 0; // is written where it belongs
      const size_t panels = direction == Direction::weights ? p.panel_bytes() : 0;
      most = std::max(most, sum({p.x_bytes(), y, p.weight_bytes(), panels, p.scratch_bytes()}));
    }
    return most / sizeof(float);
  }

  // y = x W   overwritten
  void forward(const ProductShape& s, const std::vector<Piece>& x, const float* panels, float* y, float* workspace) {
    const Product& p = of(s, Direction::forward);
    Cursor at{workspace};
    void *rounded = at.take(p.x_bytes()), *weights = at.take(p.weight_bytes()), *scratch = at.take(p.scratch_bytes());
    round(p, x, rounded);
    p.round_weights(panels, weights);
    p.compute(rounded, weights, y, scratch);
  }

  // dx = dy Wᵀ
  void data_gradient(const ProductShape& s, const float* dy, const float* panels, const std::vector<Sink>& dx, float* workspace) {
    if (std::all_of(dx.begin(), dx.end(), [](const Sink& sink) { return sink.data == nullptr; })) return;
    const Product& p = of(s, Direction::data);
    Cursor at{workspace};
    void *rounded = at.take(p.y_bytes()), *weights = at.take(p.weight_bytes()), *scratch = at.take(p.scratch_bytes());
    auto* sum = static_cast<float*>(at.take(p.x_bytes()));
    p.round_gradient(dy, rounded);
    p.round_weights(panels, weights);
    p.compute(sum, weights, rounded, scratch);
    const int rows = s.pictures * s.height * s.width, all = s.channels();
    int first = 0;
    for (const auto& [to, channels, accumulate] : dx) {
      if (to != nullptr) copy(rows, channels, sum + first, all, to, accumulate);
      first += channels;
    }
  }

  // dW = xᵀ dy, in panels
  void weight_gradient(const ProductShape& s, const std::vector<Piece>& x, const float* dy, float* dw, bool accumulate, float* workspace) {
    const Product& p = of(s, Direction::weights);
    Cursor at{workspace};
    void *rounded = at.take(p.x_bytes()), *gradient = at.take(p.y_bytes());
    void *sum = at.take(p.weight_bytes()), *scratch = at.take(p.scratch_bytes());
    auto* panels = accumulate ? static_cast<float*>(at.take(p.panel_bytes())) : dw;
    round(p, x, rounded);
    p.round_gradient(dy, gradient);
    p.compute(rounded, sum, gradient, scratch);
    p.to_panels(sum, panels);
    const int rows = (int)(p.panel_bytes() / sizeof(float) / kPanel);
    if (accumulate) copy(rows, kPanel, panels, kPanel, dw, true);
  }

 private:
  Pool& pool_;
  const Engine engine_;
  std::map<std::pair<ProductShape, Direction>, std::unique_ptr<Product>> made_;

  static constexpr size_t kLine = 64;
  struct Cursor {
    float* at;
    void* take(size_t bytes) { return std::exchange(at, at + round_up(bytes, kLine) / sizeof(float)); }
  };
  static size_t sum(std::initializer_list<size_t> parts) {
    size_t total = 0;
    for (const size_t bytes : parts) total += round_up(bytes, kLine);
    return total;
  }

  const Product& of(const ProductShape& shape, Direction direction) {
    auto& kept = made_[{shape, direction}];
    if (!kept) kept = std::make_unique<Product>(engine_, shape, direction, numbers);
    return *kept;
  }

  static void round(const Product& p, const std::vector<Piece>& x, void* to) {
    for (size_t i = 0; i < x.size(); i++) p.round_x((int)i, x[i].data, to);
  }

  void copy(int rows, int channels, const float* from, int stride, float* to, bool accumulate) {
    pool_.split(rows, [&](Range part) {
      for (int row = part.begin; row < part.end; row++)
        for (int c = 0; c < channels; c++) {
          float& sum = to[(size_t)row * channels + c];
          const float x = from[(size_t)row * stride + c];
          sum = accumulate ? sum + x : x;
        }
    });
  }
};

}  // namespace tiller::onednn
