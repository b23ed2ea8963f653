// Why a trainer gives up: what the `error` event says, and the exit code that follows (sysexits, as in
// native/PROTOCOL.md).
#pragma once

#include <cerrno>
#include <new>
#include <stdexcept>
#include <string>
#include <system_error>

#include "formats/safetensors.h"

namespace tiller {

enum Exit { kDone = 0, kBadRecipe = 64, kBadData = 65, kBug = 70, kDisk = 73, kTryAgain = 75 };

struct Failure : std::runtime_error {
  Failure(Exit exit_, std::string code_, const std::string& message, std::string hint_ = "")
      : std::runtime_error(message), exit(exit_), code(std::move(code_)), hint(std::move(hint_)) {}
  Exit exit;
  std::string code, hint;
};

// Every other exception, as a failure; a device's are told by whoever opens one.
inline Failure failure_of(const std::exception& error) {
  if (const auto* known = dynamic_cast<const Failure*>(&error)) return *known;
  if (const auto* file = dynamic_cast<const std::system_error*>(&error)) {
    const int number = file->code().value();
    if (number == ENOSPC || number == EDQUOT || number == EFBIG) {
      return {kDisk, "DISK_FULL", file->what(), "Make room on the disk; the last checkpoint is intact."};
    }
    if (number == ENOMEM) return {kTryAgain, "TRAINER_BUSY", file->what(), "Close other programs."};
    return {kDisk, "TRAINER_DISK", file->what(), "Check the disk and the folder's permissions."};
  }
  if (dynamic_cast<const std::bad_alloc*>(&error)) {
    return {kTryAgain, "TRAINER_BUSY", "out of memory",
            "Lower train.batch, or the sizes of samples.prompts."};
  }
  if (dynamic_cast<const FormatError*>(&error)) return {kBadData, "CHECKPOINT_CORRUPT", error.what()};
  return {kBug, "TRAINER_BUG", error.what(), "This is a fault of the trainer; please report it."};
}

}  // namespace tiller
