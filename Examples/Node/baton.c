// libbaton for Node, as an addon over Node-API: what a worker needs of baton.h, and `watch`, which tells when a descriptor is ready.
//
//     cc -shared -fPIC -o baton.node baton.c -I/usr/include/node $(pkg-config --cflags --libs baton)
//
// Every function throws what a baton_error says, with `code` as the error's code.
#define NAPI_VERSION 8
#include <baton.h>
#include <errno.h>
#include <fcntl.h>
#include <node_api.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

enum { MOST_ARGUMENTS = 4 };

// ---- Values ----------------------------------------------------------------------------------------------------------------------

static napi_value throw_text(napi_env env, const char *text) {
    napi_throw_type_error(env, "BATON_ERROR_ARGUMENT", text);
    return NULL;
}

static napi_value throw_error(napi_env env, const baton_error *error) {
    char code[16];
    snprintf(code, sizeof code, "%d", error->code);
    napi_throw_error(env, code, error->message);
    return NULL;
}

static napi_value number(napi_env env, double value) {
    napi_value result = NULL;
    napi_create_double(env, value, &result);
    return result;
}

static napi_value boolean(napi_env env, int value) {
    napi_value result = NULL;
    napi_get_boolean(env, value != 0, &result);
    return result;
}

static napi_value null(napi_env env) {
    napi_value result = NULL;
    napi_get_null(env, &result);
    return result;
}

static napi_value buffer(napi_env env, const void *bytes, size_t count) {
    napi_value result = NULL;
    napi_create_buffer_copy(env, count, count ? bytes : "", NULL, &result);
    return result;
}

static void set(napi_env env, napi_value object, const char *name, napi_value value) {
    napi_set_named_property(env, object, name, value);
}

// The arguments of a call; missing ones are `undefined`.
static void arguments_of(napi_env env, napi_callback_info info, napi_value *arguments) {
    size_t count = MOST_ARGUMENTS;
    napi_get_cb_info(env, info, &count, arguments, NULL, NULL);
}

// Text, at most `capacity` - 1 bytes; 0 and an exception if it is none.
static int text_of(napi_env env, napi_value value, char *text, size_t capacity) {
    size_t length = 0;
    if (napi_get_value_string_utf8(env, value, NULL, 0, &length) == napi_ok && length < capacity) {
        return napi_get_value_string_utf8(env, value, text, capacity, &length) == napi_ok;
    }
    throw_text(env, "a path of at most 107 bytes is wanted");
    return 0;
}

static int bytes_of(napi_env env, napi_value value, void **bytes, size_t *count) {
    bool is_buffer = false;
    if (napi_is_buffer(env, value, &is_buffer) == napi_ok && is_buffer) {
        return napi_get_buffer_info(env, value, bytes, count) == napi_ok;
    }
    throw_text(env, "a Buffer is wanted");
    return 0;
}

// ---- Objects ---------------------------------------------------------------------------------------------------------------------
// Each kind of object has a tag, so that no other object can be taken for it.

typedef struct connection {
    baton_connection *connection;
    int socket;
} connection;

typedef struct watcher {
    uv_poll_t poll;
    napi_env env;
    napi_ref callback;
} watcher;

static const napi_type_tag connection_tag = {0x6261746f6e2d636fULL, 0x6e6e656374696f6eULL};
static const napi_type_tag inbox_tag = {0x6261746f6e2d696eULL, 0x626f780000000000ULL};
static const napi_type_tag watcher_tag = {0x6261746f6e2d7761ULL, 0x7463686572000000ULL};

static napi_value wrap(napi_env env, void *pointer, const napi_type_tag *tag) {
    napi_value result = NULL;
    if (napi_create_object(env, &result) != napi_ok || napi_type_tag_object(env, result, tag) != napi_ok ||
        napi_wrap(env, result, pointer, NULL, NULL, NULL) != napi_ok) {
        return NULL;
    }
    return result;
}

