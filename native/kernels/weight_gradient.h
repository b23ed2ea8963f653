// Weight gradients of linear layers and convolutions, without im2col.
//
// (1) dW[tap][i][o] (+)= sum over pairs (p, q) of tap: x[p][i] * g[q][o]
// (2) db[o]         (+)= sum over q: g[q][o]
//
// Pixels go in blocks: g is packed into a few panels that stay in L2, x into a tile of channels that
// stays in L1, and both are used for every tap.
#pragma once
#include <vector>

#include "compute/pool.h"
#include "kernels/tile.h"

namespace tiller {

// Which input pixel meets which output pixel, tap by tap, within one block of pixels. A block is a
// band of a large picture, or `group` small pictures one after another.
struct PixelBlock {
  int input_first, input_count;   // of one picture
  int output_first, output_count; // of one picture
  std::vector<std::vector<Pair>> pairs; // [tap], for `group` pictures
};
struct PixelBlocks {
  int group = 1;
  int input_pixels, output_pixels; // of a whole picture
  std::vector<PixelBlock> blocks;
};

inline constexpr int kBlockPixels = 256;
inline constexpr int kTileStride = 8; // floats a pixel of packed x
static_assert(kTileStride >= kTileRows);

// The blocks of a linear layer: each row is a picture of one pixel.
inline PixelBlocks row_blocks() {
  PixelBlocks rows{kBlockPixels, 1, 1, {{0, 1, 0, 1, {{}}}}};
  for (int i = 0; i < kBlockPixels; i++) rows.blocks[0].pairs[0].push_back({i, i});
  return rows;
}

struct WeightGradient {
  const PixelBlocks* blocks;
  int pictures;
  const float* x; // [pictures, input pixels, x_stride]
  int x_stride, in;
  const float* g; // [pictures, output pixels, g_stride]
  int g_stride, out;
  float* dw; // panels, whose rows are `panel_rows` high; this gradient's begin at `first_row`
  int panel_rows, first_row = 0;
  int tap_rows;  // rows from tap to tap
  bool accumulate;
  float* db = nullptr; // or null; padded to a panel
  bool accumulate_bias = false;
};

// Packs columns [column, column + kPanel) of g; beyond `out` are zeros. Sums them up on the way.
inline void pack_panel(const float* g, int stride, int columns, int pixels, float* to, Vec* sums) {
  Vec sum[kTileVectors] = {};
  const auto pack = [&](const auto& read) {
    for (int p = 0; p < pixels; p++, g += stride, to += kPanel)
      for (int j = 0; j < kTileVectors; j++) {
        const Vec v = read(j);
        store(to + j * kLanes, v);
        sum[j] += v;
      }
  };
  if (columns >= kPanel) {
    pack([&](int j) { return load(g + j * kLanes); });
  } else {
    pack([&](int j) { return load(g + j * kLanes, columns - j * kLanes); });
  }
  for (int j = 0; j < kTileVectors; j++) sums[j] += sum[j];
}

// Copies a whole stride, although fewer channels may be wanted: all arrays may be read a little past
// their ends.
inline void pack_tile(const float* x, int stride, int pixels, float* to) {
  for (int p = 0; p < pixels; p++, x += stride, to += kTileStride) {
    std::memcpy(to, x, kTileStride * sizeof(float));
  }
}

// Panels of packed g at a time.
inline constexpr int kPanelGroup = 8;
// A linear layer's x is read as it lies, if its rows are so short that a block of them fits L1.
inline constexpr int kShortRow = 64;

namespace weight_gradient_detail {

// Pictures [first, first + count) of one block.
struct Part {
  const PixelBlock* block;
  int first, count, output_pixels, input_pixels;
  bool accumulate, accumulate_bias;
};

inline void pack_panels(const WeightGradient& job, const Part& part, Range panels, bool bias, float* packed) {
  const PixelBlock& block = *part.block;
  for (int panel = panels.begin; panel < panels.end; panel++) {
    Vec sums[kTileVectors] = {};
    for (int n = part.first; n < part.first + part.count; n++, packed += (size_t)block.output_count * kPanel) {
      const size_t pixel = (size_t)n * part.output_pixels + block.output_first;
      pack_panel(job.g + pixel * job.g_stride + panel * kPanel, job.g_stride, job.out - panel * kPanel,
                 block.output_count, packed, sums);
    }
    for (int j = 0; bias && j < kTileVectors; j++) { // (2)
      float* db = job.db + panel * kPanel + j * kLanes;
      store(db, part.accumulate_bias ? load(db) + sums[j] : sums[j]);
    }
  }
}

// Channels [channel, channel + rows) of the gradient in these panels.
inline void tile_of_channels(const WeightGradient& job, const Part& part, Range panels, int channel, int rows,
                             const float* packed_g, float* packed_x) {
  const PixelBlock& block = *part.block;
  const int taps = (int)block.pairs.size();
  const size_t panel_size = (size_t)block.output_count * part.count * kPanel;
  const float* x = job.x + ((size_t)part.first * part.input_pixels + block.input_first) * job.x_stride + channel;
  size_t x_stride = job.x_stride;
  if (taps > 1 || job.x_stride > kShortRow) {
    for (int n = 0; n < part.count; n++) {
      pack_tile(x + (size_t)n * part.input_pixels * job.x_stride, job.x_stride, block.input_count,
                packed_x + (size_t)n * block.input_count * kTileStride);
    }
    x = packed_x, x_stride = kTileStride;
  }
  for (int panel = panels.begin; panel < panels.end; panel++)
    for (int tap = 0; tap < taps; tap++) { // (1)
      const auto& pairs = block.pairs[tap];
      const int count = (int)(pairs.size() / job.blocks->group) * part.count;
      const size_t row = (size_t)job.first_row + (size_t)tap * job.tap_rows + channel;
      float* dw = job.dw + ((size_t)panel * job.panel_rows + row) * kPanel;
      const float* g = packed_g + (panel - panels.begin) * panel_size;
      with_constant_rows(rows, [&]<int Rows>() {
        accumulate_tile<Rows>(x, x_stride, g, pairs.data(), count, dw, part.accumulate);
      });
    }
}

} // namespace weight_gradient_detail

// The part of the gradient that lies in these panels and these input channels.
inline void weight_gradient_part(const WeightGradient& job, Range panels, Range channels, bool bias) {
  using namespace weight_gradient_detail;
  const PixelBlocks& table = *job.blocks;
  int most_in = 0, most_out = 0;
  for (const auto& block : table.blocks) {
    most_in = std::max(most_in, block.input_count * table.group);
    most_out = std::max(most_out, block.output_count * table.group);
  }
  Scratch scratch;
  float* packed_g = scratch.take((size_t)kPanelGroup * most_out * kPanel);
  float* packed_x = scratch.take((size_t)most_in * kTileStride);
  bool first = true;
  for (int n = 0; n < job.pictures; n += table.group)
    for (const PixelBlock& block : table.blocks) {
      const Part part{&block, n, std::min(table.group, job.pictures - n), table.output_pixels, table.input_pixels,
                      !first || job.accumulate, !first || job.accumulate_bias};
      for (int p = panels.begin; p < panels.end; p += kPanelGroup) {
        const Range group{p, std::min(panels.end, p + kPanelGroup)};
        pack_panels(job, part, group, bias, packed_g);
        for_each_tile(channels.end - channels.begin, [&](int offset, int rows) {
          tile_of_channels(job, part, group, channels.begin + offset, rows, packed_g, packed_x);
        });
      }
      first = false;
    }
}

// Each thread has its own outputs, so that nothing is summed across threads: whole panels where they
// divide evenly, else a range of input channels.
inline void weight_gradient(Pool& pool, const WeightGradient& job) {
  const int panels = (job.out + kPanel - 1) / kPanel;
  pool.run([&](int thread, int threads) {
    const bool by_panel = panels % threads == 0 || panels >= 8 * threads;
    const Range mine = by_panel ? part_of(panels, thread, threads) : Range{0, panels};
    const Range channels = by_panel ? Range{0, job.in} : part_of(job.in, thread, threads);
    const bool bias = job.db != nullptr && (by_panel || thread == 0);
    if (!mine.empty() && (bias || !channels.empty())) weight_gradient_part(job, mine, channels, bias);
  });
}

} // namespace tiller
