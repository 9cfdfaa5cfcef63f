// Signals of a process of the server: caught from its first moment on, and kept until somebody asks.
#ifndef BATON_CLINUXSOCKETS_SIGNALS_H
#define BATON_CLINUXSOCKETS_SIGNALS_H

#include <signal.h>

// From here on no signal ends this process but SIGKILL and those of its own faults. SIGHUP, SIGUSR2, SIGTERM, SIGINT and
// SIGQUIT are kept, in their order, for whoever reads them; all others that would end or stop it are ignored, but for
// SIGTSTP. What was blocked while the program was being executed is heard now. Returns 0 or a negative errno value.
int baton_signals_catch(void);

// Waits for the next kept signal and returns its number; negative: signals are not caught.
int baton_signals_next(void);

// For a process that waits for more than signals: a descriptor that is readable when baton_signals_take has one. From here
// on the end of a child is among them (SIGCHLD). Returns a negative errno value if signals are not caught.
int baton_signals_descriptor(void);

// The next kept signal; 0: there is none.
int baton_signals_take(void);

// Takes back what `baton_signals_hold` has done, if no program was executed.
void baton_signals_release(void);

// Blocks the signals that `baton_signals_catch` keeps or ignores, and no others, in the calling thread, before it executes a
// program of this server: they wait until that program catches them. Those that are kept and have not been read wait, too.
void baton_signals_hold(void);

// The signals that `baton_signals_hold` blocks.
void baton_signals_held(sigset_t *set);

#endif
