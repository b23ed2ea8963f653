// 3x3 convolutions with a border of one zero, without im2col and without a padded copy: tables say
// which input pixel each tap of each output pixel reads (M. Dukhan, "The indirect convolution
// algorithm", 2019). Pixels that read the same taps are grouped, so taps outside the picture are not
// computed at all: at 4x4 that is 31 % of the work, at 16x16 8 %. The same tables serve stride 2, an
// input that is upsampled on the way, and the gradient of the input.
#pragma once
#include <functional>
#include <map>
#include <vector>

#include "kernels/gemm.h"
#include "kernels/weight_gradient.h"

namespace tiller {

// Output pixels (of one picture) that read the same taps.
struct TapClass {
  std::vector<int> taps;
  std::vector<int> outputs; // pixels
  std::vector<int> inputs;  // [output][tap]: pixels
};

// The pixel that tap (dy, dx) of an output reads, or -1.
using PixelOf = std::function<int(int y, int x, int dy, int dx)>;

inline std::vector<TapClass> tap_classes(int height, int width, const PixelOf& pixel_of) {
  std::map<int, TapClass> classes; // by the set of taps
  for (int y = 0; y < height; y++)
    for (int x = 0; x < width; x++) {
      int set = 0;
      std::vector<int> taps, inputs;
      for (int tap = 0; tap < 9; tap++) {
        const int pixel = pixel_of(y, x, tap / 3, tap % 3);
        if (pixel < 0) continue;
        set |= 1 << tap;
        taps.push_back(tap);
        inputs.push_back(pixel);
      }
      TapClass& found = classes[set];
      found.taps = taps;
      found.outputs.push_back(y * width + x);
      found.inputs.insert(found.inputs.end(), inputs.begin(), inputs.end());
    }
  std::vector<TapClass> result;
  for (auto& [set, found] : classes) result.push_back(std::move(found));
  return result;
}

// out[n, q] = bias + per_picture[n] + sum over taps: in[n, pixel(q, tap)] * W[tap], or with
// residual[n, q] in the place of per_picture[n]
struct Conv {
  const std::vector<TapClass>* classes;
  int pictures;
  const float* in;
  int in_pixels, in_channels;
  const float* panels; // [panel][tap][in channel]
  float* out;
  int out_pixels, out_channels;
  const float* bias = nullptr;        // padded to a panel
  const float* per_picture = nullptr; // [n, out_channels]
  const float* residual = nullptr;    // as out; may be out
};

// Input channels of one pass: 9 taps of a panel of 128 channels are 74 KiB of L2 with AVX2.
inline constexpr int kChannelBlock = 128;

namespace conv_detail {

// Rows [begin, end) of (picture, output of the class), for all panels and one block of channels.
inline void class_part(const Conv& conv, const TapClass& group, Range rows, int c0, int depth) {
  const int count = (int)group.outputs.size(), taps = (int)group.taps.size();
  const size_t panel_size = (size_t)9 * conv.in_channels * kPanel;
  for (int o = 0, p = 0; o < conv.out_channels; o += kPanel, p++) {
    Term terms[9];
    TileOutput out;
    out.columns = std::min(kPanel, conv.out_channels - o);
    out.has_start = c0 > 0 || conv.residual != nullptr || conv.per_picture != nullptr;
    out.bias = c0 == 0 && conv.bias != nullptr ? conv.bias + o : nullptr;
    for (int t = 0; t < taps; t++) {
      const size_t row = (size_t)group.taps[t] * conv.in_channels + c0;
      terms[t].panel = conv.panels + p * panel_size + row * kPanel;
    }
    int picture = rows.begin / count, pixel = rows.begin % count;
    for_each_tile(rows.end - rows.begin, [&](int, int height) {
      for (int i = 0; i < height; i++) {
        const float* in = conv.in + (size_t)picture * conv.in_pixels * conv.in_channels + c0;
        const int* inputs = &group.inputs[(size_t)pixel * taps];
        for (int t = 0; t < taps; t++) terms[t].rows[i] = in + (size_t)inputs[t] * conv.in_channels;
        const size_t row = (size_t)picture * conv.out_pixels + group.outputs[pixel];
        out.rows[i] = conv.out + row * conv.out_channels + o;
        out.start[i] = c0 > 0                 ? out.rows[i]
                       : conv.residual != nullptr ? conv.residual + row * conv.out_channels + o
                                                  : conv.per_picture + (size_t)picture * conv.out_channels + o;
        if (++pixel == count) pixel = 0, picture++;
      }
      multiply_tile(height, terms, taps, depth, out);
    });
  }
}

} // namespace conv_detail

inline void convolve(Pool& pool, const Conv& conv) {
  pool.run([&](int thread, int threads) {
    for (const TapClass& group : *conv.classes) {
      const Range rows = part_of(conv.pictures * (int)group.outputs.size(), thread, threads);
      if (rows.empty()) continue;
      for (int c0 = 0; c0 < conv.in_channels; c0 += kChannelBlock) {
        const int depth = std::min(kChannelBlock, conv.in_channels - c0);
        conv_detail::class_part(conv, group, rows, c0, depth);
      }
    }
  });
}

// The geometry of one layer: all tables for its forward pass and both gradients.
struct ConvGeometry {
  int in_height, in_width, out_height, out_width;
  std::vector<TapClass> forward, backward;
  PixelBlocks blocks;

