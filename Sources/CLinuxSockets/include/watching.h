// inotify(7), for folders.
#ifndef BATON_CLINUXSOCKETS_WATCHING_H
#define BATON_CLINUXSOCKETS_WATCHING_H

#include <stddef.h>
#include <stdint.h>

// A descriptor that tells of changes. Non-blocking, close-on-exec. Returns it or a negative errno value.
int baton_inotify_open(void);

// Tells of entries of the folder at `path` that appear, go, are written to the end or get other rights, and of its own end.
// Returns the number of the watch, which is that of an earlier one if it is the same folder, or a negative errno value.
int baton_inotify_add(int descriptor, const char *path);

void baton_inotify_remove(int descriptor, int watch);

enum {
    BATON_INOTIFY_ENTRY,     // an entry of a folder has changed: `name`
    BATON_INOTIFY_FOLDER,    // the folder itself has gone or moved
    BATON_INOTIFY_ENDED,     // the kernel has removed this watch
    BATON_INOTIFY_OVERFLOW,  // there was more than the kernel keeps
};

typedef struct {
    int kind;
    int watch;
    const char *name;  // in the buffer; empty for none
} baton_inotify_event;

// Reads events to `buffer`, which is aligned as an int is. Returns the count of bytes, 0 if there is nothing, or a negative
// errno value.
long baton_inotify_read(int descriptor, void *buffer, size_t capacity);

// The event at `*offset` of `count` bytes; moves the offset behind it. Returns 0 at the end.
int baton_inotify_next(const void *buffer, size_t count, size_t *offset, baton_inotify_event *event);

// Makes a descriptor of baton_wake_open readable, until `baton_rest` is called.
void baton_wake(int descriptor);
void baton_rest(int descriptor);

#endif
