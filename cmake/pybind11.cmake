# pybind11, with its headers copied to the build folder: pip installs it into a temporary environment whose path changes every
# time, and a changed path would compile the bindings again.
set(PYBIND11_FINDPYTHON ON)
find_package(pybind11 CONFIG REQUIRED)

file(GLOB_RECURSE headers RELATIVE ${pybind11_INCLUDE_DIR} ${pybind11_INCLUDE_DIR}/pybind11/*.h)
foreach(header ${headers})
  configure_file(${pybind11_INCLUDE_DIR}/${header} ${CMAKE_BINARY_DIR}/include/${header} COPYONLY)
endforeach()
set_target_properties(pybind11::pybind11_headers PROPERTIES INTERFACE_INCLUDE_DIRECTORIES ${CMAKE_BINARY_DIR}/include)
