// ggml_backend.h   finds ggml's libraries at run time, lists the devices, and opens one.
//
// Only libggml-base is linked. The registry and a library for each kind of device are opened here,
// out of the npm packages that native/build.ts found, so that one program serves every machine: a
// library whose driver is missing does not load, and its devices are not there.
#pragma once

#include <dlfcn.h>

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <memory>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <vector>

#include "ggml-alloc.h"
#include "ggml-backend.h"
#include "ggml.h"

namespace tiller {

// The device of the recipe isn't in this machine, or ggml can't be loaded: `hint` says what to do.
struct DeviceError : std::runtime_error {
  DeviceError(const std::string& what, std::string hint_) : std::runtime_error(what), hint(std::move(hint_)) {}
  std::string hint;
};

// The step that runs on a device has an op that it lacks.
struct OpMissing : DeviceError {
  using DeviceError::DeviceError;
};

// In the order in which they are taken where a machine has several of a kind.
enum class DeviceType { discrete, integrated, cpu };

struct DeviceInfo {
  std::string kind;         // what a recipe's `device` says: ggml-cpu, cuda, vulkan, metal
  std::string name;         // ggml's: CUDA0
  std::string description;  // the maker's: NVIDIA GeForce RTX 3090
  DeviceType type = DeviceType::cpu;
  size_t memory_total = 0;  // bytes; 0 where the driver does not say
  ggml_backend_dev_t handle = nullptr;

