/* millrace/abi.h: the boundary between Millrace and a handler plugin. C11, two standard headers, nothing else.
 *
 * A plugin is a shared object that exports ONE symbol, `millrace_plugin`. The server calls it once after loading, hands over
 * a table of services (millrace_host_api) and gets back a table of callbacks (millrace_plugin_api). Both tables only ever
 * grow at the end; each begins with its own size, so that older and newer parts understand each other. C++ authors want
 * <millrace/plugin.hpp>, which makes a handler a class of about 40 lines. This is version 0.x: the layout may still change until
 * 1.0.
 *
 * INSTANCES. The server makes one instance per shard of a handler's state (`create`). A shard is the unit of order and of state.
 *
 * THREADS. Calls into one instance never overlap, but they come from any thread of the handler's pool. Calls into different
 * instances of one plugin do overlap: guard what they share. Host services may be used from inside a callback, on the thread of
 * that callback, and nowhere else; `complete` and `log` alone may be used from any thread at any time.
 *
 * OWNERSHIP. Every pointer passed to a callback is valid until that callback returns, every pointer passed to a service until
 * the service returns. Nothing allocated on one side is ever freed on the other: text is given back through `write`.
 *
 * ERRORS. Nothing may throw or longjmp across this boundary. Services return MILLRACE_OK or a negative millrace_status.
 *
 * EFFECTS. What a callback does through exec, publish, call and timer_set commits in ONE transaction together with the input's
 * position and identity, when the callback returns MILLRACE_ACK. With any other outcome it is undone. So a handler sees
 * an input again only if nothing of it happened. What leaves the process (publish, call) leaves after the commit.
 *
 * TRUST. A plugin runs inside the server's process and can do whatever the process can.
 */
#ifndef MILLRACE_ABI_H
#define MILLRACE_ABI_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MILLRACE_ABI_MAJOR 0
#define MILLRACE_ABI_MINOR 2

#if defined(__GNUC__)
#define MILLRACE_EXPORT __attribute__((visibility("default")))
#else
#define MILLRACE_EXPORT
#endif

/* Text or bytes, not terminated. data == NULL: absent (which differs from empty). */
typedef struct millrace_str {
    const char *data;
    size_t size;
} millrace_str;

/* A time that is not there. Times are microseconds since 1970-01-01T00:00:00Z. */
#define MILLRACE_NO_TIME INT64_MIN

/* What a service answers. */
enum millrace_status {
    MILLRACE_OK = 0,
    MILLRACE_ERROR = -1,        /* it failed; the server has logged why */
    MILLRACE_DENIED = -2,       /* not allowed: a statement the server reserves, push outside a broadcast handler */
    MILLRACE_TIMEOUT = -3,      /* the callback is over its time: return */
    MILLRACE_NOT_FOUND = -4,    /* no such field, timer or question */
    MILLRACE_CONSTRAINT = -5,   /* exec: a constraint of the table refused the row */
    MILLRACE_INVALID = -6       /* what was given is wrong and stays so: an event that its schema refuses, an address that is none */
};

/* What an event says of a field. */
enum millrace_said {
    MILLRACE_SAID_ABSENT = 0,  /* it is not there, or cannot be read */
    MILLRACE_SAID_NOTHING = 1, /* it is there, and null, empty or a word for nothing ("none"): taken away */
    MILLRACE_SAID_TEXT = 2     /* `field` gives it */
};

/* What a callback makes of its input. 0 is no outcome: a handler that returns it is at fault, the record is dead-lettered. */
enum millrace_outcome {
    MILLRACE_ACK = 1,         /* done: the effects commit */
    MILLRACE_IGNORE = 2,      /* nothing to do here (a field it needs is missing): acked, counted as skipped */
    MILLRACE_RETRY = 3,       /* failed, may succeed later: again after a backoff, within the budget */
    MILLRACE_DEAD_LETTER = 4, /* failed for good: to the dead-letter topic, with the reason given to `fail` */
    MILLRACE_PENDING = 5      /* decided later, by `complete` with this event's token; make no effects before */
};

enum millrace_state {
    MILLRACE_STATE_PER_USER = 1,      /* a fixed number of shards, an event goes to its user's */
    MILLRACE_STATE_PER_PARTITION = 2, /* a shard for each topic-partition */
    MILLRACE_STATE_NONE = 3           /* no state file: at least once; no exec, timers, publish or call */
};

