// A persistent pool of threads. Work is split by the caller into as many parts as there are threads,
// always in the same way, so that the same thread count gives the same bits.
#pragma once
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace tiller {

struct Range {
  int begin, end;
  bool empty() const { return begin >= end; }
};

// Part `part` of `parts` of [0, n), sizes differing by at most one.
inline Range part_of(int n, int part, int parts) {
  return {(int)((long long)n * part / parts), (int)((long long)n * (part + 1) / parts)};
}

class Pool {
 public:
  using Job = std::function<void(int thread, int threads)>;

  explicit Pool(int threads = 1) : threads_(threads < 1 ? 1 : threads) {
    for (int i = 1; i < threads_; i++) workers_.emplace_back([this, i] { work(i); });
  }
  ~Pool() {
    {
      std::lock_guard lock(mutex_);
      stop_ = true;
      generation_++;
    }
    wake_.notify_all();
    for (auto& worker : workers_) worker.join();
  }
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  int threads() const { return threads_; }

  // Runs job(thread, threads) on every thread, the caller being thread 0; returns when all are done. Not
  // inline: else there would be a second copy of the job for one thread, in which the compiler may fuse
  // other products with other sums.
  [[gnu::noinline]] void run(const Job& job) {
    if (threads_ == 1) return job(0, 1);
    job_ = &job;
    left_ = threads_ - 1;
    bool asleep;
    {
      std::lock_guard lock(mutex_);
      generation_++;
      asleep = asleep_ > 0;
    }
    if (asleep) wake_.notify_all();
    job(0, threads_);
    if (spin([this] { return left_.load(std::memory_order_acquire) == 0; })) return;
    std::unique_lock lock(mutex_);
    done_.wait(lock, [this] { return left_.load() == 0; });
  }

  // Runs body(range) on parts of [0, n).
  template <class Body>
  void split(int n, const Body& body) {
    run([&](int thread, int threads) {
      const Range range = part_of(n, thread, threads);
      if (!range.empty()) body(range);
    });
  }

 private:
  // Waking a sleeping thread costs about 40 us, a spinning one less than 1 us.
  static constexpr auto kSpin = std::chrono::microseconds(50);

  static void pause() {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
  }

  template <class Condition>
  static bool spin(const Condition& condition) {
    if (condition()) return true;
    const auto end = std::chrono::steady_clock::now() + kSpin;
    do {
      for (int i = 0; i < 16; i++) {
        if (condition()) return true;
        pause();
      }
    } while (std::chrono::steady_clock::now() < end);
    return condition();
  }

  void work(int thread) {
    unsigned seen = 0;
    for (;;) {
      const auto changed = [&] { return generation_.load(std::memory_order_acquire) != seen; };
      if (!spin(changed)) {
        std::unique_lock lock(mutex_);
        asleep_++;
        wake_.wait(lock, changed);
        asleep_--;
      }
      seen = generation_.load();
      if (stop_) return;
      (*job_)(thread, threads_);
      if (left_.fetch_sub(1) == 1) {
        std::lock_guard lock(mutex_); // the caller may be just about to sleep
        done_.notify_one();
      }
    }
  }

  const int threads_;
  std::vector<std::thread> workers_;
  std::mutex mutex_;
  std::condition_variable wake_, done_;
  std::atomic<unsigned> generation_{0};
  std::atomic<int> left_{0};
  int asleep_ = 0;
  std::atomic<bool> stop_{false};
  const Job* job_ = nullptr;
};

} // namespace tiller
