# Warnings and sanitizers, off in users' builds; presets switch them on.
option(PYRNN_WERROR "treat warnings as errors" OFF)
set(PYRNN_SANITIZE "" CACHE STRING "sanitizers, as -fsanitize= takes them (address,undefined or thread)")

add_library(pyrnn_options INTERFACE)
target_compile_features(pyrnn_options INTERFACE cxx_std_17)
target_compile_options(pyrnn_options INTERFACE -Wall -Wextra -fvisibility=hidden)
if(PYRNN_WERROR)
  target_compile_options(pyrnn_options INTERFACE -Werror)
endif()
if(PYRNN_SANITIZE)
  target_compile_options(pyrnn_options INTERFACE -fsanitize=${PYRNN_SANITIZE} -fno-sanitize-recover=all -g)
  target_link_options(pyrnn_options INTERFACE -fsanitize=${PYRNN_SANITIZE})
endif()