enum millrace_subscription {
    MILLRACE_GROUP = 1,    /* the partitions are shared among the servers of a cluster */
    MILLRACE_BROADCAST = 2 /* every server sees every record; state must be NONE; may push */
};

enum millrace_input {
    MILLRACE_EVENT = 1, /* the envelope is read; what cannot be read is dead-lettered before the handler sees it */
    MILLRACE_RAW = 2    /* nothing is read: only key, value, headers; not with per-user state */
};

enum millrace_level { MILLRACE_DEBUG = 1, MILLRACE_INFO = 2, MILLRACE_WARN = 3, MILLRACE_LOG_ERROR = 4 };

enum millrace_value_type {
    MILLRACE_NULL = 0,
    MILLRACE_INTEGER = 1,
    MILLRACE_REAL = 2,
    MILLRACE_TEXT = 3,
    MILLRACE_BLOB = 4
};

/* A parameter or a column of exec. */
typedef struct millrace_value {
    uint32_t type; /* millrace_value_type */
    int64_t integer;
    double real;
    millrace_str text; /* TEXT and BLOB */
} millrace_value;

typedef struct millrace_header {
    millrace_str name;
    millrace_str value;
} millrace_header;

/* Given back to `complete` unchanged. */
typedef struct millrace_token {
    uint64_t input;
    uint32_t attempt;
} millrace_token;

/* A record and, unless the handler takes raw input, what its envelope says. */
typedef struct millrace_event {
    size_t struct_size;
    /* The record. */
    millrace_str topic;
    int32_t partition;
    int64_t offset;
    int64_t record_time; /* the log's timestamp */
    millrace_str key;
    millrace_str value; /* the original bytes, never a re-serialisation */
    const millrace_header *headers;
    size_t header_count;
    /* The envelope. Absent texts have data == NULL. */
    millrace_str id;         /* as sent, or derived when the producer sent none: always there */
    uint32_t id_is_derived;  /* 1: the producer sent none */
    millrace_str type;       /* last segment: "completed" */
    millrace_str full_type;  /* as sent: "com.todo.task.completed" */
    uint32_t schema_version;
    millrace_str user_id;
    millrace_str task_id;
    int64_t time;            /* the event's own, MILLRACE_NO_TIME if it has none */
    /* This delivery. */
    uint32_t attempt; /* 1 the first time */
    millrace_token token;
    const void *opaque; /* for `field` */
} millrace_event;

typedef struct millrace_timer {
    size_t struct_size;
    millrace_str id;
    millrace_str key;
    millrace_str payload;
    int64_t due;
    uint32_t attempt;
} millrace_timer;

typedef struct millrace_response {
    size_t struct_size;
    millrace_str id;      /* as given to `call` */
    millrace_str key;
    millrace_str payload; /* as given to `call` */
    int32_t status;       /* HTTP status; 0: no answer, `body` says why */
    millrace_str body;
    uint32_t tries;       /* how often the request was sent */
} millrace_response;

typedef struct millrace_call {
    size_t struct_size;
    millrace_str id;
    millrace_str key; /* the lane of the response: usually the user */
    millrace_str method;
    millrace_str url;
    const millrace_header *headers;
    size_t header_count;
    millrace_str body;
    millrace_str payload; /* comes back with the response */
} millrace_call;

typedef struct millrace_param {
    millrace_str name;
    millrace_str value;
} millrace_param;

/* The server's side of one instance. */
typedef struct millrace_host millrace_host;
/* The plugin's side of one instance. */
typedef struct millrace_instance millrace_instance;
/* Where a text that is given back goes; see `write`. */
typedef struct millrace_out millrace_out;

/* What became of the records of one partition that this shard has seen, since the shard was made. */
typedef struct millrace_origin {
    size_t struct_size;
    millrace_str topic;
    int32_t partition;
    int64_t first;         /* the lowest offset seen, -1: none yet */
    int64_t last;          /* the highest offset that has an outcome, -1: none yet */
    int64_t acked;         /* handled, effects committed */
    int64_t skipped;       /* logged and passed over: unknown version, tombstone, ignored by the handler */
    int64_t duplicates;    /* seen before under another offset */
    int64_t dead_lettered;
} millrace_origin;

/* Called for each origin; nonzero: enough. */
typedef int (*millrace_origin_callback)(void *context, const millrace_origin *origin);

/* Called for each row; nonzero: enough. */
typedef int (*millrace_row_callback)(void *context, const millrace_value *columns, size_t count);