static void *unwrap(napi_env env, napi_value value, const napi_type_tag *tag, const char *what) {
    bool fits = false;
    void *pointer = NULL;
    if (napi_check_object_type_tag(env, value, tag, &fits) == napi_ok && fits &&
        napi_unwrap(env, value, &pointer) == napi_ok && pointer) {
        return pointer;
    }
    throw_text(env, what);
    return NULL;
}

static connection *connection_of(napi_env env, napi_value value) {
    return unwrap(env, value, &connection_tag, "a connection is wanted that has not been freed");
}

static baton_inbox *inbox_of(napi_env env, napi_value value) {
    return unwrap(env, value, &inbox_tag, "an inbox is wanted that has not been freed");
}

static watcher *watcher_of(napi_env env, napi_value value) {
    return unwrap(env, value, &watcher_tag, "a watcher is wanted that has not been stopped");
}

// ---- Connections -----------------------------------------------------------------------------------------------------------------

// fill(connection): reads the socket once; whether it had something.
static napi_value fill(napi_env env, napi_callback_info info) {
    napi_value arguments[MOST_ARGUMENTS];
    arguments_of(env, info, arguments);
    connection *held = connection_of(env, arguments[0]);
    baton_error error;
    if (!held) return NULL;
    int code = baton_fill(held->connection, held->socket, &error);
    return code < 0 ? throw_error(env, &error) : boolean(env, code == BATON_OK);
}

// flush(connection): writes what is outgoing; whether all of it is written.
static napi_value flush(napi_env env, napi_callback_info info) {
    napi_value arguments[MOST_ARGUMENTS];
    arguments_of(env, info, arguments);
    connection *held = connection_of(env, arguments[0]);
    baton_error error;
    if (!held) return NULL;
    int code = baton_flush(held->connection, held->socket, &error);
    return code < 0 ? throw_error(env, &error) : boolean(env, code == BATON_OK);
}

// read(connection): plaintext; null: there is none yet; an empty Buffer: the peer has ended its side in order.
static napi_value read_plaintext(napi_env env, napi_callback_info info) {
    napi_value arguments[MOST_ARGUMENTS];
    arguments_of(env, info, arguments);
    connection *held = connection_of(env, arguments[0]);
    char bytes[16384];
    size_t count = 0;
    baton_error error;
    if (!held) return NULL;
    int code = baton_read(held->connection, bytes, sizeof bytes, &count, &error);
    if (code < 0) return throw_error(env, &error);
    return code == BATON_WAIT ? null(env) : buffer(env, bytes, code == BATON_OK ? count : 0);
}

// write(connection, buffer)
static napi_value write_plaintext(napi_env env, napi_callback_info info) {
    napi_value arguments[MOST_ARGUMENTS];
    arguments_of(env, info, arguments);
    connection *held = connection_of(env, arguments[0]);
    void *bytes;
    size_t count;
    baton_error error;
    if (!held || !bytes_of(env, arguments[1], &bytes, &count)) return NULL;
    if (baton_write(held->connection, bytes, count, &error) != BATON_OK) return throw_error(env, &error);
    return NULL;
}

static napi_value change(napi_env env, napi_callback_info info, int (*body)(baton_connection *, baton_error *)) {
    napi_value arguments[MOST_ARGUMENTS];
    arguments_of(env, info, arguments);
    connection *held = connection_of(env, arguments[0]);
    baton_error error;
    if (held && body(held->connection, &error) != BATON_OK) throw_error(env, &error);
    return NULL;
}

// close(connection): ends this side; flush what is outgoing then.
static napi_value close_output(napi_env env, napi_callback_info info) { return change(env, info, baton_close); }
static napi_value suspend(napi_env env, napi_callback_info info) { return change(env, info, baton_suspend); }
static napi_value resume(napi_env env, napi_callback_info info) { return change(env, info, baton_resume); }

// outgoingCount(connection): whenever it is not 0 there is something to write.
static napi_value outgoing_count(napi_env env, napi_callback_info info) {
    napi_value arguments[MOST_ARGUMENTS];
    arguments_of(env, info, arguments);
    connection *held = connection_of(env, arguments[0]);
    return held ? number(env, (double)baton_outgoing_count(held->connection)) : NULL;
}

