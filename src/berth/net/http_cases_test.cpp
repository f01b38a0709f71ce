#include <gtest/gtest.h>

#include <charconv>
#include <fstream>
#include <string>
#include <vector>

#include "berth/async/sync_wait.hpp"
#include "berth/base/format.hpp"
#include "berth/net/http_head.hpp"
#include "berth/net/http_server.hpp"
#include "berth/telemetry/metrics.hpp"
#include "support/raw_client.hpp"
#include "support/source_dir.hpp"

namespace berth {
namespace {

constexpr std::size_t body_limit = 64 * 1024;

struct Case {
    std::string name;
    std::string bytes;
    std::vector<std::string> answers;
};

unsigned hex(std::string_view digits) {
    unsigned value = 0;
    std::from_chars(digits.data(), digits.data() + digits.size(), value, 16);
    return value;
}

/// What the escapes of the file stand for.
std::string unescaped(std::string_view text) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '\\') {
            out += text[i];
            continue;
        }
        switch (text[++i]) {
            case 'r': out += '\r'; break;
            case 'n': out += '\n'; break;
            case 't': out += '\t'; break;
            case '0': out += '\0'; break;
            case 'x':
                out += static_cast<char>(hex(text.substr(i + 1, 2)));
                i += 2;
                break;
            case '{': {
                const auto star = text.find('*', i), end = text.find('}', i);
                std::size_t count = 0;
                std::from_chars(text.data() + star + 1, text.data() + end, count);
                out.append(count, static_cast<char>(hex(text.substr(i + 1, star - i - 1))));
                i = end;
                break;
            }
            default: out += text[i];
        }
    }
    return out;
}

std::vector<Case> read_cases() {
    std::ifstream file(testing::source_dir() / "tests/http/requests.cases");
    std::vector<Case> cases;
    std::string line;
    while (std::getline(file, line)) {
        if (line.starts_with("## ")) cases.push_back({line.substr(3), "", {}});
        else if (cases.empty() || line.empty() || line.starts_with("# ")) continue;
        else if (line.starts_with("=> ")) cases.back().answers.push_back(unescaped(line.substr(3)));
        else cases.back().bytes += unescaped(line);
    }
    return cases;
}

std::string shown(const HttpRequest& request) {
    auto text = format("200 {} {}{}{}", request.method, request.path, request.query.empty() ? "" : "?", request.query);
    if (request.method == "HEAD") return "200 HEAD";
    if (!request.body.empty()) text += " " + request.body;
    return text;
}

/// The answers that a connection would give to bytes that come in parts of `step`, by the parser alone.
std::vector<std::string> parsed(std::string_view stream, std::size_t step) {
    const HttpLimits limits{.body = body_limit};
    std::vector<std::string> answers;
    const auto refused = [&](const Error& error) { answers.push_back(std::to_string(row(error.code()).http)); };
    std::string arrived;
    const auto more = [&] {
        const auto part = stream.substr(0, step);
        stream.remove_prefix(part.size());
        arrived += part;
        return !part.empty();
    };
    while (true) {
        HeadScanner scanner;
        std::size_t end = 0;
        while (end == 0) {
            if (!arrived.empty()) {
                const auto found = scanner.scan(arrived, limits);
                if (!found) {
                    refused(found.error());
                    return answers;
                }
                end = *found;
            }
            if (end == 0 && !more()) {
                if (!arrived.empty() && arrived != "\r\n") answers.emplace_back("none");
                return answers;
            }
        }
        const std::string head = arrived.substr(0, end);
        arrived.erase(0, end);
        HttpRequest request;
        const auto framing = parse_head(head, limits, request);
        if (!framing) {
            refused(framing.error());
            return answers;
        }
        if (framing->chunked) {
            ChunkedReader reader;
            while (!reader.done()) {
                const auto taken = reader.take(arrived, request.body, limits);
                if (!taken) {
                    refused(taken.error());
                    return answers;
                }
                arrived.erase(0, *taken);
                if (!reader.done() && !more()) {
                    answers.emplace_back("none");
                    return answers;
                }
            }
        }
        while (request.body.size() < framing->content_length) {
            if (arrived.empty() && !more()) {
                answers.emplace_back("none");
                return answers;
            }
            const auto part = arrived.substr(0, framing->content_length - request.body.size());
            request.body += part;
            arrived.erase(0, part.size());
        }
        answers.push_back(shown(request));
        if (!framing->keep_alive) {
            answers.emplace_back("closed");
            return answers;
        }
    }
}

class ShowRequest final : public HttpHandler {
public:
    Task<HttpResponse> handle(HttpRequest& request) override {
        HttpResponse response;
        response.route = "/show";
        response.body = shown(request).substr(4);
        return ready_task(std::move(response));
    }
};

TEST(HttpCases, AreManyAndEachSaysWhatItExpects) {
    const auto cases = read_cases();
    EXPECT_GE(cases.size(), 250U);
    for (const auto& one : cases) EXPECT_TRUE(!one.bytes.empty() && !one.answers.empty()) << one.name;
}

TEST(HttpCases, TheParserReadsThemAsTheySayHoweverTheBytesArrive) {
    for (const auto& one : read_cases()) {
        for (const std::size_t step : {std::size_t{1}, std::size_t{7}, std::size_t{1} << 20}) EXPECT_EQ(parsed(one.bytes, step), one.answers) << one.name << " in parts of " << step;
    }
}

TEST(HttpCases, AServerAnswersThemAsTheySayAndStaysInStep) {
    const auto reactors = Reactors::start(2);
    MetricRegistry metrics;
    ShowRequest handler;
    HttpServerOptions options;
    options.port = 0;
    options.limits.body = body_limit;
    auto server = HttpServer::open(*reactors, options, handler, metrics);
    ASSERT_TRUE(server) << server.error().message();
    (*server)->serve();
    for (const auto& one : read_cases()) {
        test::RawClient client((*server)->port());
        ASSERT_TRUE(client.connected()) << one.name;
        client.send(one.bytes);
        bool open = true;
        for (const auto& wanted : one.answers) {
            if (wanted == "none" || wanted == "closed") {
                if (wanted == "none") client.end_sending();
                EXPECT_FALSE(client.answer()) << one.name;
                open = false;
                break;
            }
            const auto answer = client.answer(wanted == "200 HEAD");
            if (!answer) {
                ADD_FAILURE() << one.name << ": no answer where " << wanted << " is expected";
                open = false;
                break;
            }
            if (answer->status == 200) {
                EXPECT_EQ(wanted == "200 HEAD" ? wanted : "200 " + answer->body, wanted) << one.name;
                continue;
            }
            EXPECT_EQ(std::to_string(answer->status), wanted) << one.name;
            EXPECT_TRUE(client.closed()) << one.name;
            open = false;
            break;
        }
        if (!open) continue;
        client.send("GET /in-step HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        const auto last = client.answer();
        ASSERT_TRUE(last) << one.name;
        EXPECT_EQ(last->body, "GET /in-step") << one.name;
    }
    EXPECT_TRUE(sync_wait((*server)->close(std::chrono::hours(1))));
}

}  // namespace
}  // namespace berth
