// library.h   oneDNN, found at run time: nothing of it is linked or needed to compile. The types and numbers below are
// those of its documented C interface, which holds for all of version 3.
#pragma once
#include <dlfcn.h>

#include <array>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <stdexcept>
#include <string>

namespace tiller::onednn {

// Why there is none to be had.
struct Missing : std::runtime_error {
  using std::runtime_error::runtime_error;
};
// It refuses what it was asked for.
struct Refused : std::runtime_error {
  using std::runtime_error::runtime_error;
};

using Dims = std::array<int64_t, 12>;
struct Version {
  int major, minor, patch;
  const char* hash;
  unsigned processor_runtime, gpu_runtime;
};
struct Argument {
  int name;
  void* memory;
};

enum Type { kBf16 = 2, kF32 = 3 };
enum Name { kSource = 1, kResult = 17, kWeights = 33, kScratchpad = 80, kGradient = 128 };  // of arguments
enum Tag { kAny = 1, kPanels8 = 216, kPanels16 = 211, kPanels32 = 214 };  // Ohwi8o, Ohwi16o, Ohwi32o
inline constexpr int kProcessor = 1, kInOrder = 1, kDirect = 1, kTraining = 64, kUserScratchpad = 1;
inline constexpr int kQueryImplementation = 8, kQueryArgument = 255;
inline constexpr unsigned kOpenMp = 2;
inline constexpr int kAmxBits = 4079;  // of avx512_core_amx, among those of an instruction set

using Destroy = int (*)(void*);
// What oneDNN made, and its own way to be rid of it.
using Owned = std::unique_ptr<void, Destroy>;

class Library {
 public:
  const Version* (*version)();
  int (*instruction_set)();
  int (*create_engine)(void**, int kind, size_t index);
  int (*create_stream)(void**, void* engine, unsigned flags);
  int (*wait)(void* stream);
  int (*create_attributes)(void**);
  int (*set_scratchpad)(void* attributes, int mode);
  int (*describe_strided)(void**, int dims, const int64_t*, int type, const int64_t* strides);
  int (*describe_tagged)(void**, int dims, const int64_t*, int type, int tag);
  size_t (*size_of)(const void* description);
  int (*create_memory)(void**, const void* description, void* engine, void* data);
  int (*describe_reorder)(void**, const void* from, void* engine, const void* to, void* to_engine, const void* attributes);
  int (*describe_conv)(void**, void* engine, int way, int algorithm, const void* x, const void* w, const void* bias, const void* y,
                       const int64_t* strides, const int64_t* dilates, const int64_t* before, const int64_t* after, const void*);
  int (*describe_conv_data)(void**, void* engine, int algorithm, const void* dx, const void* w, const void* dy, const int64_t*,
                            const int64_t*, const int64_t*, const int64_t*, const void* forward, const void*);
  int (*describe_conv_weights)(void**, void* engine, int algorithm, const void* x, const void* dw, const void* bias, const void* dy,
                               const int64_t*, const int64_t*, const int64_t*, const int64_t*, const void* forward, const void*);
  int (*describe_linear)(void**, void* engine, int way, const void* x, const void* w, const void* bias, const void* y, const void*);
  int (*describe_linear_data)(void**, void* engine, const void* dx, const void* w, const void* dy, const void* forward, const void*);
  int (*describe_linear_weights)(void**, void* engine, const void* x, const void* dw, const void* bias, const void* dy,
                                 const void* forward, const void*);
  int (*query)(const void* described, int what, int index, void* to);
  const void* (*query_memory)(const void* described, int what, int index);
  int (*create_primitive)(void**, const void* described);
  int (*execute)(const void* primitive, void* stream, int count, const Argument*);
  Destroy destroy_engine, destroy_stream, destroy_attributes, destroy_description, destroy_memory, destroy_described, destroy_primitive;
  void (*set_threads)(int);  // OpenMP's, of the calling thread
  void (*set_dynamic)(int);

  // Where it is looked for: what TILLER_ONEDNN says, else where the system keeps libraries.
  static std::string place() {
    const char* named = std::getenv("TILLER_ONEDNN");
    return named != nullptr && *named != '\0' ? named : "libdnnl.so.3";
  }

  // It stays loaded for good.
  explicit Library(const std::string& path) {
    // Its threads sleep when they have nothing to do: the pool's take turns with them on the same cores, and on two busy
    // ones spinning made small products nine times slower. Read when OpenMP loads.
    setenv("GOMP_SPINCOUNT", "0", 0);
    setenv("KMP_BLOCKTIME", "0", 0);
    library_ = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (library_ == nullptr) throw Missing(dlerror());
    take(version, "dnnl_version");
    if (version()->major != 3) throw Missing(path + " is oneDNN " + name() + ", not of version 3");
    // Of others the number of threads, on which bits depend, can't be set.
    if (version()->processor_runtime != kOpenMp) throw Missing(path + " is built without OpenMP");
    take(instruction_set, "dnnl_get_effective_cpu_isa");
    take(create_engine, "dnnl_engine_create"), take(destroy_engine, "dnnl_engine_destroy");
    take(create_stream, "dnnl_stream_create"), take(destroy_stream, "dnnl_stream_destroy");
    take(wait, "dnnl_stream_wait");
    take(create_attributes, "dnnl_primitive_attr_create"), take(destroy_attributes, "dnnl_primitive_attr_destroy");
    take(set_scratchpad, "dnnl_primitive_attr_set_scratchpad_mode");
    take(describe_strided, "dnnl_memory_desc_create_with_strides");
    take(describe_tagged, "dnnl_memory_desc_create_with_tag");
    take(destroy_description, "dnnl_memory_desc_destroy");
    take(size_of, "dnnl_memory_desc_get_size");
    take(create_memory, "dnnl_memory_create"), take(destroy_memory, "dnnl_memory_destroy");
    take(describe_reorder, "dnnl_reorder_primitive_desc_create");
    take(describe_conv, "dnnl_convolution_forward_primitive_desc_create");
    take(describe_conv_data, "dnnl_convolution_backward_data_primitive_desc_create");
    take(describe_conv_weights, "dnnl_convolution_backward_weights_primitive_desc_create");
    take(describe_linear, "dnnl_inner_product_forward_primitive_desc_create");
    take(describe_linear_data, "dnnl_inner_product_backward_data_primitive_desc_create");
    take(describe_linear_weights, "dnnl_inner_product_backward_weights_primitive_desc_create");
    take(query, "dnnl_primitive_desc_query"), take(query_memory, "dnnl_primitive_desc_query_md");
    take(destroy_described, "dnnl_primitive_desc_destroy");
    take(create_primitive, "dnnl_primitive_create"), take(destroy_primitive, "dnnl_primitive_destroy");
    take(execute, "dnnl_primitive_execute");
    take(set_threads, "omp_set_num_threads"), take(set_dynamic, "omp_set_dynamic");
    set_dynamic(0);
  }

  std::string name() const {
    const Version& v = *version();
    return std::to_string(v.major) + "." + std::to_string(v.minor) + "." + std::to_string(v.patch);
  }
  // It may be told to leave AMX alone (ONEDNN_MAX_CPU_ISA).
  bool uses_amx() const { return (instruction_set() & kAmxBits) == kAmxBits; }

 private:
  void* library_;

  template <class F>
  void take(F& function, const char* name) {
    function = reinterpret_cast<F>(dlsym(library_, name));
    if (function == nullptr) throw Missing(std::string("it has no function ") + name);
  }
};

}  // namespace tiller::onednn
