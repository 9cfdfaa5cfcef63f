import HostLab
import Testing

/// `baton drain` between two hosts of the lab. One at a time: they share the lab, and a host has one hold device. Without
/// root every one of these is reported as skipped.
@Suite(
    "Draining a host", .serialized, .timeLimit(.minutes(15)),
    .enabled(if: Lab.obstacle == nil, "needs root, CAP_NET_ADMIN and /dev/net/tun"))
enum DrainTests {}
