// The layout of an arena: what of a worker's sessions outlives the worker.
//
// An arena is one memfd that its owner, a worker, maps: a header, then slots, then extents on pages of their own. A session is one
// slot. Whatever happened to the owner, at whatever instruction, what a slot says is consistent: of its two states the one
// counts that `current` names, and one store of `current` publishes the other. How far TCP sockets have come is not kept
// here, because the kernel knows (stream_position.h); for Unix sockets see unix_stream.h.
//
// The layout is one version for as long as it stays byte for byte as it is: the assertions below are its golden copy.
// Integers are in the machine's own byte order, because an arena never leaves its machine.
#ifndef BATON_CSESSIONARENA_ARENA_H
#define BATON_CSESSIONARENA_ARENA_H

#include <stddef.h>
#include <stdint.h>

static const uint64_t ARENA_MAGIC = UINT64_C(0x414E4552414E5442);  // "BTNARENA"

enum {
    ARENA_VERSION = 2,
    ARENA_HEADER_SIZE = 4096,
    ARENA_SLOT_SIZE = 2048,
    ARENA_EXTENT_SIZE = 65536,
    ARENA_SECRET_MAX = 48,
    ARENA_FACTS_MAX = 1048,
};

// No extent: nothing waits.
static const uint32_t ARENA_NO_EXTENT = UINT32_MAX;

// What a slot is. A store of it is the session's birth and its end.
enum {
    ARENA_FREE = 0,       // zeros, but for the generation
    ARENA_LIVE = 1,       // its facts and the state that counts are whole
    ARENA_UNSETTLED = 2,  // being filled or being zeroed: whoever finds it zeroes it
};

// What a session does.
enum {
    ARENA_RELAY = 1,  // passes on what comes from either leg to the other
    ARENA_ECHO = 2,   // sends back what comes; it has the client's leg alone, and the other stays zero and without extents
    ARENA_PAGE = 3,   // answers HTTP requests; it has the client's leg alone, too
};

// What is true of one leg.
static const uint32_t ARENA_LEG_TLS = 1 << 0;           // its bytes are TLS records, under `reading` and `writing`
static const uint32_t ARENA_LEG_READ_CLOSED = 1 << 1;   // the peer has ended in order, and all of it has been used
static const uint32_t ARENA_LEG_WRITE_CLOSED = 1 << 2;  // our close_notify or fatal alert is in the output
static const uint32_t ARENA_LEG_OWES_UPDATE = 1 << 3;   // the peer has asked for a KeyUpdate that is not in the output
static const uint32_t ARENA_LEG_ENDING = 1 << 4;        // shutdown(SHUT_WR) follows the output
static const uint32_t ARENA_LEG_FAILED = 1 << 5;        // the peer broke the protocol: it gets its alert, and the other RST;
                                                        // or we end an echo or a page before its peer does
static const uint32_t ARENA_LEG_BROKEN = 1 << 6;        // reset or cut off; what has come of it still goes to the other
static const uint32_t ARENA_LEG_RESETTING = 1 << 7;     // RST follows the output, and nothing more is read
static const uint32_t ARENA_LEG_FLAGS = (1 << 8) - 1;

// One direction of TLS: what RFC 8446 section 7.3 or RFC 5246 section 6.3 derive a record's protection from.
struct arena_key {
    uint8_t secret[ARENA_SECRET_MAX];
    uint64_t sequence;
    uint64_t explicit_nonce;
    uint64_t blocks;
};

// One socket. Positions count the bytes of its stream from the moment the session came into the slot.
struct arena_leg {
    uint64_t input_base;   // the position of the first byte of the input's extent
    uint64_t consumed;     // input used up: output has been made of it
    uint64_t output_base;  // the position of the first byte of the output's extent
    uint64_t produced;     // output made; what the kernel has not taken of it stays as it is
    uint32_t input_extent;
    uint32_t output_extent;
    uint32_t fragment_extent;  // a handshake message of which a part has come
    uint32_t fragment_count;
    uint32_t flags;
    uint8_t in_a_row[4];  // limits on what a peer may make us do for nothing, as in a snapshot
    uint32_t paid_key_updates;
    uint32_t input_count;  // of a broken leg: bytes in the input's extent, which its socket no longer tells
    struct arena_key reading;
    struct arena_key writing;
};

