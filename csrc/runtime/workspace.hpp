// Memory that a layer keeps between calls: scratch by role, and packed weights with their version.
#pragma once

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <memory>

#include "recycler.hpp"

namespace pyrnn {

class Buffer {
public:
    Buffer() = default;
    Buffer(const Buffer&) = delete;
    Buffer& operator=(const Buffer&) = delete;
    ~Buffer() { free_aligned(data_); }
    void* reserve(Index bytes) {
        if (bytes > size_ || !data_) {
            free_aligned(data_);
            data_ = nullptr;
            size_ = 0;
            data_ = aligned_bytes(bytes);
            size_ = bytes;
        }
        return data_;
    }

private:
    void* data_ = nullptr;
    Index size_ = 0;
};

// Scratch of the calling thread, one block per use, valid until the thread's next call for that use.
enum class ThreadUse { kCopies, kGradient, kSums, kInput, kAttention, kAllowed, kPaths };
template <class T, ThreadUse kUse>
T* thread_scratch(Index count) {
    thread_local Buffer buffer;
    return static_cast<T*>(buffer.reserve(count * static_cast<Index>(sizeof(T))));
}

class Workspace {
public:
    Workspace() {
        for (auto& version : versions_) version = kNoVersion;
    }
    enum Role {
        kScratch,
        kStates,
        kCarry,
        kInput,
        kScaledStates,
        kResetStates,
        kGradient,
        kPartials,
        kInputGradient,
        kGateWt,
        kGathered,
        kHoisted,
        kExchange,
        kForwardScratch,
        kPreactivations,
        kRoles
    };
    enum Pack { kW, kU, kBias, kWt, kUt, kCandidate, kCandidateT, kPacks };
    static constexpr std::int64_t kNoVersion = -1;

    template <class T>
    T* scratch(Role role, Index count) {
        return static_cast<T*>(buffers_[role].reserve(count * static_cast<Index>(sizeof(T))));
    }
    // Memory for packed weights; `fresh` says whether it already holds this version.
    template <class T>
    T* packed(Pack pack, Index count, std::int64_t version, bool& fresh) {
        const Index bytes = count * static_cast<Index>(sizeof(T));
        fresh = version != kNoVersion && versions_[pack] == version && sizes_[pack] == bytes;
        versions_[pack] = kNoVersion;  // until the caller has filled it
        T* memory = static_cast<T*>(packs_[pack].reserve(bytes));
        versions_[pack] = version;
        sizes_[pack] = bytes;
        return memory;
    }
    bool claim() { return !in_use_.exchange(true, std::memory_order_acquire); }
    void release() { in_use_.store(false, std::memory_order_release); }
    // Memory for arrays that a call returns; they may outlive the workspace.
    const std::shared_ptr<Recycler>& recycler() const { return recycler_; }

private:
    Buffer buffers_[kRoles];
    Buffer packs_[kPacks];
    std::int64_t versions_[kPacks];
    Index sizes_[kPacks] = {};
    std::atomic<bool> in_use_{false};
    std::shared_ptr<Recycler> recycler_ = std::make_shared<Recycler>();
};

// The workspace for one call: that of the layer, or a new one while it is in use by another thread or by the call that
// a signal handler has interrupted.
class Borrowed {
public:
    explicit Borrowed(Workspace& workspace)
        : spare_(workspace.claim() ? nullptr : std::make_unique<Workspace>()),
          used_(spare_ ? *spare_ : workspace) {}
    Borrowed(const Borrowed&) = delete;
    Borrowed& operator=(const Borrowed&) = delete;
    ~Borrowed() {
        if (!spare_) used_.release();
    }
    Workspace& operator*() const { return used_; }

private:
    std::unique_ptr<Workspace> spare_;
    Workspace& used_;
};

}  // namespace pyrnn
