// A filter BIO beneath an SSL shows every byte that passes to an observation, and the context's key log its lines.
#include <openssl/bio.h>
#include <pthread.h>
#include <stdatomic.h>

#include "include/baton_observation.h"

// Controls that no public header of OpenSSL names: records that the kernel seals would pass unseen.
enum { SET_KERNEL_TLS = 72, GET_KERNEL_TLS_SEND = 73, GET_KERNEL_TLS_RECEIVE = 76, SET_KERNEL_TLS_ZEROCOPY = 90 };

// One SSL. It is held by the SSL and by each filter, because a filter may outlive its SSL.
typedef struct observed {
    void *observation;
    int is_sealed_off;
    int is_lost;      // a filter was freed: what passes since then is not seen
    int has_refused;  // the transport did not take what was written last
    atomic_int holders;
} observed;

// What one filter shows. Where the transport is two memory BIOs, their owner reads the one that the library writes, and writes the
// other, by way of SSL_get_wbio and SSL_get_rbio: that passes the filters, too, and is none of the observer's business.
typedef struct view {
    observed *state;
    int shows_sent;
    int shows_received;
    uint64_t written;  // bytes that the transport had taken when this began, and those that have passed since
} view;

typedef void (*key_log)(const SSL *, const char *);

static pthread_once_t once = PTHREAD_ONCE_INIT;
static BIO_METHOD *method;
static int filter_type;
static int ssl_index = -1;
static int prepared_index = -1;
static int former_index = -1;

static void end_observation(observed *state) {
    if (state->observation) baton_observation_free(state->observation);
    state->observation = NULL;
}

static void let_go(observed *state) {
    if (atomic_fetch_sub(&state->holders, 1) == 1) OPENSSL_free(state);
}

// Whether nothing passes any more. The library then hears that the transport has nothing, and takes nothing.
static int is_sealed_off(BIO *bio, const view *seen, int direction) {
    if (!seen->state->is_sealed_off) return 0;
    BIO_clear_retry_flags(bio);
    BIO_set_flags(bio, direction | BIO_FLAGS_SHOULD_RETRY);
    return 1;
}

// These return what the transport returns: in the form of BIO_write_ex and BIO_read_ex, a retry would look like an end.
static int filter_write(BIO *bio, const char *bytes, int count) {
    BIO *next = BIO_next(bio);
    view *seen = BIO_get_data(bio);
    if (!next || !seen) return 0;
    if (seen->shows_sent && is_sealed_off(bio, seen, BIO_FLAGS_WRITE)) return -1;
    int taken = BIO_write(next, bytes, count);
    BIO_clear_retry_flags(bio);
    BIO_copy_next_retry(bio);
    if (taken > 0) seen->written += (uint64_t)taken;
    if (seen->shows_sent) seen->state->has_refused = taken <= 0;
    if (taken > 0 && seen->shows_sent && seen->state->observation) {
        baton_observation_sent(seen->state->observation, bytes, (size_t)taken);
    }
    return taken;
}

static int filter_read(BIO *bio, char *bytes, int count) {
    BIO *next = BIO_next(bio);
    const view *seen = BIO_get_data(bio);
    if (!next || !seen) return 0;
    if (seen->shows_received && is_sealed_off(bio, seen, BIO_FLAGS_READ)) return -1;
    int read = BIO_read(next, bytes, count);
    BIO_clear_retry_flags(bio);
    BIO_copy_next_retry(bio);
    if (read > 0 && seen->shows_received && seen->state->observation) {
        baton_observation_received(seen->state->observation, bytes, (size_t)read);
    }
    return read;
}

static long filter_control(BIO *bio, int command, long number, void *pointer) {
    BIO *next = BIO_next(bio);
    if (!next) return 0;
    switch (command) {
        case BIO_CTRL_DUP:  // SSL_dup's copy has no transport yet
            return 1;
        case BIO_CTRL_PUSH:  // of the filter's place, and none of the transport's business
        case BIO_CTRL_POP:
            return 1;
        case SET_KERNEL_TLS:
        case GET_KERNEL_TLS_SEND:
        case GET_KERNEL_TLS_RECEIVE:
        case SET_KERNEL_TLS_ZEROCOPY:
            return 0;
    }
    if (command != BIO_C_DO_STATE_MACHINE) return BIO_ctrl(next, command, number, pointer);
    BIO_clear_retry_flags(bio);
    long result = BIO_ctrl(next, command, number, pointer);
    BIO_copy_next_retry(bio);
    return result;
}

static int filter_create(BIO *bio) {
    BIO_set_init(bio, 1);
    return 1;
}

static int filter_destroy(BIO *bio) {
    view *seen = BIO_get_data(bio);
    BIO_set_data(bio, NULL);
    // The transport may live on.
    BIO_pop(bio);
    if (!seen) return 1;
    seen->state->is_lost = 1;
    let_go(seen->state);
    OPENSSL_free(seen);
    return 1;
}

static void free_observed(void *parent, void *pointer, CRYPTO_EX_DATA *data, int index, long argl, void *argp) {
    (void)parent, (void)data, (void)index, (void)argl, (void)argp;
    observed *state = pointer;
    if (!state) return;
    end_observation(state);
    let_go(state);
}

// What SSL_dup makes is not observed.
static int forget_observed(CRYPTO_EX_DATA *to, const CRYPTO_EX_DATA *from, void **pointer, int index, long argl, void *argp) {
    (void)to, (void)from, (void)index, (void)argl, (void)argp;
    *pointer = NULL;
    return 1;
}

