/* millrace/abi.h: the boundary between Millrace and a handler plugin. C11, two standard headers,
 * nothing else. This file is all that a plugin needs:
 *
 *     cc -std=c11 -shared -fPIC -fvisibility=hidden -Ipath/to/include -o hello.so hello.c
 *
 * A plugin is a shared object that exports ONE symbol, `millrace_plugin`. The server calls it once
 * after loading, hands over a table of services (millrace_host_api) and gets back a table of
 * callbacks (millrace_plugin_api). plugins/examples/hello_c is a complete one. C++ authors want
 * <millrace/plugin.hpp>, which makes a handler a class of about 40 lines.
 *
 * VERSIONS. This is version 1. Within it nothing that was released moves, changes its type or its
 * meaning; tables and structs only grow at their end, enums only by new values. So a plugin built
 * with 1.0 works in every server of version 1. Each table and each struct with `struct_size` says
 * how much of it there is: whoever fills it sets sizeof, whoever reads it looks no further.
 * MILLRACE_HAS asks for what came after 1.0. A plugin that needs it from an older server returns
 * NULL from `millrace_plugin`. The first three members of both tables, and the symbol, stay for
 * all versions to come. A member named `reserved` is 0. The small structs without a size (_str,
 * _value, _header, _parameter, _token) stay as they are. No enum, bool, bit field or C++ type
 * crosses; 64-bit machines, little endian.
 *
 * INSTANCES. The server makes one instance per shard of a handler's state (`create`). A shard is
 * the unit of order and of state: inputs of one user (or key) come one after the other, in order.
 *
 * THREADS. Calls into one instance never overlap, but they come from any thread of the handler's
 * pool. Calls into different instances of one plugin do overlap: guard what they share. A service
 * may be used inside a callback that was given or whose instance was made with this `host`, on the
 * thread of that callback, and nowhere else: elsewhere it answers MILLRACE_DENIED and does nothing.
 * `complete` and `log` alone may be used from any thread at any time, even after `destroy`.
 *
 * OWNERSHIP. Every pointer passed to a callback is valid until that callback returns, every pointer
 * passed to a service until that service returns: copy what you keep. Nothing allocated on one side
 * is ever freed on the other: text is given back through `write`. The plugin's table, and all that
 * it points to, is never freed and never changes: plugins are not unloaded. A `host` is valid for
 * the life of the process.
 *
 * ERRORS. Nothing may throw, longjmp or end the thread across this boundary. Services answer
 * MILLRACE_OK or a negative millrace_status; `last_error` says more.
 *
 * OUTCOMES. A callback for an input (on_message, on_timer, on_response, on_complete) returns a
 * millrace_outcome. What it did through exec, publish, call and the timers commits in ONE
 * transaction together with the input's position and identity when that is MILLRACE_ACK. With any
 * other outcome, and after a crash, it is undone. So a handler sees an input again only if nothing
 * of it happened, and needs no idempotency of its own. What leaves the process (publish, call)
 * leaves after the commit, at least once, with an id that a repetition has too. The handler's
 * `retry`, `timeout`, `pending_timeout` and `max_in_flight` in the YAML are the server's to keep.
 *
 * COMPLETION. What takes long is best a `call`. Else return MILLRACE_PENDING without any effects,
 * keep a copy of the event's token, and let a thread of your own `complete` it; then the server
 * calls on_complete with the event and your payload, as an input like any other.
 *
 * STORAGE. Each shard has an SQLite file. Tables are made in `migrate` and nowhere else, need a
 * PRIMARY KEY without AUTOINCREMENT, and have names that do not begin with `_`. Transactions,
 * savepoints, ATTACH, PRAGMA and virtual tables are refused. What an instance keeps in memory is
 * derived from its tables: it is forgotten in `on_rollback`.
 *
 * LIMITS. Names of plugins, options, questions and parameters have 1 to 64 characters of a-z, 0-9,
 * `_` and `-`. A plugin has at most 1,000 options and 1,000 questions, a handler 256 metrics. An
 * answer of on_query or merge has at most server.limits.max_answer_bytes (64 MiB). A callback
 * that runs longer than the handler's `timeout` (5 s) has its services refused from then on, and
 * its input is tried again.
 *
 * TRUST. A plugin runs inside the server's process and can do whatever the process can. A crash in
 * it is a crash of the server, which knows at its next start which input that was.
 */