  // `upsample`: the input is read as if each pixel were 2x2 (then stride is 1).
  ConvGeometry(int height, int width, int stride, bool upsample)
      : in_height(height), in_width(width),
        out_height(upsample ? 2 * height : (height - 1) / stride + 1),
        out_width(upsample ? 2 * width : (width - 1) / stride + 1) {
    const int full_height = upsample ? 2 * height : height, full_width = upsample ? 2 * width : width;
    const auto source = [=](int y, int x, int dy, int dx) {
      const int sy = y * stride + dy - 1, sx = x * stride + dx - 1;
      if (sy < 0 || sx < 0 || sy >= full_height || sx >= full_width) return -1;
      return upsample ? sy / 2 * width + sx / 2 : sy * width + sx;
    };
    forward = tap_classes(out_height, out_width, source);
    // The input at (y, x) is read by tap (dy, dx) of the output ((y + 1 - dy) / stride, …). With
    // `upsample` these are the gradients of the 2x2 pixels, which are summed afterwards.
    const int oh = out_height, ow = out_width;
    backward = tap_classes(full_height, full_width, [=](int y, int x, int dy, int dx) {
      const int ty = y + 1 - dy, tx = x + 1 - dx;
      if (ty < 0 || tx < 0 || ty % stride != 0 || tx % stride != 0) return -1;
      return ty / stride < oh && tx / stride < ow ? ty / stride * ow + tx / stride : -1;
    });
    make_blocks(source);
  }

 private:
  void make_blocks(const PixelOf& source) {
    const int pixels = out_height * out_width;
    blocks.input_pixels = in_height * in_width;
    blocks.output_pixels = pixels;
    blocks.group = std::max(1, kBlockPixels / pixels);
    const int band = std::max(1, std::min(out_height, kBlockPixels / out_width));
    for (int y0 = 0; y0 < out_height; y0 += band) {
      add_block(source, y0, std::min(out_height, y0 + band));
    }
  }

  void add_block(const PixelOf& source, int y0, int y1) {
    struct Pixels {
      int tap, in, out;
    };
    std::vector<Pixels> found;
    int first = in_height * in_width, last = 0;
    for (int q = y0 * out_width; q < y1 * out_width; q++)
      for (int tap = 0; tap < 9; tap++) {
        const int in = source(q / out_width, q % out_width, tap / 3, tap % 3);
        if (in < 0) continue;
        found.push_back({tap, in, q - y0 * out_width});
        first = std::min(first, in), last = std::max(last, in);
      }
    PixelBlock block{first, last - first + 1, y0 * out_width, (y1 - y0) * out_width, {}};
    block.pairs.resize(9);
    for (int n = 0; n < blocks.group; n++)
      for (const auto& [tap, in, out] : found) {
        const int a = n * block.input_count + in - first, g = n * block.output_count + out;
        block.pairs[tap].push_back({a * kTileStride, g * kPanel});
      }
    blocks.blocks.push_back(std::move(block));
  }
};

} // namespace tiller
