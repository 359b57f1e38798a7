#include "plugins/plugin_watch.hpp"

#include <sys/inotify.h>

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <cerrno>
#include <cstring>
#include <string_view>

#include "core/log.hpp"

namespace millrace::plugins {
namespace {

constexpr milliseconds kQuiet{250};
constexpr milliseconds kLookAgain{1'000};
constexpr std::size_t kEventBytes = 64U << 10U;
constexpr std::uint32_t kMask = IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE |
                                IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR;

}  // namespace

PluginWatch::PluginWatch(AsioRuntime& runtime, std::vector<std::string> directories,
                         std::function<void()> changed)
    : runtime_(runtime),
      directories_(std::move(directories)),
      changed_(std::move(changed)),
      inotify_(runtime.context()),
      events_(kEventBytes) {
    const int descriptor = ::inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (descriptor < 0) {
        log::warn("plugins",
                  "the plugin directories are not watched ({}): after a change send SIGHUP",
                  std::strerror(errno));
        return;
    }
    inotify_.assign(descriptor);
    watch_missing();
    read();
}

PluginWatch::~PluginWatch() = default;

void PluginWatch::watch_missing() {
    bool all = true;
    for (const std::string& directory : directories_) {
        const bool there = std::ranges::any_of(
            watched_, [&](const auto& entry) { return entry.second == directory; });
        if (there) continue;
        if (!watch(directory))
            all = false;
        else if (look_again_)
            wait_until_quiet();  // what came with it was not seen coming
    }
    look_again_.reset();
    if (all) return;
    look_again_ = runtime_.loop().after(kLookAgain, [this] { watch_missing(); });
}

bool PluginWatch::watch(const std::string& directory) {
    const int id = ::inotify_add_watch(inotify_.native_handle(), directory.c_str(), kMask);
    if (id < 0) return false;
    watched_[id] = directory;
    return true;
}

void PluginWatch::read() {
    inotify_.async_read_some(boost::asio::buffer(events_),
                             [this](const boost::system::error_code& error, std::size_t size) {
                                 if (error) return;
                                 if (concerns_us(size)) wait_until_quiet();
                                 read();
                             });
}

bool PluginWatch::concerns_us(std::size_t size) {
    bool concerns = false;
    for (std::size_t at = 0; at + sizeof(inotify_event) <= size;) {
        inotify_event event{};
        std::memcpy(&event, events_.data() + at, sizeof event);
        const std::string_view name =
            event.len == 0 ? std::string_view() : events_.data() + at + sizeof event;
        at += sizeof event + event.len;
        concerns = concerns || name.ends_with(".so") || (event.mask & IN_Q_OVERFLOW) != 0;
        if ((event.mask & IN_MOVE_SELF) != 0)
            ::inotify_rm_watch(inotify_.native_handle(), event.wd);
        if ((event.mask & IN_IGNORED) == 0) continue;
        watched_.erase(event.wd);
        concerns = true;
        if (!look_again_)
            look_again_ = runtime_.loop().after(kLookAgain, [this] { watch_missing(); });
    }
    return concerns;
}

void PluginWatch::wait_until_quiet() {
    quiet_ = runtime_.loop().after(kQuiet, [this] { changed_(); });
}

}  // namespace millrace::plugins
