// Weight gradients of linear layers and convolutions, without im2col.
//
// (1) dW[tap][i][o] (+)= sum over pairs (p, q) of tap: x[p][i] * g[q][o]
// (2) db[o]         (+)= sum over q: g[q][o]
//
// Pixels go in blocks that stay in L2: g is packed into panels once a block, x once a tile of
// channels, and both are used for every tap.
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

// The blocks of a linear layer: each row is a picture of one pixel.
inline PixelBlocks row_blocks() {
  PixelBlocks rows{kBlockPixels, 1, 1, {{0, 1, 0, 1, {{}}}}};
  for (int i = 0; i < kBlockPixels; i++) rows.blocks[0].pairs[0].push_back({i * kTileStride, i * kPanel});
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

// The part of the gradient that lies in these panels and these input channels.
inline void weight_gradient_part(const WeightGradient& job, Range panels, Range channels, bool bias) {
  const PixelBlocks& table = *job.blocks;
  const int taps = (int)table.blocks[0].pairs.size();
  int most_in = 0, most_out = 0;
  for (const auto& block : table.blocks) {
    most_in = std::max(most_in, block.input_count * table.group);
    most_out = std::max(most_out, block.output_count * table.group);
  }
  Scratch scratch;
  float* packed_g = scratch.take((size_t)(panels.end - panels.begin) * most_out * kPanel);
  float* packed_x = scratch.take((size_t)most_in * kTileStride);
  bool first = true;
  for (int n0 = 0; n0 < job.pictures; n0 += table.group) {
    const int pictures = std::min(table.group, job.pictures - n0);
    for (const PixelBlock& block : table.blocks) {
      const size_t panel_size = (size_t)block.output_count * pictures * kPanel;
      for (int panel = panels.begin; panel < panels.end; panel++) {
        Vec sums[kTileVectors] = {};
        float* to = packed_g + (panel - panels.begin) * panel_size;
        for (int n = 0; n < pictures; n++) {
          const size_t pixel = (size_t)(n0 + n) * table.output_pixels + block.output_first;
          pack_panel(job.g + pixel * job.g_stride + panel * kPanel, job.g_stride,
                     job.out - panel * kPanel, block.output_count,
                     to + (size_t)n * block.output_count * kPanel, sums);
        }
        for (int j = 0; bias && j < kTileVectors; j++) { // (2)
          float* db = job.db + panel * kPanel + j * kLanes;
          store(db, first && !job.accumulate_bias ? sums[j] : load(db) + sums[j]);
        }
      }
      for_each_tile(channels.end - channels.begin, [&](int offset, int rows) {
        const int channel = channels.begin + offset;
        for (int n = 0; n < pictures; n++) {
          const size_t pixel = (size_t)(n0 + n) * table.input_pixels + block.input_first;
          pack_tile(job.x + pixel * job.x_stride + channel, job.x_stride, block.input_count,
                    packed_x + (size_t)n * block.input_count * kTileStride);
        }
        for (int panel = panels.begin; panel < panels.end; panel++)
          for (int tap = 0; tap < taps; tap++) { // (1)
            const auto& pairs = block.pairs[tap];
            const int count = (int)(pairs.size() / table.group) * pictures;
            const size_t row = (size_t)job.first_row + (size_t)tap * job.tap_rows + channel;
            float* dw = job.dw + ((size_t)panel * job.panel_rows + row) * kPanel;
            const float* g = packed_g + (panel - panels.begin) * panel_size;
            with_constant_rows(rows, [&]<int Rows>() {
              accumulate_tile<Rows>(packed_x, g, pairs.data(), count, dw, !first || job.accumulate);
            });
          }
      });
      first = false;
    }
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