#ifndef MILLRACE_ABI_H
#define MILLRACE_ABI_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MILLRACE_ABI_MAJOR 1
#define MILLRACE_ABI_MINOR 0

#if defined(__GNUC__)
#define MILLRACE_EXPORT __attribute__((visibility("default")))
#else
#define MILLRACE_EXPORT
#endif

/* Whether a struct that was received reaches as far as `member`, which came after 1.0:
 * if (MILLRACE_HAS(millrace_host_api, host, member)) ... */
#define MILLRACE_HAS(type, pointer, member) \
    ((pointer)->struct_size >= offsetof(type, member) + sizeof((pointer)->member))

/* Text (UTF-8) or bytes, not terminated. data == NULL: absent, which differs from empty. */
typedef struct millrace_str {
    const char* data;
    size_t size;
} millrace_str;

#ifndef __cplusplus
/* A literal as a millrace_str. */
#define MILLRACE_STR(literal) ((millrace_str){"" literal, sizeof(literal) - 1})
#endif

/* A time that is not there. Times are microseconds since 1970-01-01T00:00:00Z. */
#define MILLRACE_NO_TIME INT64_MIN

/* What a service answers, and a callback that returns a status. */
enum millrace_status {
    MILLRACE_OK = 0,
    /* It failed, and may go well another time; the server has logged why. */
    MILLRACE_ERROR = -1,
    /* Not allowed: here, to this handler, or on this thread. */
    MILLRACE_DENIED = -2,
    /* The callback is over its time: return. */
    MILLRACE_TIMEOUT = -3,
    /* No such field, timer or question. */
    MILLRACE_NOT_FOUND = -4,
    /* exec: a constraint of the table refused the row. on_query: a parameter is wrong. */
    MILLRACE_CONSTRAINT = -5,
    /* What was given is wrong and stays so: an event that its schema refuses, an address that is
     * none, a struct that is too short. */
    MILLRACE_INVALID = -6,
    /* field: it is there, and null, empty or a word for nothing ("none"). */
    MILLRACE_NOTHING = -7
};

/* What a callback makes of its input. 0 is no outcome: the input is dead-lettered. */
enum millrace_outcome {
    /* Done: the effects commit. */
    MILLRACE_ACK = 1,
    /* Nothing to do here (a field it needs is missing): passed over, counted as skipped. */
    MILLRACE_IGNORE = 2,
    /* Failed, may succeed later: again after a backoff, within the handler's retry budget, then
     * dead-lettered. */
    MILLRACE_RETRY = 3,
    /* Failed for good: to the dead-letter topic, with the reason that `fail` was given. */
    MILLRACE_DEAD_LETTER = 4,
    /* Of on_message alone: decided later, by `complete` with this event's token. */
    MILLRACE_PENDING = 5
};

/* What the handler keeps, and what a shard of it is. */
enum millrace_state {
    /* A fixed number of shards; an event goes to its user's. */
    MILLRACE_STATE_PER_USER = 1,
    /* A shard for each topic-partition. */
    MILLRACE_STATE_PER_PARTITION = 2,
    /* It keeps nothing: at least once; no exec, timers, publish or call. */
    MILLRACE_STATE_NONE = 3
};

enum millrace_subscription {
    /* The partitions are shared among the servers of a cluster. */
    MILLRACE_SUBSCRIPTION_GROUP = 1,
    /* Every server sees every record; needs MILLRACE_STATE_NONE; may `push`. */
    MILLRACE_SUBSCRIPTION_BROADCAST = 2
};

