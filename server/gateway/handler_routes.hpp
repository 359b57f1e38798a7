// What people ask of handlers on the admin listener: POST /v1/admin/handlers/{name}/replay, resume
// and restart. The parameters stand in the query.
//
// Thread rule: the loop thread; each responds once. Errors: problem documents.
#pragma once

#include "gateway/access.hpp"
#include "gateway/gateway.hpp"
#include "gateway/http_message.hpp"
#include "gateway/ingest.hpp"

namespace millrace::gateway {

// `from` (earliest, an offset, a time), `topic`, `partition`.
void replay_handler(const GatewayParts& parts, Request request, Respond respond);
// `decision` (accept, restart; none: look again), `topic`, `partition`.
void resume_handler(const GatewayParts& parts, Request request, Respond respond);
void restart_handler(const GatewayParts& parts, Request request, Respond respond);
// POST /v1/admin/reload: configuration and plugins are read again.
void reload_server(const GatewayParts& parts, Request request, Respond respond);

}  // namespace millrace::gateway