// finish(connection): sends a FIN behind what was flushed.
static napi_value finish(napi_env env, napi_callback_info info) {
    napi_value arguments[MOST_ARGUMENTS];
    arguments_of(env, info, arguments);
    connection *held = connection_of(env, arguments[0]);
    if (held) shutdown(held->socket, SHUT_WR);
    return NULL;
}

// discard(connection): throws away what the peer sends; whether it may send more.
static napi_value discard(napi_env env, napi_callback_info info) {
    napi_value arguments[MOST_ARGUMENTS];
    char bytes[65536];
    arguments_of(env, info, arguments);
    connection *held = connection_of(env, arguments[0]);
    if (!held) return NULL;
    ssize_t count = recv(held->socket, bytes, sizeof bytes, MSG_DONTWAIT);
    return boolean(env, count > 0 || (count < 0 && (errno == EAGAIN || errno == EINTR)));
}

// descriptor(connection or inbox)
static napi_value descriptor(napi_env env, napi_callback_info info) {
    napi_value arguments[MOST_ARGUMENTS];
    bool is_inbox = false;
    arguments_of(env, info, arguments);
    if (napi_check_object_type_tag(env, arguments[0], &inbox_tag, &is_inbox) == napi_ok && is_inbox) {
        baton_inbox *inbox = inbox_of(env, arguments[0]);
        return inbox ? number(env, baton_inbox_descriptor(inbox)) : NULL;
    }
    connection *held = connection_of(env, arguments[0]);
    return held ? number(env, held->socket) : NULL;
}

// free(connection or inbox): lets go of it. The peer is told nothing but the end of the socket, if this process has it alone.
static napi_value let_go(napi_env env, napi_callback_info info) {
    napi_value arguments[MOST_ARGUMENTS];
    bool is_inbox = false;
    arguments_of(env, info, arguments);
    if (napi_check_object_type_tag(env, arguments[0], &inbox_tag, &is_inbox) == napi_ok && is_inbox) {
        baton_inbox *inbox = inbox_of(env, arguments[0]);
        if (inbox && napi_remove_wrap(env, arguments[0], NULL) == napi_ok) baton_inbox_free(inbox);
        return NULL;
    }
    connection *held = connection_of(env, arguments[0]);
    if (held && napi_remove_wrap(env, arguments[0], NULL) == napi_ok) {
        baton_connection_free(held->connection);
        close(held->socket);
        free(held);
    }
    return NULL;
}

// ---- From process to process -----------------------------------------------------------------------------------------------------

// listen(path): an inbox.
static napi_value listen_at(napi_env env, napi_callback_info info) {
    napi_value arguments[MOST_ARGUMENTS];
    char path[108];
    baton_error error;
    arguments_of(env, info, arguments);
    if (!text_of(env, arguments[0], path, sizeof path)) return NULL;
    baton_inbox *inbox = baton_inbox_listen(path, &error);
    return inbox ? wrap(env, inbox, &inbox_tag) : throw_error(env, &error);
}

// take(inbox): {connection, state}; null: there is none; undefined: nothing more comes.
static napi_value take(napi_env env, napi_callback_info info) {
    napi_value arguments[MOST_ARGUMENTS];
    baton_arrival arrival;
    baton_error error;
    arguments_of(env, info, arguments);
    baton_inbox *inbox = inbox_of(env, arguments[0]);
    if (!inbox) return NULL;
    int code = baton_inbox_take(inbox, &arrival, &error);
    if (code < 0) return throw_error(env, &error);
    if (code == BATON_WAIT) return null(env);
    if (code == BATON_END) return NULL;
    napi_value result = NULL;
    connection *made = malloc(sizeof *made);
    if (!made) abort();
    *made = (connection){.connection = arrival.connection, .socket = arrival.socket};
    fcntl(arrival.socket, F_SETFL, fcntl(arrival.socket, F_GETFL) | O_NONBLOCK);
    napi_create_object(env, &result);
    set(env, result, "connection", wrap(env, made, &connection_tag));
    set(env, result, "state", buffer(env, arrival.state, arrival.state_count));
    baton_arrival_clear(&arrival);
    return result;
}

