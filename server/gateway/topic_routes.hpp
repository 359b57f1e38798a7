// What GET /v1/topics and /v1/topics/{topic}/records answer.
//
// Thread rule: the loop thread, the callback too; records are put into JSON on the pool. Errors:
// problem documents.
#pragma once

#include <string>

#include "gateway/gateway.hpp"
#include "gateway/http_message.hpp"
#include "gateway/ingest.hpp"

namespace millrace::gateway {

// `{"topics":[{"name","partitions":[{"partition","low","high"}],"schema","mode","retention_ms","dead_letter","declared"}]}`
void list_topics(const GatewayParts& parts, Request request, Respond respond);

// `?partition=&offset=&limit=`; offset is a number, `earliest` or `latest` (the default: the last
// `limit` records).
// `{"topic","partition","low","high","next","records":[{"offset","timestamp","key","value","headers"}]}`;
// a key or value that is not UTF-8 is base64 and said to be so by `key_encoding` or
// `value_encoding`.
void read_records(const GatewayParts& parts, WorkerPool& pool, Request request, Respond respond);

}  // namespace millrace::gateway
