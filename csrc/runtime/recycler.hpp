// Reuses the memory of arrays: every training step allocates the same sizes, and new pages from the system cost more
// than many a product. Blocks are aligned, so that no vector straddles two cache lines.
#pragma once

#include <memory>
#include <mutex>
#include <new>
#include <utility>
#include <vector>

#include "../abi/problem.hpp"
#include "../system/system.hpp"

namespace pyrnn {

constexpr Index kAlignment = 64;

// Large blocks ask the system for huge pages, which are contiguous, so that weights which fit into L2 do not compete
// for its sets because of where small pages happen to be.
inline void* aligned_bytes(Index bytes) {
    constexpr Index kHugePage = Index{1} << 21;
    const Index alignment = bytes >= kHugePage / 2 ? kHugePage : kAlignment;
    const Index rounded = ((bytes > 0 ? bytes : 1) + alignment - 1) / alignment * alignment;
    void* memory = allocate_aligned(static_cast<std::size_t>(rounded), static_cast<std::size_t>(alignment));
    if (!memory) throw std::bad_alloc();
    if (alignment == kHugePage) prefer_huge_pages(memory, static_cast<std::size_t>(rounded));
    return memory;
}

class Recycler {
public:
    struct Block {
        void* data;
        Index bytes;
    };
    Recycler() = default;
    Recycler(const Recycler&) = delete;
    Recycler& operator=(const Recycler&) = delete;
    ~Recycler() {
        for (const Block& block : spare_) free_aligned(block.data);
    }
    Block take(Index bytes) {
        {
            std::lock_guard<std::mutex> lock(mutex_);
            for (Block& block : spare_)
                if (block.bytes == bytes) {
                    const Block spare = block;
                    block = spare_.back();
                    spare_.pop_back();
                    return spare;
                }
        }
        return {aligned_bytes(bytes), bytes};
    }
    // Keeps the block for the next call, and the latest of the others.
    void give(const Block& block) {
        constexpr std::size_t kMost = 8;
        std::lock_guard<std::mutex> lock(mutex_);
        if (spare_.size() == kMost) {
            free_aligned(spare_.front().data);
            spare_.erase(spare_.begin());
        }
        spare_.push_back(block);
    }

private:
    std::mutex mutex_;
    std::vector<Block> spare_;
};

// A block that returns to the recycler it is from.
class Loan {
public:
    Loan() = default;
    Loan(std::shared_ptr<Recycler> owner, Index bytes) : owner_(std::move(owner)), block_(owner_->take(bytes)) {}
    Loan(Loan&& other) noexcept : owner_(std::move(other.owner_)), block_(other.block_) {}
    Loan& operator=(Loan&& other) noexcept {
        std::swap(owner_, other.owner_);
        std::swap(block_, other.block_);
        return *this;
    }
    ~Loan() {
        if (owner_) owner_->give(block_);
    }
    void* data() const { return block_.data; }

private:
    std::shared_ptr<Recycler> owner_;
    Recycler::Block block_{};
};

}  // namespace pyrnn
