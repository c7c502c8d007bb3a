# The ISA list: name, vector bytes, rows of a tile, flags, probe (a C++ expression, true where this CPU runs it).
# Order: best first. Each entry compiles csrc/kernels/table.cpp once.
set(PYRNN_KERNEL_OBJECTS "")
set(PYRNN_ISA_ENTRIES "")

# Unrolled tiles under a sanitizer or with counters take the optimizer many minutes; -O1 is enough there, and one ISA (PYRNN_ISAS) at
# a time.
set(PYRNN_KERNEL_OPTIMIZATION -O3)
if(PYRNN_SANITIZE OR PYRNN_COVERAGE OR PYRNN_COMPILES_ONLY)
  set(PYRNN_KERNEL_OPTIMIZATION -O1)
endif()

function(pyrnn_add_isa name bytes rows flags probe)
  if(PYRNN_ISAS AND NOT name IN_LIST PYRNN_ISAS)
    return()
  endif()
  set(target pyrnn_kernels_${name})
  add_library(${target} OBJECT kernels/table.cpp)
  target_compile_definitions(${target} PRIVATE
    PYRNN_ISA_NAMESPACE=isa_${name} PYRNN_ISA_NAME="${name}" PYRNN_TABLE=kTable_${name}
    PYRNN_VECTOR_BYTES=${bytes} PYRNN_TILE_ROWS=${rows})
  target_compile_options(${target} PRIVATE ${PYRNN_KERNEL_OPTIMIZATION} -fno-ivopts -ffp-contract=fast -fno-math-errno -fno-trapping-math -Wno-psabi ${flags})
  target_link_libraries(${target} PRIVATE pyrnn_options)
  set(PYRNN_KERNEL_OBJECTS ${PYRNN_KERNEL_OBJECTS} $<TARGET_OBJECTS:${target}> PARENT_SCOPE)
  set(PYRNN_ISA_ENTRIES "${PYRNN_ISA_ENTRIES} X(kTable_${name}, (${probe}))" PARENT_SCOPE)
endfunction()

if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  set(v3_probe "__builtin_cpu_supports(\"avx2\") && __builtin_cpu_supports(\"fma\") && __builtin_cpu_supports(\"bmi2\")")
  set(v4_probe "${v3_probe} && __builtin_cpu_supports(\"avx512f\") && __builtin_cpu_supports(\"avx512bw\") && __builtin_cpu_supports(\"avx512cd\") && __builtin_cpu_supports(\"avx512dq\") && __builtin_cpu_supports(\"avx512vl\")")
  # Spelled out, since -march=x86-64-v3 needs GCC 11.
  set(v2_flags -msse4.2 -mpopcnt)
  set(v3_flags -mavx2 -mfma -mbmi -mbmi2 -mlzcnt -mf16c)
  pyrnn_add_isa(v4 64 8 "${v3_flags};-mavx512f;-mavx512bw;-mavx512cd;-mavx512dq;-mavx512vl;-mprefer-vector-width=512" "${v4_probe}")
  pyrnn_add_isa(v3 32 6 "${v3_flags}" "${v3_probe}")
  pyrnn_add_isa(v2 16 6 "${v2_flags}" "__builtin_cpu_supports(\"sse4.2\")")
elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "aarch64|arm64")
  pyrnn_add_isa(neon 16 8 "" "true")
endif()
if(PYRNN_ISAS OR NOT PYRNN_ISA_ENTRIES)  # for machines that no other entry covers, and where it is asked for
  pyrnn_add_isa(generic 16 4 "" "true")
endif()
if(NOT PYRNN_ISA_ENTRIES)
  message(FATAL_ERROR "PYRNN_ISAS=${PYRNN_ISAS} names no ISA of ${CMAKE_SYSTEM_PROCESSOR}")
endif()

string(REPLACE " X(" " \\\n    X(" PYRNN_ISA_ENTRIES "${PYRNN_ISA_ENTRIES}")
set(PYRNN_GENERATED ${CMAKE_CURRENT_BINARY_DIR}/generated)
file(GENERATE OUTPUT ${PYRNN_GENERATED}/isa_list.hpp CONTENT "#pragma once\n\n#define PYRNN_FOR_EACH_ISA(X)${PYRNN_ISA_ENTRIES}\n")
