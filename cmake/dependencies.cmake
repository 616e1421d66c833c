# All dependencies are Debian packages. tools/install lists them with reasons.

find_package(Threads REQUIRED)
find_package(Protobuf REQUIRED)  # Debian ships no config file for it
find_package(absl CONFIG REQUIRED)
find_package(gRPC CONFIG REQUIRED)
find_package(yaml-cpp CONFIG REQUIRED)
find_package(prometheus-cpp CONFIG REQUIRED)
find_package(Boost 1.74 REQUIRED)  # headers only
find_package(spdlog CONFIG REQUIRED)
find_package(nlohmann_json CONFIG REQUIRED)
find_package(OpenSSL REQUIRED)
find_package(SQLite3 REQUIRED)
find_package(PostgreSQL REQUIRED)
find_package(benchmark CONFIG REQUIRED)
# protozero has only headers and no CMake config file.
find_path(SLUICE_PROTOZERO_DIR protozero/pbf_writer.hpp REQUIRED)
find_package(PkgConfig REQUIRED)
pkg_check_modules(NGHTTP2 REQUIRED IMPORTED_TARGET libnghttp2)
pkg_check_modules(tcmalloc REQUIRED IMPORTED_TARGET libtcmalloc_minimal)
if(BUILD_TESTING)
  find_package(GTest CONFIG REQUIRED)
endif()

find_program(SLUICE_GRPC_CPP_PLUGIN grpc_cpp_plugin REQUIRED)
# Definitions from the package grpc-proto.
find_path(SLUICE_GRPC_PROTO_DIR grpc/health/v1/health.proto
          PATHS /usr/share/grpc-proto REQUIRED)