enum millrace_input {
    /* The envelope is read; what cannot be read never comes to the handler. */
    MILLRACE_INPUT_EVENT = 1,
    /* Only key, value and headers are there; not with MILLRACE_STATE_PER_USER. */
    MILLRACE_INPUT_RAW = 2
};

enum millrace_log_level {
    MILLRACE_LOG_DEBUG = 1,
    MILLRACE_LOG_INFO = 2,
    MILLRACE_LOG_WARN = 3,
    MILLRACE_LOG_ERROR = 4
};

enum millrace_value_type {
    MILLRACE_VALUE_NULL = 0,
    MILLRACE_VALUE_INTEGER = 1,
    MILLRACE_VALUE_REAL = 2,
    MILLRACE_VALUE_TEXT = 3,
    MILLRACE_VALUE_BLOB = 4
};

/* A parameter or a column of exec; the member that `type` names counts. */
typedef struct millrace_value {
    uint32_t type; /* millrace_value_type */
    uint32_t reserved;
    int64_t integer;
    double real;
    millrace_str text; /* TEXT and BLOB; data == NULL: NULL */
} millrace_value;

typedef struct millrace_header {
    millrace_str name;
    millrace_str value;
} millrace_header;

typedef struct millrace_parameter {
    millrace_str name;
    millrace_str value;
} millrace_parameter;

/* Says which attempt at which input a completion is for. Copy it; what is in it is the server's. */
typedef struct millrace_token {
    uint64_t opaque[2];
} millrace_token;

enum millrace_event_flag {
    MILLRACE_EVENT_ID_IS_DERIVED = 1 /* the producer sent no id: `id` is the server's */
};

/* A record and, unless the handler takes raw input, what its envelope says. */
typedef struct millrace_event {
    size_t struct_size;
    /* The record. */
    millrace_str topic;
    millrace_str key;
    millrace_str value; /* the original bytes, never a re-serialisation */
    const millrace_header* headers;
    size_t header_count;
    int64_t offset;
    int64_t record_time; /* the log's timestamp */
    int32_t partition;
    uint32_t attempt; /* of this delivery: 1 the first time */
    /* The envelope. */
    millrace_str id;        /* always there: as sent, or derived when the producer sent none */
    millrace_str type;      /* the last segment: "completed" */
    millrace_str full_type; /* as sent: "com.todo.task.completed" */
    millrace_str user_id;
    millrace_str task_id;
    int64_t time; /* the event's own, MILLRACE_NO_TIME if it has none */
    uint32_t schema_version;
    uint32_t flags; /* of millrace_event_flag; others may come: test the one you want */
    millrace_token token;
    const void* opaque; /* the server's: `field` and `push` look at it */
} millrace_event;

/* A durable timer, as `timer_set` takes it and on_timer gets it. */
typedef struct millrace_timer {
    size_t struct_size;
    millrace_str id;  /* one of the same id is replaced */
    millrace_str key; /* the lane it fires in: usually the user */
    millrace_str payload;
    int64_t due;
    uint32_t attempt; /* on_timer: 1 the first time; timer_set: not looked at */
    uint32_t reserved;
} millrace_timer;

/* An event to be published. */
typedef struct millrace_publication {
    size_t struct_size;
    millrace_str topic;
    millrace_str key;
    millrace_str event; /* a JSON object; event_id (derived, so that a repetition has the same),
                           schema_version and timestamp are set where they are missing */
} millrace_publication;

/* An HTTP request. */
typedef struct millrace_call {
    size_t struct_size;
    millrace_str id;  /* the handler's name for it; comes back with the response */
    millrace_str key; /* the lane of the response: usually the user */
    millrace_str method;
    millrace_str url;
    const millrace_header* headers;
    size_t header_count;
    millrace_str body;
    millrace_str payload; /* comes back with the response */
} millrace_call;

typedef struct millrace_response {
    size_t struct_size;
    millrace_str id; /* id, key and payload as given to `call` */
    millrace_str key;
    millrace_str payload;
    millrace_str body;
    int32_t status; /* of HTTP; 0: no answer, `body` says why */
    uint32_t tries; /* how often the request was sent */
} millrace_response;