static void set_up(void) {
    int type = BIO_get_new_index();
    if (type < 0) return;
    filter_type = type | BIO_TYPE_FILTER;
    BIO_METHOD *made = BIO_meth_new(filter_type, "baton observer");
    if (!made) return;
    ssl_index = SSL_get_ex_new_index(0, NULL, NULL, forget_observed, free_observed);
    prepared_index = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, NULL);
    former_index = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, NULL);
    if (ssl_index < 0 || prepared_index < 0 || former_index < 0 || BIO_meth_set_write(made, filter_write) != 1 ||
        BIO_meth_set_read(made, filter_read) != 1 || BIO_meth_set_ctrl(made, filter_control) != 1 ||
        BIO_meth_set_create(made, filter_create) != 1 || BIO_meth_set_destroy(made, filter_destroy) != 1) {
        BIO_meth_free(made);
        return;
    }
    method = made;
}

static observed *state_of(const SSL *ssl) { return method ? SSL_get_ex_data(ssl, ssl_index) : NULL; }

static void logged(const SSL *ssl, const char *line) {
    observed *state = state_of(ssl);
    if (state && state->observation) baton_observation_logged(state->observation, line);
    key_log former = (key_log)SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), former_index);
    if (former) former(ssl, line);
}

int baton_observer_prepare(SSL_CTX *context) {
    pthread_once(&once, set_up);
    if (!method) return 0;
    // A callback that was set since then may call ours: to call it in turn would never end.
    if (baton_observer_is_prepared(context)) return 1;
    key_log former = SSL_CTX_get_keylog_callback(context);
    if (SSL_CTX_set_ex_data(context, former_index, (void *)former) != 1) return 0;
    if (SSL_CTX_set_ex_data(context, prepared_index, method) != 1) return 0;
    SSL_CTX_set_keylog_callback(context, logged);
    return 1;
}

int baton_observer_is_prepared(SSL_CTX *context) { return method && SSL_CTX_get_ex_data(context, prepared_index) != NULL; }

// A filter over `next`, which stays the caller's.
static BIO *filter_new(observed *state, BIO *next, int shows_sent, int shows_received) {
    BIO *made = BIO_new(method);
    view *seen = made ? OPENSSL_zalloc(sizeof *seen) : NULL;
    if (!seen) {
        BIO_free(made);
        return NULL;
    }
    *seen = (view){state, shows_sent, shows_received, BIO_number_written(next)};
    atomic_fetch_add(&state->holders, 1);
    BIO_set_data(made, seen);
    BIO_up_ref(next);
    BIO_push(made, next);
    return made;
}

static int put_beneath(SSL *ssl, observed *state) {
    BIO *reading = SSL_get_rbio(ssl);
    BIO *writing = SSL_get_wbio(ssl);
    int are_one = reading == writing;
    BIO *first = filter_new(state, reading, are_one, 1);
    BIO *second = first && !are_one ? filter_new(state, writing, 1, 0) : first;
    if (!first || !second) {
        BIO_free_all(first);
        return 0;
    }
    // Each of these lets go of what was there, and takes one reference.
    if (are_one) BIO_up_ref(first);
    SSL_set0_rbio(ssl, first);
    SSL_set0_wbio(ssl, second);
    return 1;
}

int baton_observer_begin(SSL *ssl) {
    if (!method || state_of(ssl)) return 0;
    observed *state = OPENSSL_zalloc(sizeof *state);
    if (!state) return 0;
    atomic_init(&state->holders, 1);
    state->observation = baton_observation_new(SSL_is_server(ssl));
    if (state->observation && SSL_set_ex_data(ssl, ssl_index, state) == 1) {
        if (put_beneath(ssl, state)) return 1;
        SSL_set_ex_data(ssl, ssl_index, NULL);
    }
    end_observation(state);
    let_go(state);
    return 0;
}

void *baton_observer_of(SSL *ssl) {
    observed *state = state_of(ssl);
    return state ? state->observation : NULL;
}

// Whether the transport has taken nothing past the filter, as it would from an SSL that had it back for a while.
static int has_passed_all(BIO *bio, const view *seen) {
    BIO *transport = BIO_next(bio);
    return transport && BIO_number_written(transport) == seen->written;
}

static const view *view_of(BIO *bio) {
    return bio && BIO_method_type(bio) == filter_type ? BIO_get_data(bio) : NULL;
}

int baton_observer_sees_all(SSL *ssl) {
    const observed *state = state_of(ssl);
    const view *reading = view_of(SSL_get_rbio(ssl)), *writing = view_of(SSL_get_wbio(ssl));
    return state && !state->is_lost && reading && reading->state == state && reading->shows_received && writing &&
           writing->state == state && writing->shows_sent && has_passed_all(SSL_get_wbio(ssl), writing);
}

void baton_observer_seal_off(SSL *ssl) {
    observed *state = state_of(ssl);
    if (state) state->is_sealed_off = 1;
}

size_t baton_observer_take_rest(SSL *ssl, void *bytes, size_t capacity) {
    BIO *transport = BIO_next(SSL_get_rbio(ssl));
    size_t count = 0;
    if (!transport || BIO_ctrl_pending(transport) == 0) return 0;
    return BIO_read_ex(transport, bytes, capacity, &count) == 1 ? count : 0;
}

void baton_observer_end(SSL *ssl) {
    observed *state = state_of(ssl);
    if (state) end_observation(state);
}

int baton_observer_is_writing(SSL *ssl) {
    const observed *state = state_of(ssl);
    // What SSL_want says is of the last call; a read that follows the write says nothing of it.
    return (state && state->has_refused) || SSL_want(ssl) == SSL_WRITING;
}
