// Plugin: one plugin's table of callbacks, checked once, and what it says about itself.
//
// Immutable after it was made; any thread. Lives as long as the process, as its code does. Errors:
// a Rejection that names the field of the table that is wrong.
#pragma once

#include <millrace/abi.h>

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "engine/handler.hpp"
#include "plugins/library.hpp"

namespace millrace::plugins {

class Plugin {
public:
    // Calls the library's entry with this server's services and checks what it gives back.
    static Accepted<std::shared_ptr<const Plugin>> make(const Library& library);

    // Complete: what an older plugin's table lacks is NULL, its options and questions are ours.
    const millrace_plugin_api& api() const { return api_; }
    std::span<const millrace_option> options() const { return options_; }
    std::span<const millrace_question> questions() const { return questions_; }
    const engine::HandlerTraits& traits() const { return traits_; }
    const std::string& name() const { return traits_.plugin; }
    const std::string& version() const { return traits_.version; }
    const std::string& description() const { return description_; }
    const std::string& file() const { return library_.file; }
    const std::string& digest() const { return library_.digest; }
    const std::vector<std::string>& exports() const { return library_.exports; }

private:
    Plugin(const Library& library, const millrace_plugin_api& api);
    Plugin(const Plugin&) = delete;
    Plugin& operator=(const Plugin&) = delete;

    // What it says about itself; of a table that was checked.
    void describe();

    Library library_;
    millrace_plugin_api api_;
    std::vector<millrace_option> options_;
    std::vector<millrace_question> questions_;
    engine::HandlerTraits traits_;
    std::string description_;
};

}  // namespace millrace::plugins