/* What became of the records of one partition that this shard has seen, since it was made. */
typedef struct millrace_origin {
    size_t struct_size;
    millrace_str topic;
    int64_t first;      /* the lowest offset seen, -1: none yet */
    int64_t last;       /* the highest offset that has an outcome, -1: none yet */
    int64_t acked;      /* handled, effects committed */
    int64_t skipped;    /* passed over: unknown version, tombstone, ignored by the handler */
    int64_t duplicates; /* seen before under another offset */
    int64_t dead_lettered;
    int32_t partition;
    uint32_t reserved;
} millrace_origin;

/* A question from outside. */
typedef struct millrace_query {
    size_t struct_size;
    millrace_str question;
    const millrace_parameter* parameters;
    size_t parameter_count;
} millrace_query;

/* What an instance is made with. */
typedef struct millrace_setup {
    size_t struct_size;
    millrace_str handler; /* its name in the YAML: one plugin may serve several */
    millrace_str shard;   /* "0".."3", or "task-events-2" */
    millrace_str config;  /* the JSON object described at millrace_option */
} millrace_setup;

/* Tables of which version are to become which. */
typedef struct millrace_migration {
    size_t struct_size;
    uint32_t from_version; /* 0: there are none yet */
    uint32_t to_version;   /* the table's state_version */
} millrace_migration;

/* The server's side of one instance. */
typedef struct millrace_host millrace_host;
/* The plugin's side of one instance: whatever `create` made. */
typedef struct millrace_instance millrace_instance;
/* Where a text that is given back goes; see `write`. */
typedef struct millrace_out millrace_out;

/* Called for each row; nonzero: enough. */
typedef int32_t (*millrace_row_callback)(void* context, const millrace_value* columns,
                                         size_t count);

/* Called for each origin; nonzero: enough. */
typedef int32_t (*millrace_origin_callback)(void* context, const millrace_origin* origin);

/* Services of the server. The table is valid for the life of the process. */
typedef struct millrace_host_api {
    size_t struct_size;
    uint32_t abi_major;
    uint32_t abi_minor;

    /* Any thread, any time. `level`: millrace_log_level. */
    void (*log)(millrace_host* host, uint32_t level, millrace_str message);
    /* Decides an input that returned PENDING. Any thread, any time; once: a later one, one that
     * came too late, and one after the instance is gone are dropped. */
    void (*complete)(millrace_host* host, millrace_token token, millrace_str payload);

    /* The server's clock. Use it rather than the system's: tests move it. */
    int64_t (*now)(millrace_host* host);
    /* Adds to the counter millrace_plugin_<metric>_total{handler}. a-z, 0-9, `_`; not negative.
     * Stays counted when the effects are undone. */
    void (*count)(millrace_host* host, millrace_str metric, double amount);
    /* Says why the callback is about to return another outcome than ACK, or to fail. */
    void (*fail)(millrace_host* host, millrace_str reason);
    /* With RETRY: not before this many milliseconds. */
    void (*retry_after)(millrace_host* host, uint32_t milliseconds);
    /* Why the last service that this callback used failed. Valid until it uses the next. */
    millrace_str (*last_error)(millrace_host* host);
    /* Appends to a text that is given back. Needs no host: `out` says whose it is. */
    void (*write)(millrace_out* out, millrace_str text);

    /* A field of the event by the server's reading rules (schemas/envelope.yaml): `due`, `title`,
     * `recurrence`, `changes` ... Text as it is, times as 2026-02-10T08:00:00Z, objects and arrays
     * as JSON. The view is valid until the callback returns. NOTHING: the event takes it away.
     * NOT_FOUND: it does not speak of it, or cannot be read. `event`: the one that the callback was
     * given. */
    int32_t (*field)(millrace_host* host, const millrace_event* event, millrace_str name,
                     millrace_str* value);

    /* One SQL statement in the shard's own transaction, with positional parameters (?1, ?2).
     * Statements are cached by their text, so keep that the same and bind what differs. `row` may
     * be NULL, and may use services. `changed` (may be NULL) gets the number of rows changed. */
    int32_t (*exec)(millrace_host* host, millrace_str sql, const millrace_value* parameters,
                    size_t parameter_count, millrace_row_callback row, void* context,
                    int64_t* changed);
    /* Sent after the commit, confirmed by all replicas. INVALID: its schema refuses it. */
    int32_t (*publish)(millrace_host* host, const millrace_publication* publication);
    /* Sent after the commit, at least once, with an Idempotency-Key; its response comes to
     * on_response. */
    int32_t (*call)(millrace_host* host, const millrace_call* call);
    /* Fires once it is due, also after a restart. */
    int32_t (*timer_set)(millrace_host* host, const millrace_timer* timer);
    /* NOT_FOUND: there was none. */
    int32_t (*timer_cancel)(millrace_host* host, millrace_str id);
    /* Broadcast handlers: sends `data` to the WebSocket and SSE sessions of `user`, at once.
     * `event`: the one that the callback was given; its position becomes the cursor of the
     * sessions. */
    int32_t (*push)(millrace_host* host, const millrace_event* event, millrace_str user,
                    millrace_str data);
    /* The partitions whose records this shard has seen, one call of `each` a partition. */
    int32_t (*origins)(millrace_host* host, millrace_origin_callback each, void* context);
} millrace_host_api;

