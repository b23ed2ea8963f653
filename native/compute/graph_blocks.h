// graph_blocks.h   a block's numbers between the CPU's packed panels and the layout of graphs, which
// is PyTorch's: element (o, i, tap) at (o * in + i) * taps + tap.
#pragma once

#include <cstring>

#include "compute/parameters.h"

namespace tiller {

inline size_t unpacked_size(const Block& block) {
  return static_cast<size_t>(block.taps) * block.in * block.out;
}

// Calls visit(packed index, unpacked index), in the order of the packed ones.
template <class Visit>
void walk_packed(const Block& block, const Visit& visit) {
  for (int panel = 0; panel < block.panels(); panel++) {
    const int first = panel * kPanel, columns = std::min(kPanel, block.out - first);
    for (int tap = 0; tap < block.taps; tap++) {
      for (int i = 0; i < block.in; i++) {
        const size_t packed = block.index(tap, i, first);
        size_t unpacked = (static_cast<size_t>(first) * block.in + i) * block.taps + tap;
        for (int column = 0; column < columns; column++, unpacked += block.rows()) {
          visit(packed + column, unpacked);
        }
      }
    }
  }
}

inline void unpack(const Block& block, const float* from, float* to) {
  if (!block.packed) {
    std::memcpy(to, from, unpacked_size(block) * sizeof(float));
    return;
  }
  walk_packed(block, [&](size_t packed, size_t unpacked) { to[unpacked] = from[packed]; });
}

// Overwrites, or adds.
inline void pack(const Block& block, const float* from, float* to, bool add) {
  if (!block.packed) {
    for (size_t i = 0; i < unpacked_size(block); i++) to[i] = add ? to[i] + from[i] : from[i];
    return;
  }
  walk_packed(block, [&](size_t packed, size_t unpacked) {
    to[packed] = add ? to[packed] + from[unpacked] : from[unpacked];
  });
}

}  // namespace tiller