struct arena_state {
    struct arena_leg legs[2];  // 0: the peer that was accepted, 1: the upstream, where there is one
    uint32_t lasting_extent;  // where facts and note are that do not fit into the slot
    uint32_t note_offset;     // from the first byte of the facts
    uint32_t note_count;
    uint8_t scanner[8];  // of a page: what it knows of a request head whose end has not come; zeros at the start of one
    uint32_t reserved;
};

struct arena_slot {
    uint32_t phase;
    uint32_t current;     // 0 or 1: the state that counts
    uint32_t at_work;     // not 0 while the owner works on this session: if it dies, this may be why
    uint32_t deaths;      // owners that died at work on it
    uint64_t generation;  // counts the sessions that have been here
    uint64_t session;
    uint64_t read_base[2];  // the kernel's counters of each leg when the session came
    uint64_t write_base[2];
    uint32_t kind;
    uint32_t facts_count;
    uint64_t activity;    // when a byte passed last, in milliseconds of CLOCK_MONOTONIC
    uint32_t idle_limit;  // milliseconds without a byte that end the session; 0: none
    uint32_t move_every;  // what the client sends until the session is due to move; 0: it never is
    uint64_t taken[2];    // of a leg on a Unix socket: what write(2) has taken of its output
    uint32_t unix_legs;   // a bit for each leg that is on a Unix socket
    uint32_t handovers;   // how often the session has come to another owner with the arena, in order
    uint32_t reserved[2];
    struct arena_state states[2];
    uint8_t facts[ARENA_FACTS_MAX];  // what does not change: for each leg, a snapshot without traffic secrets; and the note
};

// The sendmmsg(2) to a Unix socket that is under way, if one is. When its owner has died, `sent` says what came of it.
struct arena_sending {
    uint32_t leg;         // 2 * slot + leg + 1; 0: none is under way
    uint32_t asked;       // bytes given to the kernel
    uint64_t position;    // of the first of them in the leg's stream
    uint8_t message[56];  // a struct mmsghdr begins here, of use only to its owner
    uint32_t sent;        // bytes that the kernel took, stored by the kernel
    uint32_t reserved;
};

struct arena_header {
    uint64_t magic;
    uint32_t version;
    uint32_t slot_count;
    uint32_t extent_count;
    uint32_t reserved;
    uint64_t owner;  // who may write: a number that no two owners share; 0: nobody
    uint64_t spare[4];
    struct arena_sending sending;
};

_Static_assert(sizeof(struct arena_key) == 72, "arena_key");
_Static_assert(offsetof(struct arena_key, sequence) == 48 && offsetof(struct arena_key, blocks) == 64, "arena_key");
_Static_assert(sizeof(struct arena_leg) == 208, "arena_leg");
_Static_assert(offsetof(struct arena_leg, produced) == 24 && offsetof(struct arena_leg, input_extent) == 32, "arena_leg");
_Static_assert(offsetof(struct arena_leg, fragment_count) == 44 && offsetof(struct arena_leg, flags) == 48, "arena_leg");
_Static_assert(offsetof(struct arena_leg, in_a_row) == 52 && offsetof(struct arena_leg, paid_key_updates) == 56, "arena_leg");
_Static_assert(offsetof(struct arena_leg, input_count) == 60, "arena_leg");
_Static_assert(offsetof(struct arena_leg, reading) == 64 && offsetof(struct arena_leg, writing) == 136, "arena_leg");
_Static_assert(sizeof(struct arena_state) == 440, "arena_state");
_Static_assert(offsetof(struct arena_state, lasting_extent) == 416 && offsetof(struct arena_state, note_count) == 424, "arena_state");
_Static_assert(offsetof(struct arena_state, scanner) == 428, "arena_state");
_Static_assert(offsetof(struct arena_slot, generation) == 16 && offsetof(struct arena_slot, read_base) == 32, "arena_slot");
_Static_assert(offsetof(struct arena_slot, kind) == 64 && offsetof(struct arena_slot, states) == 120, "arena_slot");
_Static_assert(offsetof(struct arena_slot, activity) == 72 && offsetof(struct arena_slot, idle_limit) == 80, "arena_slot");
_Static_assert(offsetof(struct arena_slot, taken) == 88 && offsetof(struct arena_slot, unix_legs) == 104, "arena_slot");
_Static_assert(offsetof(struct arena_slot, handovers) == 108, "arena_slot");
_Static_assert(offsetof(struct arena_slot, facts) == 1000 && sizeof(struct arena_slot) == ARENA_SLOT_SIZE, "arena_slot");
_Static_assert(offsetof(struct arena_header, version) == 8 && offsetof(struct arena_header, owner) == 24, "arena_header");
_Static_assert(offsetof(struct arena_header, sending) == 64 && sizeof(struct arena_header) == 144, "arena_header");
_Static_assert(offsetof(struct arena_sending, position) == 8 && offsetof(struct arena_sending, message) == 16, "arena_sending");
_Static_assert(offsetof(struct arena_sending, sent) == 72 && sizeof(struct arena_sending) == 80, "arena_sending");

