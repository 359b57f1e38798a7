#include "engine/inbox.hpp"

#include <memory>

namespace millrace::engine {

RecordBatchPtr batch_of(RedriveRecord record) {
    auto kept = std::make_shared<const RedriveRecord>(std::move(record));
    auto batch = std::make_shared<RecordBatch>();
    batch->origin = kept->origin;
    for (const auto& [name, value] : kept->headers) batch->headers.push_back({name, value});
    Record view;
    view.offset = kept->offset;
    view.timestamp = kept->timestamp;
    if (kept->key) view.key = *kept->key;
    if (kept->value) view.value = *kept->value;
    view.headers = batch->headers;
    batch->records.push_back(view);
    batch->memory = std::move(kept);
    return batch;
}

}  // namespace millrace::engine