/* Services of the server. */
typedef struct millrace_host_api {
    size_t struct_size;
    uint32_t abi_major;
    uint32_t abi_minor;

    /* Any thread, any time. */
    void (*log)(millrace_host *host, uint32_t level, millrace_str message);
    /* The server's clock: microseconds since the epoch. Use it rather than the system's: tests move it. */
    int64_t (*now)(millrace_host *host);
    /* Adds to the counter millrace_plugin_<metric>_total{handler}. Lower case, digits, underscores. */
    void (*count)(millrace_host *host, millrace_str metric, double amount);
    /* Appends to a text that is given back. */
    void (*write)(millrace_out *out, millrace_str text);

    /* A field of the event by the server's reading rules (schemas/envelope.yaml): `due`, `recurrence`, `title`, `changes` ...
     * Text as it is, times as 2026-02-10T08:00:00Z, objects and arrays as JSON. The view is valid until the callback returns.
     * NOT_FOUND: absent or null. */
    int (*field)(millrace_host *host, const millrace_event *event, millrace_str name, millrace_str *value);

    /* SQL in the shard's own transaction, positional parameters (?1, ?2). Statements are cached by their text. Transactions,
     * ATTACH, PRAGMA, tables whose names begin with `_`, and DDL outside `migrate` are denied. `changed` (may be NULL) gets the
     * number of rows changed. */
    int (*exec)(millrace_host *host, millrace_str sql, const millrace_value *parameters, size_t parameter_count,
                millrace_row_callback row, void *context, int64_t *changed);
    /* The message of the last failed service call of this instance. */
    millrace_str (*last_error)(millrace_host *host);

    /* Publishes a JSON object as an event: event_id (derived, so that a replay sends the same), schema_version and timestamp are set
     * where they are missing. Sent after the commit, confirmed by all replicas. */
    int (*publish)(millrace_host *host, millrace_str topic, millrace_str key, millrace_str event);
    /* An HTTP request, sent after the commit, at least once, with an Idempotency-Key; its response comes to on_response. */
    int (*call)(millrace_host *host, const millrace_call *call);
    /* A durable timer; one of the same id is replaced. Fires in the lane of `key`, also after a restart. */
    int (*timer_set)(millrace_host *host, millrace_str id, millrace_str key, int64_t due, millrace_str payload);
    int (*timer_cancel)(millrace_host *host, millrace_str id);

    /* Broadcast handlers: sends this event to the WebSocket and SSE sessions of `user`. */
    int (*push)(millrace_host *host, const millrace_event *event, millrace_str user, millrace_str data);

    /* Decides an input that returned PENDING. Any thread, any time, also after the instance is gone (then it is dropped). The server
     * calls on_complete with the payload. */
    void (*complete)(millrace_host *host, millrace_token token, millrace_str payload);
    /* Says why the callback is about to return RETRY or DEAD_LETTER, or why create or migrate fails. */
    void (*fail)(millrace_host *host, millrace_str reason);
    /* With RETRY: not before this many milliseconds. */
    void (*retry_after)(millrace_host *host, uint32_t milliseconds);

    /* In on_query: the partitions whose records this shard has seen, one call of `each` a partition. */
    int (*origins)(millrace_host *host, millrace_origin_callback each, void *context);

    /* Since 0.2. */

    /* Tells a field that is there and says nothing from one that is not there: `said` gets a millrace_said. */
    int (*field_said)(millrace_host *host, const millrace_event *event, millrace_str name, uint32_t *said);
} millrace_host_api;

enum millrace_option_type {
    MILLRACE_OPTION_TEXT = 1,
    MILLRACE_OPTION_INTEGER = 2,
    MILLRACE_OPTION_NUMBER = 3,
    MILLRACE_OPTION_BOOLEAN = 4,
    MILLRACE_OPTION_DURATION = 5, /* in the YAML 250ms 10s 5m 7d; the plugin receives milliseconds */
    MILLRACE_OPTION_CHOICE = 6,
    MILLRACE_OPTION_LIST = 7 /* of texts */
};

/* One option of the handler's `config:`. The server checks the YAML against the table, by name and line, fills in defaults, and hands
 * `create` a JSON object that has every option (null where there is neither value nor default). */