#pragma clang assume_nonnull begin

static inline struct arena_state *arena_state_at(struct arena_slot *slot, uint32_t index) {
    return &slot->states[index & 1];
}
static inline struct arena_leg *arena_leg_at(struct arena_state *state, uint32_t index) { return &state->legs[index & 1]; }
static inline uint8_t *arena_facts(struct arena_slot *slot) { return slot->facts; }

// The stores by which a slot changes: all that comes before one is done before it, and all that comes after it after it.
// Who reads is a process that begins when this one has ended, so it is the compiler alone that must keep the order: a
// release would let what comes after be done before.
static inline void arena_publish(struct arena_slot *slot, uint32_t current) {
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    __atomic_store_n(&slot->current, current, __ATOMIC_RELEASE);
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
}
static inline void arena_set_phase(struct arena_slot *slot, uint32_t phase) {
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    __atomic_store_n(&slot->phase, phase, __ATOMIC_RELEASE);
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
}
static inline uint32_t arena_phase(const struct arena_slot *slot) {
    return __atomic_load_n(&slot->phase, __ATOMIC_ACQUIRE);
}
static inline uint32_t arena_current(const struct arena_slot *slot) {
    return __atomic_load_n(&slot->current, __ATOMIC_ACQUIRE);
}
static inline void arena_set_at_work(struct arena_slot *slot, uint32_t at_work) {
    __atomic_store_n(&slot->at_work, at_work, __ATOMIC_RELEASE);
}
static inline uint64_t arena_owner(const struct arena_header *header) {
    return __atomic_load_n(&header->owner, __ATOMIC_ACQUIRE);
}
// Zeroes a slot, but for the count of the sessions that were here, and makes it free. A death in the midst of it leaves the
// slot unsettled.
static inline void arena_erase(struct arena_slot *slot) {
    volatile uint8_t *bytes = (volatile uint8_t *)slot;
    arena_set_phase(slot, ARENA_UNSETTLED);
    for (size_t i = offsetof(struct arena_slot, current); i < sizeof *slot; i++) {
        if (i == offsetof(struct arena_slot, generation)) i += sizeof slot->generation;
        bytes[i] = 0;
    }
    arena_set_phase(slot, ARENA_FREE);
}
// What is stored around a sendmmsg(2): that it is under way, what write(2) has taken of a leg, and that none is under way.
static inline void arena_sending_begin(struct arena_header *header, uint32_t leg, uint32_t asked, uint64_t position) {
    struct arena_sending *sending = &header->sending;
    sending->asked = asked;
    sending->position = position;
    sending->sent = 0;
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    __atomic_store_n(&sending->leg, leg, __ATOMIC_RELEASE);
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
}
static inline void arena_set_taken(struct arena_slot *slot, uint32_t leg, uint64_t taken) {
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    __atomic_store_n(&slot->taken[leg & 1], taken, __ATOMIC_RELEASE);
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
}
static inline uint64_t arena_taken(const struct arena_slot *slot, uint32_t leg) { return slot->taken[leg & 1]; }
static inline void arena_sending_end(struct arena_header *header) {
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    __atomic_store_n(&header->sending.leg, 0, __ATOMIC_RELEASE);
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
}
// Takes the arena for `owner` from `former`. Returns whether it was `former`'s.
static inline int arena_take(struct arena_header *header, uint64_t former, uint64_t owner) {
    return __atomic_compare_exchange_n(&header->owner, &former, owner, 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
}

#pragma clang assume_nonnull end

#endif
