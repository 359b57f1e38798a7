#include "gateway/handler_routes.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <initializer_list>
#include <limits>

#include "events/time.hpp"

namespace millrace::gateway {
namespace {

constexpr std::size_t kNameSegment = 3;  // v1 admin handlers NAME

std::optional<std::int64_t> number_of(std::string_view text) {
    std::int64_t value = 0;
    const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (fault != std::errc() || end != text.data() + text.size() || value < 0) return std::nullopt;
    return value;
}

Error refused(std::string text) { return fail(ErrorCode::kInvalid, std::move(text)); }

// A parameter that nobody knows is a slip, and these commands are not for guessing.
Result<void> check_parameters(const Request& request,
                              std::initializer_list<std::string_view> known) {
    if (!request.body.empty())
        return refused("this command takes no body; its parameters stand in the query");
    for (const auto& [name, value] : request.query) {
        if (std::ranges::find(known, name) == known.end()) {
            return refused(fmt::format(
                "there is no parameter '{}'; there are: {}", name,
                known.size() == 0 ? "none" : fmt::format("{}", fmt::join(known, ", "))));
        }
    }
    return {};
}

Result<engine::PartitionChoice> read_choice(const Request& request) {
    engine::PartitionChoice which;
    if (const auto topic = request.parameter("topic")) which.topic = std::string(*topic);
    if (const auto text = request.parameter("partition")) {
        const auto partition = number_of(*text);
        if (!partition || *partition > std::numeric_limits<std::int32_t>::max())
            return refused(fmt::format("partition={} is not a number", *text));
        which.partition = Partition{static_cast<std::int32_t>(*partition)};
    }
    return which;
}

Result<engine::ReplayRequest> read_replay(const Request& request) {
    if (auto good = check_parameters(request, {"from", "topic", "partition"}); !good)
        return good.error();
    auto which = read_choice(request);
    if (!which) return which.error();
    engine::ReplayRequest replay;
    replay.which = std::move(*which);
    const std::string_view from = request.parameter("from").value_or("");
    if (from == "earliest") return replay;
    if (const auto offset = number_of(from)) {
        replay.from = engine::ReplayRequest::From::kOffset;
        replay.offset = Offset{*offset};
        return replay;
    }
    const auto time = parse_time(from);
    if (!time) {
        return refused(
            fmt::format("from={} is none of: earliest, an offset, a time "
                        "(2026-02-10T08:00:00Z)",
                        from));
    }
    replay.from = engine::ReplayRequest::From::kTime;
    replay.time = *time;
    return replay;
}

Result<engine::ResumeRequest> read_resume(const Request& request) {
    if (auto good = check_parameters(request, {"decision", "topic", "partition"}); !good)
        return good.error();
    auto which = read_choice(request);
    if (!which) return which.error();
    engine::ResumeRequest resume;
    resume.which = std::move(*which);
    const auto decision = request.parameter("decision");
    if (!decision) return resume;
    if (*decision == "accept")
        resume.decision = engine::LostDecision::kAccept;
    else if (*decision == "restart")
        resume.decision = engine::LostDecision::kRestart;
    else
        return refused(fmt::format("decision={} is none of: accept, restart", *decision));
    return resume;
}

Callback<Result<std::string>> answer_to(const std::shared_ptr<Request>& request, Respond respond) {
    return [request, respond = std::move(respond)](const Result<std::string>& answer) {
        if (answer) return respond(Response{200, "application/json", {}, *answer + "\n", false});
        Problem problem = problem_of(answer.error(), *request);
        if (answer.error().code == ErrorCode::kInvalid) problem.status = 400;
        respond(to_response(problem));
    };
}

}  // namespace

void replay_handler(const GatewayParts& parts, Request request, Respond respond) {
    const auto asked = std::make_shared<Request>(std::move(request));
    const auto done = answer_to(asked, std::move(respond));
    const auto replay = read_replay(*asked);
    if (!replay) return done(replay.error());
    parts.handlers.replay(asked->segments[kNameSegment], *replay, done);
}

void resume_handler(const GatewayParts& parts, Request request, Respond respond) {
    const auto asked = std::make_shared<Request>(std::move(request));
    const auto done = answer_to(asked, std::move(respond));
    const auto resume = read_resume(*asked);
    if (!resume) return done(resume.error());
    parts.handlers.resume(asked->segments[kNameSegment], *resume, done);
}

void restart_handler(const GatewayParts& parts, Request request, Respond respond) {
    const auto asked = std::make_shared<Request>(std::move(request));
    const auto done = answer_to(asked, std::move(respond));
    if (auto good = check_parameters(*asked, {}); !good) return done(good.error());
    parts.handlers.restart(asked->segments[kNameSegment], done);
}

void reload_server(const GatewayParts& parts, Request request, Respond respond) {
    const auto asked = std::make_shared<Request>(std::move(request));
    const auto done = answer_to(asked, std::move(respond));
    if (auto good = check_parameters(*asked, {}); !good) return done(good.error());
    parts.handlers.reload(done);
}

}  // namespace millrace::gateway
