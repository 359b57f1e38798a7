// What /v1/admin/dead-letters answers (docs/HTTP.md).
//
// Thread rule: the loop thread, the callback too. Errors: problem documents; 404 for a topic that
// has no dead letters.
#pragma once

#include "gateway/gateway.hpp"
#include "gateway/http_message.hpp"
#include "gateway/ingest.hpp"

namespace millrace::gateway {

// `{"topics":[{"topic","dead_letter","records"}]}`; `records` counts what lies there, open or not.
void list_letter_topics(const GatewayParts& parts, Request request, Respond respond);

// The topic, or its dead-letter topic, is the fourth segment. Filters: class, handler, user, key,
// id, at (partition:offset), from, to, all; limit, cursor; values (with key's value and headers).
void list_letters(const GatewayParts& parts, Request request, Respond respond);

// The same filters, and rate; with dry_run nothing is done.
// `{"matched","done","failed":[{"id","error"}],"letters":[…],"stopped","next"}`
void redrive_letters(const GatewayParts& parts, Request request, Respond respond);
void discard_letters(const GatewayParts& parts, Request request, Respond respond);

}  // namespace millrace::gateway