enum millrace_option_type {
    MILLRACE_OPTION_TEXT = 1,
    MILLRACE_OPTION_INTEGER = 2,
    MILLRACE_OPTION_NUMBER = 3,
    MILLRACE_OPTION_BOOLEAN = 4,
    MILLRACE_OPTION_DURATION = 5, /* in the YAML 250ms 10s 5m 7d; `create` gets milliseconds */
    MILLRACE_OPTION_CHOICE = 6,
    MILLRACE_OPTION_LIST = 7 /* of texts */
};

enum millrace_option_flag {
    MILLRACE_OPTION_IS_REQUIRED = 1, /* the YAML must have it */
    MILLRACE_OPTION_IS_SECRET = 2    /* its value is never shown */
};

/* One option of the handler's `config:`. The server checks the YAML against the table, by name and
 * line, fills in defaults, and hands `create` a JSON object that has every option (null where there
 * is neither value nor default). An element of a table: option_size says where the next one is. */
typedef struct millrace_option {
    const char* name;
    const char* description;   /* a sentence for people; may be NULL */
    const char* default_value; /* as it would stand in the YAML; NULL: none */
    const char* choices;       /* CHOICE: "a|b|c" */
    uint32_t type;             /* millrace_option_type */
    uint32_t flags;            /* of millrace_option_flag */
    /* Of numbers, and of durations in milliseconds; inclusive, may be infinite. minimum == maximum:
     * no limits. */
    double minimum;
    double maximum;
} millrace_option;

/* A question that on_query answers. An element of a table: question_size says where the next is. */
typedef struct millrace_question {
    const char* name;
    const char* parameters;  /* their names, "user|limit"; others, and one given twice, are refused.
                                "": it has none. NULL: any */
    const char* description; /* a sentence for people; may be NULL */
} millrace_question;

/* What is wrong with an option's value. */
typedef struct millrace_option_fault {
    size_t struct_size;
    millrace_str option;   /* its name; absent: the options do not go together */
    int64_t item;          /* of a list: which, from 0; -1: the whole value */
    millrace_str what;     /* what is wrong with it; absent: the server shows the value itself */
    millrace_str expected; /* what it should be */
} millrace_option_fault;

/* Takes the faults of a `check`, one a call. */
typedef void (*millrace_option_fault_callback)(void* context, const millrace_option_fault* fault);

/* Whose effects were undone. */
enum millrace_rollback {
    MILLRACE_ROLLBACK_INPUT = 1, /* those of the last input */
    MILLRACE_ROLLBACK_BATCH = 2  /* those of all inputs since the last commit */
};

