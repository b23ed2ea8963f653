// Which pictures a step is made of: a pure function of the seed, the pass over the data set, and the step's
// place in it. So the state of a run at a step is the step.
//
// In a pass every picture comes as often as it is repeated. Pictures of one micro-batch have one size (their
// bucket); a bucket's last one may be smaller, so none waits for the next pass. A step is `accumulation`
// micro-batches, in a shuffled order where there are several buckets; the last step of a pass may be of
// fewer. Steps don't reach over passes.
#pragma once

#include <map>
#include <stdexcept>
#include <vector>

#include "compute/rng.h"

namespace tiller {

// One appearance of an item in a pass.
struct Appearance {
  size_t item;
  uint32_t repeat;  // 0 … repeats - 1
};
using MicroBatch = std::vector<Appearance>;  // all of one bucket

class Batches {
 public:
  struct Entry {
    int bucket_width, bucket_height;
    int repeats;
  };

  // Errors: std::invalid_argument where there is nothing to train on.
  Batches(uint64_t seed, const std::vector<Entry>& items, int batch, int accumulation)
      : seed_(seed), batch_(static_cast<size_t>(batch)), accumulation_(static_cast<size_t>(accumulation)) {
    for (size_t i = 0; i < items.size(); i++) {
      auto& bucket = buckets_[{items[i].bucket_width, items[i].bucket_height}];
      for (int r = 0; r < items[i].repeats; r++) bucket.push_back({i, static_cast<uint32_t>(r)});
    }
    for (const auto& [size, all] : buckets_) {
      micro_batches_ += (all.size() + batch_ - 1) / batch_;
      appearances_ += all.size();
    }
    if (micro_batches_ == 0) throw std::invalid_argument("there is no picture to train on");
  }

  int64_t steps_of_pass() const {
    return static_cast<int64_t>((micro_batches_ + accumulation_ - 1) / accumulation_);
  }
  size_t appearances_of_pass() const { return appearances_; }

  struct Step {
    uint32_t pass;
    std::vector<MicroBatch> micro_batches;
    size_t pictures() const {
      size_t n = 0;
      for (const auto& batch : micro_batches) n += batch.size();
      return n;
    }
  };
  // Steps count from 1.
  Step at(int64_t step) {
    const auto index = static_cast<size_t>(step - 1), a_pass = static_cast<size_t>(steps_of_pass());
    const auto pass = static_cast<uint32_t>(index / a_pass);
    if (order_.empty() || pass != pass_) shuffle(pass);
    const size_t first = index % a_pass * accumulation_;
    const size_t last = std::min(first + accumulation_, order_.size());
    return {pass, {order_.begin() + static_cast<ptrdiff_t>(first), order_.begin() + static_cast<ptrdiff_t>(last)}};
  }

 private:
  void shuffle(uint32_t pass) {
    std::vector<MicroBatch> batches;
    uint64_t number = 0;
    for (const auto& [size, all] : buckets_) {
      const auto order = RandomStream(seed_, Purpose::order, pass, number++).permutation(static_cast<int>(all.size()));
      for (size_t first = 0; first < all.size(); first += batch_) {
        MicroBatch& batch = batches.emplace_back();
        for (size_t i = first; i < std::min(first + batch_, all.size()); i++)
          batch.push_back(all[static_cast<size_t>(order[i])]);
      }
    }
    order_.clear();
    if (buckets_.size() == 1) order_ = std::move(batches);  // so that two of 2 are one of 4
    else
      for (const int i : RandomStream(seed_, Purpose::batch_order, pass).permutation(static_cast<int>(batches.size())))
        order_.push_back(std::move(batches[static_cast<size_t>(i)]));
    pass_ = pass;
  }

  uint64_t seed_;
  size_t batch_, accumulation_, micro_batches_ = 0, appearances_ = 0;
  std::map<std::pair<int, int>, std::vector<Appearance>> buckets_;
  uint32_t pass_ = 0;
  std::vector<MicroBatch> order_;
};

}  // namespace tiller
