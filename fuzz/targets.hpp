#pragma once

#include <array>
#include <string_view>

#include "berth/base/bytes.hpp"

namespace berth::fuzz {

// Each takes any bytes, aborts on a finding and returns 0. One function a file, `<name>_fuzz.cpp`.
int section_reader(ByteView input);
int instrument(ByteView input);
int metered_module(ByteView input);
int source_lines(ByteView input);
int http_head(ByteView input);
int http_response(ByteView input);
int manifest(ByteView input);
int envelope(ByteView input);
int front_text(ByteView input);
int function_text(ByteView input);
int journal(ByteView input);
int receipt(ByteView input);
int execution_record(ByteView input);
int trust_store(ByteView input);
int wasi_call(ByteView input);
int network_text(ByteView input);
int credential(ByteView input);
int cbor(ByteView input);
int policy_file(ByteView input);
int config_file(ByteView input);

struct Target {
    std::string_view name;  // folder below fuzz/corpus
    int (*run)(ByteView input);
};

/// All of them; the fuzz programs and the replay of the corpus in the tests find them here.
inline constexpr std::array targets{
    Target{"section_reader", section_reader},
    Target{"instrument", instrument},
    Target{"metered_module", metered_module},
    Target{"source_lines", source_lines},
    Target{"http_head", http_head},
    Target{"http_response", http_response},
    Target{"manifest", manifest},
    Target{"envelope", envelope},
    Target{"front_text", front_text},
    Target{"function_text", function_text},
    Target{"journal", journal},
    Target{"receipt", receipt},
    Target{"execution_record", execution_record},
    Target{"trust_store", trust_store},
    Target{"wasi_call", wasi_call},
    Target{"network_text", network_text},
    Target{"credential", credential},
    Target{"cbor", cbor},
    Target{"policy_file", policy_file},
    Target{"config_file", config_file},
};

}  // namespace berth::fuzz
