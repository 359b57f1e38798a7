// What a crash leaves behind. Everything here is async-signal-safe.
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>

#include "engine/crash_journal.hpp"

namespace millrace::engine {
namespace {

constexpr std::array kSignals{SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};

// The default actions; under a sanitiser its own, which report.
std::array<struct sigaction, kSignals.size()> previous{};

void on_crash(int signal, siginfo_t* info, void*) {
    const int error = errno;
    const bool sent = info->si_code <= 0;
    CallSlot* const slot = CallSlot::of_this_thread();
    if (slot != nullptr && !(sent && info->si_pid != getpid())) slot->mark_crashed(signal);
    for (std::size_t i = 0; i < kSignals.size(); ++i) {
        if (kSignals[i] == signal) sigaction(signal, &previous[i], nullptr);
    }
    // A fault of the machine comes again by itself on return, one that was sent does not.
    if (sent) raise(signal);
    errno = error;
}

}  // namespace

void install_crash_signals() {
    struct sigaction action {};
    action.sa_sigaction = on_crash;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    sigfillset(&action.sa_mask);
    for (std::size_t i = 0; i < kSignals.size(); ++i) sigaction(kSignals[i], &action, &previous[i]);
}

}  // namespace millrace::engine