  // Its memory is the processor's: what is held here is held there.
  bool shares_memory() const { return type != DeviceType::discrete; }
  // bytes; 0 where the driver does not say
  size_t memory_free() const {
    size_t free = 0, total = 0;
    ggml_backend_dev_memory(handle, &free, &total);
    return free;
  }
};

inline const char* name_of(DeviceType type) {
  return type == DeviceType::discrete ? "discrete" : type == DeviceType::integrated ? "integrated" : "cpu";
}

namespace detail {

namespace fs = std::filesystem;

#if defined(TILLER_GGML_PACKAGES) && defined(TILLER_GGML_PLATFORM)
inline const std::string packages = TILLER_GGML_PACKAGES, platform = TILLER_GGML_PLATFORM;
#else
inline const std::string packages, platform;  // compiled without native/build.ts: set TILLER_GGML
#endif

// The registry library. Its file name carries the release (libggml.v0.5.0.so).
struct Registry {
  void (*load_all)(const char*) = nullptr;
  ggml_backend_reg_t (*load)(const char*) = nullptr;
  size_t (*device_count)() = nullptr;
  ggml_backend_dev_t (*device)(size_t) = nullptr;
  std::string complaints;  // why libraries didn't load, a line each
};

inline fs::path platform_folder(const std::string& name) {
  if (const char* folder = std::getenv("TILLER_GGML"); folder && name == platform) return folder;
  return fs::path(packages) / name / "bins" / name;
}

inline fs::path find_registry(const fs::path& folder) {
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    const std::string file = entry.path().filename().string();
    if (file.starts_with("libggml.") && (file.ends_with(".so") || file.ends_with(".dylib"))) {
      return entry.path();
    }
  }
  throw DeviceError("no ggml registry library in " + folder.string(), "Run `npm install` in the folder of Tiller.");
}

template <class F>
void resolve(void* library, const char* name, F& function) {
  function = reinterpret_cast<F>(dlsym(library, name));
  if (!function) throw DeviceError(std::string("ggml's registry has no function ") + name, "Run `npm install` again.");
}

inline void log_warnings(ggml_log_level level, const char* text, void*) {
  static bool shown = false;  // a CONT continues the line before it
  if (level != GGML_LOG_LEVEL_CONT) shown = level == GGML_LOG_LEVEL_WARN || level == GGML_LOG_LEVEL_ERROR;
  if (shown) std::fputs(text, stderr);
}

// A machine without CUDA is no reason to warn: kept for whoever asks for the device.
inline void log_to_string(ggml_log_level, const char* text, void* string) {
  *static_cast<std::string*>(string) += text;
}

// Headers and library must be of one release: a tensor of another size would be read amiss.
inline void check_headers() {
  ggml_init_params params{ggml_tensor_overhead(), nullptr, true};
  std::unique_ptr<ggml_context, void (*)(ggml_context*)> context(ggml_init(params), ggml_free);
  ggml_new_tensor_1d(context.get(), GGML_TYPE_F32, 1);
  const size_t object = ggml_tensor_overhead() - sizeof(ggml_tensor);
  if (ggml_used_mem(context.get()) != ggml_tensor_overhead() || object > 64) {
    throw DeviceError("ggml's library " + std::string(ggml_version()) + " does not match its headers",
                      "Remove Tiller's cache folder and node_modules, then run `npm install`.");
  }
}

// A driver that is there but broken may throw out of its library (Vulkan without any device does).
inline void load_quietly(Registry& registry, const fs::path& library) {
  std::error_code error;
  if (!fs::exists(library, error)) return;
  try {
    registry.load(library.string().c_str());
  } catch (const std::exception& failure) {
    registry.complaints += library.filename().string() + ": " + failure.what() + "\n";
  }
}

inline Registry load_registry() {
  setenv("GGML_NO_BACKTRACE", "1", 0);  // an abort would start a debugger on a machine that has one
  setenv("GGML_VK_DISABLE_F16", "1", 0);  // else Vulkan multiplies F32 matrices in F16: 1e-2 off
  const fs::path folder = platform_folder(platform);
  void* library = dlopen(find_registry(folder).string().c_str(), RTLD_NOW | RTLD_GLOBAL);
  if (!library) throw DeviceError(std::string("ggml does not load: ") + dlerror(), "Run `npm install` again.");
  Registry registry;
  resolve(library, "ggml_backend_load_all_from_path", registry.load_all);
  resolve(library, "ggml_backend_load", registry.load);
  resolve(library, "ggml_backend_dev_count", registry.device_count);
  resolve(library, "ggml_backend_dev_get", registry.device);
  check_headers();
  ggml_log_set(log_to_string, &registry.complaints);
  registry.load_all(folder.string().c_str());  // picks the variant for this processor; Metal's too
  // libggml-base is the same file in every package, so a library of any other package fits it.
  const size_t before = registry.device_count();
  load_quietly(registry, platform_folder(platform + "-cuda") / "libggml-cuda.so");
  if (registry.device_count() == before) {  // CUDA 12
    load_quietly(registry, fs::path(packages) / (platform + "-cuda-ext") / "bins" / (platform + "-cuda") /
                               "fallback" / "libggml-cuda.so");
  }
  load_quietly(registry, platform_folder(platform + "-vulkan") / "libggml-vulkan.so");
  ggml_log_set(log_warnings, nullptr);
  return registry;
}

inline const Registry& registry() {
  static const Registry loaded = load_registry();
  return loaded;
}

// The lines of the loader about a kind of device.
inline std::string complaints_about(const std::string& kind) {
  std::istringstream lines(registry().complaints);
  std::string found;
  for (std::string line; std::getline(lines, line);) {
    const bool failed = line.find("libggml-" + kind) != std::string::npos && line.find("loaded") == std::string::npos;
    if (failed) found += " (" + line.substr(line.rfind('/') + 1) + ")";
  }
  return found;
}

inline std::string kind_of(ggml_backend_dev_t device) {
  std::string name = ggml_backend_reg_name(ggml_backend_dev_backend_reg(device));
  std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return std::tolower(c); });
  if (name == "cpu") return "ggml-cpu";  // "cpu" is our own kernels
  if (name == "mtl") return "metal";
  return name;
}

// Mesa's software Vulkan.
inline bool is_lavapipe(const std::string& description) { return description.starts_with("llvmpipe"); }

