// The tables of one 3x3 convolution: for its forward pass, and for the gradients of input and weights.
#pragma once
#include <stdexcept>
#include <string>

#include "kernels/conv3x3.h"
#include "kernels/upsample_taps.h"
#include "kernels/weight_gradient.h"

namespace tiller {

class ConvGeometry {
 public:
  const int in_height, in_width, stride;
  const int border; // zeros before the first row and column: 1, or 0; after the last there is always one
  const bool upsample; // the input is read as if each pixel were 2x2; stride is 1
  const int out_height, out_width;
  std::vector<TapClass> forward, backward;
  PixelBlocks blocks;

  ConvGeometry(int height, int width, int stride, bool upsample, int border = 1)
      : in_height(height), in_width(width), stride(stride), border(border), upsample(upsample),
        out_height(upsample ? 2 * height : (height + border - 2) / stride + 1),
        out_width(upsample ? 2 * width : (width + border - 2) / stride + 1) {
    if (border < 0 || border > 1 || (upsample && border == 0)) {
      throw std::logic_error("a 3x3 convolution has a border of 1, or of 0 without upsampling");
    }
    if (height + border < 2 || width + border < 2) {
      throw std::invalid_argument("a picture of " + std::to_string(width) + "x" + std::to_string(height) +
                                  " can't be halved without a border before it");
    }
    forward = tap_classes(out_height, out_width, [this](int y, int x) { return read_by_output(y, x); });
    backward = tap_classes(in_height, in_width, [this](int y, int x) { return readers_of_input(y, x); });
    make_blocks();
  }

  int taps() const { return upsample ? kUpsampleTaps : 9; }

 private:
  std::vector<TapPixel> read_by_output(int y, int x) const {
    std::vector<TapPixel> found;
    const auto add = [&](int tap, int sy, int sx) {
      if (sy >= 0 && sx >= 0 && sy < in_height && sx < in_width) found.push_back({tap, sy * in_width + sx});
    };
    if (!upsample) {
      for (int tap = 0; tap < 9; tap++) add(tap, y * stride + tap / 3 - border, x * stride + tap % 3 - border);
      return found;
    }
    for (int cell = 0; cell < 4; cell++) {
      const int py = y % 2, px = x % 2;
      add(upsample_tap(py, px, cell), y / 2 + cell / 2 + py - 1, x / 2 + cell % 2 + px - 1);
    }
    return found;
  }

  // The same relation from the other side.
  std::vector<TapPixel> readers_of_input(int y, int x) const {
    std::vector<TapPixel> found;
    const auto add = [&](int tap, int oy, int ox) {
      if (oy >= 0 && ox >= 0 && oy < out_height && ox < out_width) found.push_back({tap, oy * out_width + ox});
    };
    if (!upsample) {
      for (int tap = 0; tap < 9; tap++) {
        const int ty = y + border - tap / 3, tx = x + border - tap % 3;
        if (ty >= 0 && tx >= 0 && ty % stride == 0 && tx % stride == 0) add(tap, ty / stride, tx / stride);
      }
      return found;
    }
    for (int py = 0; py < 2; py++)
      for (int px = 0; px < 2; px++)
        for (int cell = 0; cell < 4; cell++) {
          const int ty = y + 1 - cell / 2 - py, tx = x + 1 - cell % 2 - px; // of the coarse picture
          if (ty >= 0 && tx >= 0) add(upsample_tap(py, px, cell), 2 * ty + py, 2 * tx + px);
        }
    return found;
  }

  // Bands of at most kBlockPixels outputs, or several whole pictures where those are small.
  void make_blocks() {
    const int pixels = out_height * out_width;
    blocks.input_pixels = in_height * in_width;
    blocks.output_pixels = pixels;
    blocks.group = std::max(1, kBlockPixels / pixels);
    const int band = std::max(1, std::min(out_height, kBlockPixels / out_width));
    for (int y0 = 0; y0 < out_height; y0 += band) add_block(y0, std::min(out_height, y0 + band));
  }

  void add_block(int y0, int y1) {
    struct Meeting {
      int tap, in, out;
    };
    std::vector<Meeting> meetings;
    int first = in_height * in_width, last = 0;
    for (int q = y0 * out_width; q < y1 * out_width; q++)
      for (const auto& [tap, in] : read_by_output(q / out_width, q % out_width)) {
        meetings.push_back({tap, in, q - y0 * out_width});
        first = std::min(first, in), last = std::max(last, in);
      }
    PixelBlock block{first, last - first + 1, y0 * out_width, (y1 - y0) * out_width, {}};
    block.pairs.resize(taps());
    for (int n = 0; n < blocks.group; n++)
      for (const auto& [tap, in, out] : meetings) {
        block.pairs[tap].push_back({n * block.input_count + in - first, n * block.output_count + out});
      }
    blocks.blocks.push_back(std::move(block));
  }
};

} // namespace tiller
