import HostLab
import Testing

/// What needs namespaces, raw sockets and TCP repair. Without root every one of these is reported as skipped. One at a
/// time: they share the lab, and a host has one hold device.
@Suite(
    "In the lab", .serialized,
    .enabled(if: Lab.obstacle == nil, "needs root, CAP_NET_ADMIN and /dev/net/tun"))
enum LabTests {}
