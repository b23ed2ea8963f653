// Where a tape's buffers lie: each lives for an interval of the pass, and buffers whose intervals
// don't meet share memory. Included by tape.h.
#pragma once
#include <map>

namespace tiller {

// Time 0 … L-1 are the layers' forward passes, from L on the turns of the backward pass.
struct Interval {
  int begin = -1, end = -1;
  void touch(int time) {
    begin = begin < 0 ? time : std::min(begin, time);
    end = std::max(end, time);
  }
  void join(const Interval& other) {
    if (other.begin < 0) return;
    touch(other.begin);
    touch(other.end);
  }
  bool meets(const Interval& other) const {
    return begin >= 0 && other.begin >= 0 && begin <= other.end && other.begin <= end;
  }
};

// What is computed again lives twice, and its memory is free for others in between.
struct Life {
  Interval first, second;
  bool meets(const Life& other) const {
    return first.meets(other.first) || first.meets(other.second) || second.meets(other.first) ||
           second.meets(other.second);
  }
};

struct PlacedBuffer {
  Life life;
  size_t size = 0;
  std::vector<float**> pointers; // what is to point at it
  size_t offset = 0;
};

// First fit, the largest buffers first. Returns how many floats the arena needs.
inline size_t place(std::vector<PlacedBuffer>& buffers) {
  std::vector<PlacedBuffer*> order, neighbours;
  for (auto& buffer : buffers) order.push_back(&buffer);
  std::stable_sort(order.begin(), order.end(),
                   [](auto* a, auto* b) { return a->size > b->size; });
  size_t total = 0;
  std::vector<PlacedBuffer*> placed; // by offset
  for (PlacedBuffer* buffer : order) {
    size_t offset = 0;
    for (const PlacedBuffer* other : placed) {
      if (!other->life.meets(buffer->life)) continue;
      if (offset + buffer->size <= other->offset) break;
      offset = std::max(offset, other->offset + other->size);
    }
    buffer->offset = offset;
    total = std::max(total, offset + buffer->size);
    const auto after = [](auto* a, auto* b) { return a->offset < b->offset; };
    placed.insert(std::upper_bound(placed.begin(), placed.end(), buffer, after), buffer);
  }
  return total;
}

inline size_t Tape::lay_out() {
  const int count = (int)layers_.size();
  Plan planned = training ? plan() : Plan{};
  turns_ = std::move(planned.turns);
  const int end = count + (int)turns_.size();
  std::map<const Value*, Life> data;
  std::map<const Value*, Interval> gradient;
  std::map<const Value*, int> last_reader;
  const auto touch = [&](const Value* value, int time) {
    Life& life = data[value];
    (time >= count && planned.passing.count(value) ? life.second : life.first).touch(time);
  };
  const auto touch_all = [&](const Layer& layer, int time) {
    for (const auto* values : {&layer.inputs, &layer.outputs})
      for (const Value* value : *values) touch(value, time);
  };
  for (int i = 0; i < count; i++) {
    touch_all(*layers_[i], i);
    for (const Value* value : layers_[i]->inputs) last_reader[value] = i;
  }
  for (int turn = 0; turn < (int)turns_.size(); turn++) {
    const Layer& layer = *layers_[turns_[turn].layer];
    const int time = count + turn;
    if (turns_[turn].again) {
      touch_all(layer, time);
      continue;
    }
    for (const Value* value : layer.kept) touch(value, time);
    for (const auto* values : {&layer.inputs, &layer.outputs})
      for (const Value* value : *values)
        if (value->needs_gradient) gradient[value].touch(time);
  }

  // A residual may share its sum's gradient if the sum's layer is the first to write it.
  std::map<const Value*, Value*> root;
  const auto root_of = [&](Value* value) {
    while (root.count(value)) value = root[value];
    return value;
  };
  for (int i = 0; training && i < count; i++) {
    Value* residual = layers_[i]->residual;
    if (residual == nullptr || !residual->needs_gradient || residual->external) continue;
    Value* sum = layers_[i]->outputs[0];
    if (last_reader[residual] != i || sum->external) continue;
    sum->gradient_shared_with = residual;
    root[sum] = residual;
  }

  std::map<const Value*, PlacedBuffer> shared;
  std::vector<PlacedBuffer> buffers;
  for (const auto& owned : values_) {
    Value* value = owned.get();
    const Interval always{0, end};
    const size_t size = round_up(value->shape.size() + kLanes, 16);
    Life life = data[value];
    if (value->external || life.first.begin < 0) life = {always, {}};
    buffers.push_back({life, size, {&value->data}});
    if (!training || !value->needs_gradient) continue;
    PlacedBuffer& buffer = shared[root_of(value)];
    buffer.size = size;
    buffer.life.first.join(value->external ? always : gradient[value]);
    buffer.pointers.push_back(&value->gradient);
  }
  for (auto& [value, buffer] : shared) buffers.push_back(buffer);

  size_t workspace = 0;
  for (const auto& layer : layers_) workspace = std::max(workspace, layer->workspace_size());
  buffers.push_back({{{0, end}, {}}, round_up(workspace + kLanes, 16), {&workspace_}});

  floats_ = place(buffers);
  for (const auto& buffer : buffers)
    for (float** pointer : buffer.pointers) places_.emplace_back(pointer, buffer.offset);
  return floats_;
}

inline void Tape::bind(float* arena) {
  for (const auto& [pointer, offset] : places_) *pointer = arena + offset;
}

inline Value* Layer::makes(Shape shape, bool trainable) {
  Value* value = tape->make_value(shape);
  value->needs_gradient = tape->training && (trainable || any_input_needs_gradient());
  outputs.push_back(value);
  return value;
}

inline Value* Layer::saves(Shape shape) {
  Value* value = tape->make_value(shape);
  outputs.push_back(value);
  return keeps(value);
}

inline void Layer::pass_residual_gradient() const {
  if (residual == nullptr || !residual->needs_gradient) return;
  const bool accumulate = residual->accumulate_gradient();
  if (outputs[0]->gradient_shared_with == residual) return; // it is there already
  const float* from = outputs[0]->gradient;
  float* to = residual->gradient;
  pool().split((int)(residual->shape.size() + 4095) / 4096, [&](Range part) {
    const size_t end = std::min(residual->shape.size(), (size_t)part.end * 4096);
    for (size_t i = (size_t)part.begin * 4096; i < end; i++) to[i] = accumulate ? to[i] + from[i] : from[i];
  });
}

} // namespace tiller
