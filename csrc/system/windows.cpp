#define WIN32_LEAN_AND_MEAN
#include <malloc.h>
#include <windows.h>

#include <vector>

#include "system.hpp"

namespace pyrnn {

namespace {

// What the system says of its cores and their caches.
std::vector<SYSTEM_LOGICAL_PROCESSOR_INFORMATION> processor_information() {
    DWORD bytes = 0;
    GetLogicalProcessorInformation(nullptr, &bytes);
    std::vector<SYSTEM_LOGICAL_PROCESSOR_INFORMATION> entries(bytes / sizeof(SYSTEM_LOGICAL_PROCESSOR_INFORMATION) + 1);
    bytes = static_cast<DWORD>(entries.size() * sizeof entries[0]);
    if (!GetLogicalProcessorInformation(entries.data(), &bytes)) bytes = 0;
    entries.resize(bytes / sizeof entries[0]);
    return entries;
}

}  // namespace

// The cores of which this process may use at least one thread. With more than 64 threads Windows puts them into groups,
// and a process starts in one: this counts those of that group.
int usable_cores(const std::string&) {
    DWORD_PTR mine = 0, all = 0;
    int cores = 0;
    if (GetProcessAffinityMask(GetCurrentProcess(), &mine, &all))
        for (const auto& entry : processor_information())
            if (entry.Relationship == RelationProcessorCore && (entry.ProcessorMask & mine) != 0) ++cores;
    return cores < 1 ? 1 : cores;
}

void* allocate_aligned(std::size_t bytes, std::size_t alignment) { return _aligned_malloc(bytes, alignment); }

void free_aligned(void* memory) { _aligned_free(memory); }

// Large pages need a privilege that users do not have.
void prefer_huge_pages(void*, std::size_t) {}

std::size_t second_level_cache() {
    for (const auto& entry : processor_information())
        if (entry.Relationship == RelationCache && entry.Cache.Level == 2) return entry.Cache.Size;
    return 0;
}

bool call_after_fork(void (*)()) { return true; }  // there is no fork

std::int64_t milliseconds() { return static_cast<std::int64_t>(GetTickCount64()); }

void wait_for_the_end() {
    for (;;) Sleep(INFINITE);
}

}  // namespace pyrnn