// stop(inbox): takes no more; go on with take until that is undefined.
static napi_value stop(napi_env env, napi_callback_info info) {
    napi_value arguments[MOST_ARGUMENTS];
    baton_error error;
    arguments_of(env, info, arguments);
    baton_inbox *inbox = inbox_of(env, arguments[0]);
    if (inbox && baton_inbox_stop(inbox, &error) != BATON_OK) throw_error(env, &error);
    return NULL;
}

// One item of an offer, [connection, state]; 0 and an exception if it is none.
static int item_of(napi_env env, napi_value array, uint32_t index, baton_item *item) {
    napi_value pair, parts[2];
    void *state;
    bool is_array = false;
    if (napi_get_element(env, array, index, &pair) != napi_ok || napi_is_array(env, pair, &is_array) != napi_ok ||
        !is_array || napi_get_element(env, pair, 0, &parts[0]) != napi_ok ||
        napi_get_element(env, pair, 1, &parts[1]) != napi_ok) {
        throw_text(env, "an item of an offer is an array of a connection and its state");
        return 0;
    }
    connection *held = connection_of(env, parts[0]);
    if (!held || !bytes_of(env, parts[1], &state, &item->state_count)) return 0;
    item->connection = held->connection;
    item->socket = held->socket;
    item->state = state;
    return 1;
}

// offer(path, items, timeout in milliseconds): hands suspended connections to the process that listens there, and waits for it.
// {fates, reason, wasAsked}: the fate of each, why not all have been handed over, and whether there was anybody to ask.
static napi_value offer(napi_env env, napi_callback_info info) {
    napi_value arguments[MOST_ARGUMENTS];
    char path[108];
    uint32_t count = 0;
    double timeout = 0;
    baton_error error = {0};
    arguments_of(env, info, arguments);
    if (!text_of(env, arguments[0], path, sizeof path)) return NULL;
    if (napi_get_array_length(env, arguments[1], &count) != napi_ok || count > BATON_MOST_ITEMS ||
        napi_get_value_double(env, arguments[2], &timeout) != napi_ok || !(timeout >= 0 && timeout < 1e9)) {
        return throw_text(env, "an array of at most 16384 items and a number of milliseconds are wanted");
    }
    baton_item *items = calloc(count + 1, sizeof *items);
    if (!items) abort();
    for (uint32_t index = 0; index < count; index++) {
        if (!item_of(env, arguments[1], index, &items[index])) {
            free(items);
            return NULL;
        }
    }
    baton_sender *sender = count ? baton_sender_connect(path, (uint64_t)timeout, &error) : NULL;
    if (sender) baton_offer(sender, items, count, (uint64_t)timeout, &error);
    int was_asked = sender != NULL;
    baton_sender_free(sender);
    napi_value result = NULL, fates = NULL, reason = null(env);
    napi_create_object(env, &result);
    napi_create_array(env, &fates);
    for (uint32_t index = 0; index < count; index++) {
        // What has met no fate is the caller's still.
        int fate = items[index].fate == BATON_FATE_NONE ? BATON_FATE_RETURNED : items[index].fate;
        napi_set_element(env, fates, index, number(env, fate));
    }
    if (error.code != BATON_OK) napi_create_string_utf8(env, error.message, NAPI_AUTO_LENGTH, &reason);
    set(env, result, "fates", fates);
    set(env, result, "reason", reason);
    set(env, result, "wasAsked", boolean(env, was_asked));
    free(items);
    return result;
}

// ---- Events ----------------------------------------------------------------------------------------------------------------------

