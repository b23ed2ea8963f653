// product.h   one direction of a linear layer or a 3x3 convolution as oneDNN computes it: factors rounded to a type of
// numbers, in the layout that it likes best, sums in F32. Outside, everything is as our own kernels have it: pictures
// with channels innermost, weights in panels.
//   forward   y  = x W
//   data      dx = dy Wᵀ
//   weights   dW = xᵀ dy
#pragma once
#include <compare>
#include <cstring>
#include <string>

#include "compute/vector.h"
#include "onednn/engine.h"

namespace tiller::onednn {

struct ProductShape {
  int pictures, height, width; // of x; of a linear layer: rows, 1, 1
  int in, second;              // channels of x, and of what lies beside it
  int out, taps = 1, stride = 1, border = 1;

  auto operator<=>(const ProductShape&) const = default;
  int channels() const { return in + second; }
  int out_of(int side) const { return taps == 1 ? side : (side + border - 2) / stride + 1; }
  size_t x_size() const { return (size_t)pictures * height * width * channels(); }
  size_t y_size() const { return (size_t)pictures * out_of(height) * out_of(width) * out; }
};

// Our own layout of weights (compute/parameters.h), which it knows too.
constexpr Tag tag_of_panels() { return kPanel == 8 ? kPanels8 : kPanel == 16 ? kPanels16 : kPanels32; }

enum class Direction { forward, data, weights };

class Product {
 public:
  Product(const Engine& engine, const ProductShape& shape, Direction direction, Type numbers)
      : engine_(engine), shape_(shape), direction_(direction), numbers_(numbers),
        x_(pictures(shape.channels(), shape.channels(), direction == Direction::data ? kF32 : numbers)),
        y_(result(direction == Direction::forward ? kF32 : numbers)), panels_(weights(tag_of_panels(), kF32)),
        described_(describe()), primitive_(engine.primitive(described_)) {
    const char* implementation = nullptr;
    engine.library.query(described_.get(), kQueryImplementation, 0, &implementation);
    if (implementation != nullptr && std::strncmp(implementation, "ref", 3) == 0)
      throw Refused("oneDNN has only its reference for a product"); // by far slower than our own kernels
    if (direction != Direction::data) {
      pieces_.push_back(engine.reorder(pictures(shape.in, shape.in, kF32).get(), pictures(shape.in, shape.channels(), numbers).get()));
      if (shape.second > 0)
        pieces_.push_back(engine.reorder(pictures(shape.second, shape.second, kF32).get(), pictures(shape.second, shape.channels(), numbers).get()));
    }
    if (direction != Direction::forward) gradient_ = engine.reorder(result(kF32).get(), y_.get());
    const void* liked = layout(weights_name());
    weights_ = direction == Direction::weights ? engine.reorder(liked, panels_.get()) : engine.reorder(panels_.get(), liked);
  }

  // Bytes of the three factors and results, as they are between the conversions, and of oneDNN's own scratch memory.
  size_t x_bytes() const { return size(x_.get()); }
  size_t y_bytes() const { return size(y_.get()); }
  size_t weight_bytes() const { return size(layout(weights_name())); }
  size_t panel_bytes() const { return size(panels_.get()); }
  size_t scratch_bytes() const { return size(layout(kScratchpad)); }

  void round_x(int piece, const float* from, void* to) const {
    const int channels = piece == 0 ? shape_.in : shape_.second, first = piece == 0 ? 0 : shape_.in;
    char* place = static_cast<char*>(to) + first * (numbers_ == kF32 ? 4 : 2);
    engine_.execute(pieces_[piece], {{kSource, pictures(channels, channels, kF32).get(), from},
                                     {kResult, pictures(channels, shape_.channels(), numbers_).get(), place}});
  }
  void round_gradient(const float* from, void* to) const {
    engine_.execute(gradient_, {{kSource, result(kF32).get(), from}, {kResult, y_.get(), to}});
  }
  void round_weights(const float* panels, void* to) const {
    engine_.execute(weights_, {{kSource, panels_.get(), panels}, {kResult, layout(weights_name()), to}});
  }
  void to_panels(const void* from, float* panels) const {
    engine_.execute(weights_, {{kSource, layout(weights_name()), from}, {kResult, panels_.get(), panels}});
  }
  // One of the three is the result.
  void compute(const void* x, const void* w, const void* y, void* scratch) const {
    engine_.execute(primitive_, {{x_name(), x_.get(), x}, {weights_name(), layout(weights_name()), w},
                                 {y_name(), y_.get(), y}, {kScratchpad, layout(kScratchpad), scratch}});
  }

