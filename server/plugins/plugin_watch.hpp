// PluginWatch: tells when files of the plugin directories have come, changed or gone, once they are
// quiet: a copy that is still being written is not looked at.
//
// inotify(7). A directory that is not there is looked for every second. Thread rule: the loop
// thread. Errors: without inotify (a limit of the system) it says so once and tells nothing; SIGHUP
// and the admin API remain.
#pragma once

#include <boost/asio/posix/stream_descriptor.hpp>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/asio_runtime.hpp"

namespace millrace::plugins {

class PluginWatch {
public:
    PluginWatch(AsioRuntime& runtime, std::vector<std::string> directories,
                std::function<void()> changed);
    ~PluginWatch();
    PluginWatch(const PluginWatch&) = delete;
    PluginWatch& operator=(const PluginWatch&) = delete;

private:
    void watch_missing();
    bool watch(const std::string& directory);
    void read();
    bool concerns_us(std::size_t size);
    void wait_until_quiet();

    AsioRuntime& runtime_;
    std::vector<std::string> directories_;
    std::function<void()> changed_;
    boost::asio::posix::stream_descriptor inotify_;
    std::map<int, std::string> watched_;  // directory by watch descriptor
    std::vector<char> events_;
    std::unique_ptr<Timer> quiet_;
    std::unique_ptr<Timer> look_again_;
};

}  // namespace millrace::plugins
