// The plugin's own questions, answered by every shard and merged.
#include <fmt/format.h>

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>

#include "engine/handler_run.hpp"
#include "engine/question.hpp"

namespace millrace::engine {
namespace {

// The answer is a JSON object; gets one more member.
std::string with_shards(std::string answer, const std::string& shards) {
    const auto end = answer.find_last_of('}');
    const auto begin = answer.find_first_of('{');
    if (begin == std::string::npos || end == std::string::npos) return answer;
    const bool empty = answer.find_first_not_of(" \t\r\n", begin + 1) == end;
    return answer.insert(end, fmt::format("{}\"shards\":{}", empty ? "" : ",", shards));
}

}  // namespace

struct HandlerRun::Question {
    std::string name;
    std::vector<std::pair<std::string, std::string>> parameters;
    Callback<Result<std::string>> done;
    std::size_t left = 0;
    std::vector<std::pair<std::string, Result<std::string>>> answers;  // by shard
};

void HandlerRun::query(const std::string& question,
                       std::vector<std::pair<std::string, std::string>> parameters,
                       Callback<Result<std::string>> done) {
    if (auto checked = check_question(traits(), name(), question, parameters); !checked)
        return done(checked.error());
    if (state_ != RunState::kRunning) {
        return done(fail(ErrorCode::kUnavailable,
                         fmt::format("handler {} is {}, ask again", name(), to_string(state_))));
    }
    auto asked = std::make_shared<Question>(
        Question{question, std::move(parameters), std::move(done), 1, {}});
    for (std::size_t i = 0; i < shards_.size(); ++i) {
        const auto& shard = shards_[i];
        if (!shard) continue;
        if (overdue_.contains(i)) {
            asked->answers.emplace_back(
                shard->identity().shard,
                fail(ErrorCode::kUnavailable, "the shard is in a call that does not return"));
            continue;
        }
        ++asked->left;
        shard->query(question, asked->parameters,
                     [this, asked, of = shard->identity().shard](Result<std::string> answer) {
                         asked->answers.emplace_back(of, std::move(answer));
                         answered(asked);
                     });
    }
    answered(asked);
}

void HandlerRun::answered(const std::shared_ptr<Question>& question) {
    if (--question->left > 0) return;
    std::ranges::sort(question->answers, {}, [](const auto& answer) { return answer.first; });
    for (const auto& [shard, answer] : question->answers) {
        // What one shard finds wrong with the question, all do; a shard that has gone is merely
        // elsewhere.
        if (!answer && answer.error().code != ErrorCode::kUnavailable)
            return question->done(answer.error());
    }
    files_->post([this, question, factory = setup_.factory] { merge(question, *factory); });
}

void HandlerRun::merge(const std::shared_ptr<Question>& question, HandlerFactory& factory) {
    std::vector<std::string> texts;
    boost::json::array here;
    boost::json::array elsewhere;
    for (auto& [shard, answer] : question->answers) {
        (answer ? here : elsewhere).push_back(boost::json::value(shard));
        if (answer) texts.push_back(std::move(*answer));
    }
    auto merged = factory.merge(question->name, question->parameters, texts);
    if (merged) {
        const boost::json::object shards{{"answered", std::move(here)},
                                         {"elsewhere", std::move(elsewhere)}};
        merged = with_shards(std::move(*merged), boost::json::serialize(shards));
    }
    surroundings_.runtime.loop().post([question, merged] { question->done(merged); });
}

}  // namespace millrace::engine
