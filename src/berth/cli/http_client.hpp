#pragma once

#include "berth/app/http_client.hpp"

namespace berth::cli {

using berth::ClientAnswer;
using berth::request;

}  // namespace berth::cli
