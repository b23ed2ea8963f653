// choose.h   whether a processor's large products are computed in BF16, by oneDNN: where it has AMX, a library is
// found, and this computes what it should.
#pragma once
#include <memory>
#include <string>

#include "onednn/agrees.h"
#include "onednn/amx.h"

namespace tiller::onednn {

struct Choice {
  std::shared_ptr<const Library> library; // null: our own kernels, in F32
  std::string why;                        // then
  bool amx = false;
};

inline constexpr const char* kHowToGet =
    "install one, such as PyPI's onednn-cpu-gomp, and name its libdnnl.so.3 in TILLER_ONEDNN";

inline Choice choose(int threads, bool amx = has_amx_bf16()) {
  if (!amx) return {nullptr, "the processor has no AMX for BF16", false};
  const auto no = [](const std::string& why) { return Choice{nullptr, why, true}; };
  try {
    const auto library = std::make_shared<const Library>(Library::place());
    if (!library->uses_amx()) return no("oneDNN " + library->name() + " makes no use of AMX here");
    if (!agrees(*library, threads, kBf16)) return no("oneDNN " + library->name() + " computes something else than our own kernels");
    return {library, "", true};
  } catch (const Missing& missing) {
    return no("no oneDNN was found (" + std::string(missing.what()) + "): " + kHowToGet);
  } catch (const Refused& refused) {
    return no(refused.what());
  }
}

} // namespace tiller::onednn