// ggml calls Vulkan devices that are processors GPUs, and Apple's GPUs discrete.
inline DeviceType type_of(const DeviceInfo& info) {
  const auto type = ggml_backend_dev_type(info.handle);
  const bool software = is_lavapipe(info.description) || info.description.starts_with("SwiftShader");
  if (type == GGML_BACKEND_DEVICE_TYPE_CPU || software) return DeviceType::cpu;
  return type == GGML_BACKEND_DEVICE_TYPE_IGPU || info.kind == "metal" ? DeviceType::integrated : DeviceType::discrete;
}

}  // namespace detail

// Every device that ggml finds here, without those that only help another (BLAS).
inline std::vector<DeviceInfo> list_devices() {
  std::vector<DeviceInfo> devices;
  for (size_t i = 0; i < detail::registry().device_count(); i++) {
    ggml_backend_dev_t device = detail::registry().device(i);
    const auto type = ggml_backend_dev_type(device);
    if (type == GGML_BACKEND_DEVICE_TYPE_ACCEL || type == GGML_BACKEND_DEVICE_TYPE_META) continue;
    DeviceInfo info{.kind = detail::kind_of(device),
                    .name = ggml_backend_dev_name(device),
                    .description = ggml_backend_dev_description(device),
                    .handle = device};
    info.type = detail::type_of(info);
    size_t free = 0;
    ggml_backend_dev_memory(device, &free, &info.memory_total);
    devices.push_back(info);
  }
  return devices;
}

// An opened device. `kind` as in a recipe, the first discrete one of it, else the first; or ggml's own name (CUDA1).
class Backend {
 public:
  explicit Backend(const std::string& kind, int threads = 1) : info_(find(kind)) {
    handle_.reset(ggml_backend_dev_init(info_.handle, nullptr));
    if (!handle_) throw DeviceError("the device " + info_.name + " can't be opened", "Another program may hold it.");
    set_threads(threads);
  }

  ggml_backend_t get() const { return handle_.get(); }
  const DeviceInfo& info() const { return info_; }
  bool supports(const ggml_tensor* op) const { return ggml_backend_supports_op(get(), op); }

  // To be called before device memory is freed that a graph has used. Mesa's software Vulkan (lavapipe,
  // seen in 22.3.6) touches every buffer in a descriptor set, also those that the shader has no use for,
  // and ggml leaves old ones there: a heap use after free. A device opened anew has empty sets.
  void forget_buffers() const {
    if (!detail::is_lavapipe(info_.description)) return;
    if (ggml_backend_t anew = ggml_backend_dev_init(info_.handle, nullptr)) handle_.reset(anew);
  }

  // Names what the numbers depend on: part of a run's fingerprint.
  std::string fingerprint() const { return info_.kind + ":" + info_.description + ":ggml-" + ggml_version(); }

 private:
  static DeviceInfo find(const std::string& wanted) {
    std::string present = "cpu";
    std::optional<DeviceInfo> best;
    for (const auto& info : list_devices()) {
      const bool fits = info.kind == wanted || info.name == wanted;
      if (fits && (!best || info.type < best->type)) best = info;
      present += ", " + info.kind + " (" + info.description + ")";
    }
    if (best) return *best;
    throw DeviceError("there is no device \"" + wanted + "\" in this machine",
                      "Its driver may be missing" + detail::complaints_about(wanted) + ". What is here: " + present + ".");
  }

  void set_threads(int threads) {
    ggml_backend_reg_t reg = ggml_backend_dev_backend_reg(info_.handle);
    void* function = ggml_backend_reg_get_proc_address(reg, "ggml_backend_set_n_threads");
    if (function) reinterpret_cast<ggml_backend_set_n_threads_t>(function)(get(), threads);
  }

  struct Free {
    void operator()(ggml_backend_t backend) const { ggml_backend_free(backend); }
  };
  DeviceInfo info_;
  mutable std::unique_ptr<std::remove_pointer_t<ggml_backend_t>, Free> handle_;
};

}  // namespace tiller
