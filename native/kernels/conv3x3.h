// 3x3 convolutions with a border of one zero, without im2col and without a padded copy: tables say
// which input pixel each tap of each output pixel reads (M. Dukhan, "The indirect convolution
// algorithm", 2019). Pixels that read the same taps are grouped, so taps outside the picture are not
// computed at all: at 4x4 that is 31 % of the work, at 16x16 8 %. The same tables serve stride 2, an
// input that is upsampled on the way, and the gradient of the input (kernels/conv_geometry.h).
#pragma once
#include <functional>
#include <map>
#include <vector>

#include "kernels/gemm.h"

namespace tiller {

// Output pixels (of one picture) that read the same taps.
struct TapClass {
  std::vector<int> taps;
  std::vector<int> outputs; // pixels
  std::vector<int> inputs;  // [output][tap]: pixels
};

// What one output pixel reads, or one input pixel is read by.
struct TapPixel {
  int tap, pixel;
};
using PixelsOf = std::function<std::vector<TapPixel>(int y, int x)>;

inline std::vector<TapClass> tap_classes(int height, int width, const PixelsOf& pixels_of) {
  std::map<std::vector<int>, TapClass> classes; // by their taps
  for (int y = 0; y < height; y++)
    for (int x = 0; x < width; x++) {
      std::vector<int> taps, pixels;
      for (const auto& [tap, pixel] : pixels_of(y, x)) {
        taps.push_back(tap);
        pixels.push_back(pixel);
      }
      TapClass& found = classes[taps];
      found.taps = taps;
      found.outputs.push_back(y * width + x);
      found.inputs.insert(found.inputs.end(), pixels.begin(), pixels.end());
    }
  std::vector<TapClass> result;
  for (auto& [taps, found] : classes) result.push_back(std::move(found));
  return result;
}

// out[n, q] = bias + per_picture[n] + sum over taps: in[n, pixel(q, tap)] * W[tap], or with
// residual[n, q] in the place of per_picture[n]
struct Conv {
  const std::vector<TapClass>* classes;
  int pictures;
  const float* in;
  int in_pixels, in_channels;
  int taps;            // 9, or 16 of a convolution that upsamples
  const float* panels; // [panel][tap][in channel]
  float* out;
  int out_pixels, out_channels;
  const float* bias = nullptr;        // padded to a panel
  const float* per_picture = nullptr; // [n, out_channels]
  const float* residual = nullptr;    // as out; may be out
};

inline constexpr int kMostTaps = 16;
// Input channels of one pass: 9 taps of a panel of 128 channels are 74 KiB of L2 with AVX2.
inline constexpr int kChannelBlock = 128;

namespace conv_detail {

// A tile's pointers, found once for all panels.
struct ConvTile {
  int height;
  const float* rows[kMostTaps][kTileRows];
  float* out[kTileRows];
  const float* start[kTileRows];
};
inline constexpr int kTiles = 8; // at a time: their pointers stay in L1

// Multiplies some tiles by all panels, channels [c0, c0 + depth).
inline void multiply_tiles(const Conv& conv, const TapClass& group, const ConvTile* tiles, int count, int c0,
                           int depth) {
  const int taps = (int)group.taps.size();
  const size_t panel_size = (size_t)conv.taps * conv.in_channels * kPanel;
  for (int o = 0, p = 0; o < conv.out_channels; o += kPanel, p++) {
    const float* panels[kMostTaps];
    for (int t = 0; t < taps; t++) {
      const size_t row = (size_t)group.taps[t] * conv.in_channels + c0;
      panels[t] = conv.panels + p * panel_size + row * kPanel;
    }
    for (const ConvTile* tile = tiles; tile != tiles + count; tile++) {
      ScatteredOutput to{tile->out};
      to.columns = std::min(kPanel, conv.out_channels - o);
      to.offset = o;
      to.start = tile->start[0] != nullptr ? tile->start : nullptr;
      to.bias = c0 == 0 && conv.bias != nullptr ? conv.bias + o : nullptr;
      with_constant_rows(tile->height, [&]<int Rows>() {
        convolve_tile<Rows>(tile->rows, panels, taps, depth, to);
      });
    }
  }
}

// Rows [begin, end) of (picture, output of the class), for all panels and one block of channels.
inline void class_part(const Conv& conv, const TapClass& group, Range rows, int c0, int depth) {
  const int class_size = (int)group.outputs.size(), taps = (int)group.taps.size();
  int picture = rows.begin / class_size, pixel = rows.begin % class_size, count = 0;
  ConvTile tiles[kTiles];
  for_each_tile(rows.end - rows.begin, [&](int, int height) {
    ConvTile& tile = tiles[count++];
    tile.height = height;
    for (int i = 0; i < height; i++) {
      const float* in = conv.in + (size_t)picture * conv.in_pixels * conv.in_channels + c0;
      const int* inputs = &group.inputs[(size_t)pixel * taps];
      for (int t = 0; t < taps; t++) tile.rows[t][i] = in + (size_t)inputs[t] * conv.in_channels;
      const size_t row = (size_t)picture * conv.out_pixels + group.outputs[pixel];
      tile.out[i] = conv.out + row * conv.out_channels;
      tile.start[i] = c0 > 0                        ? tile.out[i]
                      : conv.residual != nullptr    ? conv.residual + row * conv.out_channels
                      : conv.per_picture != nullptr ? conv.per_picture + (size_t)picture * conv.out_channels
                                                    : nullptr;
      if (++pixel == class_size) pixel = 0, picture++;
    }
    if (count < kTiles) return;
    multiply_tiles(conv, group, tiles, count, c0, depth);
    count = 0;
  });
  multiply_tiles(conv, group, tiles, count, c0, depth);
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

} // namespace tiller
