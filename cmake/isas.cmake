# The list of ISAs: name, vector bytes, rows of a tile, scalar types that get every tile, flags, probe (a C++ expression, true
# where this CPU runs the ISA). Best first. Each entry compiles csrc/kernels/*.cpp: scan.cpp for each cell and scalar type, operations.cpp for each scalar
# type, and table.cpp, which joins them. Many small objects keep many cores busy. Every tile costs two thirds of an object's
# compile time (tile.hpp), so only float32 gets it, and only where speed matters.
set(PYRNN_KERNEL_OBJECTS "")
set(PYRNN_ISA_ENTRIES "")

# Kernels built before, by another compiler or for another Python (.ci/wheels). They need nothing of a C++ library and of the C
# library only functions that all of them have.
if(PYRNN_KERNELS_FROM)
  target_link_libraries(_core PRIVATE ${PYRNN_KERNELS_FROM}/csrc/libpyrnn_kernels.a)
  set(PYRNN_GENERATED ${PYRNN_KERNELS_FROM}/csrc/generated)
  return()
endif()

# With sanitizers or counters the optimizer needs many minutes for unrolled tiles. -O1 is enough there, and one ISA
# (PYRNN_ISAS).
set(PYRNN_KERNEL_OPTIMIZATION -O3)
set(PYRNN_FEW_TILES_OPTIMIZATION -O2)
if(PYRNN_SANITIZE OR PYRNN_COVERAGE OR PYRNN_QUICK_KERNELS)
  set(PYRNN_KERNEL_OPTIMIZATION -O1)
  set(PYRNN_FEW_TILES_OPTIMIZATION -O1)
endif()

set(cells_def ${CMAKE_CURRENT_SOURCE_DIR}/cells/cells.def)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${cells_def})
file(STRINGS ${cells_def} PYRNN_CELL_TYPES REGEX "^PYRNN_CELL\\(")
list(TRANSFORM PYRNN_CELL_TYPES REPLACE "^PYRNN_CELL\\([^,]*, ([A-Za-z]+),.*" "\\1")

# An object that exports `symbol`. Compile definitions follow the options.
function(pyrnn_add_kernel_object source symbol options)
  set(target pyrnn_${symbol})
  add_library(${target} OBJECT kernels/${source})
  target_compile_definitions(${target} PRIVATE PYRNN_SYMBOL=${symbol} ${ARGN})
  target_compile_options(${target} PRIVATE ${options})
  target_link_libraries(${target} PRIVATE pyrnn_options)
  set(PYRNN_KERNEL_OBJECTS ${PYRNN_KERNEL_OBJECTS} $<TARGET_OBJECTS:${target}> PARENT_SCOPE)
endfunction()

function(pyrnn_add_isa name bytes rows every_tile flags probe)
  if(PYRNN_ISAS AND NOT name IN_LIST PYRNN_ISAS)
    return()
  endif()
  set(options -ffp-contract=fast -fno-math-errno -fno-trapping-math -Wno-psabi ${flags})
  list(TRANSFORM options PREPEND "${PYRNN_OPTION_PREFIX}")
  list(PREPEND options $<$<CXX_COMPILER_ID:GNU>:-fno-ivopts>)
  foreach(scalar float double)
    set(every 0)
    set(optimization ${PYRNN_FEW_TILES_OPTIMIZATION})
    if(scalar IN_LIST every_tile)
      set(every 1)
      set(optimization ${PYRNN_KERNEL_OPTIMIZATION})
    endif()
    set(definitions PYRNN_ISA_NAMESPACE=isa_${name} PYRNN_VECTOR_BYTES=${bytes} PYRNN_TILE_ROWS=${rows} PYRNN_SCALAR=${scalar} PYRNN_EVERY_TILE=${every})
    foreach(cell ${PYRNN_CELL_TYPES})
      pyrnn_add_kernel_object(scan.cpp kernels_${name}_${cell}_${scalar} "${PYRNN_OPTION_PREFIX}${optimization};${options}" ${definitions} PYRNN_CELL_TYPE=${cell}
        PYRNN_OPERATIONS=kernels_${name}_operations_${scalar})
    endforeach()
    pyrnn_add_kernel_object(operations.cpp kernels_${name}_operations_${scalar} "${PYRNN_OPTION_PREFIX}${PYRNN_KERNEL_OPTIMIZATION};${options}" ${definitions})
  endforeach()
  pyrnn_add_kernel_object(table.cpp kernels_${name} "" PYRNN_ISA_NAME="${name}")
  set(PYRNN_KERNEL_OBJECTS ${PYRNN_KERNEL_OBJECTS} PARENT_SCOPE)
  set(PYRNN_ISA_ENTRIES "${PYRNN_ISA_ENTRIES} X(kernels_${name}, (${probe}))" PARENT_SCOPE)
endfunction()

if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  # Spelled out, since -march=x86-64-v3 needs GCC 11. csrc/system/processor.cpp asks for each of them.
  set(v2_flags -msse4.2 -mpopcnt)
  set(v3_flags -mavx2 -mfma -mbmi -mbmi2 -mlzcnt -mf16c)
  pyrnn_add_isa(v4 64 8 float "${v3_flags};-mavx512f;-mavx512bw;-mavx512cd;-mavx512dq;-mavx512vl;-mprefer-vector-width=512" "runs_x86_level(4)")
  pyrnn_add_isa(v3 32 6 float "${v3_flags}" "runs_x86_level(3)")
  pyrnn_add_isa(v2 16 6 "" "${v2_flags}" "runs_x86_level(2)")
elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "aarch64|arm64")
  # GCC for this target moves loads far ahead before it allocates registers: one loop in six would spill.
  pyrnn_add_isa(neon 16 8 float "$<$<CXX_COMPILER_ID:GNU>:-fno-schedule-insns>" "true")
endif()
if(PYRNN_ISAS OR NOT PYRNN_ISA_ENTRIES)  # for machines that no other entry covers, and where it is asked for
  pyrnn_add_isa(generic 16 4 float "" "true")
endif()
if(NOT PYRNN_ISA_ENTRIES)
  message(FATAL_ERROR "PYRNN_ISAS=${PYRNN_ISAS} names no ISA of ${CMAKE_SYSTEM_PROCESSOR}")
endif()

string(REPLACE " X(" " \\\n    X(" PYRNN_ISA_ENTRIES "${PYRNN_ISA_ENTRIES}")
set(PYRNN_GENERATED ${CMAKE_CURRENT_BINARY_DIR}/generated)
string(REPLACE "GNU" "GCC" compiler ${CMAKE_CXX_COMPILER_ID})
string(REPLACE "AppleClang" "Clang" compiler ${compiler})
file(GENERATE OUTPUT ${PYRNN_GENERATED}/isa_list.hpp CONTENT "#pragma once\n\n#define PYRNN_COMPILER \"${compiler} ${CMAKE_CXX_COMPILER_VERSION}\"\n\n#define PYRNN_FOR_EACH_ISA(X)${PYRNN_ISA_ENTRIES}\n")

add_library(pyrnn_kernels STATIC EXCLUDE_FROM_ALL ${PYRNN_KERNEL_OBJECTS})
set_target_properties(pyrnn_kernels PROPERTIES LINKER_LANGUAGE CXX)
