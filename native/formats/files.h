// Files as the formats need them: mapped for reading; written with a running hash, and synced.
// What goes wrong with a file is a std::system_error that names it.
#pragma once

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "formats/sha256.h"

namespace tiller {

namespace fs = std::filesystem;

[[noreturn]] inline void throw_errno(const std::string& what, int error = errno) {
  throw std::system_error(error, std::generic_category(), what);
}

class MappedFile {
 public:
  explicit MappedFile(const fs::path& path) {
    const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (file < 0) throw_errno("can't open " + path.string());
    struct stat status{};
    const bool known = fstat(file, &status) == 0;
    size_ = known ? static_cast<size_t>(status.st_size) : 0;
    void* memory = size_ > 0 ? mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, file, 0) : nullptr;
    const int error = errno;
    close(file);
    if (!known || memory == MAP_FAILED) throw_errno("can't read " + path.string(), error);
    data_ = static_cast<const uint8_t*>(memory);
  }
  MappedFile(MappedFile&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  MappedFile& operator=(MappedFile&& other) noexcept {
    std::swap(data_, other.data_), std::swap(size_, other.size_);
    return *this;
  }
  ~MappedFile() {
    if (data_ != nullptr) munmap(const_cast<uint8_t*>(data_), size_);
  }

  std::span<const uint8_t> bytes() const { return {data_, size_}; }
  std::string_view text() const { return {reinterpret_cast<const char*>(data_), size_}; }

 private:
  const uint8_t* data_ = nullptr;
  size_t size_ = 0;
};

inline std::string hash_file(const fs::path& path) {
  const MappedFile file(path);
  return Sha256().update(file.text()).hex();
}

// A new file. Its hash is computed on the way; nothing counts before finish().
class OutputFile {
 public:
  explicit OutputFile(fs::path path) : path_(std::move(path)) {
    file_ = open(path_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (file_ < 0) throw_errno("can't create " + path_.string());
  }
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;
  ~OutputFile() {
    if (file_ >= 0) close(file_);
  }

  void write(const void* bytes, size_t count) {
    hash_.update(bytes, count);
    bytes_ += count;
    for (auto* p = static_cast<const char*>(bytes); count > 0;) {
      const ssize_t written = ::write(file_, p, count);
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) throw_errno("can't write " + path_.string());
      p += written, count -= static_cast<size_t>(written);
    }
  }
  void write(std::string_view text) { write(text.data(), text.size()); }

  // Synced to the disk, and closed: also these two report a full disk.
  void finish() {
    if (fsync(file_) != 0) throw_errno("can't sync " + path_.string());
    if (close(std::exchange(file_, -1)) != 0) throw_errno("can't close " + path_.string());
  }

  std::string sha256() { return hash_.hex(); }
  uint64_t bytes() const { return bytes_; }

 private:
  fs::path path_;
  int file_ = -1;
  Sha256 hash_;
  uint64_t bytes_ = 0;
};

// Makes the names inside a folder durable.
inline void sync_folder(const fs::path& folder) {
  const int file = open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (file < 0) throw_errno("can't open " + folder.string());
  const int result = fsync(file), error = errno;
  close(file);
  if (result != 0) throw_errno("can't sync " + folder.string(), error);
}

inline void rename_file(const fs::path& from, const fs::path& to) {
  if (std::rename(from.c_str(), to.c_str()) != 0) throw_errno("can't rename " + from.string());
}

}  // namespace tiller