static void became_ready(uv_poll_t *poll, int status, int events) {
    watcher *watching = poll->data;
    napi_handle_scope scope;
    (void)events;
    (void)status;
    napi_open_handle_scope(watching->env, &scope);
    napi_value callback, global;
    if (napi_get_reference_value(watching->env, watching->callback, &callback) == napi_ok && callback &&
        napi_get_global(watching->env, &global) == napi_ok) {
        // What is wrong with the descriptor shows when it is used.
        napi_status called = napi_make_callback(watching->env, NULL, global, callback, 0, NULL, NULL);
        napi_value thrown;
        if (called == napi_pending_exception &&
            napi_get_and_clear_last_exception(watching->env, &thrown) == napi_ok) {
            napi_fatal_exception(watching->env, thrown);
        }
    }
    napi_close_handle_scope(watching->env, scope);
}

static int start_poll(watcher *watching, uint32_t events) {
    return uv_poll_start(&watching->poll, (int)(events & (UV_READABLE | UV_WRITABLE)), became_ready);
}

// watch(descriptor, events, callback): 1 readable, 2 writable, 3 both.
static napi_value watch(napi_env env, napi_callback_info info) {
    napi_value arguments[MOST_ARGUMENTS];
    int32_t descriptor;
    uint32_t events;
    napi_valuetype type;
    uv_loop_t *loop;
    arguments_of(env, info, arguments);
    if (napi_get_value_int32(env, arguments[0], &descriptor) != napi_ok ||
        napi_get_value_uint32(env, arguments[1], &events) != napi_ok ||
        napi_typeof(env, arguments[2], &type) != napi_ok || type != napi_function ||
        napi_get_uv_event_loop(env, &loop) != napi_ok) {
        return throw_text(env, "a descriptor, events and a function are wanted");
    }
    watcher *made = calloc(1, sizeof *made);
    if (!made) abort();
    made->env = env;
    if (uv_poll_init(loop, &made->poll, descriptor) != 0) {
        free(made);
        return throw_text(env, "the descriptor cannot be watched");
    }
    made->poll.data = made;
    napi_create_reference(env, arguments[2], 1, &made->callback);
    start_poll(made, events);
    return wrap(env, made, &watcher_tag);
}

// rewatch(watcher, events)
static napi_value rewatch(napi_env env, napi_callback_info info) {
    napi_value arguments[MOST_ARGUMENTS];
    uint32_t events;
    arguments_of(env, info, arguments);
    watcher *watching = watcher_of(env, arguments[0]);
    if (!watching) return NULL;
    if (napi_get_value_uint32(env, arguments[1], &events) != napi_ok) return throw_text(env, "events are wanted");
    start_poll(watching, events);
    return NULL;
}

static void free_watcher(uv_handle_t *handle) { free(handle->data); }

// unwatch(watcher): to be called before the descriptor is closed.
static napi_value unwatch(napi_env env, napi_callback_info info) {
    napi_value arguments[MOST_ARGUMENTS];
    arguments_of(env, info, arguments);
    watcher *watching = watcher_of(env, arguments[0]);
    if (!watching || napi_remove_wrap(env, arguments[0], NULL) != napi_ok) return NULL;
    napi_delete_reference(env, watching->callback);
    uv_close((uv_handle_t *)&watching->poll, free_watcher);
    return NULL;
}

NAPI_MODULE_INIT() {
    const struct { const char *name; napi_callback body; } functions[] = {
        {"fill", fill}, {"flush", flush}, {"read", read_plaintext}, {"write", write_plaintext}, {"close", close_output},
        {"finish", finish}, {"discard", discard}, {"suspend", suspend}, {"resume", resume},
        {"outgoingCount", outgoing_count}, {"descriptor", descriptor}, {"free", let_go},
        {"listen", listen_at}, {"take", take}, {"stop", stop}, {"offer", offer}, {"watch", watch}, {"rewatch", rewatch},
        {"unwatch", unwatch},
    };
    for (size_t index = 0; index < sizeof functions / sizeof *functions; index++) {
        napi_value function;
        if (napi_create_function(env, functions[index].name, NAPI_AUTO_LENGTH, functions[index].body, NULL, &function) !=
            napi_ok) {
            return NULL;
        }
        set(env, exports, functions[index].name, function);
    }
    return exports;
}
