#include "engine/supervisor.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>

#include "engine/handler_run.hpp"

namespace millrace::engine {

Supervisor::Supervisor(const Surroundings& surroundings, std::string group_prefix,
                       std::vector<HandlerSetup> handlers)
    : surroundings_(surroundings), group_prefix_(std::move(group_prefix)) {
    for (auto& setup : handlers) add(std::move(setup));
}

Supervisor::~Supervisor() = default;

void Supervisor::add(HandlerSetup handler) {
    runs_.push_back(
        std::make_shared<HandlerRun>(surroundings_, group_prefix_, std::move(handler)));
    if (started_) runs_.back()->start();
}

void Supervisor::remove(const std::string& handler, milliseconds deadline,
                        std::function<void()> done) {
    const auto found =
        std::ranges::find_if(runs_, [&](const auto& run) { return run->name() == handler; });
    if (found == runs_.end()) return surroundings_.runtime.loop().post(std::move(done));
    // Copies of the callback are dropped on the run's own threads: they must not be the last to hold
    // it. It is destroyed when its own callback has returned.
    (*found)->stop(deadline, [this, run = found->get(), done = std::move(done)] {
        const auto gone = std::ranges::find(runs_, run, &std::shared_ptr<HandlerRun>::get);
        if (gone == runs_.end()) return;
        surroundings_.runtime.loop().post([last = std::move(*gone), done] { done(); });
        runs_.erase(gone);
    });
}

void Supervisor::swap(const std::string& handler, std::shared_ptr<HandlerFactory> next,
                      Callback<Result<std::string>> done) {
    HandlerRun* run = find(handler);
    if (run == nullptr) return done(unknown(handler));
    run->swap(std::move(next), std::move(done));
}

void Supervisor::start() {
    started_ = true;
    for (const auto& run : runs_) run->start();
}

void Supervisor::stop(milliseconds deadline, std::function<void()> done) {
    auto left = std::make_shared<std::size_t>(runs_.size() + 1);
    auto one = [left, done = std::move(done)] {
        if (--*left == 0) done();
    };
    for (const auto& run : runs_) run->stop(deadline, one);
    surroundings_.runtime.loop().post(one);
}

std::string Supervisor::status() const {
    boost::json::array handlers;
    for (const auto& run : runs_) handlers.push_back(run->status());
    return boost::json::serialize(boost::json::object{{"handlers", std::move(handlers)}});
}

HandlerRun* Supervisor::find(const std::string& handler) const {
    for (const auto& run : runs_) {
        if (run->name() == handler) return run.get();
    }
    return nullptr;
}

Error Supervisor::unknown(const std::string& handler) const {
    std::string names;
    for (const auto& run : runs_) names += (names.empty() ? "" : ", ") + run->name();
    return fail(ErrorCode::kNotFound,
                fmt::format("there is no handler '{}'; there are: {}", handler, names));
}

void Supervisor::query(const std::string& handler, const std::string& question,
                       std::vector<std::pair<std::string, std::string>> parameters,
                       Callback<Result<std::string>> done) {
    HandlerRun* run = find(handler);
    if (run == nullptr) return done(unknown(handler));
    run->query(question, std::move(parameters), std::move(done));
}

void Supervisor::redrive(const std::string& handler, RedriveRecord record,
                         Callback<Result<void>> done) {
    HandlerRun* run = find(handler);
    if (run == nullptr) return done(unknown(handler));
    run->redrive(std::move(record), std::move(done));
}

void Supervisor::replay(const std::string& handler, const ReplayRequest& request,
                        Callback<Result<std::string>> done) {
    HandlerRun* run = find(handler);
    if (run == nullptr) return done(unknown(handler));
    run->replay(request, std::move(done));
}

void Supervisor::resume(const std::string& handler, const ResumeRequest& request,
                        Callback<Result<std::string>> done) {
    HandlerRun* run = find(handler);
    if (run == nullptr) return done(unknown(handler));
    run->resume(request, std::move(done));
}

void Supervisor::restart(const std::string& handler, Callback<Result<std::string>> done) {
    HandlerRun* run = find(handler);
    if (run == nullptr) return done(unknown(handler));
    run->restart(std::move(done));
}

std::vector<std::string> Supervisor::unready() const {
    std::vector<std::string> reasons;
    for (const auto& run : runs_) {
        for (auto& reason : run->unready()) reasons.push_back(std::move(reason));
    }
    return reasons;
}

}  // namespace millrace::engine