 private:
  const Engine& engine_;
  const ProductShape shape_;
  const Direction direction_;
  const Type numbers_;
  const Owned x_, y_, panels_, described_, primitive_;
  std::vector<Owned> pieces_;
  Owned gradient_{nullptr, nullptr}, weights_{nullptr, nullptr};

  int x_name() const { return direction_ == Direction::data ? kGradient + kSource : kSource; }
  int y_name() const { return direction_ == Direction::forward ? kResult : kGradient + kResult; }
  int weights_name() const { return direction_ == Direction::weights ? kGradient + kWeights : kWeights; }
  const void* layout(int name) const { return engine_.library.query_memory(described_.get(), kQueryArgument, name); }
  size_t size(const void* description) const { return engine_.library.size_of(description); }

  // Channels innermost: `channels` of `all`.
  Owned pictures(int channels, int all, Type type) const {
    const int h = shape_.height, w = shape_.width;
    return engine_.strided(4, {shape_.pictures, channels, h, w}, {(int64_t)h * w * all, 1, (int64_t)w * all, all}, type);
  }
  Owned result(Type type) const {
    const int h = shape_.out_of(shape_.height), w = shape_.out_of(shape_.width), c = shape_.out;
    if (shape_.taps == 1) return engine_.strided(2, {shape_.pictures, c}, {c, 1}, type);
    return engine_.strided(4, {shape_.pictures, c, h, w}, {(int64_t)h * w * c, 1, (int64_t)w * c, c}, type);
  }
  Owned weights(Tag tag, Type type) const {
    const int side = shape_.taps == 1 ? 1 : 3;
    return engine_.tagged({shape_.out, shape_.channels(), side, side}, tag, type);
  }

  Owned describe() const {
    const Owned w = weights(kAny, direction_ == Direction::weights ? kF32 : numbers_);
    if (direction_ == Direction::forward) return describe_forward(x_, w, y_);
    const Owned hint = describe_forward(pictures(shape_.channels(), shape_.channels(), numbers_), weights(kAny, numbers_), result(numbers_));
    const Library& l = engine_.library;
    const auto made = [&](auto function, auto... arguments) {
      return engine_.made(l.destroy_described, "a gradient", function, engine_.get(), arguments...);
    };
    const void *x = x_.get(), *y = y_.get(), *attributes = engine_.attributes(), *forward = hint.get();
    if (shape_.taps == 1) {
      return direction_ == Direction::data ? made(l.describe_linear_data, x, w.get(), y, forward, attributes)
                                           : made(l.describe_linear_weights, x, w.get(), nullptr, y, forward, attributes);
    }
    const Steps s = steps();
    const int64_t *stride = s.stride.data(), *dilate = s.none.data(), *before = s.before.data(), *after = s.after.data();
    return direction_ == Direction::data
               ? made(l.describe_conv_data, kDirect, x, w.get(), y, stride, dilate, before, after, forward, attributes)
               : made(l.describe_conv_weights, kDirect, x, w.get(), nullptr, y, stride, dilate, before, after, forward, attributes);
  }
  Owned describe_forward(const Owned& x, const Owned& w, const Owned& y) const {
    const Library& l = engine_.library;
    const void *none = nullptr, *attributes = engine_.attributes();
    const auto made = [&](auto function, auto... arguments) {
      return engine_.made(l.destroy_described, "a product", function, engine_.get(), kTraining, arguments...);
    };
    if (shape_.taps == 1) return made(l.describe_linear, x.get(), w.get(), none, y.get(), attributes);
    const Steps s = steps();
    return made(l.describe_conv, kDirect, x.get(), w.get(), none, y.get(), s.stride.data(), s.none.data(), s.before.data(),
                s.after.data(), attributes);
  }

  struct Steps {
    Dims stride{}, none{}, before{}, after{};
  };
  Steps steps() const {
    Steps s;
    for (int i = 0; i < 2; i++) s.stride[i] = shape_.stride, s.before[i] = shape_.border, s.after[i] = 1;
    return s;
  }
};

}  // namespace tiller::onednn
