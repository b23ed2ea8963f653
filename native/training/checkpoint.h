// Checkpoints: folders that are whole or not there. native/PROTOCOL.md, "Checkpoints".
//
//   CheckpointWriter writer(folder, identity);        a temporary folder beside its place
//   writer.add("weights.safetensors", [&](OutputFile& out) { … });
//   const Published published = writer.publish();     synced, manifest last, renamed, parent synced
//
// Whatever is thrown in between removes the temporary folder, so that a full disk leaves the last good
// checkpoint and no litter.
#pragma once

#include <map>
#include <string>

#include "formats/files.h"
#include "formats/json.h"
#include "training/failure.h"

namespace tiller {

struct CheckpointIdentity {
  std::string run, kind;
  int64_t step = 0;
  int epoch = 0;
  std::map<std::string, std::string> fingerprint;
};

struct Published {
  fs::path path;
  std::string sha256;  // of its manifest
  uint64_t bytes = 0;
};

struct CheckpointFile {
  uint64_t bytes = 0;
  std::string sha256;
};

struct CheckpointManifest {
  CheckpointIdentity identity;
  std::map<std::string, CheckpointFile> files;
};

inline std::string checkpoint_name(int64_t step) {
  char name[32];
  std::snprintf(name, sizeof name, "step-%08lld", static_cast<long long>(step));
  return name;
}

inline Failure corrupt(const fs::path& file, const std::string& what) {
  return {kBadData, "CHECKPOINT_CORRUPT", file.string() + " " + what,
          "Remove this checkpoint; training goes on from the one before."};
}

class CheckpointWriter {
 public:
  CheckpointWriter(const fs::path& parent, CheckpointIdentity identity)
      : identity_(std::move(identity)),
        target_(parent / checkpoint_name(identity_.step)),
        temporary_(parent / ("." + checkpoint_name(identity_.step) + ".tmp-" + std::to_string(getpid()))) {
    discard();
    if (mkdir(temporary_.c_str(), 0777) != 0) throw_errno("can't create " + temporary_.string());
  }
  CheckpointWriter(const CheckpointWriter&) = delete;
  CheckpointWriter& operator=(const CheckpointWriter&) = delete;
  ~CheckpointWriter() { discard(); }

  template <class Write>
  void add(const std::string& name, const Write& write) {
    OutputFile out(temporary_ / name);
    write(out);
    out.finish();
    files_[name] = {{"bytes", out.bytes()}, {"sha256", out.sha256()}};
    bytes_ += out.bytes();
  }

  Published publish() {
    sync_folder(temporary_);
    const Json manifest = {{"version", 1},           {"run", identity_.run},
                           {"step", identity_.step}, {"epoch", identity_.epoch},
                           {"kind", identity_.kind}, {"fingerprint", identity_.fingerprint},
                           {"files", files_}};
    OutputFile out(temporary_ / "manifest.json");
    out.write(manifest.dump(2) + "\n");
    out.finish();
    sync_folder(temporary_);
    // What stands in the way isn't a checkpoint, or the caller would have kept it.
    fs::remove_all(target_);
    rename_file(temporary_, target_);
    sync_folder(target_.parent_path());
    return {target_, out.sha256(), bytes_ + out.bytes()};
  }

 private:
  void discard() {
    std::error_code gone_already;
    fs::remove_all(temporary_, gone_already);
  }

  CheckpointIdentity identity_;
  fs::path target_, temporary_;
  Json files_ = Json::object();
  uint64_t bytes_ = 0;
};

// Reads a manifest and checks every file against it. Errors: CHECKPOINT_CORRUPT.
inline CheckpointManifest verify_checkpoint(const fs::path& folder) {
  const fs::path file = folder / "manifest.json";
  if (!fs::exists(file)) throw corrupt(file, "is missing: the checkpoint is incomplete");
  const Json parsed = parse_json(MappedFile(file).text());
  CheckpointManifest manifest;
  try {
    if (parsed.at("version") != 1)
      throw corrupt(file, "is of the unknown version " + parsed.at("version").dump());
    manifest.identity = {parsed.at("run"), parsed.at("kind"), parsed.at("step"), parsed.at("epoch"),
                         parsed.at("fingerprint")};
    for (const auto& [name, entry] : parsed.at("files").items()) {
      if (fs::path(name).filename() != name) throw corrupt(file, "names a file outside its folder");
      manifest.files[name] = {entry.at("bytes"), entry.at("sha256")};
    }
  } catch (const Json::exception& error) {
    throw corrupt(file, std::string("can't be read: ") + error.what());
  }
  for (const auto& [name, expected] : manifest.files) {
    const fs::path path = folder / name;
    if (!fs::is_regular_file(path)) throw corrupt(path, "is missing");
    const uint64_t bytes = fs::file_size(path);
    if (bytes != expected.bytes)
      throw corrupt(path, "has " + std::to_string(bytes) + " bytes, not " + std::to_string(expected.bytes));
    if (hash_file(path) != expected.sha256) throw corrupt(path, "does not match its hash in manifest.json");
  }
  return manifest;
}

// The fingerprint of the job, key by key, against the checkpoint's. Errors: CHECKPOINT_MISMATCH.
inline void match_fingerprint(const fs::path& folder, const std::map<std::string, std::string>& wanted,
                              const std::map<std::string, std::string>& found) {
  for (const auto& [key, value] : wanted) {
    const auto other = found.find(key);
    const std::string theirs = other == found.end() ? "" : other->second;
    if (theirs == value) continue;
    throw Failure(kBadData, "CHECKPOINT_MISMATCH",
                  folder.string() + " was made with another " + key + " (" + theirs + ", not " + value + ")",
                  "Resume with the " + key + " that it was made with, or start a new run.");
  }
}

// A complete checkpoint of this step that is there already, of the same run and fingerprint: kept,
// whatever kind it was. Anything else in its place is replaced.
inline std::optional<Published> existing_checkpoint(const fs::path& parent,
                                                    const CheckpointIdentity& identity) {
  const fs::path folder = parent / checkpoint_name(identity.step);
  if (!fs::exists(folder / "manifest.json")) return std::nullopt;
  try {
    const CheckpointManifest manifest = verify_checkpoint(folder);
    if (manifest.identity.fingerprint != identity.fingerprint || manifest.identity.run != identity.run)
      return std::nullopt;
    Published published{folder, hash_file(folder / "manifest.json"), fs::file_size(folder / "manifest.json")};
    for (const auto& [name, file] : manifest.files) published.bytes += file.bytes;
    return published;
  } catch (const Failure&) {
    return std::nullopt;  // damaged: written anew
  }
}

}  // namespace tiller