/* What the plugin is, and its callbacks. Those marked optional may be NULL. A table that ends after
 * `stop` is one of 1.0. */
typedef struct millrace_plugin_api {
    size_t struct_size;
    uint32_t abi_major; /* MILLRACE_ABI_MAJOR and _MINOR */
    uint32_t abi_minor;
    const char* name;        /* "audit"; the YAML's `plugin:` */
    const char* version;     /* "1.2.0"; of any form */
    const char* description; /* a sentence for people; may be NULL */
    uint32_t state;          /* millrace_state */
    uint32_t subscription;   /* millrace_subscription */
    uint32_t input;          /* millrace_input */
    /* Of its own tables; 0: it has none. One above that of the shard's file calls migrate. */
    uint32_t state_version;
    const millrace_option* options;
    size_t option_count;
    size_t option_size; /* sizeof(millrace_option); not needed without options */
    const millrace_question* questions;
    size_t question_count;
    size_t question_size; /* sizeof(millrace_question); not needed without questions */

    /* Optional. Whether the values of the options are good, beyond what the table says; asked
     * before anything is started. `config` as for `create`. Belongs to no instance, any thread, no
     * services. Calls `fault` for each that is not; the server refuses the configuration with the
     * line of each. */
    void (*check)(millrace_str config, millrace_option_fault_callback fault, void* context);
    /* Needed with a state_version. Creates or upgrades the tables of one shard; the only callback
     * with DDL. 0: done. Anything else: failed, `fail` says why. Commits with the new version, or
     * not at all. */
    int32_t (*migrate)(millrace_host* host, const millrace_migration* migration);
    /* NULL: failed, `fail` says why. May read the state; has no effects. */
    millrace_instance* (*create)(millrace_host* host, const millrace_setup* setup);
    /* The last call into an instance. */
    void (*destroy)(millrace_instance* instance);

    /* Each returns a millrace_outcome. */
    uint32_t (*on_message)(millrace_instance* instance, const millrace_event* event);
    /* Optional, but needed by a handler that uses timer_set, call or PENDING. */
    uint32_t (*on_timer)(millrace_instance* instance, const millrace_timer* timer);
    uint32_t (*on_response)(millrace_instance* instance, const millrace_response* response);
    uint32_t (*on_complete)(millrace_instance* instance, const millrace_event* event,
                            millrace_str payload);
    /* Optional. Effects were undone; `scope`: millrace_rollback. Forget what was derived from them.
     * Without it an instance is made anew after a batch was undone. */
    void (*on_rollback)(millrace_instance* instance, uint32_t scope);
    /* Needed with questions. Answers one for this shard as a JSON text through `write`; exec may
     * SELECT. 0: answered. NOT_FOUND: no such question. CONSTRAINT: a parameter is wrong, `fail`
     * says which. */
    int32_t (*on_query)(millrace_instance* instance, const millrace_query* query,
                        millrace_out* out);
    /* Optional. Makes one answer of the shards' answers. Belongs to no instance, any thread, no
     * services but `write`. 0: merged. Anything else: failed, what was written says why. Without it
     * the server joins the `items` arrays. */
    int32_t (*merge)(const millrace_query* query, const millrace_str* answers, size_t answer_count,
                     millrace_out* out);
    /* Optional. No input comes any more: end threads of your own. `destroy` follows. */
    void (*stop)(millrace_instance* instance);

    /* Optional. "task-events|task-updates": where no handler of the configuration uses the plugin,
     * one of its name is started that reads these topics, with the default of each option. NULL: it
     * needs a handler in the configuration. */
    const char* topics;
} millrace_plugin_api;

/* The one exported symbol. NULL: this server is too old or too new for the plugin. */
MILLRACE_EXPORT const millrace_plugin_api* millrace_plugin(const millrace_host_api* host);

#ifdef __cplusplus
}
#endif

#endif
