# Warnings, sanitizers and coverage, off in users' builds; presets switch them on.
option(PYRNN_WERROR "treat warnings as errors" OFF)
set(PYRNN_ISAS "" CACHE STRING "the ISAs to build, of those in isas.cmake; empty: all")
set(PYRNN_KERNELS_FROM "" CACHE PATH "a build folder with the target pyrnn_kernels, to link instead of compiling kernels")
set(PYRNN_GLIBC "" CACHE PATH "a folder with the libraries of an older glibc to link against, with GCC (.ci/wheels)")
set(PYRNN_SANITIZE "" CACHE STRING "sanitizers, as -fsanitize= takes them (address,undefined or thread)")
option(PYRNN_QUICK_KERNELS "kernels at -O1, which compile in half the time" OFF)
option(PYRNN_COVERAGE "count for gcov which lines are reached" OFF)

add_library(pyrnn_options INTERFACE)
target_compile_features(pyrnn_options INTERFACE cxx_std_17)
if(CMAKE_CXX_COMPILER_ID STREQUAL "MSVC")
  message(FATAL_ERROR "pyrnn needs GCC or Clang, whose vector types its kernels use; on Windows pass -DCMAKE_CXX_COMPILER=clang-cl")
endif()
# clang-cl takes Clang's options after the prefix /clang: and has its own names for some.
set(PYRNN_OPTION_PREFIX "")
if(CMAKE_CXX_COMPILER_FRONTEND_VARIANT STREQUAL "MSVC")
  set(PYRNN_OPTION_PREFIX /clang:)
  target_compile_options(pyrnn_options INTERFACE /W4 /EHsc)
  # __builtin_cpu_supports is a function of Clang's run-time library, which link.exe does not search by itself.
  execute_process(COMMAND ${CMAKE_CXX_COMPILER} /clang:--rtlib=compiler-rt /clang:-print-libgcc-file-name
    OUTPUT_VARIABLE builtins OUTPUT_STRIP_TRAILING_WHITESPACE)
  target_link_libraries(pyrnn_options INTERFACE ${builtins})
else()
  target_compile_options(pyrnn_options INTERFACE -Wall -Wextra -fvisibility=hidden)
endif()
if(PYRNN_WERROR)
  target_compile_options(pyrnn_options INTERFACE -Werror)
endif()
if(PYRNN_SANITIZE)
  target_compile_options(pyrnn_options INTERFACE -fsanitize=${PYRNN_SANITIZE} -fno-sanitize-recover=all -g1 $<$<CXX_COMPILER_ID:GNU>:-fno-var-tracking>)
  target_link_options(pyrnn_options INTERFACE -fsanitize=${PYRNN_SANITIZE})
endif()
if(PYRNN_COVERAGE)
  # Atomic counters take the kernels' tests five times as long. What threads lose of the others makes derived counts a little
  # wrong, negative ones among them; in tests/kernel/test_recurrent.py both find the same lines but two of 1,624. Either way threads that
  # count in one place hinder each other.
  target_compile_options(pyrnn_options INTERFACE -O1 --coverage -fprofile-update=single)
  target_link_options(pyrnn_options INTERFACE --coverage)
endif()
