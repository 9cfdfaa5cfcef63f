internal import CLinuxSockets

/// CLOCK_MONOTONIC in nanoseconds: one clock for all processes of a machine.
enum MonotonicTime {
    static var now: UInt64 { baton_monotonic_nanoseconds() }
}
