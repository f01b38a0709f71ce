#include <vector>

#include "berth/base/json.hpp"
#include "berth/crypto/jose.hpp"
#include "berth/server/accept.hpp"
#include "berth/server/client_address.hpp"
#include "berth/telemetry/trace_context.hpp"
#include "fuzz/targets.hpp"

namespace berth::fuzz {

/// Texts that the front takes from headers and files: trace context, forwarded addresses, wishes, keys. The first line of
/// the input is the value of every one of them, all of it is the key set.
int front_text(ByteView input) {
    const auto text = as_text(input);
    const auto line = text.substr(0, text.find('\n'));

    if (const auto parent = read_trace_parent(line)) {
        BERTH_ASSERT(parent->size() == 55 && read_trace_parent(*parent) == *parent);
    }
    const auto state = read_trace_state(line);
    BERTH_ASSERT(state.size() <= 512 && read_trace_state(state) == state);
    const auto baggage = read_baggage(line);
    BERTH_ASSERT(baggage.empty() || baggage == line);

    static const std::vector<PeerNetwork> trusted{*PeerNetwork::parse("10.0.0.0/8"), *PeerNetwork::parse("::1")};
    HttpRequest request;
    request.peer = *PeerAddress::parse("10.0.0.1");
    request.fields = {{"Forwarded", line}};
    const auto by_forwarded = client_address(request, trusted);
    request.fields = {{"X-Forwarded-For", line}};
    const auto by_plain = client_address(request, trusted);
    BERTH_ASSERT(by_forwarded.is_known() && by_plain.is_known());
    request.fields.push_back({"Forwarded", line});
    BERTH_ASSERT(client_address(request, trusted).is_known());
    request.peer = *PeerAddress::parse("192.0.2.1");
    BERTH_ASSERT(client_address(request, trusted) == request.peer);
    if (const auto address = PeerAddress::parse(line)) BERTH_ASSERT(PeerAddress::parse(address->text()) == *address);
    if (const auto network = PeerNetwork::parse(line)) static_cast<void>(network->contains(by_plain));

    for (const auto quality : {media_quality(line, "application/json"), encoding_quality(line, "gzip"), encoding_quality(line, "identity")}) BERTH_ASSERT(quality >= 0 && quality <= 1000);
    if (names_media(line, "application/problem+json")) BERTH_ASSERT(media_quality(line, "application/problem+json") > 0);

    if (const auto keys = read_key_set(text)) {
        BERTH_ASSERT(!keys->empty());
        for (const auto& key : *keys) BERTH_ASSERT(!key.verify(JoseAlgorithm::hs256, input, input));
    }
    return 0;
}

}  // namespace berth::fuzz
