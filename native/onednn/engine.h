// engine.h   oneDNN's processor, and what is made on it. Its own threads compute, as many as the pool has, while the
// pool's sleep: the split, and with it every bit, depends on their number alone.
#pragma once
#include <initializer_list>
#include <vector>

#include "onednn/library.h"

namespace tiller::onednn {

struct Operand {
  int name;
  const void* description;
  const void* data;
};

class Engine {
 public:
  const Library& library;

  Engine(const Library& library, int threads)
      : library(library), threads_(threads), engine_(made(library.destroy_engine, "an engine", library.create_engine, kProcessor, size_t{0})),
        stream_(made(library.destroy_stream, "a stream", library.create_stream, engine_.get(), (unsigned)kInOrder)),
        attributes_(made(library.destroy_attributes, "attributes", library.create_attributes)) {
    // Scratch memory is the caller's too, so that it can be counted.
    check(library.set_scratchpad(attributes_.get(), kUserScratchpad), "attributes");
  }

  void* get() const { return engine_.get(); }
  const void* attributes() const { return attributes_.get(); }

  template <class F, class... Arguments>
  Owned made(Destroy destroy, const char* what, F create, Arguments... arguments) const {
    library.set_threads(threads_);
    void* pointer = nullptr;
    check(create(&pointer, arguments...), what);
    return Owned(pointer, destroy);
  }
  Owned strided(int count, const Dims& dims, const Dims& strides, Type type) const {
    return made(library.destroy_description, "a description", library.describe_strided, count, dims.data(), (int)type, strides.data());
  }
  Owned tagged(const Dims& dims, Tag tag, Type type) const {
    return made(library.destroy_description, "a description", library.describe_tagged, 4, dims.data(), (int)type, (int)tag);
  }
  Owned primitive(const Owned& described) const {
    return made(library.destroy_primitive, "a primitive", library.create_primitive, described.get());
  }
  Owned reorder(const void* from, const void* to) const {
    return primitive(made(library.destroy_described, "a reorder", library.describe_reorder, from, get(), to, get(), attributes()));
  }

  void execute(const Owned& primitive, std::initializer_list<Operand> operands) const {
    library.set_threads(threads_);
    std::vector<Owned> memories;
    std::vector<Argument> arguments;
    for (const auto& [name, description, data] : operands) {
      memories.push_back(made(library.destroy_memory, "memory", library.create_memory, description, get(), const_cast<void*>(data)));
      arguments.push_back({name, memories.back().get()});
    }
    check(library.execute(primitive.get(), stream_.get(), (int)arguments.size(), arguments.data()), "a computation");
    check(library.wait(stream_.get()), "a computation");
  }

 private:
  const int threads_;
  const Owned engine_, stream_, attributes_;

  static void check(int status, const char* what) {
    if (status != 0) throw Refused(std::string("oneDNN refuses ") + what + " (status " + std::to_string(status) + ")");
  }
};

}  // namespace tiller::onednn