typedef struct millrace_option {
    const char *name;
    uint32_t type;             /* millrace_option_type */
    const char *default_value; /* as it would stand in the YAML; NULL: none */
    uint32_t required;
    double minimum;            /* of numbers and durations (ms); minimum == maximum: no limits */
    double maximum;
    const char *choices;       /* CHOICE: "a|b|c" */
    const char *description;
} millrace_option;

/* What is wrong with an option's value. */
typedef struct millrace_option_fault {
    size_t struct_size;
    millrace_str option;   /* its name; absent: the options do not go together */
    int64_t item;          /* of a list: which, from 0; -1: the whole value */
    millrace_str what;     /* what is wrong with it; absent: the server shows the value itself */
    millrace_str expected; /* what it should be */
} millrace_option_fault;

/* Takes the faults of a `check`, one a call. */
typedef void (*millrace_option_fault_callback)(void *context, const millrace_option_fault *fault);

enum millrace_rollback { MILLRACE_ROLLBACK_INPUT = 1, MILLRACE_ROLLBACK_BATCH = 2 };

/* Callbacks of the plugin. Those marked optional may be NULL. */
typedef struct millrace_plugin_api {
    size_t struct_size;
    uint32_t abi_major;
    uint32_t abi_minor;
    const char *name;        /* "audit"; the YAML's `plugin:` */
    const char *version;     /* "1.2.0" */
    const char *description; /* one sentence */
    uint32_t state;          /* millrace_state */
    uint32_t subscription;   /* millrace_subscription */
    uint32_t input;          /* millrace_input */
    uint32_t state_version;  /* of the plugin's own tables; a higher one than the file's calls migrate */
    const millrace_option *options; /* may be NULL */
    size_t option_count;
    const char *const *questions; /* the names on_query answers; may be NULL */
    size_t question_count;

    /* Optional. Creates or upgrades the tables; each needs a PRIMARY KEY. 0: done. Commits with the new version, or not at all. */
    int (*migrate)(millrace_host *host, uint32_t from_version);
    /* `config` is the JSON object described at millrace_option. NULL: failed (`fail` says why). */
    millrace_instance *(*create)(millrace_host *host, millrace_str config, millrace_str shard);
    void (*destroy)(millrace_instance *instance);

    uint32_t (*on_message)(millrace_instance *instance, const millrace_event *event);
    /* Optional, but needed by a handler that uses timer_set, call or PENDING. */
    uint32_t (*on_timer)(millrace_instance *instance, const millrace_timer *timer);
    uint32_t (*on_response)(millrace_instance *instance, const millrace_response *response);
    uint32_t (*on_complete)(millrace_instance *instance, const millrace_event *event, millrace_str payload);
    /* Optional. The effects of the last input, or of the whole batch, were undone. Without it an instance is made anew after a
     * batch rollback. */
    void (*on_rollback)(millrace_instance *instance, uint32_t scope);
    /* Optional. Answers a question for this shard as a JSON text through host->write; exec may SELECT. 0: answered. NOT_FOUND:
     * no such question. CONSTRAINT: a parameter is wrong, `fail` says which. */
    int (*on_query)(millrace_instance *instance, millrace_str question, const millrace_param *parameters,
                    size_t parameter_count, millrace_out *out);
    /* Optional. Makes one answer of the shards' answers. Belongs to no instance, any thread, no services but `write`. 0: merged. Anything
     * else: failed, what was written says why. Without it the server joins the `items` arrays. */
    int (*merge)(millrace_str question, const millrace_param *parameters, size_t parameter_count,
                 const millrace_str *answers, size_t answer_count, millrace_out *out);
    /* Optional. No input comes any more; stop own threads. */
    void (*stop)(millrace_instance *instance);

    /* Since 0.2. A table that ends above is taken as if it had NULL here. */

    /* Optional. Whether the values of the options are good, beyond what the table says; asked before anything is started. `config` as
     * for `create`. Belongs to no instance, any thread, no services. Calls `fault` for each that is not; the server refuses the
     * configuration with the line of each. */
    void (*check)(millrace_str config, millrace_option_fault_callback fault, void *context);
    /* Optional. For each of `questions` the names of its parameters, "user|limit"; the server refuses others, and one given twice. "": it
     * has none. NULL: any. */
    const char *const *question_parameters;
} millrace_plugin_api;

/* The one exported symbol. `host` lives as long as the process. NULL: this server is too old or too new for the plugin. */
MILLRACE_EXPORT const millrace_plugin_api *millrace_plugin(const millrace_host_api *host);

#ifdef __cplusplus
}
#endif

#endif
